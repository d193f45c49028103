"""An audit under test: the real consumer, rows, publisher and witnesses over records made here, without Kafka."""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import orjson

import salur.audit
from salur.audit import store
from salur.audit.announcer import Announcer
from salur.audit.log.keys import LogKeys
from salur.audit.log.note import Checkpoint, Signer, open_checkpoint
from salur.audit.log.policy import Policy
from salur.audit.log.tiles import TileReader
from salur.audit.log.tree import consistency_proof, leaf_hashes
from salur.audit.publisher import Publisher
from salur.audit.usecases.record import compare_repeats, record_events
from salur.audit.witness import Answer, Witness, request_body
from salur.common.contracts.activity import ServiceSealed
from salur.common.contracts.topics import ALL_TOPICS
from salur.common.database import Database
from salur.common.events import EventStore, RawConsumer
from salur.common.events.consumer import BatchProcessor
from salur.common.events.security import KafkaAddress
from salur.common.secrets import Secrets

MIGRATIONS = Path(next(iter(salur.audit.__path__))) / "migrations"
ORIGIN = "audit.trail.local"
TOPICS = tuple(topic.name for topic in ALL_TOPICS if topic.writer == "payments")
WITNESSES = ("bank", "board")


@dataclass(frozen=True, slots=True)
class Record:
    """A record as Kafka would hand it over."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp: int = 0


def event(topic: str, partition: int, sequence: int, kind: str = "salur.payment.noted.v1", **data: object) -> bytes:
    """An event's bytes as its service would publish them."""
    subject = f"{topic}-{partition}-{sequence}"
    document = {
        "specversion": "1.0", "id": hashlib.sha256(subject.encode()).hexdigest()[:32],
        "source": f"/salur/{topic.partition('.')[0]}", "type": kind, "subject": subject,
        "time": "2026-01-02T03:04:05.678901Z", "datacontenttype": "application/json", "actor": "service:payments",
        "cause": "request", "data": {"number": sequence, **data}, "stream": f"{topic}/{partition}",
        "sequence": sequence,
    }  # fmt: skip
    return orjson.dumps(document)


def seal_event(sequence: int, stream: str, first: int, leaves: Sequence[bytes]) -> bytes:
    """A seal of payments, as its service would publish it: `leaves` are these events of the stream, from `first` on."""
    seal = {
        "stream": stream, "first": first, "head": first + len(leaves) - 1, "count": len(leaves),
        "range_hash": hashlib.sha256(b"".join(leaf_hashes(leaves))).hexdigest(),
    }  # fmt: skip
    return event("payments.activity", 0, sequence, ServiceSealed.event_type, seals=[seal])


def records(count: int, topic: str = "payments.payments", partitions: int = 8, first: int = 0) -> Iterator[Record]:
    """Records of one topic, its partitions in turn, each a stream from 1 on; `first` records are left out."""
    for number in range(first, first + count):
        partition, sequence = number % partitions, number // partitions + 1
        yield Record(topic, partition, sequence - 1, event(topic, partition, sequence))


@dataclass
class Lab:
    """One audit: a database, a folder, two witnesses. `kafka`: where heads are announced; none = nowhere."""

    db: Database
    folder: Path
    kafka: str = ""
    topics: Sequence[str] = TOPICS
    secrets: Secrets = field(default_factory=lambda: Secrets(bytes(range(32))))
    signer: Signer = field(default_factory=lambda: Signer(ORIGIN, hashlib.sha256(b"trail").digest()))
    witnesses: dict[str, Witness] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    """Heads that somebody outside has kept, oldest first."""

    def __post_init__(self) -> None:
        self.log = self.folder / "log"
        self.witnesses = {name: Witness(self.folder / name, name, [self.signer.verifier]) for name in WITNESSES}
        self._store = EventStore("audit", self.secrets)
        consumer = RawConsumer(
            store.EVENTS_CONSUMER, self.topics, record_events, 2_000, partial(compare_repeats, secrets=self.secrets)
        )
        self.processor = BatchProcessor(consumer, self.db, self._store, self.secrets)
        self.start()

    def start(self) -> None:
        """A new process of the audit: it knows what database, folder and witnesses hold."""
        if hasattr(self, "publisher"):
            self.publisher.close()
        announcer = Announcer(
            self.db, KafkaAddress(self.kafka), ORIGIN, partial(open_checkpoint, key=self.signer.verifier)
        )
        self.publisher: Publisher = Publisher(
            self.db, self.log, LogKeys((self.signer,)), 0.0, announcer.keep, self._outside_heads, self._cosign
        )

    def close(self) -> None:
        self.publisher.close()
        for witness in self.witnesses.values():
            witness.close()

    @property
    def policy(self) -> Policy:
        lines = [f"log {self.signer.verifier}"]
        lines += [f"witness {name} {witness.signer.verifier}" for name, witness in self.witnesses.items()]
        return Policy.parse("\n".join([*lines, f"group both all {' '.join(WITNESSES)}", "quorum both", ""]))

    async def take(self, taken: Sequence[Record]) -> None:
        """What the consumer does with a batch."""
        await self.processor.process(taken)

    async def seal(self, stream: str, first: int, leaves: Sequence[bytes]) -> None:
        """The service states these events of a stream, as its seal event does."""
        topic = "payments.activity"
        async with self.db.connection() as conn:
            at = await conn.fetchval("SELECT sequence FROM mark WHERE stream = $1", f"{topic}/0")
        await self.take([Record(topic, 0, at, seal_event(at + 1, stream, first, leaves))])

    async def fill(self, count: int, head_every: int) -> None:
        """Take so many records; publish and keep a head every so many."""
        await self.processor.declare()
        batch = []
        for record in records(count):
            batch.append(record)
            if len(batch) == head_every:
                await self.take(batch)
                await self.publish()
                batch = []
        if batch:
            await self.take(batch)
            await self.publish()

    async def publish(self) -> Checkpoint | None:
        head = await self.publisher.publish_all()
        if head is not None:
            self.kept.append(self.publisher.note())
        return head

    def show(self, witness: str, old: int, note: str, reader: TileReader | None = None) -> Answer:
        """Show a head to a witness, with the proof from `reader` where there is something to prove."""
        size = int(note.split("\n")[1])
        proof = consistency_proof(old, size, reader.hash_at) if reader and 0 < old < size else []
        return self.witnesses[witness].add_checkpoint(request_body(old, proof, note))

    async def _cosign(self, _head: Checkpoint, note: str, reader: TileReader) -> list[str]:
        lines = []
        for name in WITNESSES:
            old = self._seen(name)
            answer = await asyncio.to_thread(self.show, name, old, note, reader)
            if answer.status == 200:
                lines.append(answer.body)
        return sorted(lines)

    def _seen(self, name: str) -> int:
        answer = self.witnesses[name].latest(ORIGIN)
        return int(answer.body.split("\n")[1]) if answer.status == 200 else 0

    async def _outside_heads(self) -> list[Checkpoint]:
        notes = [witness.latest(ORIGIN) for witness in self.witnesses.values()]
        return [open_checkpoint(note.body, self.signer.verifier) for note in notes if note.status == 200]

"""Consume: a batch of records → one transaction: lock marks, sort, handle, append what follows, move marks, commit.

Transient trouble is retried in place and nothing is skipped. A poison event is found by halving the batch under
savepoints; it becomes a dead letter in the same transaction, its key is blocked, later events of that key are parked
behind it, the rest goes on.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from salur.common.contracts.activity import DeadLetterRaised
from salur.common.contracts.topics import topic_named
from salur.common.database import Connection, Database
from salur.common.events import personal
from salur.common.events.deadletters import DeadLetter, insert_dead_letters
from salur.common.events.envelope import (
    Draft,
    Envelope,
    Received,
    Unacceptable,
    Undecodable,
    accept,
    parse,
)
from salur.common.events.marks import Mark, sort_batch, sort_outside
from salur.common.events.refusals import passes_by_itself, reason_of
from salur.common.events.stream import EventStore, PreparedEvent, queries, stream_name
from salur.common.logs import get_logger
from salur.common.memory import end_if_out_of_memory
from salur.common.secrets import Secrets

log = get_logger("consumer")

REFUSED_SHARE_MAX = 0.05
REFUSED_MIN = 5
"""A batch in which more than 5 % (and at least this many) events are refused is systemic: retried, not skipped."""
BEHIND = "waits behind an earlier event of its key"
RETRY_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0)


class KafkaRecord(Protocol):
    """What we read of a Kafka record (aiokafka's ConsumerRecord has it)."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...
    @property
    def timestamp(self) -> int: ...


class OutsideRecord(NamedTuple):
    """A record of an outside topic: untrusted bytes and their position."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Sequence[tuple[str, bytes]] = ()

    @property
    def stream(self) -> str:
        return stream_name(self.topic, self.partition)

    @property
    def sequence(self) -> int:
        return self.offset


class RawEvent(NamedTuple):
    """A record of a stream topic as bytes; `envelope` is None when it is no event of that stream."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    envelope: Envelope | None
    header: bytes | None
    trouble: str = ""

    @property
    def stream(self) -> str:
        return stream_name(self.topic, self.partition)

    @property
    def sequence(self) -> int:
        return self.envelope.sequence if self.envelope else 0

    @property
    def key(self) -> str:
        """The aggregate it speaks of; empty when it is no event."""
        return self.envelope.key if self.envelope else ""


Handler = Callable[[Connection, Sequence[Received]], Awaitable[Sequence[Draft]]]
OutsideHandler = Callable[[Connection, Sequence[OutsideRecord]], Awaitable[Sequence[Draft]]]
RawHandler = Callable[[Connection, Sequence[RawEvent]], Awaitable[Sequence[Draft]]]


@dataclass(frozen=True, slots=True)
class Consumer:
    """Takes typed events of stream topics."""

    name: str
    topics: Sequence[str]
    handler: Handler
    max_records: int = 1_000


@dataclass(frozen=True, slots=True)
class OutsideConsumer:
    """Takes records of topics others write without sequences. The handler must bear any content."""

    name: str
    topics: Sequence[str]
    handler: OutsideHandler
    max_records: int = 1_000


@dataclass(frozen=True, slots=True)
class RawConsumer:
    """Takes the bytes of stream topics, decodable or not; never makes a dead letter (the audit).

    `compare` is shown the repeats that are dropped: the same sequence with other bytes is somebody's second story.
    """

    name: str
    topics: Sequence[str]
    handler: RawHandler
    max_records: int = 1_000
    compare: Callable[[Connection, Sequence[RawEvent]], Awaitable[None]] | None = None


AnyConsumer = Consumer | OutsideConsumer | RawConsumer


class Systemic(Exception):
    """Too much of a batch was refused for it to be the events' fault."""


@dataclass(slots=True)
class Outcome:
    """What became of a batch."""

    taken: int = 0
    duplicates: int = 0
    holes: dict[str, int] = field(default_factory=dict)
    moved: frozenset[str] = frozenset()
    dead: int = 0
    parked: int = 0
    appended: int = 0


_T = TypeVar("_T")
_D = TypeVar("_D")


async def handle_halving(
    conn: Connection,
    batch: Sequence[_T],
    handler: Callable[[Connection, Sequence[_T]], Awaitable[Sequence[_D]]],
    key_of: Callable[[_T], str],
) -> tuple[list[_D], list[tuple[_T, Exception]], list[_T]]:
    """Run the handler; on a refusal halve under savepoints until the refusing events stand alone.

    Returns (what the handler gave, refused with their reasons, parked: later events of a refused key). Trouble that
    passes by itself is raised, not blamed on an event. Raises Systemic when too much is refused.
    """
    refused: list[tuple[_T, Exception]] = []
    parked: list[_T] = []
    given: list[_D] = []
    limit = max(REFUSED_MIN, int(len(batch) * REFUSED_SHARE_MAX))
    blocked: set[str] = set()
    todo = [list(batch)]
    while todo:
        part = todo.pop()
        if blocked:
            parked.extend(item for item in part if key_of(item) in blocked)
            part = [item for item in part if key_of(item) not in blocked]
        if not part:
            continue
        try:
            async with conn.transaction():
                given.extend(await handler(conn, part))
        except Exception as error:
            end_if_out_of_memory(error)
            if passes_by_itself(error):
                raise
            if len(part) > 1:
                middle = len(part) // 2
                todo += [part[middle:], part[:middle]]
            else:
                refused.append((part[0], error))
                blocked.add(key_of(part[0]))
        if len(refused) > limit:
            raise Systemic(f"{len(refused)} of {len(batch)} events refused, last: {reason_of(refused[-1][1])}")
    return given, refused, parked


class BatchProcessor:
    """Applies batches for one consumer. Independent of how the records arrive."""

    def __init__(self, consumer: AnyConsumer, db: Database, store: EventStore, secrets: Secrets) -> None:
        self.consumer = consumer
        self._db = db
        self._store = store
        self._secrets = secrets
        self._writers = {name: topic_named(name).writer for name in consumer.topics}

    async def declare(self) -> None:
        """Make the mark rows. Idempotent."""
        streams = [
            stream_name(name, partition)
            for name in self.consumer.topics
            for partition in range(topic_named(name).partitions)
        ]
        async with self._db.transaction() as conn:
            await queries.declare_marks(conn, consumer=self.consumer.name, streams=streams)

    async def marks(self, streams: Sequence[str]) -> dict[str, Mark]:
        """The committed marks, for seeking on assignment."""
        async with self._db.connection() as conn:
            rows = await queries.read_marks(conn, consumer=self.consumer.name, streams=list(streams))
        return {row["stream"]: Mark(row["sequence"], row["kafka_offset"]) for row in rows}

    async def process_until_done(self, records: Sequence[KafkaRecord], stop: asyncio.Event) -> Outcome | None:
        """Apply a batch, retrying in place with back-off for as long as trouble lasts. None when stopped first."""
        attempt = 0
        while not stop.is_set():
            try:
                return await self.process(records)
            except Exception as error:
                end_if_out_of_memory(error)
                delay = RETRY_S[min(attempt, len(RETRY_S) - 1)]
                attempt += 1
                log.warning(
                    "batch-retry",
                    consumer=self.consumer.name,
                    error=type(error).__name__,
                    detail=reason_of(error) if not isinstance(error, Systemic) else str(error),
                    attempt=attempt,
                    wait_s=delay,
                )
                try:
                    await asyncio.wait_for(stop.wait(), timeout=delay)
                except TimeoutError:
                    continue
        return None

    async def process(self, records: Sequence[KafkaRecord]) -> Outcome:
        """Apply a batch in one transaction."""
        async with self._db.transaction() as conn:
            streams = sorted({stream_name(record.topic, record.partition) for record in records})
            rows = await queries.lock_marks(conn, consumer=self.consumer.name, streams=streams)
            marks = {row["stream"]: Mark(row["sequence"], row["kafka_offset"]) for row in rows}
            match self.consumer:
                case OutsideConsumer():
                    outcome, after = await self._outside(conn, self.consumer, records, marks)
                case RawConsumer():
                    outcome, after = await self._raw(conn, self.consumer, records, marks)
                case Consumer():
                    outcome, after = await self._facts(conn, self.consumer, records, marks)
            moved = {name: mark for name, mark in after.items() if mark != marks[name]}
            if moved:
                await queries.save_marks(
                    conn,
                    consumer=self.consumer.name,
                    streams=list(moved),
                    sequences=[mark.sequence for mark in moved.values()],
                    offsets=[mark.offset for mark in moved.values()],
                )
        outcome.moved = frozenset(moved)
        return outcome

    async def _outside(
        self,
        conn: Connection,
        consumer: OutsideConsumer,
        records: Sequence[KafkaRecord],
        marks: dict[str, Mark],
    ) -> tuple[Outcome, dict[str, Mark]]:
        outside = [
            OutsideRecord(r.topic, r.partition, r.offset, r.key, r.value, r.timestamp, r.headers) for r in records
        ]
        batch = sort_outside(outside, marks)
        drafts = list(await consumer.handler(conn, batch.taken)) if batch.taken else []
        await self._store.append(conn, drafts)
        return Outcome(len(batch.taken), batch.duplicates, appended=len(drafts)), batch.marks

    async def _raw(
        self, conn: Connection, consumer: RawConsumer, records: Sequence[KafkaRecord], marks: dict[str, Mark]
    ) -> tuple[Outcome, dict[str, Mark]]:
        parsed = [self._read(record) for record in records]
        events = sort_batch([event for event in parsed if event.envelope], marks)
        foreign = await self._first_seen(conn, [event for event in parsed if not event.envelope])
        taken = sorted([*events.taken, *foreign], key=lambda event: (event.stream, event.offset))
        drafts = list(await consumer.handler(conn, taken)) if taken else []
        if consumer.compare and events.repeats:
            await consumer.compare(conn, events.repeats)
        await self._store.append(conn, drafts)
        return Outcome(len(taken), events.duplicates, events.holes, appended=len(drafts)), events.marks

    async def _facts(
        self, conn: Connection, consumer: Consumer, records: Sequence[KafkaRecord], marks: dict[str, Mark]
    ) -> tuple[Outcome, dict[str, Mark]]:
        parsed = [self._read(record) for record in records]
        batch = sort_batch([event for event in parsed if event.envelope], marks)
        foreign = await self._first_seen(conn, [event for event in parsed if not event.envelope])
        waiting = await self._waiting_keys(conn, [event.key for event in batch.taken])
        ready, letters = self._accept(batch.taken, waiting)

        async def handle(conn: Connection, part: Sequence[Received]) -> list[PreparedEvent]:
            # Prepared here, so that what is too large to be said is the event's refusal and not the batch's.
            return self._store.prepare(await consumer.handler(conn, part))

        prepared, refused, behind = await handle_halving(conn, ready, handle, lambda event: event.key)
        raw = {(event.stream, event.sequence): event for event in batch.taken}
        letters += [
            DeadLetter(raw[event.stream, event.sequence], event.key, "raised", reason_of(error))
            for event, error in refused
        ]
        letters += [DeadLetter(raw[event.stream, event.sequence], event.key, "parked", BEHIND) for event in behind]
        letters += [DeadLetter(event, "", "foreign", event.trouble) for event in foreign]
        raised = await insert_dead_letters(conn, consumer.name, letters, self._secrets)
        prepared += self._store.prepare([self._raised(consumer.name, new_id, letter) for new_id, letter in raised])
        await self._store.append_prepared(conn, prepared)
        outcome = Outcome(
            len(batch.taken),
            batch.duplicates,
            batch.holes,
            dead=len(raised),
            parked=sum(letter.state == "parked" for letter in letters),
            appended=len(prepared),
        )
        return outcome, batch.marks

    async def _first_seen(self, conn: Connection, foreign: Sequence[RawEvent]) -> list[RawEvent]:
        """Those of records that are no events which this consumer has not taken before."""
        if not foreign:
            return []
        hashes = [hashlib.sha256(b"\x00" if event.value is None else b"\x01" + event.value) for event in foreign]
        rows = await queries.insert_foreign(
            conn,
            consumer=self.consumer.name,
            streams=[event.stream for event in foreign],
            offsets=[event.offset for event in foreign],
            hashes=[each.digest() for each in hashes],
        )
        new = {(row["stream"], row["kafka_offset"]) for row in rows}
        return [event for event in foreign if (event.stream, event.offset) in new]

    def _accept(self, taken: Sequence[RawEvent], waiting: set[str]) -> tuple[list[Received], list[DeadLetter]]:
        """Typed events; letters for what this version cannot take and for all that stands behind it or `waiting`."""
        ready: list[Received] = []
        letters: list[DeadLetter] = []
        blocked = set(waiting)
        for event in taken:
            assert event.envelope is not None
            if event.header in (personal.ERASED, personal.PART_ERASED):
                continue  # nobody can take it any more, and what follows it says so
            if event.key in blocked:
                letters.append(DeadLetter(event, event.key, "parked", BEHIND))
                continue
            try:
                ready.append(
                    accept(
                        event.envelope, event.header, topic=event.topic, partition=event.partition, offset=event.offset
                    )
                )
            except Unacceptable as error:
                letters.append(DeadLetter(event, event.key, "raised", reason_of(error)))
                blocked.add(event.key)
        return ready, letters

    def _read(self, record: KafkaRecord) -> RawEvent:
        envelope: Envelope | None = None
        trouble = ""
        try:
            envelope = parse(
                record.value,
                topic=record.topic,
                partition=record.partition,
                writer=self._writers[record.topic],
            )
        except Undecodable as error:
            trouble = str(error)[:200]
        header = next((value for name, value in record.headers if name == personal.HEADER), None)
        return RawEvent(record.topic, record.partition, record.offset, record.value, envelope, header, trouble)

    async def _waiting_keys(self, conn: Connection, keys: list[str]) -> set[str]:
        return await blocked_keys(conn, [self.consumer.name], keys) if keys else set()

    def _raised(self, consumer: str, letter_id: str, letter: DeadLetter) -> Draft:
        event = letter.event
        fact = DeadLetterRaised(
            dead_letter_id=letter_id, consumer=consumer, topic=event.topic, partition=event.partition,
            offset=event.offset, stream=event.stream, sequence=event.sequence, reason=letter.reason,
        )  # fmt: skip
        cause = event.envelope.id if event.envelope else letter_id
        return Draft(fact, letter_id, f"service:{self._store.service}", cause, topic=f"{self._store.service}.activity")


async def blocked_keys(conn: Connection, consumers: Sequence[str], keys: Sequence[str]) -> set[str]:
    """Which of `keys` wait behind a dead letter of any of `consumers`."""
    rows = await queries.blocked_keys(conn, consumers=list(consumers), keys=list(keys))
    return {row["key"] for row in rows}


__all__ = [
    "AnyConsumer",
    "BatchProcessor",
    "Consumer",
    "Handler",
    "Outcome",
    "OutsideConsumer",
    "OutsideRecord",
    "RawConsumer",
    "RawEvent",
    "Systemic",
    "blocked_keys",
    "handle_halving",
    "reason_of",
]  # fmt: skip

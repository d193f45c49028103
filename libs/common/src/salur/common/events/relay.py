"""The relay: takes a service's events to Kafka, each stream strictly in sequence.

`published` moves only over the contiguous acknowledged prefix. On the first failed send or delivery nothing more is
handed over, the producer is closed, a new one is built and the work resumes from `published`. Consumers drop the
repeats by their marks.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import asyncpg

from salur.common.database import TRANSIENT, Connection, prepare_connection
from salur.common.events import personal
from salur.common.events.envelope import CONTENT_TYPE
from salur.common.events.stream import queries
from salur.common.logs import get_logger
from salur.common.memory import end_if_out_of_memory
from salur.common.secrets import Secrets, open_with
from salur.common.traces import describe

log = get_logger("relay")

_R = TypeVar("_R")
LOCK_NAME = "salur.relay"
POLL_S = 1.0
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
ALARM_ATTEMPTS = len(RETRY_S)
"""So many interruptions in a row, with nothing published between them, are an error and no longer a warning."""
ALARM_S = 10.0
REMEDY = {
    "Kafka": "operations: does Kafka run, and has its disk room? Until then events wait here, in order",
    "PostgreSQL": "operations: does PostgreSQL run, and has its disk room?",
}
STANDBY_S = 0.5
"""Between two attempts to take over from another owner, or while fenced."""


class Outgoing(NamedTuple):
    """One record for Kafka."""

    stream: str
    sequence: int
    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class Producer(Protocol):
    """What the relay needs of Kafka. `send` hands a record over and returns the future of its acknowledgement."""

    async def send(self, record: Outgoing) -> "asyncio.Future[object]": ...
    async def close(self) -> None: ...


ProducerFactory = Callable[[], Awaitable[Producer]]


@dataclass(frozen=True, slots=True)
class Tail:
    """The highest event of a stream that Kafka holds. `event_id` as hex."""

    sequence: int
    event_id: str


TailReader = Callable[[Sequence[tuple[str, int]]], Awaitable[dict[str, Tail]]]
"""The tail per stream name, for the given (topic, partition)s; streams of which Kafka holds nothing are left out."""


class KafkaAway(ConnectionError):
    """Kafka does not answer, or not with what was asked of it."""


class SendFailed(Exception):
    """A record was not acknowledged; what came before it was."""


async def lost_past(conn: Connection, read_tails: TailReader) -> dict[str, Tail]:
    """Streams whose tail in Kafka is not the event we hold there. Empty when all is well.

    Either our head is below it (a restored backup, a lost failover) or, after such a loss, we have written another
    event in its place.
    """
    rows = await queries.published_marks(conn)
    return await _not_held(conn, await read_tails([(row["topic"], row["partition"]) for row in rows]))


async def _not_held(conn: Connection, tails: Mapping[str, Tail]) -> dict[str, Tail]:
    rows = await queries.events_at(conn, streams=list(tails), sequences=[tail.sequence for tail in tails.values()])
    held = {row["stream"]: row["id"].hex for row in rows}
    return {stream: tail for stream, tail in tails.items() if held.get(stream) != tail.event_id}


async def fence_if_behind(conn: Connection, read_tails: TailReader) -> dict[str, Tail]:
    """Compare with Kafka before the first write; fence every stream when the database lost published events."""
    lost = await lost_past(conn, read_tails)
    if not lost:
        return {}
    async with conn.transaction():
        # Looked at again under the streams' locks: meanwhile `recover` may have brought the events back.
        await queries.lock_all_streams(conn)
        lost = await _not_held(conn, lost)
        if lost:
            await queries.fence(conn)
    if lost:
        log.error("behind-published-past", streams=len(lost), remedy="run `python -m salur.<service> recover`")
    return lost


class Relay:
    """One supervised owner: whoever holds the advisory lock on a direct connection."""

    def __init__(
        self,
        database_url: str,
        secrets: Secrets,
        make_producer: ProducerFactory,
        read_tails: TailReader,
        window: int,
    ) -> None:
        self._url = database_url
        self._secrets = secrets
        self._make_producer = make_producer
        self._read_tails = read_tails
        self._window = window
        self._wake = asyncio.Event()
        self.published_total = 0
        self.interrupted_total = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop`; survives losing the database, Kafka and the lock."""
        attempt = 0
        while not stop.is_set():
            delay, published = STANDBY_S, self.published_total
            try:
                await self._own(stop)
                attempt = 0
            except (*TRANSIENT, asyncpg.PostgresError, SendFailed) as error:
                end_if_out_of_memory(error)
                attempt = 0 if self.published_total > published else attempt
                delay = RETRY_S[min(attempt, len(RETRY_S) - 1)]
                attempt += 1
                self.interrupted_total += 1
                tell = log.error if attempt >= ALARM_ATTEMPTS else log.warning
                away = "Kafka" if isinstance(error, KafkaAway | SendFailed) else "PostgreSQL"
                tell("relay-interrupted", away=away, error=describe(error), attempt=attempt, remedy=REMEDY[away])
            await _pause(stop, delay)

    async def _own(self, stop: asyncio.Event) -> None:
        conn = await asyncpg.connect(self._url, command_timeout=60)
        try:
            await prepare_connection(conn)
            if await self.take_over(conn):
                await conn.add_listener("salur_events", lambda *_: self._wake.set())
                await self.publish_until(conn, stop)
        finally:
            with contextlib.suppress(*TRANSIENT, asyncpg.PostgresError):
                await conn.close(timeout=2)

    async def take_over(self, conn: Connection) -> bool:
        """Become the owner for the life of `conn`. False when another is, or when the service must not publish."""
        if not await conn.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", LOCK_NAME):
            return False
        return not await fence_if_behind(conn, self._read_tails)

    async def publish_until(self, conn: Connection, stop: asyncio.Event) -> None:
        """Publish while this process owns the relay. Raises SendFailed or a database error."""
        producer = await self._make_producer()
        try:
            while not stop.is_set():
                self._wake.clear()
                if not await self.publish_window(conn, producer):
                    await self._wait(stop)
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(producer.close(), timeout=5)

    async def publish_window(self, conn: Connection, producer: Producer) -> int:
        """Publish one window of events and save the acknowledged prefix. Returns how many moved.

        Raises SendFailed after saving what was acknowledged before the failure.
        """
        marks = await queries.published_marks(conn)
        outgoing = await self._unpublished(conn, marks)
        acknowledged, failure = await _tell_while_waiting(send_in_order(producer, outgoing), len(outgoing))
        if acknowledged:
            republishes = {row["stream"]: row["republishes"] for row in marks}
            await queries.save_published(
                conn,
                streams=list(acknowledged),
                republishes=[republishes[stream] for stream in acknowledged],
                published=list(acknowledged.values()),
            )
        if failure is not None:
            raise SendFailed(
                f"{type(failure).__name__}: the producer is rebuilt and resumes from what was acknowledged"
            ) from failure
        self.published_total += len(outgoing)
        return len(outgoing)

    async def _unpublished(self, conn: Connection, marks: Sequence[asyncpg.Record]) -> list[Outgoing]:
        place = {row["stream"]: (row["topic"], row["partition"]) for row in marks}
        rows = await queries.unpublished(
            conn,
            streams=[row["stream"] for row in marks],
            after=[row["published"] for row in marks],
            per_stream=self._window,
            most=self._window,
        )
        return [self._outgoing(row, *place[row["stream"]]) for row in rows]

    def _outgoing(self, row: asyncpg.Record, topic: str, partition: int) -> Outgoing:
        headers = [("content-type", CONTENT_TYPE)]
        if row["subject"] is not None and row["subject_key"] is None:
            headers.append((personal.HEADER, personal.ERASED))
        elif row["sealed"] is not None:
            headers.append((personal.HEADER, self._beside(row)))
        return Outgoing(row["stream"], row["sequence"], topic, partition, row["key"].encode(), row["body"], headers)

    def _beside(self, row: asyncpg.Record) -> bytes:
        """The header of an event with personal values: they, or the word that some are gone."""
        if not row["sealed"]:
            return personal.PART_ERASED
        subject_key = self._secrets.open(row["subject_key"], row["subject"].encode())
        header = open_with(subject_key, row["sealed"], row["stream"].encode())
        return header if personal.is_whole(header) else personal.PART_ERASED

    async def _wait(self, stop: asyncio.Event) -> None:
        stopped = asyncio.create_task(stop.wait())
        woken = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait({stopped, woken}, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            woken.cancel()


async def send_in_order(
    producer: Producer, outgoing: Sequence[Outgoing]
) -> tuple[dict[str, int], BaseException | None]:
    """Hand records over one awaited send after another, then wait for the acknowledgements.

    Returns the last contiguously acknowledged sequence per stream, and the first failure if there was one. After a
    failure nothing more of any stream counts: a later batch may stand in Kafka, but its stream has a hole before it.
    """
    handed: list[tuple[Outgoing, asyncio.Future[object]]] = []
    failure: BaseException | None = None
    for record in outgoing:
        try:
            handed.append((record, await producer.send(record)))
        except Exception as error:
            failure = error
            break
    results = await asyncio.gather(*(future for _, future in handed), return_exceptions=True)
    acknowledged: dict[str, int] = {}
    broken: set[str] = set()
    for (record, _), result in zip(handed, results, strict=True):
        if isinstance(result, BaseException):
            failure = failure or result
            broken.add(record.stream)
        elif record.stream not in broken:
            acknowledged[record.stream] = record.sequence
    return acknowledged, failure


async def _tell_while_waiting(sending: Coroutine[Any, Any, _R], events: int) -> _R:
    """Await it, and raise the alarm again and again while it lasts: an idempotent producer retries for ever."""
    began = time.monotonic()
    task = asyncio.ensure_future(sending)
    try:
        while not (await asyncio.wait({task}, timeout=ALARM_S))[0]:
            log.error("relay-waits", away="Kafka", events=events, age_s=round(time.monotonic() - began),
                      remedy=REMEDY["Kafka"])  # fmt: skip
    finally:
        task.cancel()
    return task.result()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), timeout=seconds)

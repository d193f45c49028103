"""The Kafka side: aiokafka producer and tail reader for the relay, FastStream batch subscribers for consumers."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from salur.common.contracts.topics import topic_named
from salur.common.events.acks import Acks, answers
from salur.common.events.consumer import BatchProcessor, Outcome
from salur.common.events.envelope import Envelope, Undecodable, parse
from salur.common.events.relay import KafkaAway, Outgoing, Producer, Tail
from salur.common.events.security import KafkaAddress, why_away
from salur.common.events.stream import stream_name
from salur.common.logs import get_logger
from salur.common.telemetry import HOLES, TAKEN

log = get_logger("kafka")

REQUEST_TIMEOUT_MS = 20_000
MAX_REQUEST_SIZE = 1024 * 1024
BATCH_TIMEOUT_MS = 20
FETCH_MAX_WAIT_MS = 1_000
"""A fetch that finds nothing waits so long at the broker; the first record ends it at once."""
READ_TIMEOUT_S = 20.0
"""Without a single record, while there must be some."""
TAIL_DEPTH = 2_000
"""As many as a relay may have in flight: so many repeats may stand behind the highest event."""
REREAD_AFTER_S = (5.0, 20.0)
"""A stream behind a hole is read again from its mark, later from its start; each once."""
HOLE_ALARM_S = 30.0
MAX_POLL_INTERVAL_MS = 300_000


class KafkaProducer:
    """An idempotent aiokafka producer with acks=all."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    @classmethod
    async def start(cls, kafka: KafkaAddress) -> Producer:
        producer = AIOKafkaProducer(
            **kafka.options(),
            enable_idempotence=True,
            acks="all",
            linger_ms=2,
            max_batch_size=256 * 1024,
            max_request_size=MAX_REQUEST_SIZE,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            client_id="salur-relay",
        )
        try:
            await producer.start()
        except KafkaError as error:
            await producer.stop()
            raise KafkaAway(await why_away(kafka, error)) from error
        return cls(producer)

    async def send(self, record: Outgoing) -> "asyncio.Future[object]":
        future: asyncio.Future[object] = await self._producer.send(
            record.topic, record.value, key=record.key, partition=record.partition, headers=record.headers
        )
        return future

    async def close(self) -> None:
        await self._producer.stop()


async def read_tails(kafka: KafkaAddress, places: Sequence[tuple[str, int]]) -> dict[str, Tail]:
    """The highest event Kafka holds per stream. Raises KafkaAway when Kafka does not answer.

    It need not be the last record: repeats of a relay that lost its turn, or bytes of somebody else, may stand behind.
    """
    tails: dict[str, Tail] = {}
    async with _reader(kafka, places, TAIL_DEPTH) as batches:
        async for place, records in batches:
            for record in records:
                event = _event_of(record, place)
                stream = stream_name(place.topic, place.partition)
                if event and (stream not in tails or event.sequence > tails[stream].sequence):
                    tails[stream] = Tail(event.sequence, event.id)
    return tails


async def read_stream(
    kafka: KafkaAddress, topic: str, partition: int
) -> AsyncIterator[tuple[ConsumerRecord, Envelope]]:
    """Every event Kafka holds of one stream, in the order of its records. Raises KafkaAway."""
    async with _reader(kafka, [(topic, partition)], None) as batches:
        async for place, records in batches:
            for record in records:
                if event := _event_of(record, place):
                    yield record, event


@asynccontextmanager
async def _reader(
    kafka: KafkaAddress, places: Sequence[tuple[str, int]], depth: int | None
) -> AsyncIterator[AsyncIterator[tuple[TopicPartition, list[ConsumerRecord]]]]:
    """Batches of what stands in `places` now: the last `depth` offsets of each, or all of it."""
    consumer = AIOKafkaConsumer(
        **kafka.options(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        client_id="salur-tails",
    )
    try:
        await consumer.start()
        partitions = [TopicPartition(topic, partition) for topic, partition in places]
        consumer.assign(partitions)
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        for tp in partitions:
            consumer.seek(tp, begins[tp] if depth is None else max(begins[tp], ends[tp] - depth))
        yield _until(consumer, {tp: ends[tp] for tp in partitions if ends[tp] > begins[tp]})
    except KafkaError as error:
        raise KafkaAway(await why_away(kafka, error)) from error
    finally:
        await consumer.stop()


async def _until(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]
) -> AsyncIterator[tuple[TopicPartition, list[ConsumerRecord]]]:
    deadline = time.monotonic() + READ_TIMEOUT_S
    while ends:
        batches = await consumer.getmany(*ends, timeout_ms=500)
        for tp, records in batches.items():
            yield tp, records
        if batches:
            deadline = time.monotonic() + READ_TIMEOUT_S
        elif time.monotonic() > deadline:
            raise KafkaAway("Kafka does not give the records of our partitions in time")
        for tp in [tp for tp in ends if await consumer.position(tp) >= ends[tp]]:
            del ends[tp]


def _event_of(record: ConsumerRecord, place: TopicPartition) -> Envelope | None:
    writer = topic_named(place.topic).writer
    try:
        return parse(record.value, topic=place.topic, partition=place.partition, writer=writer)
    except Undecodable:
        return None


class _SeekToMarks(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """On assignment the consumer goes to its marks: the group's offsets serve lag only."""

    def __init__(self, processor: BatchProcessor, consumer_of: Callable[[], AIOKafkaConsumer | None]) -> None:
        self._processor = processor
        self._consumer_of = consumer_of

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing to save: marks are saved with each batch."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        consumer = self._consumer_of()
        if consumer is None or not assigned:
            return
        marks = await self._processor.marks([stream_name(tp.topic, tp.partition) for tp in assigned])
        for tp in assigned:
            mark = marks.get(stream_name(tp.topic, tp.partition))
            if mark is not None and mark.offset >= 0:
                consumer.seek(tp, mark.offset + 1)
            else:
                consumer.seek(tp, 0)


@dataclass(slots=True)
class _Hole:
    since: float
    rereads: int = 0
    alarmed_at: float = 0.0


class HoleWatch:
    """Streams that wait behind a hole: read again from the mark, then from the start; in the end the alarm.

    What fills a hole is usually still to come (the relay's re-send). It stands in Kafka already when the database went
    back under a running consumer, or when the topic was made anew.
    """

    def __init__(self, processor: BatchProcessor, consumer_of: Callable[[], AIOKafkaConsumer | None]) -> None:
        self._processor = processor
        self._consumer_of = consumer_of
        self._holes: dict[str, _Hole] = {}

    def note(self, outcome: Outcome) -> None:
        """What a batch has shown. A stream that moved is closed up; repeats alone say nothing."""
        for stream in outcome.moved - outcome.holes.keys():
            self._holes.pop(stream, None)
        for stream, dropped in outcome.holes.items():
            HOLES.labels(self._processor.consumer.name).inc(dropped)
            self._holes.setdefault(stream, _Hole(time.monotonic()))

    def waiting(self) -> list[str]:
        """The streams that wait."""
        return sorted(self._holes)

    async def tend(self) -> None:
        """Read again what waits long enough, raise the alarm for what waits too long."""
        now = time.monotonic()
        for stream, hole in list(self._holes.items()):
            age = now - hole.since
            if hole.rereads < len(REREAD_AFTER_S) and age > REREAD_AFTER_S[hole.rereads]:
                hole.rereads += 1
                await self._read_again(stream, from_start=hole.rereads > 1)
            if age > HOLE_ALARM_S and now - hole.alarmed_at > HOLE_ALARM_S:
                hole.alarmed_at = now
                log.error(
                    "hole", consumer=self._processor.consumer.name, stream=stream, age_s=round(age), remedy="republish"
                )

    async def _read_again(self, stream: str, *, from_start: bool) -> None:
        topic, _, partition = stream.rpartition("/")
        place = TopicPartition(topic, int(partition))
        consumer = self._consumer_of()
        if consumer is None or place not in consumer.assignment():
            self._holes.pop(stream, None)  # whoever has the partition now sees the hole itself
            return
        mark = (await self._processor.marks([stream]))[stream]
        offset = 0 if from_start else mark.offset + 1
        log.warning("hole-read-again", consumer=self._processor.consumer.name, stream=stream, offset=offset)
        consumer.seek(place, offset)


@dataclass(frozen=True, slots=True)
class ConsumerWatch:
    """What a running consumer needs beside its batches."""

    holes: HoleWatch
    acks: Acks

    async def tend(self) -> bool:
        """Look after holes and commits. Returns False (see Worker)."""
        await self.holes.tend()
        await self.acks.tend()
        return False


async def _without_headers(records: Any, original: Any) -> Any:
    """A batch as FastStream's message. FastStream reads every header as UTF-8 text: a foreign writer's header that is
    none would raise before our handler and stop the consumer for ever. Handlers read the raw records."""
    first = dataclasses.replace(records[0], headers=())
    message = await original((first,))
    message.raw_message = records
    return message


async def _pass_through(msg: Any) -> Any:
    return msg.body


def subscribe(
    broker: KafkaBroker,
    processor: BatchProcessor,
    stop: asyncio.Event,
    *,
    session_timeout_ms: int,
    instance: str,
    bootstrap: str,
) -> ConsumerWatch:
    """Register a batch subscriber that feeds `processor`. Ack by hand, offset reset, batch size: all explicit.

    Whoever runs the broker calls the watch's `tend` every second or so.
    """
    consumer = processor.consumer
    subscriber = broker.subscriber(
        *consumer.topics,
        batch=True,
        group_id=consumer.name,
        group_instance_id=f"{consumer.name}-{instance}",
        max_records=consumer.max_records,
        batch_timeout_ms=BATCH_TIMEOUT_MS,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.MANUAL,
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=session_timeout_ms // 3,
        max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
        fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        listener=_SeekToMarks(processor, lambda: subscriber.consumer),
        parser=_without_headers,
        decoder=_pass_through,
        title=consumer.name,
    )

    watch = HoleWatch(processor, lambda: subscriber.consumer)

    acks = Acks(consumer.name, lambda: answers(bootstrap))

    async def take(msg: KafkaMessage) -> None:
        records = msg.raw_message
        outcome = await processor.process_until_done(records, stop)
        if outcome is None:
            return
        watch.note(outcome)
        TAKEN.labels(consumer.name).inc(outcome.taken)
        await acks.commit(msg.consumer)

    subscriber(take)
    return ConsumerWatch(watch, acks)

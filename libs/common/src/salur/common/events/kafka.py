"""The Kafka side: aiokafka producer and tail reader for the relay, FastStream batch subscribers for consumers."""

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from salur.common.events.consumer import BatchProcessor, Outcome
from salur.common.events.relay import Outgoing, Producer
from salur.common.events.stream import stream_name
from salur.common.logs import get_logger
from salur.common.telemetry import HOLES, TAKEN

log = get_logger("kafka")

REQUEST_TIMEOUT_MS = 20_000
MAX_REQUEST_SIZE = 1024 * 1024
BATCH_TIMEOUT_MS = 20
FETCH_MAX_WAIT_MS = 1_000
"""A fetch that finds nothing waits so long at the broker; the first record ends it at once."""
HOLE_ALARM_S = 30.0
MAX_POLL_INTERVAL_MS = 300_000


class KafkaProducer:
    """An idempotent aiokafka producer with acks=all."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    @classmethod
    async def start(cls, bootstrap: str) -> Producer:
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
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
            raise ConnectionError(f"Kafka does not answer: {type(error).__name__}") from error
        return cls(producer)

    async def send(self, record: Outgoing) -> "asyncio.Future[object]":
        future: asyncio.Future[object] = await self._producer.send(
            record.topic, record.value, key=record.key, partition=record.partition, headers=record.headers
        )
        return future

    async def close(self) -> None:
        await self._producer.stop()


async def read_tails(bootstrap: str, places: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Highest sequence Kafka holds per stream. Raises ConnectionError when Kafka does not answer."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
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
        wanted = {tp: ends[tp] - 1 for tp in partitions if ends[tp] > begins[tp]}
        tails: dict[str, int] = {}
        for tp, last in wanted.items():
            consumer.seek(tp, last)
        if wanted:
            consumer.pause(*[tp for tp in partitions if tp not in wanted])
        deadline = time.monotonic() + REQUEST_TIMEOUT_MS / 1000
        while wanted:
            if time.monotonic() > deadline:
                raise ConnectionError("Kafka does not give the tails of our partitions in time")
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    tails[stream_name(tp.topic, tp.partition)] = _sequence_in(record.value)
                wanted.pop(tp, None)
                consumer.pause(tp)
        return tails
    except KafkaError as error:
        raise ConnectionError(f"Kafka does not answer: {type(error).__name__}") from error
    finally:
        await consumer.stop()


def _sequence_in(value: bytes | None) -> int:
    try:
        sequence = orjson.loads(value or b"")["sequence"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return 0
    return sequence if isinstance(sequence, int) else 0


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


class _HoleWatch:
    """Counts records dropped behind a hole and raises the alarm when one lasts."""

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer
        self._since: dict[str, float] = {}

    def note(self, outcome: Outcome, streams: set[str]) -> None:
        now = time.monotonic()
        for stream in streams:
            if stream not in outcome.holes:
                self._since.pop(stream, None)
        for stream, dropped in outcome.holes.items():
            HOLES.labels(self._consumer).inc(dropped)
            since = self._since.setdefault(stream, now)
            if now - since > HOLE_ALARM_S:
                log.error(
                    "hole",
                    consumer=self._consumer,
                    stream=stream,
                    age_s=round(now - since),
                    remedy="republish",
                )


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
) -> None:
    """Register a batch subscriber that feeds `processor`. Ack by hand, offset reset, batch size: all explicit."""
    consumer = processor.consumer
    watch = _HoleWatch(consumer.name)
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

    async def take(msg: KafkaMessage) -> None:
        records = msg.raw_message
        outcome = await processor.process_until_done(records, stop)
        if outcome is None:
            return
        watch.note(outcome, {stream_name(record.topic, record.partition) for record in records})
        TAKEN.labels(consumer.name).inc(outcome.taken)
        await msg.ack()

    subscriber(take)

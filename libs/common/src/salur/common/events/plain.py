"""Plain records on a topic without streams and sequences, for what stands outside the mechanism: signed tree heads."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from salur.common.events.kafka import KafkaProducer
from salur.common.events.relay import KafkaAway, Outgoing
from salur.common.events.security import KafkaAddress
from salur.common.events.stream import stream_name

WINDOW = 100
"""Records read at a time, from the end backwards."""
READ_TIMEOUT_MS = 500
READS_MAX = 60
PARTITION = 0
TEXT = [("content-type", b"text/plain; charset=utf-8")]


async def send_plain(kafka: KafkaAddress, topic: str, key: bytes, values: Sequence[bytes]) -> None:
    """Write text records in order, each acknowledged before the next. Raises KafkaAway."""
    producer = await KafkaProducer.start(kafka)
    try:
        for value in values:
            record = Outgoing(stream_name(topic, PARTITION), 0, topic, PARTITION, key, value, TEXT)
            await (await producer.send(record))
    except KafkaError as error:
        raise KafkaAway(f"Kafka does not take the record: {type(error).__name__}") from error
    finally:
        await producer.close()


@asynccontextmanager
async def read_back(kafka: KafkaAddress, topic: str) -> AsyncIterator[AsyncIterator[list[bytes]]]:
    """The values of a topic of one partition, window by window from its end; in a window the oldest first.

    Raises KafkaAway when Kafka does not answer.
    """
    consumer = AIOKafkaConsumer(
        **kafka.options(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        client_id="salur-plain",
    )
    try:
        await consumer.start()
        async with aclosing(_windows(consumer, TopicPartition(topic, PARTITION))) as windows:
            yield windows
    except KafkaError as error:
        raise KafkaAway(f"Kafka does not answer: {type(error).__name__}") from error
    finally:
        await consumer.stop()


async def _windows(consumer: AIOKafkaConsumer, place: TopicPartition) -> AsyncGenerator[list[bytes], None]:
    consumer.assign([place])
    begin = (await consumer.beginning_offsets([place]))[place]
    end = (await consumer.end_offsets([place]))[place]
    while begin < end:
        start = max(begin, end - WINDOW)
        yield await _read(consumer, place, start, end)
        end = start


async def _read(consumer: AIOKafkaConsumer, place: TopicPartition, start: int, end: int) -> list[bytes]:
    consumer.seek(place, start)
    values: list[bytes] = []
    for _ in range(READS_MAX):
        records = (await consumer.getmany(place, timeout_ms=READ_TIMEOUT_MS)).get(place, [])
        values += [record.value or b"" for record in records if record.offset < end]
        if await consumer.position(place) >= end:
            return values
    raise KafkaAway(f"Kafka does not give the records of {place.topic} in time")

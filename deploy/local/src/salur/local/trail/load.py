"""Records in Kafka as payments would write them, at a rate or all at once."""

import asyncio
import time
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer

from salur.local.trail.lab import Record, event

TOPIC = "payments.payments"
PARTITIONS = 8
IN_FLIGHT = 4_000


def numbered(first: int, count: int) -> Iterable[Record]:
    """Records `first` (from 0) and the ones after it: the partitions in turn, each a stream from 1 on."""
    for number in range(first, first + count):
        partition, sequence = number % PARTITIONS, number // PARTITIONS + 1
        yield Record(TOPIC, partition, sequence - 1, event(TOPIC, partition, sequence))


async def send(bootstrap: str, first: int, count: int, per_second: float = 0.0) -> list[float]:
    """Write records and wait for every acknowledgement; returns when each was acknowledged, seconds of the monotonic
    clock. `per_second` 0 = as fast as Kafka takes them."""
    acknowledged = [0.0] * count

    def done(at: int, _future: object) -> None:
        acknowledged[at] = time.monotonic()

    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=128 * 1024
    )
    await producer.start()
    began = time.monotonic()
    waiting: list[asyncio.Future[object]] = []
    try:
        for at, record in enumerate(numbered(first, count)):
            if per_second and (ahead := began + at / per_second - time.monotonic()) > 0.005:
                await asyncio.sleep(ahead)
            future = await producer.send(record.topic, record.value, key=b"k", partition=record.partition)
            future.add_done_callback(lambda done_future, at=at: done(at, done_future))
            waiting.append(future)
            if len(waiting) >= IN_FLIGHT:
                await asyncio.gather(*waiting)
                waiting = []
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()
    return acknowledged

"""The machine's own limits for the same bytes: what the bare engines do here, with the same durability."""

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import Sequence

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from salur.local.platform import Platform

ROWS_PER_COPY = 2_000
SCRATCH = "bench_scratch"
TOPIC = "bench.scratch"
PARTITIONS = 8


def measure_limits(platform: Platform, bodies: Sequence[bytes]) -> dict[str, float]:
    """Per second, for bodies of these sizes: rows by COPY in committed batches, records with acks=all, hashes.

    The same PostgreSQL and Kafka the run used, now idle.
    """
    return asyncio.run(_measure(platform, bodies))


async def _measure(platform: Platform, bodies: Sequence[bytes]) -> dict[str, float]:
    return {
        "copy_rows_per_second": await _copy(platform, bodies),
        "kafka_records_per_second": await _produce(platform, bodies),
        "sha256_per_second": _hash(bodies),
    }


async def _copy(platform: Platform, bodies: Sequence[bytes]) -> float:
    conn = await asyncpg.connect(platform.postgres.url("registry"))
    try:
        await conn.execute(f"DROP TABLE IF EXISTS {SCRATCH}")
        await conn.execute(
            f"CREATE TABLE {SCRATCH} "
            "(stream text, sequence bigint, id uuid, body bytea, PRIMARY KEY (stream, sequence))"
        )
        rows = [(f"bench/{number % PARTITIONS}", number, uuid.uuid4(), body) for number, body in enumerate(bodies)]
        began = time.perf_counter()
        for start in range(0, len(rows), ROWS_PER_COPY):
            await conn.copy_records_to_table(SCRATCH, records=rows[start : start + ROWS_PER_COPY])
        seconds = time.perf_counter() - began
        await conn.execute(f"DROP TABLE {SCRATCH}")
    finally:
        await conn.close()
    return len(rows) / seconds


async def _produce(platform: Platform, bodies: Sequence[bytes]) -> float:
    admin = AIOKafkaAdminClient(bootstrap_servers=platform.kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
    finally:
        await admin.close()
    producer = AIOKafkaProducer(
        bootstrap_servers=platform.kafka.bootstrap, acks="all", enable_idempotence=True, linger_ms=2,
        max_batch_size=256 * 1024,
    )  # fmt: skip
    await producer.start()
    try:
        began = time.perf_counter()
        futures = [
            await producer.send(TOPIC, body, key=os.urandom(16), partition=number % PARTITIONS)
            for number, body in enumerate(bodies)
        ]
        await asyncio.gather(*futures)
        seconds = time.perf_counter() - began
    finally:
        await producer.stop()
    return len(bodies) / seconds


def _hash(bodies: Sequence[bytes]) -> float:
    began = time.perf_counter()
    for body in bodies:
        hashlib.sha256(b"\x00" + body).digest()
    return len(bodies) / (time.perf_counter() - began)

"""One family at a time at a fixed rate: from its request to its decision on the topic."""

import asyncio
import random
import time
from typing import Any

import httpx
import orjson
from aiokafka import AIOKafkaConsumer

from salur.local.bench.families import Kind
from salur.local.platform import Platform

RATE_PER_S = 50
SECONDS = 10
ARRIVAL_TIMEOUT_S = 30.0
DECISIONS = "eligibility.decisions"


def measure_latency(platform: Platform, kind: Kind) -> dict[str, float]:
    """p50, p95, p99 and max in ms from the moment a registration was due to its decision in Kafka.

    Open loop: requests leave on schedule whatever the answers do, so a stall counts for everyone who waited.
    Raises RuntimeError when a registration is refused or a decision never comes.
    """
    return asyncio.run(_measure(platform, kind))


async def _measure(platform: Platform, kind: Kind) -> dict[str, float]:
    consumer = AIOKafkaConsumer(
        DECISIONS, bootstrap_servers=platform.kafka.bootstrap, auto_offset_reset="latest", enable_auto_commit=False
    )
    await consumer.start()
    due: dict[str, float] = {}
    decided: dict[str, float] = {}
    try:
        await consumer.seek_to_end()
        reading = asyncio.create_task(_read(consumer, decided))
        await _send_all(platform, kind, due)
        deadline = time.monotonic() + ARRIVAL_TIMEOUT_S
        while due.keys() - decided.keys():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(due.keys() - decided.keys())} registrations were never decided")
            await asyncio.sleep(0.05)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    finally:
        await consumer.stop()
    waits = sorted((decided[key] - at) * 1000 for key, at in due.items())
    return {"rate_per_second": RATE_PER_S, "count": len(waits)} | {
        name: round(waits[min(len(waits) - 1, int(len(waits) * share))], 1)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


async def _read(consumer: AIOKafkaConsumer, decided: dict[str, float]) -> None:
    async for record in consumer:
        decided.setdefault(orjson.loads(record.value)["subject"], time.monotonic())


async def _send_all(platform: Platform, kind: Kind, due: dict[str, float]) -> None:
    draw = random.Random(kind.seed)  # noqa: S311 - nothing secret
    headers = {"authorization": f"Bearer {platform.token('person:registrar', 'registrar')}"}
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(
        base_url=platform.url("registry"), headers=headers, limits=limits, timeout=30
    ) as client:
        began = time.monotonic() + 0.1
        requests = []
        for number in range(RATE_PER_S * SECONDS):
            at = began + number / RATE_PER_S
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            body = _family(number, draw, kind)
            requests.append(asyncio.create_task(_send(client, body, at, due)))
        await asyncio.gather(*requests)


async def _send(client: httpx.AsyncClient, body: dict[str, Any], at: float, due: dict[str, float]) -> None:
    answer = await client.post("/households", json=body)
    if answer.status_code != 201:
        raise RuntimeError(f"a registration was answered {answer.status_code}")
    due[answer.json()["household_id"]] = at


def _family(number: int, draw: random.Random, kind: Kind) -> dict[str, Any]:
    return {
        "identifiers": [{"scheme": "bench-latency", "value": f"L{number:08d}"}],
        "region": draw.choice(kind.districts),
        "attributes": {"decile": draw.randint(1, 10)},
        "members": [{"attributes": {"age": draw.randrange(0, 60), "sex": "P", "enrolled": True}}],
        "payee": {
            "bank": draw.choice(kind.banks), "number": f"8{number:015d}", "holder": f"Example holder {number:07d}",
        },
    }  # fmt: skip

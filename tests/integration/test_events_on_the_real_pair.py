"""Append → relay → Kafka → consume, on the real Kafka and PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial

import pytest
from faststream.kafka import KafkaBroker

from salur.common.contracts.registry import HouseholdRegistered
from salur.common.contracts.topics import topics_written_by
from salur.common.database import Connection, Database
from salur.common.events import Consumer, Draft, EventStore, Received
from salur.common.events.consumer import BatchProcessor
from salur.common.events.kafka import KafkaProducer, read_tails, subscribe
from salur.common.events.relay import Relay, lost_past
from salur.common.events.security import KafkaAddress
from salur.common.events.stream import queries
from salur.common.secrets import Secrets
from support.facts import household
from support.pair import Addresses
from support.stage import fresh_topics
from support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("topics")]


async def _published(db: Database) -> bool:
    async with db.connection() as conn:
        return all(row["head"] == row["published"] for row in await queries.stream_heads(conn))


async def test_every_event_arrives_once_in_order_with_its_personal_values(
    pair: Addresses, db: Database, database_url: str, registry_store: EventStore, keys: Secrets
) -> None:
    """1,000 households, three versions each, appended in batches: taken once each, in order per key, values whole."""
    await fresh_topics(pair.kafka, [topic.name for topic in topics_written_by("registry", ())])
    seen: list[Received] = []

    async def handler(_conn: Connection, batch: Sequence[Received]) -> Sequence[Draft]:
        seen.extend(batch)
        return ()

    stop = asyncio.Event()
    consumer = Consumer("test.arrival", ["registry.households"], handler, max_records=500)
    processor = BatchProcessor(consumer, db, registry_store, keys)
    await processor.declare()
    broker = KafkaBroker(pair.kafka, allow_auto_create_topics=False)
    subscribe(broker, processor, stop, session_timeout_ms=6000, instance="0", bootstrap=pair.kafka)
    relay = Relay(
        database_url,
        keys,
        partial(KafkaProducer.start, KafkaAddress(pair.kafka)),
        partial(read_tails, KafkaAddress(pair.kafka)),
        2_000,
    )
    relaying = asyncio.create_task(relay.run(stop))
    await broker.start()
    try:
        for version in (1, 2, 3):
            for start in range(0, 1000, 250):
                async with db.transaction() as conn:
                    drafts = [
                        household(f"h{n}", version=version, poverty_index=n + 0.25) for n in range(start, start + 250)
                    ]
                    await registry_store.append(conn, drafts)
        await eventually(lambda: _is(len(seen) >= 3000), what="3,000 events taken")
        await eventually(lambda: _published(db), what="everything published")
    finally:
        stop.set()
        await broker.stop()
        await relaying
    assert Counter(event.id for event in seen).most_common(1)[0][1] == 1
    assert len(seen) == 3000
    versions: dict[str, list[int]] = {}
    for event in seen:
        assert isinstance(event.data, HouseholdRegistered)
        versions.setdefault(event.key, []).append(event.data.version)
    assert set(map(tuple, versions.values())) == {(1, 2, 3)}
    assert sorted(event.data.attributes["poverty_index"] for event in seen if event.data.version == 1) == [  # type: ignore[attr-defined]
        n + 0.25 for n in range(1000)
    ]


async def _is(value: bool) -> bool:
    return value


async def test_a_database_behind_its_published_past_refuses_to_write(
    pair: Addresses, db: Database, registry_store: EventStore
) -> None:
    """Kafka holds sequences of the test above that this empty database never wrote: it must be seen."""
    async with db.transaction() as conn:
        behind = await lost_past(conn, partial(read_tails, KafkaAddress(pair.kafka)))
    assert sum(tail.sequence for tail in behind.values()) >= 3000

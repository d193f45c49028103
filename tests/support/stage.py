"""A registry and a consumer of it on the real Kafka and PostgreSQL, with processes of their own where one must die."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from aiokafka.admin import AIOKafkaAdminClient
from faststream.kafka import KafkaBroker
from psycopg.rows import dict_row

from salur.common.contracts.topics import TOPICS, topics_written_by
from salur.common.database import Database, migrate
from salur.common.events import Consumer, EventStore
from salur.common.events.consumer import BatchProcessor
from salur.common.events.kafka import ConsumerWatch, KafkaProducer, read_tails, subscribe
from salur.common.events.relay import Relay
from salur.common.events.security import KafkaAddress
from salur.common.events.stream import queries
from salur.common.secrets import Secrets
from salur.local.kafka import create_topics
from support.mechanism import TOPIC, Handler, fact
from support.waiting import eventually

SCRIPT = Path(__file__).with_name("run_events.py")
EFFECTS = "CREATE TABLE effect (id bigserial, stream text, sequence bigint, key text, number bigint)"
SESSION_TIMEOUT_MS = 2_000
KEY_SIZE = 32


async def fresh_topics(bootstrap: str, names: Sequence[str]) -> None:
    """Delete these topics and make them anew: empty, offsets from zero."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        known = set(await admin.list_topics())
        await admin.delete_topics([name for name in names if name in known], timeout_ms=20_000)

        async def gone() -> bool:
            return not known & set(names) & set(await admin.list_topics())

        await eventually(gone, what="the topics gone")
    finally:
        await admin.close()
    await create_topics(bootstrap, [TOPICS[name] for name in names])


@dataclass
class Stage:
    """Two databases on one server, one Kafka. `facts` counts what was committed."""

    kafka: str
    registry_url: str
    consumer_url: str
    registry: Database
    consumer: Database
    store: EventStore
    processor: BatchProcessor
    handler: Handler
    keys: Secrets
    name: str
    facts: int = 0
    children: list[subprocess.Popen[str]] = field(default_factory=list)

    async def append(self, count: int, *, households: int = 20, personal_size: int = 0) -> None:
        """Commit facts about households in turn."""
        drafts = []
        for number in range(self.facts + 1, self.facts + count + 1):
            draft = fact(f"{number % households:032x}", number)
            if personal_size:
                draft.data.attributes["note"] = "x" * personal_size  # type: ignore[attr-defined]
            drafts.append(draft)
        async with self.registry.transaction() as conn:
            await self.store.append(conn, drafts)
        self.facts += count

    def relay(self) -> Relay:
        producer = partial(KafkaProducer.start, KafkaAddress(self.kafka))
        return Relay(self.registry_url, self.keys, producer, partial(read_tails, KafkaAddress(self.kafka)), 2_000)

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator[Relay]:
        """A relay in this process for the block."""
        relay, stop = self.relay(), asyncio.Event()
        task = asyncio.create_task(relay.run(stop))
        try:
            yield relay
        finally:
            stop.set()
            # As a service's end does: a window that waits for a broker that is away is given up.
            await asyncio.wait([task], timeout=10)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @asynccontextmanager
    async def consuming(self, instance: str = "0") -> AsyncIterator[ConsumerWatch]:
        """A member of the consumer in this process for the block; its hole watch is tended."""
        stop = asyncio.Event()
        broker = KafkaBroker(self.kafka, allow_auto_create_topics=False)
        watch = subscribe(
            broker, self.processor, stop, session_timeout_ms=SESSION_TIMEOUT_MS, instance=instance, bootstrap=self.kafka
        )

        async def tend() -> None:
            while not stop.is_set():
                await watch.tend()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.1)

        await broker.start()
        tending = asyncio.create_task(tend())
        try:
            yield watch
        finally:
            stop.set()
            await tending
            await broker.stop()

    def process(self, role: str, *, instance: str = "0", die: str = "") -> subprocess.Popen[str]:
        """A relay or a member as a process of its own; ended with the stage at the latest."""
        url = self.registry_url if role == "relay" else self.consumer_url
        told = {"role": role, "url": url, "kafka": self.kafka, "name": self.name, "instance": instance, "die": die}
        child = subprocess.Popen(
            [sys.executable, str(SCRIPT), json.dumps(told)], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])},
        )  # fmt: skip
        self.children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "running\n"
        return child

    async def published(self) -> bool:
        async with self.registry.connection() as conn:
            return all(row["head"] == row["published"] for row in await queries.stream_heads(conn))

    async def effects(self) -> list[Any]:
        """By a connection of its own: those of the pool may have been ended by the test."""
        async with await psycopg.AsyncConnection.connect(self.consumer_url, row_factory=dict_row) as conn:
            rows = await conn.execute("SELECT stream, sequence, key, number FROM effect ORDER BY id")
            return await rows.fetchall()

    async def arrived(self) -> bool:
        return len(await self.effects()) >= self.facts

    async def check(self) -> None:
        """Every committed fact has one effect, streams are whole, keys in order, published is the head."""
        await eventually(self.arrived, 60, "every effect")
        await eventually(self.published, what="everything published")
        effects = await self.effects()
        assert sorted(effect["number"] for effect in effects) == list(range(1, self.facts + 1))
        by_stream: dict[str, list[int]] = {}
        by_key: dict[str, list[int]] = {}
        for effect in effects:
            by_stream.setdefault(effect["stream"], []).append(effect["sequence"])
            by_key.setdefault(effect["key"], []).append(effect["number"])
        assert all(sequences == list(range(1, len(sequences) + 1)) for sequences in by_stream.values())
        assert all(numbers == sorted(numbers) for numbers in by_key.values())

    def end(self) -> None:
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
            child.wait(20)
            assert child.stdout is not None
            child.stdout.close()


@asynccontextmanager
async def stage_on(postgres: str, kafka: str) -> AsyncIterator[Stage]:
    """Empty databases and empty topics of the registry for the block."""
    await fresh_topics(kafka, [topic.name for topic in topics_written_by("registry")])
    name, key = f"s_{secrets.token_hex(6)}", bytes(range(KEY_SIZE))
    urls = []
    with psycopg.connect(postgres, autocommit=True) as admin:
        for side in ("registry", "consumer"):
            admin.execute(f"CREATE DATABASE {name}_{side}")
            urls.append(postgres.rsplit("/", 1)[0] + f"/{name}_{side}")
            migrate(urls[-1], [])
    keys, handler = Secrets(key), Handler()
    databases = [Database(url, pool_size=6, statement_timeout_s=20) for url in urls]
    stores = [EventStore(service, keys) for service in ("registry", "eligibility")]
    for database, store in zip(databases, stores, strict=True):
        await database.open()
        async with database.transaction() as conn:
            await store.declare(conn, topics_written_by(store.service))
            await store.load_partitions(conn)
    async with databases[1].connection() as conn:
        await conn.execute(EFFECTS)
    processor = BatchProcessor(consumer_named(name, handler), databases[1], stores[1], keys)
    await processor.declare()
    stage = Stage(
        kafka, urls[0], urls[1], databases[0], databases[1], stores[0], processor, handler, keys, name
    )  # fmt: skip
    try:
        yield stage
    finally:
        stage.end()
        for database in databases:
            await database.close()
        with psycopg.connect(postgres, autocommit=True) as admin:
            for url in urls:
                admin.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")


def consumer_named(name: str, handler: Handler) -> Consumer:
    return Consumer(f"test.{name}", [TOPIC], handler, max_records=200)

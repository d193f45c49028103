"""A registry and a consumer of it, each on a real database, for the stateful test of the event mechanism."""

import asyncio
import contextlib
import io
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg
import orjson

from salur.common.contracts.activity import ActionRefused
from salur.common.contracts.registry import HouseholdRegistered
from salur.common.contracts.topics import topics_written_by
from salur.common.database import TRANSIENT, Connection, Database, prepare_connection
from salur.common.errors import Refused
from salur.common.events import Consumer, Draft, EventStore, Received, partition_for
from salur.common.events.consumer import BatchProcessor
from salur.common.events.relay import Relay
from salur.common.events.stream import queries
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from support.broker_model import BrokerModel, ModelProducer

TOPIC = "registry.households"
CONSUMER = "test.mechanism"
KEYS = [derived_id("mechanism", str(number)) for number in range(5)]
STREAMS = sorted({f"{TOPIC}/{partition_for(key)}" for key in KEYS})
MEMBERS = 2
RELAYS = 2
WINDOW = 4

_T = TypeVar("_T")


def stream_of(key: str) -> str:
    return f"{TOPIC}/{partition_for(key)}"


class FutureHousehold(HouseholdRegistered):
    """A version that consumers learn only later."""

    event_type = "salur.household.registered.v9"
    topics = HouseholdRegistered.topics
    personal_fields = HouseholdRegistered.personal_fields


def fact(key: str, number: int, *, future: bool = False) -> Draft:
    """The `number`-th fact of a run, about the household `key`."""
    model = FutureHousehold if future else HouseholdRegistered
    data = model(
        household_id=key, version=number, region="31.71", member_count=0, attributes={"poverty_index": number},
        members=[],
    )  # fmt: skip
    return Draft(data, key, "person:test", "request-1", topic=TOPIC)


class Handler:
    """Writes one row per event in the batch's transaction and answers each by an event of its own.

    `poison` maps a key to the way it is refused, and to a divisor: facts of these numbers are refused. `crash` makes
    the next batch fail as the database would.
    """

    def __init__(self) -> None:
        self.poison: dict[str, tuple[str, int]] = {}
        self.crash = False

    def refuses(self, key: str, number: int) -> str | None:
        how, divisor = self.poison.get(key, ("", 0))
        return how if divisor and number % divisor == 0 else None

    async def __call__(self, conn: Connection, batch: Sequence[Received]) -> Sequence[Draft]:
        numbers = [event.data.version for event in batch]  # type: ignore[attr-defined]
        indexes = [event.data.attributes["poverty_index"] for event in batch]  # type: ignore[attr-defined]
        assert numbers == indexes, "personal values belong to another event"
        await conn.execute(
            "INSERT INTO effect (stream, sequence, key, number) SELECT * FROM unnest($1::text[], $2::bigint[],"
            " $3::text[], $4::bigint[])",
            [event.stream for event in batch], [event.sequence for event in batch],
            [event.key for event in batch], numbers,
        )  # fmt: skip
        if self.crash:
            raise ConnectionError("the connection was lost in the middle of the batch")
        drafts = []
        for event in batch:
            number: int = event.data.version  # type: ignore[attr-defined]
            how = self.refuses(event.key, number)
            if how == "refused":
                raise Refused("this household cannot be taken")
            if how == "bug":
                raise KeyError("a bug")
            if how == "constraint":
                await conn.execute("SELECT 1 / 0")
            reason = "x" * 40_000 if how == "too large" else f"number {number}"
            draft = ActionRefused.model_construct(action="test", reason=reason)
            drafts.append(Draft(draft, event.key, "service:test", event.id, topic="eligibility.activity"))
        return drafts


@dataclass
class Side:
    """One service's database and its event side."""

    db: Database
    store: EventStore
    tables: list[str] = field(default_factory=list)

    async def snapshot(self) -> dict[str, bytes]:
        """Every table's rows, as a backup holds them."""
        rows: dict[str, bytes] = {}
        async with self.db.transaction() as conn:
            for table in self.tables:
                buffer = io.BytesIO()
                await conn.copy_from_table(table, output=buffer, format="binary")
                rows[table] = buffer.getvalue()
        return rows

    async def restore(self, rows: dict[str, bytes]) -> None:
        """Bring a backup back. The append-only triggers are for services, not for who restores a database."""
        async with self.db.transaction() as conn:
            await conn.execute("SET LOCAL session_replication_role = replica")
            await conn.execute("; ".join(f"DELETE FROM {table}" for table in self.tables))
            for table, content in rows.items():
                await conn.copy_to_table(table, source=io.BytesIO(content), format="binary")

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self.db.connection() as conn:
            return list(await conn.fetch(sql, *arguments))


@dataclass
class RelayProcess:
    """One relay process, driven step by step as `Relay.run` drives it."""

    relay: Relay
    url: str
    conn: Any = None
    producer: ModelProducer | None = None
    task: "asyncio.Task[int] | None" = None
    cut_off: bool = False

    def hangs(self) -> bool:
        return self.task is not None

    async def take_over(self) -> bool:
        conn = await asyncpg.connect(self.url)
        await prepare_connection(conn)
        if await self.relay.take_over(conn):
            self.conn, self.cut_off = conn, False
            return True
        await conn.close()
        return False

    async def publish(self, broker: BrokerModel, fates: list[str]) -> None:
        """One window; returns when it is done or hangs in a send."""
        if self.producer is None:
            self.producer = ModelProducer(broker, fates)
        self.producer.fates = fates
        self.producer.gate.clear()
        self.producer.waits.clear()
        self.task = asyncio.create_task(self.relay.publish_window(self.conn, self.producer))
        hangs = asyncio.create_task(self.producer.waits.wait())
        await asyncio.wait({self.task, hangs}, return_when=asyncio.FIRST_COMPLETED)
        hangs.cancel()
        if self.task.done():
            await self.finish()

    async def finish(self) -> BaseException | None:
        """Let a window end. After any failure the relay gives up connection and producer, as its own loop does."""
        if self.task is None or self.producer is None:
            return None
        self.producer.gate.set()
        task, self.task = self.task, None
        (error,) = await asyncio.gather(task, return_exceptions=True)
        failure = error if isinstance(error, BaseException) else None
        if failure is not None:
            await self.let_go()
        return failure

    async def cut(self, side: Side) -> None:
        """The server ends this relay's connection, and with it its lock; the relay does not know yet."""
        pid = self.conn.get_server_pid()
        await side.fetch("SELECT pg_terminate_backend($1, 5000)", pid)
        self.cut_off = True

    async def let_go(self) -> None:
        self.producer = None
        if self.conn is not None:
            conn, self.conn = self.conn, None
            self.cut_off = False
            with contextlib.suppress(*TRANSIENT, asyncpg.PostgresError):
                await conn.close(timeout=5)
            if not conn.is_closed():
                conn.terminate()
            await asyncio.sleep(0)  # the transport closes in the loop's next turn


class Mechanism:
    """Both databases, the relays and the consumer's members; one loop for all examples."""

    def __init__(self, producer_url: str, consumer_url: str, keys: Secrets) -> None:
        self.loop = asyncio.new_event_loop()
        self.keys = keys
        self.producer_url = producer_url
        self.registry = Side(_database(producer_url), EventStore("registry", keys))
        self.consumer = Side(_database(consumer_url), EventStore("eligibility", keys))
        self.handler = Handler()
        self.processors = [
            BatchProcessor(
                Consumer(CONSUMER, [TOPIC], self.handler), self.consumer.db, self.consumer.store, keys
            )
            for _ in range(MEMBERS)
        ]  # fmt: skip
        self.run(self._open())
        self.empty = [self.run(side.snapshot()) for side in (self.registry, self.consumer)]

    def run(self, work: Awaitable[_T]) -> _T:
        async def awaited() -> _T:
            return await work

        return self.loop.run_until_complete(awaited())

    async def _open(self) -> None:
        for side in (self.registry, self.consumer):
            await side.db.open()
            async with side.db.transaction() as conn:
                await conn.execute("CREATE TABLE effect (id bigserial, stream text, sequence bigint, key text,"
                                   " number bigint)")  # fmt: skip
                await side.store.declare(conn, topics_written_by(side.store.service))
                await side.store.load_partitions(conn)
            rows = await side.fetch("SELECT relname FROM pg_stat_user_tables WHERE relname NOT LIKE '%yoyo%'")
            side.tables = sorted(row["relname"] for row in rows)
        await self.processors[0].declare()

    def begin(self) -> None:
        """Everything empty again."""
        self.handler.poison.clear()
        for side, rows in zip((self.registry, self.consumer), self.empty, strict=True):
            self.run(side.restore(rows))

    def relays(self, broker: BrokerModel) -> list[RelayProcess]:
        async def no_producer() -> Any:
            raise AssertionError("the test makes the producers")

        return [
            RelayProcess(
                Relay(self.producer_url, self.keys, no_producer, broker.read_tails, WINDOW), self.producer_url
            )
            for _ in range(RELAYS)
        ]  # fmt: skip

    async def heads(self) -> dict[str, tuple[int, int, bool]]:
        """Per stream of the topic: head, published, fenced."""
        async with self.registry.db.connection() as conn:
            rows = await queries.stream_heads(conn)
        return {
            row["stream"]: (row["head"], row["published"], row["fenced"]) for row in rows if row["stream"] in STREAMS
        }

    async def events(self) -> dict[str, list[tuple[int, str, int]]]:
        """Per stream: (sequence, key, number of the fact), in order of sequence."""
        rows = await self.registry.fetch("SELECT stream, sequence, key, body FROM event ORDER BY stream, sequence")
        found: dict[str, list[tuple[int, str, int]]] = {stream: [] for stream in STREAMS}
        for row in rows:
            number = orjson.loads(row["body"])["data"]["version"]
            found[row["stream"]].append((row["sequence"], row["key"], number))
        return found

    def close(self) -> None:
        self.run(self.registry.db.close())
        self.run(self.consumer.db.close())
        self.loop.close()


def _database(url: str) -> Database:
    return Database(url, pool_size=6, statement_timeout_s=30)

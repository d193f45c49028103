"""PostgreSQL: one pool per process, migrations, queries from .sql files."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import aiosql
import asyncpg
import orjson
from yoyo import get_backend, read_migrations

from salur.common.errors import Unavailable

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]"

EVENT_MIGRATIONS = Path(__file__).parent / "events" / "migrations"

TRANSIENT = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection whose server died in the middle of a statement
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.OperatorInterventionError,  # shutdown, crash, starting up, statement cancelled
    asyncpg.TransactionRollbackError,  # deadlock, serialization
    asyncpg.PostgresSystemError,  # the server's disk or operating system
    asyncpg.InternalServerError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    ConnectionError,
    TimeoutError,
    OSError,
    MemoryError,
)
"""What passes by itself or by operations' hand: retried in place, never a reason to skip an event."""


SERVER_SETTINGS = {
    "application_name": "salur",
    "jit": "off",
    # Batches are looked up by their keys in tables that grow: plans must not be kept from when these were small.
    "plan_cache_mode": "force_custom_plan",
    "random_page_cost": "1.1",
}


class Queries:
    """Named queries of a folder of .sql files. `await queries.name(conn, param=…)`; selects give lists of records."""

    def __init__(self, folder: Path) -> None:
        self._loaded = aiosql.from_path(folder, "asyncpg", mandatory_parameters=False)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        query = loaded = getattr(self._loaded, name)
        if inspect.isasyncgenfunction(inspect.unwrap(loaded)):

            async def listed(conn: Connection, **parameters: Any) -> list[Any]:
                return [row async for row in loaded(conn, **parameters)]

            query = listed
        setattr(self, name, query)
        return query  # type: ignore[no-any-return]


@cache
def load_queries(folder: Path) -> Queries:
    """Every named query of the .sql files in `folder` (aiosql, driver asyncpg)."""
    return Queries(folder)


def migrate(url: str, folders: Sequence[Path]) -> int:
    """Apply what is missing, the event mechanism's tables first. Returns how many migrations ran."""
    backend = get_backend(url.replace("postgresql://", "postgresql+psycopg://", 1))
    applied = 0
    try:
        for folder in (EVENT_MIGRATIONS, *folders):
            migrations = read_migrations(str(folder))
            with backend.lock():
                todo = backend.to_apply(migrations)
                backend.apply_migrations(todo)
            applied += len(todo)
    finally:
        backend.connection.close()
    return applied


async def prepare_connection(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    """JSONB travels as Python values."""
    await conn.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
        schema="pg_catalog",
        format="binary",
    )


class Database:
    """A pool of explicit size. `open` and `close` belong to the process's start and end."""

    def __init__(self, url: str, *, pool_size: int, statement_timeout_s: float) -> None:
        self.url = url
        self._pool_size = pool_size
        self._statement_timeout_s = statement_timeout_s
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            self.url,
            min_size=1,
            max_size=self._pool_size,
            init=prepare_connection,
            command_timeout=self._statement_timeout_s,
            server_settings=SERVER_SETTINGS,
        )

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection outside a transaction."""
        if self._pool is None:
            raise Unavailable("the database is not open: the service starts or stops", code="starting", retry_after_s=1)
        async with self._pool.acquire() as conn:
            yield conn

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside one transaction (READ COMMITTED), committed at the end of the block."""
        async with self.connection() as conn, conn.transaction():
            yield conn

"""Any service on a real database, without Kafka and without its process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from salur.common.contracts.topics import topics_written_by
from salur.common.database import migrate
from salur.common.service import Process
from salur.local.offline import NOWHERE, offline_process

BANKS = ("bank-a", "bank-b", "bank-c")


@asynccontextmanager
async def open_office(service: str, database_url: str, folder: Path, kafka: str = NOWHERE) -> AsyncIterator[Process]:
    """The service with its tables and streams; `process.app()` is its HTTP API."""
    process = offline_process(service, folder, BANKS, database_url, kafka)
    migrate(database_url, [process.service.migrations])
    runtime = process.runtime
    await runtime.db.open()
    try:
        async with runtime.db.transaction() as conn:
            await runtime.store.declare(conn, topics_written_by(service, BANKS))
            await runtime.store.load_partitions(conn)
        yield process
    finally:
        await runtime.db.close()

"""A service seals its streams one at a time, and whoever asks is not sent away unsealed."""

import asyncio

import pytest

from salur.common.database import Database
from salur.common.events import EventStore
from salur.common.events.seals import seal_streams
from support.facts import household

pytestmark = pytest.mark.integration
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def _seal(db: Database, store: EventStore) -> int:
    async with db.transaction() as conn:
        return await seal_streams(conn, store)


async def test_who_meets_another_sealer_waits_and_seals_what_came_meanwhile(
    db: Database, registry_store: EventStore
) -> None:
    async with db.transaction() as other, db.transaction() as writer, db.connection() as watcher:
        assert await seal_streams(other, registry_store) == 0
        await registry_store.append(writer, [household("h1")])
        sealing = asyncio.create_task(_seal(db, registry_store))
        async with asyncio.timeout(20):
            while not await watcher.fetchval(WAITING):
                await asyncio.sleep(0.01)
        assert not sealing.done()
    assert await sealing == 1

"""The log's files have one writer: a stand-in keeps its hands off while the first process lives, paused or not."""

import asyncio
import fcntl
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TextIO

import pytest

import salur.audit.main
from salur.audit import store
from salur.audit.announcer import Announcer
from salur.audit.log.keys import LogKeys
from salur.audit.log.note import Checkpoint, Signer, open_checkpoint
from salur.audit.log.tiles import TileReader
from salur.audit.log.verify import verify_log
from salur.audit.publisher import OWNER_FILE, Publisher
from salur.audit.store import Entry
from salur.common.database import Database, migrate
from salur.common.errors import Unavailable
from salur.common.events.security import KafkaAddress
from support.pair import Addresses

pytestmark = pytest.mark.integration

MIGRATIONS = Path(salur.audit.main.__file__).parent / "migrations"


@pytest.fixture
async def rows(db: Database, database_url: str) -> int:
    """Entries in an audit database."""
    migrate(database_url, [MIGRATIONS])
    leaves = [b'{"topic":"t","partition":0,"offset":%d,"size":0,"commitment":"00"}' % number for number in range(300)]
    entries = [
        Entry(number, leaf, "t", 0, number, None, None, None, None, None, None) for number, leaf in enumerate(leaves)
    ]
    async with db.transaction() as conn:
        await store.lock_size(conn)
        await store.insert_entries(conn, entries)
    return len(entries)


@pytest.fixture
def another(tmp_path: Path) -> Iterator[TextIO]:
    """Another process that owns the log."""
    with (tmp_path / OWNER_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


async def test_only_the_owner_writes_and_a_successor_goes_on_once_the_files_are_free(
    db: Database, pair: Addresses, topics: None, rows: int, tmp_path: Path, another: TextIO
) -> None:
    signer = Signer("audit.salur.example", bytes(range(32)))
    announcer = Announcer(db, KafkaAddress(pair.kafka), signer.name, partial(open_checkpoint, key=signer.verifier))
    publisher = Publisher(db, tmp_path, LogKeys((signer,)), 0, announcer.keep, announcer.heads)
    assert not await publisher.step()
    with pytest.raises(Unavailable):
        await publisher.publish_all()
    assert [path.name for path in tmp_path.iterdir()] == [OWNER_FILE]
    fcntl.flock(another, fcntl.LOCK_UN)
    head = await publisher.publish_all()
    assert head is not None
    assert head.size == rows
    assert verify_log(tmp_path).ok


async def test_tiles_grow_while_witnesses_are_asked(
    db: Database, pair: Addresses, topics: None, rows: int, tmp_path: Path
) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slow_witness(_head: Checkpoint, _note: str, _reader: TileReader) -> list[str]:
        asked.set()
        await answered.wait()
        return []

    signer = Signer("audit.salur.example", bytes(range(32)))
    announcer = Announcer(db, KafkaAddress(pair.kafka), signer.name, partial(open_checkpoint, key=signer.verifier))
    publisher = Publisher(db, tmp_path, LogKeys((signer,)), 0, announcer.keep, announcer.heads, slow_witness)
    await publisher.step()
    publishing = asyncio.create_task(publisher.publish_due())
    await asyncio.wait_for(asked.wait(), 20)
    async with db.transaction() as conn:
        await store.insert_entries(conn, [Entry(rows, b"{}", "t", 0, rows, None, None, None, None, None, None)])
    await asyncio.wait_for(publisher.step(), 20)
    assert publisher.integrated == rows + 1
    answered.set()
    await publishing
    head = publisher.published()
    assert head is not None
    assert head.size == rows
    assert verify_log(tmp_path).ok

"""A log of the search bench filled inside the database is the one that is appended and indexed entry by entry."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from salur.audit import main as audit_main
from salur.audit.search.indexer import Indexer
from salur.common.database import Database, migrate
from salur.local.search_bench import SHAPE, append
from salur.local.search_fill import UNIT, WIDTH, fill

pytestmark = pytest.mark.integration
MIGRATIONS = Path(audit_main.__file__).parent / "migrations"
BLOCKS = 4
"""Blocks of a partition: the filled part has two partitions."""
TABLES = ("entry", "search_block", "search_posting", "log_state", "search_state")
BEHIND = 700
"""Entries appended behind the filled part."""


async def rows(db: Database, table: str) -> list[dict[str, Any]]:
    async with db.connection() as conn:
        found = [dict(row) for row in await conn.fetch(f"SELECT * FROM {table}")]
    for row in found:
        if "leaf" in row:
            row["leaf"] = orjson.loads(row["leaf"])
    return sorted(found, key=lambda row: str([value for name, value in sorted(row.items()) if name != "leaf"]))


async def indexed(url: str, count: int) -> dict[str, list[dict[str, Any]]]:
    """The tables of a log after so many entries were appended to it and indexed."""
    db = Database(url, pool_size=2, statement_timeout_s=60)
    await db.open()
    try:
        await append(db, count)
        await Indexer(db, partition_entries=BLOCKS * WIDTH).catch_up()
        async with db.connection() as conn:
            keys = await conn.fetch("SELECT indexname FROM pg_indexes WHERE tablename ~ '^(entry|search_posting)'")
        found = {table: await rows(db, table) for table in TABLES}
        return found | {"indexes": sorted(({"name": key["indexname"]} for key in keys), key=str)}
    finally:
        await db.close()


async def test_what_is_filled_is_what_the_indexer_makes_and_can_grow(
    database_url: str, other_database_url: str
) -> None:
    """2,560 entries over two partitions, and 700 appended behind them: every row and index of both logs is the same."""
    for url in (database_url, other_database_url):
        migrate(url, [MIGRATIONS])
    made = fill(database_url, UNIT + 100, SHAPE, BLOCKS)
    assert made == UNIT
    by_database = await indexed(database_url, BEHIND)
    by_indexer = await indexed(other_database_url, made + BEHIND)
    for table, wanted in by_indexer.items():
        assert by_database[table] == wanted, table
    assert len(by_indexer["search_posting"]) > UNIT

"""Compare the database's rows with the log's files: both tell the same entries, or one of them was changed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from salur.audit import store
from salur.audit.log.errors import LogError
from salur.audit.log.note import VerifierKey, open_checkpoint
from salur.audit.log.tiles import TileReader
from salur.common.database import Database

CHUNK = 10_240


@dataclass(frozen=True, slots=True)
class Comparison:
    """`first_bad_index` is -1 when rows and files agree."""

    entries: int
    first_bad_index: int = -1
    problem: str = ""


async def compare_rows(db: Database, folder: Path, keys: Sequence[VerifierKey]) -> Comparison:
    """Every row below the published size against the entry bundles, and none missing or doubled in between."""
    try:
        head = open_checkpoint((folder / "checkpoint").read_text(encoding="utf-8"), *keys)
        reader = TileReader(folder, head.size)
        for first in range(0, head.size, CHUNK):
            end = min(head.size, first + CHUNK)
            async with db.connection() as conn:
                rows = await store.queries.entries_from(conn, first=first, end=end)
            found = {row["leaf_index"]: row["leaf"] for row in rows}
            files = await asyncio.to_thread(lambda a, b: list(reader.leaves(a, b)), first, end)
            for index, leaf in enumerate(files, first):
                if found.get(index) != leaf:
                    what = "is missing" if index not in found else "is not the entry the log published"
                    return Comparison(head.size, index, f"row {index} {what}: restore the rows from the entry bundles")
    except LogError as error:
        return Comparison(0, getattr(error, "index", -1), str(error))
    except OSError as error:
        return Comparison(0, -1, f"the log's files cannot be read ({type(error).__name__})")
    async with db.connection() as conn:
        size, rows_held = await store.size(conn), await store.queries.count_entries(conn)
    if size != rows_held or size < head.size:
        first_bad = min(size, rows_held, head.size) if size < head.size else min(size, rows_held)
        return Comparison(head.size, first_bad, f"{rows_held} rows, {size} by count, {head.size} published")
    return Comparison(head.size)

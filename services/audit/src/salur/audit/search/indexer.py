"""Bring search up to the log, a bounded piece at a time."""

import asyncio
from collections.abc import Sequence
from typing import Any

from prometheus_client import Gauge

from salur.audit import store
from salur.audit.domain.ledger import TYPES
from salur.audit.search.facts import follow, time_of
from salur.audit.search.movements import keep_movements
from salur.audit.search.postings import Postings
from salur.audit.search.terms import Implied, Read, learnt, names_region, terms_of, with_implied
from salur.audit.store import Block
from salur.common.database import Connection, Database
from salur.common.logs import get_logger

log = get_logger("search")

ENTRIES_PER_STEP = 2_048
ENTRIES_PER_STEP_BUSY = 1_024
"""While the log grows search steps aside: it takes this many at each interval, whole blocks only, which are
cheaper than parts of them, and catches up when the log rests."""
RESTING_GROWTH = 100
"""A log that grew by no more since the last step rests."""
PARTITION_ENTRIES = 2_000_000
LAG_ALARM_S = 60.0

LAG_ENTRIES = Gauge("salur_search_lag_entries", "Entries of the log that search does not know yet")
LAG_SECONDS = Gauge("salur_search_lag_seconds", "How long the oldest of them has waited")


class Indexer:
    """Steps of the projection; alarms once when it falls behind, and tells once when it is back."""

    def __init__(self, db: Database, *, partition_entries: int = PARTITION_ENTRIES) -> None:
        self._db = db
        self._partition_entries = partition_entries
        self._late = False
        self._size = 0

    async def step(self) -> bool:
        """Index the next entries. True = there are more and the log rests."""
        async with self._db.transaction() as conn:
            size = await store.size(conn)
            busy, self._size = size - self._size > RESTING_GROWTH, size
            most = ENTRIES_PER_STEP_BUSY if busy else ENTRIES_PER_STEP
            await index_next(conn, size, most, self._partition_entries, whole_blocks=busy)
            lag = await store.queries.search_lag(conn)
        self._tell(lag["entries"], max(0.0, lag["age_s"]))
        return lag["entries"] > 0 and not busy

    def _tell(self, entries: int, age_s: float) -> None:
        LAG_ENTRIES.set(entries)
        LAG_SECONDS.set(age_s)
        if (late := entries > 0 and age_s > LAG_ALARM_S) != self._late:
            self._late = late
            if late:
                log.error("search-late", entries=entries, age_s=round(age_s), remedy="see runbook search-late")
            else:
                log.info("search-again", entries=entries)

    async def catch_up(self) -> None:
        """Index all there is."""
        while await self.step() or await self.step():
            pass


async def index_next(
    conn: Connection, size: int, most: int, partition_entries: int, *, whole_blocks: bool = False
) -> int:
    """Index at most so many entries, never over the end of a partition, up to the end of a block where one is reached.

    `whole_blocks`: nothing of a block that is not full yet. Returns how many.
    """
    state = await store.queries.lock_indexed(conn)
    first, width = state["indexed"], state["width"]
    partition = max(width, partition_entries // width * width)
    end = min(size, first + most, (first // partition + 1) * partition)
    if (whole := end // width * width) > first or whole_blocks:
        end = whole
    if end <= first:
        return 0
    await store.queries.search_partition(conn, first=first // width, blocks=partition // width)
    rows = await store.queries.entries_to_index(conn, first=first, end=end)
    said = await asyncio.to_thread(_said, rows)
    taught = {pair for terms in said for pair in learnt(terms)}
    implied, known = await follow(conn, {term for terms in said for term in terms}, taught)
    new = [pair for pair in sorted(taught - known) if not implied.is_needless(*pair)]
    await store.queries.save_implied(conn, terms=[term for term, _ in new], implied=[other for _, other in new])
    postings = Postings(width)
    for leaf_index, terms in enumerate(said, first):
        postings.add(leaf_index, with_implied(terms, implied))
    await _reach_back(conn, postings, implied, new)
    await keep_movements(conn, [(at, row) for at, row in enumerate(rows, first) if row["type"] in TYPES])
    await store.save_blocks(conn, _blocks(first, width, rows, said))
    await store.save_postings(conn, postings, first_new=-(-first // width))
    await store.queries.save_indexed(conn, indexed=end)
    return int(end - first)


def _said(rows: list[Any]) -> list[list[str]]:
    return [terms_of(Read(*row[:7])) for row in rows]


def _blocks(first: int, width: int, rows: Sequence[Any], said: Sequence[Sequence[str]]) -> list[Block]:
    """What is known of each block these entries belong to."""
    blocks = []
    for start in range(first // width * width, first + len(rows), width):
        run = range(max(start, first) - first, min(start + width - first, len(rows)))
        times = [time for at in run if (time := time_of(rows[at]["event_time"]))]
        regional = [first + at - start for at in run if names_region(said[at])]
        blocks.append(Block(start // width, len(run), min(times, default=None), max(times, default=None), regional))
    return blocks


async def _reach_back(conn: Connection, postings: Postings, implied: Implied, new: list[tuple[str, str]]) -> None:
    """What was learnt now holds for the entries that stood in the log before."""
    follows: dict[str, set[str]] = {}
    for term, other in new:
        follows.setdefault(term, set()).update({other}, implied.of(other))
    if not follows:
        return
    for row in await store.queries.postings_of(conn, terms=sorted(follows)):
        without_own = [place for place in row["places"] if place not in set(row["own_region"])]
        for term in follows[row["term"]]:
            if places := without_own if term.startswith("region=") else row["places"]:
                postings.add_places(term, row["block"], places)

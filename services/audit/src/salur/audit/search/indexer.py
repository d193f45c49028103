"""Bring search up to the log, a bounded piece at a time. The work is PostgreSQL's: the appending process only waits."""

from prometheus_client import Gauge

from salur.audit import store
from salur.common.database import Database
from salur.common.logs import get_logger

log = get_logger("search")

ENTRIES_PER_STEP = 2_000
ENTRIES_PER_STEP_BUSY = 500
"""While the log grows search steps aside: it takes this many at each interval, and catches up when the log rests."""
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
        """Index the next entries. True = there are more and the log does not grow."""
        async with self._db.transaction() as conn:
            size = await store.size(conn)
            busy, self._size = size > self._size, size
            await store.queries.search_index(
                conn, most=ENTRIES_PER_STEP_BUSY if busy else ENTRIES_PER_STEP,
                partition_entries=self._partition_entries,
            )  # fmt: skip
            lag = await store.queries.search_lag(conn)
        entries, age_s = lag["entries"], max(0.0, lag["age_s"])
        LAG_ENTRIES.set(entries)
        LAG_SECONDS.set(age_s)
        if (late := entries > 0 and age_s > LAG_ALARM_S) != self._late:
            self._late = late
            if late:
                log.error("search-late", entries=entries, age_s=round(age_s), remedy="see runbook search-late")
            else:
                log.info("search-again", entries=entries)
        return entries > 0 and not busy

    async def catch_up(self) -> None:
        """Index all there is."""
        while await self.step() or await self.step():
            pass

"""A simulation over the whole registry as it stands, in processes of its own: nothing is written, nobody is locked.

Each process reads its own ranges of the table's pages under one shared snapshot and gives back counts.
"""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from functools import lru_cache

import asyncpg

from salur.common.database import SERVER_SETTINGS, prepare_connection
from salur.eligibility.domain.compiling import Compiled
from salur.eligibility.domain.decide import HouseholdFacts
from salur.eligibility.domain.simulation import Comparison, Question, Version, reference_rule
from salur.eligibility.usecases.decide import facts_of

PARTS_PER_PROCESS = 4
READ = 2_000
"""Households a process holds at once."""
PAGE_SIZE = 8192
STATEMENT_TIMEOUT_S = 600
HOUSEHOLDS = """
SELECT household_id, version, region, attributes, members FROM household
WHERE ctid >= $1::text::tid AND ctid < $2::text::tid AND replaced_by IS NULL AND merged_into IS NULL AND kind = $3
"""


async def simulate(url: str, question: Question, processes: int) -> Comparison:
    """Both versions over every household, one snapshot for all. Raises what the database raises."""
    whole = Comparison()
    async with _snapshot(url) as (snapshot, pages):
        parts = _ranges(pages, processes * PARTS_PER_PROCESS)
        context = multiprocessing.get_context("spawn")
        loop = asyncio.get_running_loop()
        pool = ProcessPoolExecutor(processes, mp_context=context)
        try:
            work = [loop.run_in_executor(pool, run_part, url, snapshot, question, part) for part in parts]
            for done in asyncio.as_completed(work):
                whole.merge(await done)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # a service that stops does not wait for what has not begun
    return whole


@asynccontextmanager
async def _snapshot(url: str) -> AsyncIterator[tuple[str, int]]:
    """(a snapshot others may read under, pages of the table); it lives as long as the block."""
    conn = await asyncpg.connect(url, server_settings=SERVER_SETTINGS)
    try:
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            size = await conn.fetchval("SELECT pg_relation_size('household')")
            yield await conn.fetchval("SELECT pg_export_snapshot()"), size // PAGE_SIZE
    finally:
        await conn.close()


def _ranges(pages: int, parts: int) -> list[tuple[int, int]]:
    """The table's pages in nearly equal parts, [from, to); the last is open: rows may come while we read."""
    step = max(1, -(-max(pages, 1) // parts))
    starts = list(range(0, max(pages, 1), step))
    return [(start, start + step) for start in starts]


def run_part(url: str, snapshot: str, question: Question, pages: tuple[int, int]) -> Comparison:
    """One range of pages, in a process of the pool."""
    return asyncio.run(_run_part(url, snapshot, question, pages))


@lru_cache(maxsize=2)
def _compiled(version: Version) -> Compiled:
    """Once a process: what rules remember of one part serves the next."""
    return version.compiled()


async def _run_part(url: str, snapshot: str, question: Question, pages: tuple[int, int]) -> Comparison:
    proposed = _compiled(question.proposed)
    current = None if question.current is None else _compiled(question.current)
    reference = reference_rule(proposed, question.reference)
    part = Comparison()
    conn = await asyncpg.connect(url, server_settings=SERVER_SETTINGS, command_timeout=STATEMENT_TIMEOUT_S)
    try:
        await prepare_connection(conn)
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            await conn.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            cursor = await conn.cursor(HOUSEHOLDS, f"({pages[0]},0)", f"({pages[1]},0)", proposed.document.subject)
            while households := _facts(await cursor.fetch(READ)):
                part.run(current, proposed, reference, households)
    finally:
        await conn.close()
    return part


def _facts(rows: Sequence[asyncpg.Record]) -> list[HouseholdFacts]:
    return [facts_of(dict(row)) for row in rows]

"""A process without memory ends; the event it held is no poison."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from salur.common.database import Database
from salur.common.memory import EXIT_CODE, is_out_of_memory
from support.run_out_of_memory import CONSUMER, EVENTS

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parents[1] / "support" / "run_out_of_memory.py"
END_TIMEOUT_S = 60


@pytest.mark.parametrize("how", ["raw", "wrapped"])
async def test_a_failed_allocation_ends_the_process_and_blames_no_event(
    db: Database, database_url: str, how: str
) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), database_url, how], capture_output=True, text=True, timeout=END_TIMEOUT_S,
        check=False, env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])},
    )  # fmt: skip
    assert done.returncode == EXIT_CODE, done.stderr
    assert '"event":"out-of-memory"' in done.stderr.splitlines()[-1]
    async with db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM event") == EVENTS
        assert await conn.fetchval("SELECT count(*) FROM dead_letter") == 0
        assert await conn.fetchval("SELECT sum(sequence) FROM mark WHERE consumer = $1", CONSUMER) == 0


def test_only_a_failed_allocation_counts() -> None:
    assert not is_out_of_memory(None)
    assert not is_out_of_memory(ValueError("too large"))
    looped = RuntimeError("one")
    looped.__cause__ = ValueError("two")
    looped.__cause__.__context__ = looped
    assert not is_out_of_memory(looped)
    looped.__cause__.__cause__ = MemoryError()
    assert is_out_of_memory(looped)

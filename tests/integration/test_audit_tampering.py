"""Every way of changing the trail is caught by the tool that names it, at the first bad entry."""

from pathlib import Path

import pytest

from salur.audit import store
from salur.common.database import Database, migrate
from salur.local.trail.erasure import TOPIC, erase_under_log
from salur.local.trail.lab import MIGRATIONS, Lab, Record, event
from salur.local.trail.tamper import Case, tamper_all

pytestmark = pytest.mark.integration


@pytest.fixture
async def cases(db: Database, database_url: str, tmp_path: Path) -> list[Case]:
    migrate(database_url, [MIGRATIONS])
    lab = Lab(db, tmp_path)
    try:
        return await tamper_all(lab)
    finally:
        lab.close()


async def test_each_is_caught_by_its_tool_at_the_first_bad_entry(cases: list[Case]) -> None:
    assert [case for case in cases if not case.caught] == []
    assert len({case.name for case in cases}) == len(cases) >= 23
    assert {case.tool for case in cases} == {
        "salur verify", "salur verify --head", "salur verify --policy", "salur witness", "POST /log/compare",
        "salur completeness", "the audit's consumer", "the audit's seal check", "the audit at its start",
    }  # fmt: skip


async def test_an_erasure_leaves_every_proof_valid_and_opens_nothing_again(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    migrate(database_url, [MIGRATIONS])
    lab = Lab(db, tmp_path, topics=(TOPIC,))
    try:
        outcome = await erase_under_log(lab, subjects=60)
    finally:
        lab.close()
    assert (outcome.erased, outcome.problems) == (30, [])


async def test_a_service_that_stops_sealing_is_named_until_it_seals(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    migrate(database_url, [MIGRATIONS])
    lab = Lab(db, tmp_path)
    facts = [Record("payments.lists", 3, n - 1, event("payments.lists", 3, n)) for n in (1, 2, 3)]
    await lab.processor.declare()
    await lab.take(facts)
    assert await overdue(db, age_s=60.0) == {"payments.lists/3"}
    assert await overdue(db, age_s=100 * 365 * 86_400.0) == set(), "facts may be younger than a minute"
    await lab.seal("payments.lists/3", 1, [fact.value or b"" for fact in facts])
    assert await overdue(db, age_s=60.0) == set(), "the seal itself needs none"
    lab.close()


async def overdue(db: Database, age_s: float) -> set[str]:
    async with db.connection() as conn:
        rows = await store.queries.overdue_seals(conn, consumer=store.EVENTS_CONSUMER, age_s=age_s)
    return {row["stream"] for row in rows}

"""Every way of changing the trail is caught by the tool that names it, at the first bad entry."""

from pathlib import Path

import pytest

from salur.common.database import Database, migrate
from salur.local.trail.lab import MIGRATIONS, Lab
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
    assert len({case.name for case in cases}) == len(cases) >= 19
    assert {case.tool for case in cases} == {
        "salur verify", "salur verify --head", "salur verify --policy", "salur witness", "POST /log/compare",
        "salur completeness", "the audit's consumer", "the audit's seal check", "the audit at its start",
    }  # fmt: skip

"""Every row of the fault table says who must act and names tests that exist."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.endswith("| test |")
]
_TEST = re.compile(r"`([a-z_/]+\.py)::(test_[a-z0-9_]+)`")


@cache
def names_in(path: Path) -> frozenset[str]:
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_fault_has_an_effect_somebody_who_acts_and_tests_that_exist(row: list[str]) -> None:
    assert len(row) == 4
    assert all(row)
    named = _TEST.findall(row[3])
    assert named
    assert _TEST.sub("", row[3]).strip() == "", "nothing but tests stands in the last column"
    for file, name in named:
        assert name in names_in(ROOT / "tests" / file), f"{file} has no {name}"


def test_the_table_was_read() -> None:
    assert len(ROWS) > 30

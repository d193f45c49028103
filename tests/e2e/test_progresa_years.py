"""Two survey years on one platform: 1998 over 1997 is an update, and both years are decided as published."""

import csv
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from salur.local.demo.run import Inputs, new_platform
from salur.local.demo.years import SERVICES, promises_of, run_years
from salur.local.platform import Options, running

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
PROGRESA = ROOT / "examples" / "progresa"
MAPPING = PROGRESA / "mapping.yaml"
HOUSEHOLDS = 300


def slice_of(year: int, target: Path) -> dict[str, dict[str, str]]:
    """Write the first households of a year; returns the first row of each by id."""
    heads: dict[str, dict[str, str]] = {}
    with (PROGRESA / f"households-{year}.csv").open(newline="") as lines, target.open("w", newline="") as out:
        reader = csv.DictReader(lines)
        writer = csv.DictWriter(out, reader.fieldnames or ())
        writer.writeheader()
        for row in reader:
            if row["household_id"] not in heads and len(heads) == HOUSEHOLDS:
                break
            heads.setdefault(row["household_id"], row)
            writer.writerow(row)
    return heads


@pytest.fixture(scope="module")
def years() -> Iterator[dict[int, Any]]:
    """Both years in order: what the file holds, and what became of it."""
    folder = Path(tempfile.mkdtemp(prefix="salur-test-"))
    inputs = Inputs(folder / "1997.csv", MAPPING, PROGRESA / "programme.yaml", folder / "run", ROOT / "var/cache/kafka")
    heads = {year: slice_of(year, folder / f"{year}.csv") for year in (1997, 1998)}
    files = [folder / f"{year}.csv" for year in heads]
    try:
        with running(new_platform(inputs, Options(services=SERVICES))) as platform:
            found = run_years(platform, files, MAPPING, inputs.programme)
        yield {year: one | {"heads": heads[year]} for year, one in zip(heads, found, strict=True)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_every_promise_is_kept(years: dict[int, Any]) -> None:
    assert [promise for promise in promises_of(list(years.values())) if not promise.kept] == []


def test_changed_arrived_and_left_households_are_told_apart(years: dict[int, Any]) -> None:
    before, after = years[1997]["heads"], years[1998]["heads"]
    year = years[1998]
    assert year["arrived"] == len(after.keys() - before.keys()) > 0
    assert year["left"] == len(before.keys() - after.keys()) > 0
    assert year["changed"] + year["unchanged"] == len(before.keys() & after.keys())
    assert year["known"] == len(before | after)


def test_decisions_are_made_again_only_where_something_changed(years: dict[int, Any]) -> None:
    assert years[1997]["decisions_made"] == HOUSEHOLDS
    assert years[1998]["decisions_made"] == years[1998]["arrived"] + years[1998]["changed"]


def test_each_year_pays_who_qualifies_in_a_treated_village(years: dict[int, Any]) -> None:
    for year, known in ((1997, years[1997]["heads"]), (1998, years[1997]["heads"] | years[1998]["heads"])):
        enrolled = [h for h in known.values() if h["published_eligible"] == "1" and h["village_treated"] == "1"]
        assert years[year]["enrolled"] == years[year]["entitlements"] == len(enrolled) > 0

"""Two survey years on one platform: 1998 over 1997 is an update, and both years are decided as published."""

import csv
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from salur.local.demo.agreement import agreement, refused_rows
from salur.local.demo.pipeline import Pipeline
from salur.local.demo.run import Inputs, new_platform, save_import_report
from salur.local.platform import running

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
    """Both years in order: per year what the file holds, the import's status, the decisions, the cycle."""
    folder = Path(tempfile.mkdtemp(prefix="salur-test-"))
    seen: dict[int, Any] = {}
    inputs = Inputs(folder / "1997.csv", MAPPING, PROGRESA / "programme.yaml", folder / "run", ROOT / "var/cache/kafka")
    try:
        with running(new_platform(inputs)) as platform:
            pipeline = Pipeline(platform)
            programme_id = pipeline.publish(inputs.programme)
            for year in (1997, 1998):
                heads = slice_of(year, folder / f"{year}.csv")
                status = pipeline.register(folder / f"{year}.csv", MAPPING, update=year == 1998)
                report = save_import_report(pipeline, status)
                cut = pipeline.cut(f"intake {year}")
                progress = pipeline.decided(programme_id, cut["households"])
                cycle = pipeline.cycle(programme_id, f"cycle {year}", cut["cut_id"])
                compared = agreement(
                    pipeline.registrar, pipeline.officer, folder / f"{year}.csv", MAPPING, programme_id,
                    refused_rows(report),
                )  # fmt: skip
                seen[year] = {"heads": heads, "import": status, "cut": cut, "progress": progress, "cycle": cycle,
                              "compared": compared, "decisions": decisions_made(pipeline)}  # fmt: skip
            pipeline.close()
        yield seen
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def decisions_made(pipeline: Pipeline) -> int:
    """Events on the decisions' streams so far, all of them of decisions in this run."""
    streams = pipeline.auditor.call("eligibility", "GET", "/streams")["streams"]
    return sum(stream["head"] for stream in streams if stream["stream"].startswith("eligibility.decisions/"))


def test_both_years_are_decided_as_published(years: dict[int, Any]) -> None:
    assert [(years[year]["compared"].share, years[year]["compared"].lost) for year in years] == [(1.0, 0), (1.0, 0)]


def test_changed_arrived_and_left_households_are_told_apart(years: dict[int, Any]) -> None:
    before, after = years[1997]["heads"], years[1998]["heads"]
    status = years[1998]["import"]
    assert status["households"] == len(after.keys() - before.keys()) > 0
    assert status["absent"] == len(before.keys() - after.keys()) > 0
    assert status["changed"] + status["unchanged"] == len(before.keys() & after.keys())
    assert years[1998]["cut"]["households"] == len(before | after)


def test_decisions_are_made_again_only_where_something_changed(years: dict[int, Any]) -> None:
    status = years[1998]["import"]
    assert years[1997]["decisions"] == HOUSEHOLDS
    assert years[1998]["decisions"] - HOUSEHOLDS == status["households"] + status["changed"]


def test_each_year_pays_who_qualifies_in_a_treated_village(years: dict[int, Any]) -> None:
    for year, known in ((1997, years[1997]["heads"]), (1998, years[1997]["heads"] | years[1998]["heads"])):
        enrolled = [h for h in known.values() if h["published_eligible"] == "1" and h["village_treated"] == "1"]
        assert years[year]["progress"]["enrolled"] == years[year]["cycle"]["entitlements"] == len(enrolled) > 0

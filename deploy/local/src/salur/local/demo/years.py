"""`python -m salur.local.demo.years`: two survey years on one platform, the later one as an update of the earlier.

What changed, arrived and left is told apart, and decisions are made again only where something changed.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from salur.local.cli.demo import MAPPING, PROGRAMME
from salur.local.cli.up import CACHE
from salur.local.demo.agreement import agreement, refused_rows
from salur.local.demo.pipeline import Pipeline
from salur.local.demo.report import Promise
from salur.local.demo.run import Inputs, new_platform, save_import_report
from salur.local.platform import Options, Platform, running

DATA = (Path("examples/progresa/households-1997.csv"), Path("examples/progresa/households-1998.csv"))
STATE = Path("var/years")
SERVICES = ("registry", "eligibility")


def run_years(platform: Platform, files: Sequence[Path], mapping: Path, programme: Path) -> list[dict[str, Any]]:
    """Each file in order on a started platform, from the second on as an update: what became of it."""
    years: list[dict[str, Any]] = []
    with closing(Pipeline(platform)) as pipeline:
        programme_id = pipeline.publish(programme)
        for file in files:
            before = _decisions_made(pipeline)
            status = pipeline.register(file, mapping, update=bool(years))
            report = save_import_report(pipeline, status)
            cut = pipeline.cut(f"intake {file.stem}")
            progress = pipeline.decided(programme_id, cut["households"])
            cycle = pipeline.cycle(programme_id, f"cycle {file.stem}", cut["cut_id"])
            compared = agreement(
                pipeline.registrar, pipeline.officer, file, mapping, programme_id, refused_rows(report)
            )
            years.append(
                {
                    "file": file.name, "arrived": status["households"], "changed": status["changed"] or 0,
                    "unchanged": status["unchanged"] or 0, "left": status["absent"] or 0, "known": cut["households"],
                    "decisions_made": _decisions_made(pipeline) - before, "enrolled": progress["enrolled"],
                    "entitlements": cycle["entitlements"], "agreement": compared.share, "lost": compared.lost,
                }
            )  # fmt: skip
    return years


def _decisions_made(pipeline: Pipeline) -> int:
    """Events on the decisions' streams so far: nobody appeals here, so each is a decision."""
    streams = pipeline.auditor.call("eligibility", "GET", "/streams")["streams"]
    return sum(stream["head"] for stream in streams if stream["stream"].startswith("eligibility.decisions/"))


def promises_of(years: Sequence[dict[str, Any]]) -> list[Promise]:
    """What must hold of every year."""
    found: list[Promise] = []
    for year in years:
        new = year["arrived"] + year["changed"]
        seen = f"{year['decisions_made']} made, {year['known'] - year['decisions_made']} kept"
        found += [
            Promise(f"{year['file']}: every household is found again", year["lost"] == 0, str(year["lost"])),
            Promise(
                f"{year['file']}: decisions agree with the published answers", year["agreement"] == 1.0,
                str(year["agreement"]),
            ),
            Promise(
                f"{year['file']}: decisions are made where something arrived or changed, and nowhere else",
                year["decisions_made"] == new, seen,
            ),
        ]  # fmt: skip
    return found


def main(
    state_dir: Annotated[Path, typer.Option(help="Folder of the run; an earlier run's is emptied.")] = STATE,
    cache_dir: Annotated[Path, typer.Option(help="Where Kafka's jars are kept.")] = CACHE,
) -> None:
    """1997, then 1998 over it: who changed, arrived and left, and which decisions were made again."""
    console = Console()
    inputs = Inputs(DATA[0], MAPPING, PROGRAMME, state_dir, cache_dir)
    try:
        with running(new_platform(inputs, Options(services=SERVICES))) as platform:
            years = run_years(platform, DATA, MAPPING, PROGRAMME)
    except (RuntimeError, OSError) as error:  # ours are sentences that say who must act
        console.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(1) from None
    for year in years:
        console.print(
            "{file}: {arrived} arrived, {changed} changed, {unchanged} unchanged, {left} left; "
            "{decisions_made} decisions made, {enrolled} enrolled, {entitlements} entitlements".format(**year)
        )
    promises = promises_of(years)
    for promise in promises:
        verdict = "[green]kept[/]  " if promise.kept else "[red]BROKEN[/]"
        console.print(f"{verdict} {promise.text} ({promise.seen})")
    report = {"years": years, "promises": [asdict(promise) for promise in promises]}
    (state_dir / "report.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    console.print(f"report: {state_dir}/report.json")
    if not all(promise.kept for promise in promises):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)

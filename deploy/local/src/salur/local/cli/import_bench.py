"""`salur import-bench`: families a second from a list to the registry when nothing else runs, and its memory."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import orjson
import psutil
import typer
import xlsxwriter

from salur.local.cli.up import CACHE
from salur.local.demo.pipeline import Pipeline
from salur.local.platform import Options, Platform, running
from salur.local.population import write_population
from salur.local.population.files import MAPPING, POPULATION

TIMEOUT_S = 7_200.0
MIB = 1024 * 1024


def import_bench(
    families: Annotated[int, typer.Option(min=100, help="How many to generate and import.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the population.")] = 1,
    least: Annotated[float, typer.Option(min=0, help="Families a second to reach.")] = 0.0,
    most_mib: Annotated[int, typer.Option(min=1, help="Memory the registry may take.")] = 400,
    xlsx: Annotated[bool, typer.Option("--xlsx", help="Send it as a spreadsheet, of 100,000 rows at most.")] = False,
    cache_dir: Annotated[Path, typer.Option(help="Where Kafka's jars are kept.")] = CACHE,
) -> None:
    """Import a generated population into a fresh registry. Ends with 1 below `--least` or above `--most-mib`."""
    with TemporaryDirectory(prefix="salur-import-") as folder:
        people = Path(folder) / "people"
        written = write_population(people, families, seed)
        file = as_sheet(people / POPULATION) if xlsx else people / POPULATION
        size = file.stat().st_size
        platform = Platform(Path(folder) / "platform", cache_dir, Options(services=("registry",)))
        platform.fresh()
        with running(platform):
            peak = 0
            registry = psutil.Process(platform.supervisor.children["registry"].pid)

            def tend() -> None:
                nonlocal peak
                platform.tend()
                peak = max(peak, registry.memory_info().rss)

            pipeline = Pipeline(platform, timeout_s=TIMEOUT_S, tend=tend)
            status = pipeline.register(file, people / MAPPING)
            seconds = pipeline.stages[-1].seconds
            pipeline.close()
    rate, peak_mib = round(status["households"] / seconds), round(peak / MIB)
    report = {
        "families": status["households"], "rows": written.persons, "file_mib": round(size / MIB, 1),
        "seconds": round(seconds, 2), "import_families_per_second": rate, "registry_peak_mib": peak_mib,
    }  # fmt: skip
    typer.echo(orjson.dumps(report).decode())
    if rate < least or peak_mib > most_mib:
        raise typer.Exit(1)


def as_sheet(source: Path) -> Path:
    """The same rows as a spreadsheet beside it, every cell text; its path."""
    target = source.with_suffix(".xlsx")
    with xlsxwriter.Workbook(target, {"constant_memory": True}) as book, source.open(newline="") as rows:
        sheet = book.add_worksheet()
        for place, row in enumerate(csv.reader(rows)):
            for column, cell in enumerate(row):
                sheet.write_string(place, column, cell)
    return target

"""`salur dedup-bench`: how well matching finds planted duplicates."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from salur.local.cli.output import AsJson
from salur.local.population import write_population
from salur.local.population.measure import Measured, measure


def dedup_bench(
    families: Annotated[int, typer.Option(min=100, help="How many to generate.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the population.")] = 1,
    nik: Annotated[bool, typer.Option(help="Whether similar NIKs may speak for a pair.")] = True,
    least: Annotated[float, typer.Option(min=0, max=1, help="Precision and recall to reach.")] = 0.9,
    as_json: AsJson = False,
) -> None:
    """Generate a population, match it, compare with its truth. Ends with 1 below `--least`."""
    with TemporaryDirectory(prefix="salur-dedup-") as folder:
        write_population(Path(folder), families, seed)
        result = measure(Path(folder), use_nik=nik)
    if as_json:
        typer.echo(orjson.dumps(_figures(result)).decode())
    else:
        _show(result)
    if min(result.precision, result.recall) < least:
        raise typer.Exit(1)


def _figures(result: Measured) -> dict[str, float]:
    return {
        "dedup_precision": round(result.precision, 4), "dedup_recall": round(result.recall, 4),
        "records": result.records, "planted": result.planted, "shown": result.possible, "true": result.true,
        "compared": result.compared, "never_compared": result.never_compared, "large_blocks": result.large_blocks,
        "probable": result.probable, "probable_true": result.probable_true, "seconds": round(result.seconds, 2),
    }  # fmt: skip


def _show(result: Measured) -> None:
    console = Console()
    console.print(
        f"{result.records} records, {result.compared} pairs compared in {result.seconds:.1f} s\n"
        f"{result.planted} planted pairs, {result.possible} shown, {result.true} of them true "
        f"({result.never_compared} never met in a block, {result.large_blocks} blocks too large)\n"
        f"precision {result.precision:.4f}, recall {result.recall:.4f}; "
        f"shown first: {result.probable}, {result.probable_true} true"
    )
    table = Table("how the second record differs", "found", "planted", "share")
    for name, (found, planted) in sorted(result.by_difference.items()):
        table.add_row(name, str(found), str(planted), f"{found / planted:.3f}")
    console.print(table)

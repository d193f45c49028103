"""`salur population`: an Indonesian population to try, test and measure with."""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from salur.local.cli.output import AsJson, refusals
from salur.local.population import DEFAULT_BANKS, write_population


def population(
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for population.csv, truth.csv, mapping.yaml.")],
    families: Annotated[int, typer.Option(min=1, help="How many.")] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people, whatever their number.")] = 1,
    banks: Annotated[str, typer.Option(help="Bank codes of the installation, by comma.")] = ",".join(DEFAULT_BANKS),
    as_json: AsJson = False,
) -> None:
    """Write families over real region codes, with planted duplicates, ghosts, dead and shared accounts."""
    with refusals(ValueError, OSError):
        written = write_population(out, families, seed, banks.split(","))
    if as_json:
        figures = {
            "families": written.families, "persons": written.persons, "planted": dict(written.planted),
            "seconds": round(written.seconds, 2), "families_per_second": round(written.families_per_second),
        }  # fmt: skip
        typer.echo(orjson.dumps(figures).decode())
        return
    console = Console(stderr=True)
    planted = ", ".join(f"{count} {kind}" for kind, count in sorted(written.planted.items()))
    console.print(
        f"{written.families} families, {written.persons} persons in {out} "
        f"({written.families_per_second:,.0f} families a second)\ntruth.csv: {planted}"
    )

"""`python -m salur.local.national --families N --seed S`"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from salur.local.cli.up import CACHE
from salur.local.client import CallFailed
from salur.local.demo.calls import TimedOut
from salur.local.demo.report import stages_on
from salur.local.national.run import Findings, Plan, national

STATE = Path("var/national")


def main(
    families: Annotated[int, typer.Option(min=100, help="How many families.")] = 200_000,
    seed: Annotated[int, typer.Option(help="Makes the population.")] = 1,
    state_dir: Annotated[Path, typer.Option(help="Folder of the run; an earlier run's is emptied.")] = STATE,
    cache_dir: Annotated[Path, typer.Option(help="Where Kafka's jars are kept.")] = CACHE,
) -> None:
    """A generated population through ten programmes: decisions, cycle, simulation, emergency, appeal, replay."""
    console = Console()
    console.print(f"{families} families, seed {seed}")
    try:
        found = national(Plan(families, seed, state_dir, cache_dir), stages_on(console))
    except (CallFailed, TimedOut, RuntimeError, OSError) as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        console.print(f"logs: {state_dir}/platform/logs")
        raise typer.Exit(1) from None
    show(console, found)
    console.print(f"report: {state_dir}/report.json")
    if not found.kept:
        raise typer.Exit(1)


def show(console: Console, found: Findings) -> None:
    """Print what a person reads."""
    for name, taken in found.report["stages"].items():
        console.print(f"{name:16} {taken['seconds']:10.2f} s  {taken['cpu_seconds']:10.2f} CPU s")
    for name in (
        "families", "persons", "programmes", "decisions", "entitlements", "import_families_per_second",
        "matching_families_per_second", "dedup_precision", "dedup_recall",
        "simulation_families_per_second", "emergency_families", "emergency_seconds", "appeal_backpay_minor",
    ):  # fmt: skip
        console.print(f"{name:32} {found.report[name]:>16,}")
    for promise in found.promises:
        verdict = "[green]kept[/]  " if promise.kept else "[red]BROKEN[/]"
        console.print(f"{verdict} {promise.text} ({promise.seen})")


if __name__ == "__main__":
    typer.run(main)

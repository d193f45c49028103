"""`python -m salur.local.bench --households N`"""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from salur.common.regions import regions
from salur.local.bench.families import Kind
from salur.local.bench.run import Plan, bench
from salur.local.cli.up import CACHE
from salur.local.demo.report import stages_on
from salur.local.platform import DEFAULT_BANKS

STATE = Path("var/bench")


def main(
    households: Annotated[int, typer.Option(min=1, help="How many families.")] = 20_000,
    deciles: Annotated[
        int, typer.Option(min=1, max=10, help="Families stand evenly in deciles 1 to this; 4 = each one is paid.")
    ] = 10,
    seed: Annotated[int, typer.Option(help="Makes the families.")] = 1,
    state_dir: Annotated[Path, typer.Option(help="Folder of the run; an earlier run's is emptied.")] = STATE,
    cache_dir: Annotated[Path, typer.Option(help="Where Kafka's jars are kept.")] = CACHE,
) -> None:
    """Take N generated families from a list to proven payments and say how fast, beside the machine's own limits."""
    console = Console()
    console.print(f"{households} families, seed {seed}")
    kind = Kind(seed, deciles, regions().districts(), DEFAULT_BANKS)
    plan = Plan(households, kind, state_dir, cache_dir)
    try:
        report = bench(plan, stages_on(console))
    except (RuntimeError, OSError) as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        console.print(f"logs: {state_dir}/platform/logs")
        raise typer.Exit(1) from None
    show(console, report)
    console.print(f"report: {state_dir}/report.json")


def show(console: Console, report: dict[str, Any]) -> None:
    """Print the figures a person reads."""
    table = Table(title=f"{report['households_per_second']:,.0f} households a second", title_justify="left")
    for name in ("stage", "count", "seconds", "a second"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for stage in report["stages"]:
        rate = "" if stage["per_second"] is None else f"{stage['per_second']:,.0f}"
        table.add_row(stage["name"], f"{stage['count']:,}", f"{stage['seconds']:.2f}", rate)
    console.print(table)
    limits = Table(title=f"{report['events_per_second']:,.0f} events a second", title_justify="left")
    for name in ("limit of this machine", "a second", "share used"):
        limits.add_column(name, justify="left" if name.startswith("limit") else "right")
    for name, value in report["limits"].items():
        limits.add_row(name.removesuffix("_per_second"), f"{value:,.0f}", f"{report['fraction_of_limit'][name]:.1%}")
    console.print(limits)
    cpu = ", ".join(f"{name} {seconds:.2f}" for name, seconds in report["cpu_seconds_per_1000"].items())
    console.print(f"CPU seconds per 1,000 households: {cpu}")
    console.print(f"one registration to its decision, ms: {report['latency_ms']}")


if __name__ == "__main__":
    typer.run(main)

"""`python -m salur.local.trail --entries N --seed S`"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from salur.local.cli.up import CACHE
from salur.local.trail.run import APPENDS_GOAL, LATENCY_GOAL_S, Plan, run

STATE = Path("var/trail")
TOOLS = Path("var/tools")


def main(
    entries: Annotated[int, typer.Option(min=1_000, help="How many entries wait in Kafka for the audit.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Chooses the moments of the kills and the entries of the bundle.")] = 1,
    crash_seeds: Annotated[int, typer.Option(min=1, help="How many series of kills.")] = 3,
    crash_appends: Annotated[int, typer.Option(min=100, help="Entries appended during each series.")] = 50_000,
    state_dir: Annotated[Path, typer.Option(help="Folder of the run; an earlier run's is emptied.")] = STATE,
    cache_dir: Annotated[Path, typer.Option(help="Where Kafka's jars are kept.")] = CACHE,
    tools_dir: Annotated[Path, typer.Option(help="Where the tools of others are built and kept.")] = TOOLS,
) -> None:
    """Put the audit log to the test and write report.json; exit code 1 when a promise is broken."""
    console = Console(stderr=True)
    plan = Plan(entries, seed, crash_seeds, crash_appends, state_dir, cache_dir, tools_dir)
    try:
        report = run(plan, lambda line: console.print(f"[dim]{line}[/]", highlight=False))
    except (RuntimeError, OSError) as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None
    out = Console()
    for name in (
        "entries", "appends_per_second", "integration_p99_s", "proofs_checked", "proofs_failed",
        "verify_seconds_per_1000", "fsck_ok", "sumdb_ok", "witnesses", "tamper_cases", "tamper_caught", "crash_seeds",
        "crash_failures", "gaps", "query_p95_ms", "query_entries", "breach_report_s", "index_lag_s",
        "search_catch_up_s", "ledger_hash_equal", "heads",
        "seconds",
    ):  # fmt: skip
        out.print(f"{name:24} {report[name]}", highlight=False)
    if report["appends_per_second"] < APPENDS_GOAL:
        out.print(f"[yellow]below the goal of {APPENDS_GOAL} appends a second[/]")
    if report["integration_p99_s"] > LATENCY_GOAL_S:
        out.print(f"[yellow]above the goal of {LATENCY_GOAL_S} s to a durable tile[/]")
    for promise in report["promises"]:
        out.print(f"{'[green]kept[/]  ' if promise['kept'] else '[red]BROKEN[/]'} {promise['text']}")
    if not all(promise["kept"] for promise in report["promises"]):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)

"""`salur demo`: the main job on real households, checked and explained."""

import os
import time
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from salur.common.values import Money
from salur.local.cli.up import CACHE, run_until_stopped
from salur.local.client import CallFailed
from salur.local.demo.pipeline import Pipeline
from salur.local.demo.promises import broken, close_log, double_payments, verified
from salur.local.platform import Options, Platform
from salur.local.supervisor import ProcessDied

EXAMPLE = Path("examples/progresa")
PAYMENTS_ENV = {"SALUR_ANSWER_TIMEOUT_S": "3", "SALUR_INQUIRY_INTERVAL_S": "1"}


def demo(
    data: Annotated[Path, typer.Option(help="CSV with the example's columns.")] = EXAMPLE / "households-1998.csv",
    state_dir: Annotated[Path, typer.Option(help="Folder of the run; emptied first.")] = Path("var/demo"),
    keep: Annotated[bool, typer.Option(help="Leave it running until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Register, decide, entitle, approve, instruct, settle and audit real households; check the promises."""
    console = Console(stderr=as_json)
    data = Path(os.environ.get("DATA") or data)
    if not data.is_file():
        raise typer.BadParameter(f"no file {data}: give one with the columns of {EXAMPLE / 'households-1998.csv'}")
    platform = Platform(state_dir, CACHE, Options(env={"payments": PAYMENTS_ENV}))
    platform.fresh()
    try:
        with console.status("starting PostgreSQL, Kafka, four services and three banks"):
            platform.start()
        pipeline = Pipeline(platform)
        report = _run(console, pipeline, data)
        failures = broken(report)
        (state_dir / "report.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
        _print(console, pipeline, report, failures)
        if as_json:
            typer.echo(orjson.dumps(report).decode())
        if keep or os.environ.get("KEEP"):
            run_until_stopped(console, platform)
    except (CallFailed, ProcessDied, TimeoutError) as error:
        console.print(f"[red]{error}[/]\nlogs: {state_dir / 'logs'}")
        raise typer.Exit(1) from None
    finally:
        platform.stop()
    if failures:
        raise typer.Exit(1)


def _run(console: Console, pipeline: Pipeline, data: Path) -> dict[str, Any]:
    platform = pipeline.platform
    began = time.monotonic()
    with console.status("from a list to settled payments"):
        registered = pipeline.register(data, EXAMPLE / "mapping.yaml")
        programme_id = pipeline.decide(EXAMPLE / "programme.yaml")
        cycle = pipeline.entitle(programme_id, "demo")
        states = pipeline.settle(pipeline.approve(cycle))
        events, audit_size = close_log(platform, pipeline.auditor)
    seconds = time.monotonic() - began
    with console.status("checking every promise, every proof, every decision"):
        progress = pipeline.officer.call("eligibility", "GET", f"/programmes/{programme_id}/progress")
        trail = verified(platform.audit_log_dir)
        completeness = pipeline.auditor.call("audit", "GET", "/completeness")
        ledger = pipeline.auditor.call("payments", "GET", "/ledger")
        agreement = pipeline.agreement(data, programme_id)
    counts = {s: states.get(s, {"count": 0, "amount_minor": 0}) for s in ("settled", "rejected", "returned", "unknown")}
    return {
        "registered": registered["households"],
        "decided": progress["decided"],
        "eligible": progress["met"].get("poverty", 0),
        "agreement": agreement,
        "enrolled": progress["enrolled"],
        "entitlements": cycle["entitlements"],
        "instructed": sum(item["count"] for item in counts.values()),
        **{state: item["count"] for state, item in counts.items()},
        "entitled_minor": cycle["amount_minor"],
        **{f"{state}_minor": counts[state]["amount_minor"] for state in ("settled", "rejected", "returned")},
        "ledger_sum_minor": ledger["sum_minor"],
        "double_payments": double_payments(platform),
        "events": events,
        "audit_size": audit_size,
        "audit_gaps": completeness["gaps"] + trail["gaps"] + len(trail["problems"]),
        "proofs_checked": trail["proofs_checked"],
        "proofs_failed": trail["proofs_failed"],
        "seconds_platform_start": round(platform.seconds_start, 2),
        "seconds_pipeline": round(seconds, 2),
        "households_per_second": round(registered["households"] / seconds, 1),
        "currency": cycle["currency"],
        "warnings": registered["warnings"],
        "refused_rows": registered["refused_rows"],
    }


def _print(console: Console, pipeline: Pipeline, report: dict[str, Any], failures: list[str]) -> None:
    table = Table(title="From a list to a proven payment")
    for column, justify in (
        ("stage", "left"),
        ("count", "right"),
        ("amount", "right"),
        ("seconds", "right"),
        ("", "left"),
    ):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for stage in pipeline.stages:
        amount = "" if stage.amount_minor is None else str(Money(stage.amount_minor, report["currency"]))
        table.add_row(stage.name, f"{stage.count:,}", amount, f"{stage.seconds:.1f}", stage.note)
    table.add_row(
        "audit", f"{report['audit_size']:,}", "", "", f"{report['proofs_checked']:,} proofs verified from the files"
    )
    console.print(table)
    console.print(
        f"{report['registered']:,} households in {report['seconds_pipeline']} s "
        f"({report['households_per_second']} a second) after {report['seconds_platform_start']} s of start; "
        f"decisions agree with the published answers: {report['agreement']:.1%}"
    )
    for promise in failures:
        console.print(f"[red]broken promise: {promise}[/]")
    if not failures:
        console.print(
            "[green]every promise holds[/]: nobody paid twice, nobody forgotten, every event in the proven trail"
        )

"""The report of a run: figures, promises, and the tables a person reads."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from salur.common.values import Money
from salur.local.demo.pipeline import Stage, Watch


def stages_on(console: Console) -> Watch:
    """Tells each stage of a run once, when it begins."""
    shown = ""

    def watch(stage: str, _done: int, _total: int | None) -> None:
        nonlocal shown
        if stage != shown:
            shown = stage
            console.print(f"[dim]{stage}[/]")

    return watch


@dataclass(frozen=True, slots=True)
class Promise:
    """Something every run must keep. `seen` is the figure that shows it."""

    text: str
    kept: bool
    seen: str


def promises_of(report: Mapping[str, Any]) -> list[Promise]:
    """Check the figures of a report against each other."""
    r = report
    ended = r["settled"] + r["rejected"] + r["returned"]
    ended_minor = r["settled_minor"] + r["rejected_minor"] + r["returned_minor"]
    spent_minor = r["fund_budget_minor"] - r["fund_available_minor"]
    checks = [
        ("every household is decided", r["decided"] == r["registered"], f"{r['decided']} of {r['registered']}"),
        (
            "every household of the file is registered, or its rows are reported as refused",
            r["lost_households"] == 0,
            f"{r['lost_households']} lost",
        ),
        (
            "decisions on poverty agree with the published answers",
            r["agreement"] in {1.0, None},
            "the file publishes none" if r["agreement"] is None else str(r["agreement"]),
        ),
        (
            "every instruction reached a final state",
            ended == r["instructed"] and r["unknown"] == 0,
            f"{ended} of {r['instructed']}",
        ),
        (
            "every entitlement is settled, rejected, returned or held, to the cent",
            r["entitled_minor"] == ended_minor + r["held_minor"],
            f"{r['entitled_minor']} = {ended_minor} + {r['held_minor']} held",
        ),
        ("the ledger sums to zero", r["ledger_sum_minor"] == 0, str(r["ledger_sum_minor"])),
        (
            "the log alone leads to the same ledger, reserves among it",
            r["ledger_hash_equal"] is True and not r["ledger_differs"],
            ", ".join(r["ledger_differs"]) or "no account differs",
        ),
        ("the fund gave exactly what was settled", spent_minor == r["settled_minor"], f"{spent_minor} minor units"),
        ("nobody was paid twice, by the banks' own books", r["double_payments"] == 0, str(r["double_payments"])),
        (
            "the banks' own books hold the same money",
            r["banks_kept_minor"] == r["settled_minor"],
            f"{r['banks_kept_minor']} minor units",
        ),
        ("the log holds every event", r["audit_size"] == r["events"], f"{r['audit_size']} of {r['events']}"),
        ("no stream has a gap", r["audit_gaps"] == 0, str(r["audit_gaps"])),
        (
            "every proof verifies from the files alone",
            r["proofs_failed"] == 0 and r["proofs_checked"] == r["audit_size"] and not r["log_problems"],
            f"{r['proofs_checked']} checked, {r['proofs_failed']} failed",
        ),
        (
            "the witnesses have signed the last head",
            r["witness_quorum"] is True,
            f"{r['witnesses']} witnesses",
        ),
        ("no event waits as a dead letter", r["dead_letters"] == 0, str(r["dead_letters"])),
    ]
    return [Promise(*check) for check in checks]


def stage_rows(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """Stages as the report holds them."""
    return [asdict(stage) | {"seconds": round(stage.seconds, 3)} for stage in stages]


def show(console: Console, report: Mapping[str, Any], stages: Sequence[Stage], promises: Sequence[Promise]) -> None:
    """Print the stages, what became of the payments, and the promises."""
    console.print(_stage_table(stages, report["currency"]))
    console.print(_payment_table(report))
    for promise in promises:
        mark = "[green]kept  [/]" if promise.kept else "[bold red]BROKEN[/]"
        console.print(f"{mark} {promise.text} [dim]({promise.seen})[/]")
    if report["warnings"] or report["refused_rows"]:
        console.print(
            f"[yellow]{report['warnings']} warnings and {report['refused_rows']} refused rows in the file[/]: "
            f"see {report['import_report']}"
        )
    for problem in report["log_problems"]:
        console.print(f"[red]{problem}[/]")
    console.print(
        f"{report['registered']} households in {report['seconds_pipeline']:.1f} s "
        f"({report['households_per_second']:.0f} a second), {report['events']} events, log root {report['log_root']}"
    )


def _stage_table(stages: Sequence[Stage], currency: str) -> Table:
    table = Table(title="From a list to proven payments", title_justify="left")
    table.add_column("stage")
    for name in ("count", "amount", "seconds"):
        table.add_column(name, justify="right")
    for stage in stages:
        amount = "" if stage.amount_minor is None else str(Money(stage.amount_minor, currency))
        table.add_row(stage.name, f"{stage.count:,}", amount, f"{stage.seconds:.2f}")
    return table


def _payment_table(report: Mapping[str, Any]) -> Table:
    table = Table(title="What became of the payments", title_justify="left")
    table.add_column("state")
    table.add_column("payments", justify="right")
    table.add_column("amount", justify="right")
    for state in ("settled", "rejected", "returned", "held"):
        amount = Money(report[f"{state}_minor"], report["currency"])
        table.add_row(state, f"{report[state]:,}", str(amount))
    table.add_row("unknown", f"{report['unknown']:,}", "")
    return table

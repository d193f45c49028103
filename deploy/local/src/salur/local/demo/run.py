"""One whole run on a fresh platform: stages, verification, report."""

import sys
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from salur.audit.log.policy import Policy
from salur.audit.log.verify import VerifyReport, verify_log
from salur.local.demo.agreement import Agreement, agreement, refused_rows
from salur.local.demo.evidence import book_totals, double_payments
from salur.local.demo.pipeline import FINAL_STATES, Pipeline, Stage, Watch, amount_of, count_of
from salur.local.demo.report import Promise, promises_of, stage_rows
from salur.local.ledger import differing, ledger_of, reserves_differing
from salur.local.platform import Options, Platform

FUND = "example-fund"
PAYMENTS_ENV = {
    "SALUR_ANSWER_TIMEOUT_S": "3",
    "SALUR_INQUIRY_INTERVAL_S": "2",
}
"""A real bank has a day; the example does not wait that long."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run works on."""

    data: Path
    mapping: Path
    programme: Path
    state_dir: Path
    cache_dir: Path
    cycle_name: str = "first"
    rules_first: bool = False
    """Publish the rules before the intake, so that each household is decided as it arrives."""


@dataclass
class Result:
    """A finished run."""

    report: dict[str, Any]
    stages: list[Stage]
    promises: list[Promise] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        return all(promise.kept for promise in self.promises)


class NothingDue(RuntimeError):
    """There is nothing to pay, so nothing a run could prove."""


class FolderInUse(RuntimeError):
    """The state folder holds other things than a run's: choose another one."""


def new_platform(inputs: Inputs, options: Options | None = None) -> Platform:
    """A platform in a fresh folder. Raises FolderInUse rather than delete what is not a run's."""
    state_dir = inputs.state_dir
    if state_dir.exists() and any(state_dir.iterdir()) and not (state_dir / "issuer").is_dir():
        raise FolderInUse(f"{state_dir} holds other files than a run's: give an empty or new --state-dir")
    platform = Platform(inputs.state_dir, inputs.cache_dir, options or Options(env={"payments": PAYMENTS_ENV}))
    platform.fresh()
    return platform


def run(platform: Platform, inputs: Inputs, watch: Watch) -> Result:
    """Every stage on a started platform; broken promises are in the result.

    Raises CallFailed, FileUnusable, NothingDue, TimedOut.
    """
    with closing(Pipeline(platform, watch=watch)) as pipeline:
        return _run(pipeline, inputs)


def _run(pipeline: Pipeline, inputs: Inputs) -> Result:
    platform = pipeline.platform
    began = time.monotonic()
    if inputs.rules_first:
        programme_id = pipeline.publish(inputs.programme)
        status = pipeline.register(inputs.data, inputs.mapping)
    else:
        status = pipeline.register(inputs.data, inputs.mapping)
        programme_id = pipeline.publish(inputs.programme)
    import_report = save_import_report(pipeline, status)
    cut = pipeline.cut(f"{inputs.cycle_name} intake")
    progress = pipeline.decided(programme_id, cut["households"])
    cycle = pipeline.cycle(programme_id, inputs.cycle_name, cut["cut_id"])
    if cycle["entitlements"] == 0:
        raise NothingDue(
            f"{inputs.data} gives {cut['households']} households, and {inputs.programme} owes none of them anything: "
            f"check the file and the rules ({status['refused_rows']} rows were refused, see {import_report})"
        )
    pipeline.fund(FUND, cycle["amount_minor"], cycle["currency"])
    built = pipeline.list(cycle["cycle_id"], FUND)
    pipeline.submit(built["list_id"])
    pipeline.approve(built["list_id"], built["content_hash"])
    view = pipeline.wait_terminal(built["list_id"])
    pipeline.close_log()
    seconds = time.monotonic() - began
    size = pipeline.rest()
    verified = verify(pipeline)
    compared = compare(pipeline, inputs, programme_id, import_report)
    report = {
        "data": inputs.data.name,
        "registered": pipeline.registrar.call("registry", "GET", "/counts")["households"],
        "warnings": status["warnings"],
        "refused_rows": status["refused_rows"],
        "import_report": str(import_report),
        "lost_households": compared.lost,
        "decided": progress["decided"],
        "eligible": progress["eligible_by_criterion"].get("poverty", 0),
        "agreement": compared.share,
        "enrolled": progress["enrolled"],
        "entitlements": cycle["entitlements"],
        "not_due": cycle["not_due"],
        "entitled_minor": cycle["amount_minor"],
        "currency": cycle["currency"],
        **payment_figures(view, cycle),
        **money_figures(pipeline),
        "events": pipeline.events(),
        "audit_size": size,
        **log_figures(pipeline, verified),
        "seconds_platform_start": round(platform.seconds_start, 2),
        "seconds_pipeline": round(seconds, 2),
        "households_per_second": round(cut["households"] / seconds, 1),
    }
    return finished(report, pipeline.stages, inputs.state_dir)


def finished(report: dict[str, Any], stages: list[Stage], state_dir: Path) -> Result:
    """Check the promises and write `report.json`."""
    promises = promises_of(report)
    report |= {"stages": stage_rows(stages), "promises": [asdict(promise) for promise in promises]}
    (state_dir / "report.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    return Result(report, stages, promises)


def verify(pipeline: Pipeline) -> VerifyReport:
    """Re-derive the whole log from its files, with the keys and the witnesses' quorum of the policy outside of it."""
    folder, policy = pipeline.platform.audit_log_dir, pipeline.platform.policy_file
    with pipeline.stage("verify") as stage:
        verified = verify_log(folder, policy=Policy.parse(policy.read_text(encoding="utf-8")))
        stage.count = verified.proofs_checked
    return verified


def compare(pipeline: Pipeline, inputs: Inputs, programme_id: str, import_report: Path) -> Agreement:
    """The comparison with the file, as a stage."""
    with pipeline.stage("compare") as stage:
        compared = agreement(
            pipeline.registrar, pipeline.officer, inputs.data, inputs.mapping, programme_id, refused_rows(import_report)
        )
        stage.count = pipeline.registrar.call("registry", "GET", "/counts")["households"]
    return compared


def save_import_report(pipeline: Pipeline, status: dict[str, Any]) -> Path:
    """Write the rows to look at beside the report; returns the path."""
    path = pipeline.platform.state_dir / "import-report.csv"
    path.write_text(
        pipeline.registrar.call("registry", "GET", f"/imports/{status['import_id']}/report"), encoding="utf-8"
    )
    return path


def payment_figures(view: dict[str, Any], cycle: dict[str, Any]) -> dict[str, Any]:
    """Each instruction counts once by its final state; what is not final is unknown."""
    counts = {state: count_of(view, state) for state in FINAL_STATES}
    amounts = {f"{state}_minor": amount_of(view, state) for state in FINAL_STATES}
    instructed = sum(row["count"] for state, row in view["states"].items() if state != "approved")
    return {
        "instructed": instructed,
        **counts,
        **amounts,
        "unknown": instructed - sum(counts.values()),
        "held": cycle["entitlements"] - view["funded_items"],
        "held_minor": cycle["amount_minor"] - view["funded_minor"],
    }


def money_figures(pipeline: Pipeline) -> dict[str, Any]:
    """The ledger and the one the log's files lead to, the fund, and the banks' own books."""
    ledger = pipeline.auditor.call("payments", "GET", "/ledger")
    again = ledger_of(pipeline.platform.audit_log_dir)
    fund = pipeline.auditor.call("payments", "GET", f"/funds/{FUND}")
    return {
        "ledger_sum_minor": ledger["sum_minor"],
        "ledger_hash": ledger["hash"],
        "ledger_hash_equal": again.hash() == ledger["moved_hash"],
        "ledger_differs": differing(again, ledger) | reserves_differing(again, ledger),
        "fund_budget_minor": fund["budget_minor"],
        "fund_available_minor": fund["available_minor"],
        "double_payments": double_payments(pipeline.platform),
        "banks_kept_minor": book_totals(pipeline.platform).kept_minor,
        "suspended_answers": len(pipeline.auditor.call("payments", "GET", "/suspense")["suspense"]),
    }


def log_figures(pipeline: Pipeline, verified: VerifyReport) -> dict[str, Any]:
    """What the log's files and the audit's own view of completeness say."""
    completeness = pipeline.auditor.call("audit", "GET", "/completeness")
    witnesses = pipeline.auditor.call("audit", "GET", "/log/witnesses")
    services = pipeline.platform.options.services
    letters = [pipeline.operations.call(service, "GET", "/dead-letters")["dead_letters"] for service in services]
    return {
        "audit_gaps": verified.gaps + completeness["gaps"],
        "streams": verified.streams,
        "proofs_checked": verified.proofs_checked,
        "proofs_failed": verified.proofs_failed,
        "log_root": verified.root,
        "witnesses": sum(witness["cosigned_published"] for witness in witnesses["witnesses"]),
        "witness_quorum": witnesses["quorum"],
        "log_problems": list(verified.problems),
        "dead_letters": sum(len(page) for page in letters),
    }


def keep_running(platform: Platform, console: Console) -> None:
    """Leave the platform up until Ctrl-C."""
    for name, address in platform.endpoints().items():
        console.print(f"{name:24} {address}")
    console.print(f"a token: salur token --role auditor --state-dir {platform.state_dir}\nCtrl-C stops everything")
    try:
        while True:
            for name in platform.tend():
                sys.stderr.write(f"{name} {platform.started_again(name)}\n")
            time.sleep(0.5)
    except KeyboardInterrupt:
        console.print("stopping")

"""The report of all runs: `report.json` and a few lines for people."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from salur.local.crash.run import Judged, Scale


def report_of(runs: Sequence[Judged], scale: Scale) -> dict[str, Any]:
    """Totals over the runs, then every run with its promises and faults. Seconds unless named otherwise."""
    faults = [fault for run in runs for fault in run.facts.get("faults", ())]
    kinds = Counter(fault["kind"] for fault in faults)
    return {
        "seeds": [run.seed for run in runs],
        "passed": [run.seed for run in runs if run.passed],
        "failed": [run.seed for run in runs if not run.passed],
        "scale": asdict(scale),
        "kills": sum(kinds[kind] for kind in ("kill", "away", "immediate", "out-of-memory")),
        "pauses": kinds["pause"],
        "faults_by_kind": dict(sorted(kinds.items())),
        "faults_by_target": dict(sorted(Counter(fault["target"] for fault in faults).items())),
        "double_payments": sum(run.breaks("I3") for run in runs),
        "lost_payments": sum(run.breaks("no payment was lost") for run in runs),
        "gaps": sum(run.breaks("I4 the log holds") for run in runs),
        "recovery_s_max": max((run.facts.get("recovery_s_max", 0.0) for run in runs), default=0.0),
        "payments": sum(run.facts.get("payments", 0) for run in runs),
        "events": sum(run.facts.get("events", 0) for run in runs),
        "runs": [
            {"seed": run.seed, "passed": run.passed, "promises": [_promise(f) for f in run.findings], **run.facts}
            for run in runs
        ],
    }


def _promise(finding: Any) -> dict[str, Any]:
    return {**asdict(finding), "kept": finding.kept}


def write_report(root: Path, runs: Sequence[Judged], scale: Scale) -> None:
    """Write `report.json` under `root`."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "report.json").write_bytes(orjson.dumps(report_of(runs, scale), option=orjson.OPT_INDENT_2))


def summary(runs: Sequence[Judged], seconds: float, root: Path) -> str:
    """The result in a few lines."""
    report = report_of(runs, Scale())
    lines = [
        f"{len(report['passed'])} of {len(runs)} seeds passed in {seconds:.0f} s: {report['kills']} kills, "
        f"{report['pauses']} pauses, {report['payments']} payments, {report['events']} events",
        f"double payments {report['double_payments']}, lost payments {report['lost_payments']}, gaps "
        f"{report['gaps']}, longest recovery {report['recovery_s_max']:.1f} s",
        f"report: {root}/report.json",
    ]
    if report["failed"]:
        again = " ".join(str(seed) for seed in report["failed"])
        lines.append(f'failed seeds keep their folders under {root}; again: make crash SEEDS="{again}"')
    return "\n".join(lines)

"""One seed of the real harness, shortened: 300 households, Kafka away for seconds, every other fault as planned."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from salur.local.crash.plan import make_plan

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
SEED = 236
"""Its faults of the intake come early: in so short a run the last files are taken before a late one could strike."""
AWAY_S = 6.0
RUN_TIMEOUT_S = 280


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below pytest's own folder: every pytest closes it to other users, and PostgreSQL never runs as root."""
    with tempfile.TemporaryDirectory(prefix="salur-crash-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    command = [
        sys.executable, "-m", "salur.local.crash", "--seeds", str(SEED), "--households", "300", "--away-s", str(AWAY_S),
        "--root", str(folder),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.timeout(RUN_TIMEOUT_S + 20)
def test_a_shortened_run_keeps_every_promise_and_tells_what_it_did(report: dict[str, Any], folder: Path) -> None:
    assert (report["seeds"], report["passed"]) == ([SEED], [SEED])
    assert (report["double_payments"], report["lost_payments"], report["gaps"]) == (0, 0, 0)
    (run,) = report["runs"]
    assert all(promise["kept"] and promise["checked"] for promise in run["promises"])
    assert {promise["promise"][:2] for promise in run["promises"]} >= {f"I{number}" for number in range(1, 8)}
    planned = make_plan(SEED, banks=("bank-a", "bank-b", "bank-c"), rounds=2, away_s=AWAY_S)
    struck = {(fault["kind"], fault["target"]) for fault in run["faults"]}
    assert struck == {(fault.kind, fault.target) for fault in planned}
    assert all(fault["in_flight"] > 0 and fault["recovery_s"] is not None for fault in run["faults"])
    assert report["kills"] + report["pauses"] == len(run["faults"])
    assert report["recovery_s_max"] == max(fault["recovery_s"] for fault in run["faults"])
    assert not (folder / f"seed-{SEED}").exists(), "a passed run leaves its report alone"

"""`make trail` on a small number: the report has its figures, every promise is kept, and it was a real run."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from salur.audit.log.verify import verify_log
from salur.local.trail.run import promises

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
KEYS = {
    "entries", "appends_per_second", "integration_p99_s", "proofs_checked", "proofs_failed", "verify_seconds_per_1000",
    "fsck_ok", "sumdb_ok", "witnesses", "tamper_cases", "tamper_caught", "crash_seeds", "crash_failures", "gaps",
    "query_p95_ms", "query_entries", "index_lag_s", "ledger_hash_equal",
}  # fmt: skip
ENTRIES, CRASH_APPENDS = 4_000, 3_000


def test_a_small_run_keeps_every_promise() -> None:
    state = Path(tempfile.mkdtemp(prefix="salur-test-")) / "run"
    command = [
        sys.executable, "-m", "salur.local.trail", "--entries", str(ENTRIES), "--crash-seeds", "1",
        "--crash-appends", str(CRASH_APPENDS), "--state-dir", str(state),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    report = json.loads((state / "report.json").read_text(encoding="utf-8"))
    assert report.keys() >= KEYS
    assert report["entries"] == report["proofs_checked"] == report["sent"] > ENTRIES + CRASH_APPENDS
    assert report["tamper_caught"] == report["tamper_cases"] >= 14
    assert (report["witnesses"], report["crash_failures"], report["gaps"]) == (2, 0, 0)
    assert report["kills"] >= 2
    assert report["erased_subjects_proofs_ok"] is True
    assert report["query_entries"] >= ENTRIES
    assert report["query_p95_ms"] > 0
    assert report["ledger_hash_equal"] is True
    assert report["ledger_left_out_differs"].keys() >= {"beneficiaries:example-fund", "fund:example-fund"}
    assert verify_log(state / "audit-log", proofs=False).size == report["entries"]
    shutil.rmtree(state.parent, ignore_errors=True)


GOOD = {
    "entries": 9, "proofs_checked": 9, "proofs_failed": 0, "log_problems": [], "heads": 2, "heads_inconsistent": 0,
    "witness_quorum": True, "gaps": 0, "fsck_ok": None, "sumdb_ok": None, "tamper_cases": 19, "tamper_caught": 19,
    "verify_seconds_per_1000": 0.2, "crash_failures": 0, "sent": 9,
    "query_p95_ms": 12.0, "query_entries": 9, "index_lag_s": 1.0, "ledger_hash_equal": True,
    "ledger_events_left_out": 3, "ledger_left_out_differs": {"fund:a": (1, 2)}, "paid_promises_broken": [],
    "erased_subjects_proofs_ok": True, "breach_report_s": 0.1, "breach_report_reads": 3,
    "flags": {"a": {"precision": 1.0, "recall": 1.0}},
}  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"proofs_failed": 1}, {"proofs_checked": 8}, {"log_problems": ["x"]}, {"heads_inconsistent": 1}, {"heads": 0},
        {"witness_quorum": False}, {"gaps": 1}, {"fsck_ok": False}, {"sumdb_ok": False}, {"tamper_caught": 18},
        {"tamper_cases": 13, "tamper_caught": 13}, {"verify_seconds_per_1000": 1.1}, {"crash_failures": 1},
        {"sent": 10}, {"query_p95_ms": 100.0}, {"query_entries": 0}, {"index_lag_s": 5.1}, {"ledger_hash_equal": False},
        {"flags": {}}, {"flags": {"a": {"precision": 0.9, "recall": 1.0}}}, {"ledger_left_out_differs": {}},
        {"paid_promises_broken": ["x"]}, {"breach_report_s": 60.0}, {"breach_report_reads": 0},
    ],
)  # fmt: skip
def test_a_figure_that_is_wrong_breaks_a_promise(changed: dict[str, object]) -> None:
    assert all(kept for _, kept in promises(GOOD))
    assert not all(kept for _, kept in promises(GOOD | changed))

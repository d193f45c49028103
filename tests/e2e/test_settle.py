"""`make settle` on few payments: a cycle to its very end, and what counts as a broken promise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from salur.local.settle.promises import broken

TIMEOUT_S = 280.0
COUNT = 1_200
KEYS = {
    "payments", "settled", "returned", "reissued", "to_treasury", "held", "cancelled", "suspense", "unknown",
    "double_payments", "lost_payments", "ledger_sum_minor", "unreconciled", "iso_ledger_hash_equal",
    "transfers_per_second", "pain001_transactions_per_second", "seconds_per_stage",
}  # fmt: skip
GOOD = {
    "payments": 10, "settled": 6, "to_treasury": 1, "held": 1, "cancelled": 1, "suspense": 1, "unknown": 0,
    "reissued": 2, "reissued_by_order": 1, "reissued_too_early": 0,
    "double_payments": 0, "lost_payments": 0, "ledger_sum_minor": 0, "ledger_differs": [],
    "unreconciled": 0, "iso_ledger_hash_equal": True,
}  # fmt: skip


@pytest.mark.e2e
def test_every_rupiah_ends_beside_a_slow_and_a_lying_bank(tmp_path: Path) -> None:
    """Two funds, one too small; a closed region; corrected accounts; a bank that lies; signed per bank at the end."""
    command = [
        sys.executable, "-m", "salur.local.settle", "--payments", str(COUNT), "--seed", "3", "--state-dir",
        str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert report.keys() >= KEYS
    assert report["payments"] == COUNT
    for name in ("settled", "returned", "reissued", "to_treasury", "held", "cancelled", "never_paid"):
        assert report[name] > 0, name
    assert broken(report) == []
    assert report["pain001_transactions_per_second"] > 0


@pytest.mark.parametrize(
    "change",
    [
        {"double_payments": 1}, {"lost_payments": 1}, {"ledger_sum_minor": 5}, {"unreconciled": 1}, {"unknown": 1},
        {"ledger_differs": ["fund:x"]}, {"settled": 5}, {"held": 2}, {"reissued": 0}, {"reissued_by_order": 0},
        {"reissued_too_early": 1},
        {"iso_ledger_hash_equal": False},
    ],
    ids=str,
)  # fmt: skip
def test_a_broken_promise_is_told(change: dict[str, object]) -> None:
    assert broken(GOOD) == []
    assert len(broken(GOOD | change)) == 1

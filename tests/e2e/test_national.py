"""`make national` on few families: every figure the report promises is there, and every promise is kept."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
TIMEOUT_S = 400.0
FAMILIES = 1_500
KEYS = {
    "families", "persons", "programmes", "decisions", "entitlements", "replay_agreement", "import_families_per_second",
    "dedup_precision", "dedup_recall", "simulation_families_per_second", "emergency_seconds", "emergency_families",
    "appeal_backpay_minor", "coverage",
}  # fmt: skip


def test_ten_programmes_run_on_a_small_population_and_every_promise_is_kept(tmp_path: Path) -> None:
    state = tmp_path / "national"
    command = [sys.executable, "-m", "salur.local.national", "--families", str(FAMILIES), "--state-dir", str(state)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((state / "report.json").read_bytes())
    assert report.keys() >= KEYS
    assert all(promise["kept"] for promise in report["promises"])
    assert report["programmes"] == 10
    assert report["decisions"] >= 9 * report["registered"]
    assert report["replay_agreement"] == 1.0
    assert report["coverage"].keys() >= {"decile", "sex", "disability", "province"}
    poorest, richest = (report["coverage"]["decile"][decile]["coverage"] for decile in ("1", "10"))
    assert poorest > 0.9 > 0.5 > richest
    assert report["coverage"].keys() == report["coverage_before"].keys() >= {"obstacle", "age"}
    before, after = (report[name]["all"]["families"]["reached"] for name in ("coverage_before", "coverage"))
    assert before == 0 < after
    assert len(report["cycles"]) == 9 and all(cycle["entitlements"] for cycle in report["cycles"].values())
    assert report["simulation"]["families"] == report["registered"] and report["simulation"]["families_lose"] > 0
    assert report["emergency_families"] > 0.3 * report["registered"]
    assert report["appeal_backpay_minor"] == 60_000_000
    assert min(report["dedup_precision"], report["dedup_recall"]) >= 0.9

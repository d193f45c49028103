"""The promise of the README: one command takes real households from a list to a proven payment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SALUR = Path(sys.executable).parent / "salur"


@pytest.mark.e2e
@pytest.mark.timeout(280)
def test_a_slice_of_the_real_file_ends_in_proven_payments(tmp_path: Path) -> None:
    """The first 600 rows: every promise holds, and the counts are those a reader of the file would find."""
    lines = (ROOT / "examples" / "progresa" / "households-1998.csv").read_text().splitlines()[:601]
    data = tmp_path / "slice.csv"
    data.write_text("\n".join(lines) + "\n")
    households = {row[0]: row for row in reversed([line.split(",") for line in lines[1:]])}
    poor = [row for row in households.values() if float(row[4]) <= float(row[5])]
    treated = [row for row in poor if row[12] == "1"]

    command = [str(SALUR), "demo", "--data", str(data), "--state-dir", str(tmp_path / "run"), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=270, check=False)

    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report == json.loads((tmp_path / "run" / "report.json").read_text())
    assert (report["registered"], report["eligible"], report["enrolled"]) == (len(households), len(poor), len(treated))
    assert report["instructed"] == len(treated) == report["settled"] + report["rejected"] + report["returned"]
    assert report["agreement"] == 1.0
    zeros = ("double_payments", "unknown", "ledger_sum_minor", "audit_gaps", "proofs_failed")
    assert all(report[name] == 0 for name in zeros)
    assert report["audit_size"] == report["events"] == report["proofs_checked"] > 0

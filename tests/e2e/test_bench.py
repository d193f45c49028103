"""`make bench` on few families: every figure the report promises is there, and promises are checked first."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from salur.common.regions import regions
from salur.local.bench.families import Kind, families
from salur.local.platform import DEFAULT_BANKS

pytestmark = pytest.mark.e2e
TIMEOUT_S = 200.0
COUNT = 300


def kind(deciles: int = 10) -> Kind:
    return Kind(1, deciles, regions().districts(), DEFAULT_BANKS)


def test_the_same_seed_makes_the_same_families_in_districts_that_exist() -> None:
    first, again = (list(families(COUNT, kind())) for _ in range(2))
    assert first == again
    assert all(row[1] in regions() for family in first for row in family)
    assert {row[2] for family in families(COUNT, kind(4)) for row in family} == {"1", "2", "3", "4"}


def test_a_small_run_tells_every_figure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "salur.local.bench", "--households", str(COUNT), "--state-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert report["households"] == COUNT
    assert 0 < report["enrolled"] < COUNT
    assert report["households_per_second"] > 0
    assert {"register", "decide", "entitle", "settle", "audit"} <= {stage["name"] for stage in report["stages"]}
    assert report["cpu_seconds_per_1000"].keys() >= {
        "registry",
        "eligibility",
        "payments",
        "audit",
        "postgres",
        "kafka",
    }
    assert report["latency_ms"]["p50"] <= report["latency_ms"]["p95"] <= report["latency_ms"]["p99"]
    assert report["limits"].keys() == report["fraction_of_limit"].keys()
    assert all(promise["kept"] for promise in report["promises"])

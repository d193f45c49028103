"""`salur bank-check` against real banks on a real Kafka: the Python example, the Go example, and one that is wrong."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from salur.local.bank_check.cases import OFFERS
from support.pair import Addresses

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
OFFERED = [word for offer in OFFERS for word in ("--offers", offer)]
GO_BANK = ROOT / "examples" / "partner_bank_go"


def bank_check(
    bank: str, pair: Addresses, folder: Path, command: list[str], *, key: Ed25519PrivateKey | None = None
) -> tuple[int, dict[str, Any]]:
    """(exit code, report) of a check on the tests' Kafka; of a bank that signs, when it has a key."""
    signing = [] if key is None else ["--public-key", key.public_key().public_bytes_raw().hex()]
    done = subprocess.run(
        [sys.executable, "-c", "from salur.local.cli import app; app()", "bank-check", "--bank", bank, "--json",
         "--bootstrap", pair.kafka, "--state-dir", str(folder), "--timeout-s", "30", *signing, *OFFERED, "--",
         *command],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr[-2000:]
    return done.returncode, json.loads(done.stdout)


def not_kept(report: dict[str, Any]) -> dict[str, str]:
    return {case["name"]: case["reason"] for case in report["cases"] if case["passed"] is not True}


def key_file(folder: Path) -> tuple[Ed25519PrivateKey, Path]:
    key, path = Ed25519PrivateKey.generate(), folder / "signing.key"
    path.write_text(key.private_bytes_raw().hex(), encoding="ascii")
    return key, path


def python_bank(bank: str, folder: Path, profile: str) -> list[str]:
    return [sys.executable, "-m", "partner_bank", "--bank", bank, "--bootstrap", "{bootstrap}",
            "--state-dir", str(folder / "book"), "--profile", profile]  # fmt: skip


def test_the_python_bank_keeps_every_rule(pair: Addresses, tmp_path: Path) -> None:
    key, path = key_file(tmp_path)
    command = [*python_bank("check-python", tmp_path, "nobody-comes"), "--signing-key", str(path), "--key-id", "k1"]
    code, report = bank_check("check-python", pair, tmp_path, command, key=key)
    assert (not_kept(report), code, report["passed"]) == ({}, 0, True)
    again = subprocess.run(
        [sys.executable, "-c", "from salur.local.cli import app; app()", "bank-check", "--bank", "check-python",
         "--bootstrap", pair.kafka, "--state-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert again.returncode == 2
    assert "empty test cluster" in again.stderr, "made-up instructions never follow real ones"


def test_a_bank_in_go_keeps_every_rule(pair: Addresses, tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed: the bank in Go cannot be built")
    program = tmp_path / "bank"
    for arguments in (["vet", "./..."], ["test", "./..."], ["build", "-o", str(program), "."]):
        done = subprocess.run([go, *arguments], cwd=GO_BANK, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    key, path = key_file(tmp_path)
    command = [str(program), "-bank", "check-go", "-bootstrap", "{bootstrap}", "-state-dir", str(tmp_path / "book"),
               "-nobody-comes", "-signing-key", str(path)]  # fmt: skip
    code, report = bank_check("check-go", pair, tmp_path, command, key=key)
    assert "signed" in {case["name"] for case in report["cases"]}
    assert (not_kept(report), code) == ({}, 0)


def test_a_bank_that_is_not_there_fails_and_says_so(pair: Addresses, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    done = subprocess.run(
        [sys.executable, "-c", "from salur.local.cli import app; app()", "bank-check", "--bank", "check-absent",
         "--json", "--bootstrap", pair.kafka, "--state-dir", str(tmp_path), "--timeout-s", "1", "--", *command],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert (done.returncode, report["passed"]) == (1, False)
    assert "no final answer" in not_kept(report)["pays"]

"""`salur doctor` finds what is wrong with this machine and says how to mend it."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from salur.local.cli import app
from salur.local.cli.doctor import CHECKS

WAITS = "import sys; sys.stdout.write('up\\n'); sys.stdout.flush(); sys.stdin.read()"


def findings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, dict[str, object]]]:
    """(exit code, findings by name) of a run in `folder`."""
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["doctor", "--json"])
    return done.exit_code, {item["what"]: item for item in json.loads(done.stdout)}


def test_every_check_gives_one_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, found = findings(tmp_path, monkeypatch)
    assert len(found) == len(CHECKS)
    assert code == (0 if all(item["ok"] for item in found.values()) else 1)


@pytest.mark.parametrize("place", ["argument", "folder"])
def test_processes_an_earlier_run_left_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    data = tmp_path / "var" / "demo" / "data"
    data.mkdir(parents=True)
    argument, folder = (str(data), None) if place == "argument" else ("", data)
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, argument], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as left:
        assert left.stdout is not None
        left.stdout.readline()
        code, found = findings(tmp_path, monkeypatch)
        left.kill()
    assert code == 1
    assert found["no earlier run is left"]["ok"] is False
    assert str(left.pid) in str(found["no earlier run is left"]["detail"])


def test_processes_of_a_platform_that_runs_are_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "var" / "crash" / "seed-1" / "data"
    data.mkdir(parents=True)
    with (
        (tmp_path / "var" / "crash" / "seed-1.lock").open("w") as lock,
        subprocess.Popen(
            [sys.executable, "-c", WAITS, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert child.stdout is not None
        child.stdout.readline()
        _, found = findings(tmp_path, monkeypatch)
        child.kill()
    assert found["no earlier run is left"] == {
        "what": "no earlier run is left", "ok": True, "detail": f"running now: {tmp_path}/var/crash/seed-1",
    }  # fmt: skip


def test_a_folder_beside_var_is_not_a_run_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "various").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", WAITS], cwd=tmp_path / "various", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        _, found = findings(tmp_path, monkeypatch)
        other.kill()
    assert found["no earlier run is left"]["ok"] is True

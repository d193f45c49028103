"""The program `salur`: every refusal is a sentence."""

import sys
from pathlib import Path

import pytest

from salur.local.cli import main


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the program; returns what it said on standard error. Fails when it ended well."""
    monkeypatch.setattr(sys, "argv", ["salur", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code not in (0, None)
    return capsys.readouterr().err


def test_a_path_that_cannot_be_used_is_named_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    text = said(monkeypatch, capsys, "keys", "--master-key", str(tmp_path / "file" / "below"))
    assert text.startswith(str(tmp_path / "file"))
    assert text.endswith("check the path and your rights\n")
    assert "Traceback" not in text


def test_without_a_platform_a_command_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for command in (["cut", "x"], ["programme", "list"], ["cycle", "show", "x"], ["payments", "ledger"]):
        text = said(monkeypatch, capsys, *command, "--state-dir", str(tmp_path))
        assert "start one with `salur up`" in text

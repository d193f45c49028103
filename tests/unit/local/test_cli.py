"""The program `salur`: every refusal is a sentence."""

import sys
from pathlib import Path

import orjson
import pytest

from salur.local.cli import main
from salur.local.cli.output import print_answer


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


def test_an_answer_is_a_table_for_people_and_json_for_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = {"list_id": "l1", "approvers": [], "states": {"settled": {"count": 3}}, "payments": [{"state": "held"}]}
    print_answer(answer)
    assert orjson.loads(capsys.readouterr().out) == answer
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_answer(answer)
    table = capsys.readouterr().out
    for said_there in ("list_id", "l1", "approvers", "-", "states.settled", "3", "payments (1)", "held"):
        assert said_there in table
    print_answer(answer, as_json=True)
    assert orjson.loads(capsys.readouterr().out) == answer

"""The program `salur`: every refusal is a sentence."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer.main
from typer.testing import CliRunner

from salur.local.cli import app, main
from salur.local.cli.output import answering, print_answer


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
    answering(lambda: print_answer(answer))(as_json=True)
    assert orjson.loads(capsys.readouterr().out) == answer


WITHOUT_JSON = {
    *("up", "witness"),  # run until they are stopped
    *("token", "asyncapi", "acls", "completeness", "import-bench"),  # print one text made for programs already
    *("receipt", "bundle", "reveal", "verify-opening", "trail export"),  # write a file
    *("keys", "log rotate-key", "log retire-keys"),
    *("service recover", "service republish", "service retention"),  # the service's own program answers
}


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command by its words."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path), command


def test_every_command_with_an_answer_takes_json_behind_its_name() -> None:
    """At one place: at the command itself, never at its group."""
    program = typer.main.get_command(app)
    without = {words for words, leaf in leaves(program) if not any("--json" in option.opts for option in leaf.params)}
    assert without == WITHOUT_JSON
    groups = [group for group in program.commands.values() if hasattr(group, "commands")]  # type: ignore[attr-defined]
    assert groups and not any("--json" in option.opts for group in groups for option in group.params)


def test_topics_are_a_table_for_people_and_json_for_programs() -> None:
    told = CliRunner().invoke(app, ["topics", "--json"])
    assert {row["name"] for row in orjson.loads(told.stdout)} > {"registry.households", "audit.checkpoints"}

"""Every command that the documentation shows exists, with every option it names."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from salur.common.contracts.topics import SERVICES
from salur.local.cli import app

ROOT = Path(__file__).parents[3]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", *ROOT.glob("services/*/README.md")])
_BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:\.venv/bin/)?salur [^`]+|python -m salur[^`]+)`")
_OURS = re.compile(r"(\.venv/bin/)?(salur|python -m salur)\b")
_SERVICE = re.compile(r"^python -m salur\.(\w+|<service>|<name>)\b")


def commands_of(page: Path) -> list[str]:
    """Commands of ours in blocks and in running text."""
    text = page.read_text(encoding="utf-8")
    lines = [line.split("  #")[0].strip() for block in _BLOCK.findall(text) for line in block.splitlines()]
    found = [line.removeprefix("$ ") for line in lines] + _INLINE.findall(text)
    found += [inner for line in lines for inner in re.findall(r"\$\((salur [^)]+)\)", line)]
    return [
        command.removeprefix(".venv/bin/") for command in found if re.match(r"(\.venv/bin/)?(salur|python -m)", command)
    ]


ALL = sorted({(page, command) for page in PAGES for command in commands_of(page)})


def complaint(command: str) -> str:
    """Why a command cannot be run, or nothing."""
    if found := _SERVICE.match(command):
        known = found[1] in (*SERVICES, "<service>", "<name>") or found[1] == "local"
        return "" if known else f"no service {found[1]}"
    if not command.startswith("salur"):
        return ""
    words = shlex.split(re.sub(r"[…|>&].*", "", command).replace("[", "").replace("]", ""))[1:]
    node: Any = typer.main.get_command(app)
    while (commands := getattr(node, "commands", None)) and words and not words[0].startswith("-"):
        if words[0] not in commands:
            return f"no command {words[0]}"
        node, words = commands[words[0]], words[1:]
    known_options = {name for parameter in node.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in {*known_options, "--help"}]
    return f"no option {', '.join(unknown)}" if unknown else ""


@pytest.mark.parametrize(("page", "command"), ALL, ids=lambda value: getattr(value, "name", value))
def test_a_documented_command_exists(page: Path, command: str) -> None:
    assert complaint(command) == "", f"{page.relative_to(ROOT)}: {command}"


def test_every_runbook_shows_commands() -> None:
    runbooks = [page for page in PAGES if page.parent.name == "runbooks" and page.name != "README.md"]
    assert len(runbooks) >= 6
    assert all(commands_of(page) for page in runbooks)


def test_what_does_not_exist_is_seen() -> None:
    assert complaint("salur fly --high") == "no command fly"
    assert complaint("salur dead-letters replay eligibility ID --why x") == "no option --why"
    assert complaint("python -m salur.flying recover") == "no service flying"
    assert complaint("salur service republish registry --stream S --from 1") == ""

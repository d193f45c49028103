"""One call to a running platform, its answer as JSON on standard output."""

from pathlib import Path
from typing import Any

import orjson
import typer

from salur.local.client import CallFailed, Client


def answer_of(state_dir: Path, who: tuple[str, list[str]], service: str, method: str, path: str, **request: Any) -> Any:
    """The service's answer; a refusal is printed and ends the command with code 1."""
    try:
        return Client(state_dir, who[0], who[1]).call(service, method, path, **request)
    except CallFailed as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(1) from None


def print_json(answer: Any) -> None:
    """Indented JSON."""
    typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())

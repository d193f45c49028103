"""One call to a running platform, its answer as a table for people or as JSON for machines."""

import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from salur.local.client import CallFailed, Client

AsJson = Annotated[
    bool, typer.Option("--json", help="Machine-readable output; the default where the output is no terminal.")
]
_as_json: ContextVar[bool] = ContextVar("as_json", default=False)


def answer_app(help_text: str) -> typer.Typer:
    """A group of commands that print a service's answer; `--json` stands before the command's name."""
    app = typer.Typer(help=help_text, no_args_is_help=True)
    app.callback()(_remember)
    return app


def _remember(as_json: AsJson = False) -> None:
    _as_json.set(as_json)


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


def print_answer(answer: Any, *, as_json: bool = False) -> None:
    """A table on a terminal; JSON with `--json` or where the output goes to a program."""
    if as_json or _as_json.get() or not sys.stdout.isatty():
        print_json(answer)
        return
    console = Console(highlight=False)
    for title, table in tables(answer):
        if title:
            console.print(title, style="bold")
        console.print(table)


def tables(answer: Any, title: str = "") -> list[tuple[str, Table]]:
    """What an answer holds: its own values as one table, then each list of records as one of its own."""
    if isinstance(answer, list):
        return [(f"{title} ({len(answer)})", _records(answer))]
    values = Table(show_header=False)
    inner: list[tuple[str, Table]] = []
    for name, value in answer.items():
        path = f"{title}.{name}" if title else name
        if value and (isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict))):
            inner += tables(value, path)
        else:
            values.add_row(name, _text(value))
    return [(title, values), *inner] if values.row_count else inner


def _records(rows: list[Any]) -> Table:
    table = Table()
    names = list(dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row)) or ["value"]
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_text(row.get(name)) for name in names) if isinstance(row, dict) else (_text(row),))
    return table


def _text(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()

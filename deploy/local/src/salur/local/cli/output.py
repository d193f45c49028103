"""One call to a running platform, its answer as a table for people or as JSON for machines."""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from salur.local.client import CallFailed, Client

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
_as_json: ContextVar[bool] = ContextVar("as_json", default=False)


def answering(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command that prints its answer by `print_answer` the option `--json`."""

    @wraps(command)
    def with_json(*args: Any, as_json: bool = False, **options: Any) -> None:
        _as_json.set(as_json)
        command(*args, **options)

    signature = inspect.signature(command)
    option = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson)
    with_json.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), option]
    )
    return with_json


class AnswerApp(typer.Typer):
    """A group of commands that print a service's answer."""

    def __init__(self, help_text: str) -> None:
        super().__init__(help=help_text, no_args_is_help=True)

    def answer(self, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Registers a command that prints an answer."""
        return lambda command: self.command(name)(answering(command))


@contextmanager
def refusals(*kinds: type[Exception]) -> Iterator[None]:
    """A refusal of these kinds is printed and ends the command with code 1."""
    try:
        yield
    except kinds as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(1) from None


def answer_of(state_dir: Path, who: tuple[str, list[str]], service: str, method: str, path: str, **request: Any) -> Any:
    """The service's answer; a refusal is printed and ends the command with code 1."""
    with refusals(CallFailed):
        return Client(state_dir, who[0], who[1]).call(service, method, path, **request)


def print_json(answer: Any) -> None:
    """Indented JSON."""
    typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())


def print_answer(answer: Any) -> None:
    """A table on a terminal; JSON with `--json` or where the output goes to a program."""
    if _as_json.get() or not sys.stdout.isatty():
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

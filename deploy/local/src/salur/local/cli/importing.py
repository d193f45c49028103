"""`salur import` and `salur cut`: from a list to registered households and a closed intake."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import Progress

from salur.local.announce import FileUnusable, announcement
from salur.local.cli.output import AsJson, print_answer, refusals
from salur.local.cli.up import STATE, StateDir
from salur.local.client import CallFailed, Client

IMPORT_TIMEOUT_S = 3_600.0


ENDED = ("done", "failed", "awaiting-acceptance")


def run_import(
    client: Client, file: Path, mapping: Path, *, update: bool = False, watch: Callable[[float], None] | None = None
) -> dict[str, Any]:
    """Send a file and wait until its rows are taken, or wait for another person; returns the import's status.

    `watch` is told the share of the file that is taken. Raises CallFailed, FileUnusable.
    """
    job = client.call("registry", "POST", "/imports", json=announcement(file, mapping, update=update))
    path = f"/imports/{job['import_id']}"
    if job["state"] in ("awaiting-content", "failed"):
        with file.open("rb") as content:
            client.call("registry", "PUT", f"{path}/content", content=content, headers={"content-type": "text/csv"})
    return wait_for_import(client, job["import_id"], watch)


def wait_for_import(client: Client, import_id: str, watch: Callable[[float], None] | None = None) -> dict[str, Any]:
    """The status of an import when nothing more happens by itself. Raises CallFailed."""

    def ask() -> dict[str, Any]:
        status: dict[str, Any] = client.call("registry", "GET", f"/imports/{import_id}")
        if watch is not None:
            watch(status["share"])
        return status

    ended: dict[str, Any] = client.wait(
        ask, lambda status: status["state"] in ENDED, IMPORT_TIMEOUT_S, "the end of the import"
    )
    return ended


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV file, UTF-8.")],
    mapping: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="YAML: which column is which field.")],
    update: Annotated[
        bool, typer.Option("--update", help="Rows of known households are their new state; another person accepts.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write the rows to look at (CSV) here.")] = None,
    state_dir: StateDir = STATE,
    as_json: AsJson = False,
) -> None:
    """Register the households of a file. The same file again changes nothing."""
    console = Console(stderr=True)
    with refusals(CallFailed, FileUnusable, OSError):
        client = Client(state_dir, "person:registrar", ["registrar"])
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task(f"importing {file.name}", total=1.0)
            status = run_import(
                client, file, mapping, update=update, watch=lambda share: progress.update(bar, completed=share)
            )
        if report is not None:
            report.write_text(
                client.call("registry", "GET", f"/imports/{status['import_id']}/report"), encoding="utf-8"
            )
    if as_json:
        typer.echo(orjson.dumps(status).decode())
    else:
        tell(console, status)
    if status["state"] == "failed":
        raise typer.Exit(1)


def tell(console: Console, status: dict[str, Any]) -> None:
    """The status of an import as a person reads it."""
    if status["state"] == "awaiting-acceptance":
        console.print(f"sent; another person must accept it: salur accept {status['import_id']}")
        return
    text = f"{status['state']}: {status['households']} new households from {status['rows']} rows"
    if status["absent"] is not None:
        text += f", {status['changed']} changed, {status['unchanged']} unchanged, {status['absent']} no longer named"
    console.print(f"{text}, {status['refused_rows']} rows refused, {status['warnings']} warnings")
    if status["reason"]:
        console.print(status["reason"], style="red", markup=False)


def accept(
    import_id: Annotated[str, typer.Argument(help="The import another person has sent.")],
    state_dir: StateDir = STATE,
    as_json: AsJson = False,
) -> None:
    """Accept an update of known households as a second person, and wait until its rows are taken."""
    console = Console(stderr=True)
    with refusals(CallFailed):
        client = Client(state_dir, "person:second-registrar", ["registrar"])
        client.call("registry", "POST", f"/imports/{import_id}/acceptance")
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task("importing", total=1.0)
            status = wait_for_import(client, import_id, lambda share: progress.update(bar, completed=share))
    if as_json:
        typer.echo(orjson.dumps(status).decode())
    else:
        tell(console, status)
    if status["state"] == "failed":
        raise typer.Exit(1)


def cut(
    name: Annotated[str, typer.Argument(help="Name of the intake, for example 2026-Q1.")],
    state_dir: StateDir = STATE,
) -> None:
    """Close an intake: a cycle can then name it. The same name again gives the same cut."""
    with refusals(CallFailed):
        answer = Client(state_dir, "person:registrar", ["registrar"]).call(
            "registry", "POST", "/cuts", json={"name": name}
        )
    print_answer(answer)

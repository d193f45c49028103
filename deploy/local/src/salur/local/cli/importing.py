"""`salur import` and `salur cut`: from a list to registered households and a closed intake."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import Progress

from salur.local.announce import FileUnusable, announcement
from salur.local.cli.up import STATE, StateDir
from salur.local.client import CallFailed, Client

IMPORT_TIMEOUT_S = 3_600.0
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def run_import(client: Client, file: Path, mapping: Path) -> dict[str, Any]:
    """Send a file and wait until its rows are taken; returns the import's final status.

    Raises CallFailed, FileUnusable.
    """
    job = client.call("registry", "POST", "/imports", json=announcement(file, mapping))
    path = f"/imports/{job['import_id']}"
    if job["state"] in ("awaiting-content", "failed"):
        with file.open("rb") as content:
            client.call("registry", "PUT", f"{path}/content", content=content, headers={"content-type": "text/csv"})
    ended: dict[str, Any] = client.wait(
        lambda: client.call("registry", "GET", path),
        lambda status: status["state"] in ("done", "failed"),
        IMPORT_TIMEOUT_S,
        "the end of the import",
    )
    return ended


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV file, UTF-8.")],
    mapping: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="YAML: which column is which field.")],
    report: Annotated[Path | None, typer.Option(help="Write the rows to look at (CSV) here.")] = None,
    state_dir: StateDir = STATE,
    as_json: AsJson = False,
) -> None:
    """Register the households of a file. The same file again changes nothing."""
    console = Console(stderr=True)
    try:
        client = Client(state_dir, "person:registrar", ["registrar"])
        with Progress(console=console, transient=True) as progress:
            progress.add_task(f"importing {file.name}", total=None)
            status = run_import(client, file, mapping)
        if report is not None:
            report.write_text(
                client.call("registry", "GET", f"/imports/{status['import_id']}/report"), encoding="utf-8"
            )
    except (CallFailed, FileUnusable, OSError) as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(orjson.dumps(status).decode())
    else:
        console.print(
            f"{status['state']}: {status['households']} households from {status['rows']} rows, "
            f"{status['refused_rows']} rows refused, {status['warnings']} warnings"
        )
        if status["reason"]:
            console.print(status["reason"], style="red", markup=False)
    if status["state"] != "done":
        raise typer.Exit(1)


def cut(
    name: Annotated[str, typer.Argument(help="Name of the intake, for example 2026-Q1.")],
    state_dir: StateDir = STATE,
) -> None:
    """Close an intake: a cycle can then name it. The same name again gives the same cut."""
    try:
        answer = Client(state_dir, "person:registrar", ["registrar"]).call(
            "registry", "POST", "/cuts", json={"name": name}
        )
    except CallFailed as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(1) from None
    typer.echo(orjson.dumps(answer).decode())

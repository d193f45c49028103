"""`salur feed`: a list from outside, compared with who is registered."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from salur.local.cli.output import AsJson, refusals
from salur.local.cli.up import STATE, StateDir
from salur.local.client import CallFailed, Client

TIMEOUT_S = 3_600.0


def feed(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV file, UTF-8, with a column `value`.")],
    kind: Annotated[str, typer.Option(help="deaths, civil-registry, exclusion, wages or tax.")],
    source: Annotated[str, typer.Option(help="Who made the list.")],
    name: Annotated[str, typer.Option(help="Its edition.")],
    as_of: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day it speaks of.")],
    state_dir: StateDir = STATE,
    as_json: AsJson = False,
) -> None:
    """Send a list; each match is evidence that another person decides on. Ends with 1 when lines were refused."""
    with refusals(CallFailed, OSError):
        client = Client(state_dir, "person:registrar", ["registrar"], timeout_s=TIMEOUT_S)
        body = {"kind": kind, "source": source, "name": name, "as_of": f"{as_of:%Y-%m-%d}"}
        feed_id = client.call("registry", "POST", "/feeds", json=body)["feed_id"]
        with file.open("rb") as content:
            headers = {"content-type": "text/csv"}
            taken: dict[str, Any] = client.call(
                "registry", "PUT", f"/feeds/{feed_id}/content", content=content, headers=headers
            )
    if as_json:
        typer.echo(orjson.dumps(taken).decode())
    else:
        typer.echo(f"{taken['records']} lines, {taken['matches']} matches, {taken['new_matches']} of them new")
        for problem in taken["problems"]:
            typer.secho(f"line {problem['row']} {problem['field']}: {problem['reason']}", fg="yellow", err=True)
    if taken["refused"]:
        raise typer.Exit(1)

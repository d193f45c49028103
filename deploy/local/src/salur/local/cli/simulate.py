"""`salur simulate`: what other rules would change, over the registry as it stands."""

from pathlib import Path
from typing import Annotated

import typer

from salur.local.cli.output import print_answer, refusals
from salur.local.cli.programme import WHO
from salur.local.cli.up import STATE, StateDir
from salur.local.client import CallFailed, Client

TIMEOUT_S = 1_800.0
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The rules to try, YAML.")]


def simulate(
    file: File,
    against: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Other rules; default: what is in force.")
    ] = None,
    reference: Annotated[str | None, typer.Option(help="Who ought to be reached, for example 'decile <= 4'.")] = None,
    state_dir: StateDir = STATE,
) -> None:
    """Count who would gain and lose, the cost per fund, coverage and errors. Nothing in the registry is touched."""
    body = {"rules": file.read_text(encoding="utf-8"), "reference": reference}
    if against is not None:
        body["against"] = against.read_text(encoding="utf-8")
    with refusals(CallFailed):
        client = Client(state_dir, *WHO)
        asked = client.call("eligibility", "POST", "/simulations", json=body)
        path = f"/simulations/{asked['simulation_id']}"
        done = client.wait(
            lambda: client.call("eligibility", "GET", path), lambda view: view["state"] != "waiting", TIMEOUT_S,
            "the end of the simulation",
        )  # fmt: skip
    print_answer(done)
    if done["state"] == "failed":
        raise typer.Exit(1)

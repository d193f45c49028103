"""`salur decide`: make old decisions again and compare."""

from typing import Annotated

import typer

from salur.local.cli.output import print_answer, refusals
from salur.local.cli.up import STATE, StateDir
from salur.local.client import CallFailed, Client
from salur.local.replay import replay_all


def decide(
    replay: Annotated[bool, typer.Option("--replay", help="Re-run stored decisions from their rules and inputs.")],
    programme: Annotated[str | None, typer.Option(help="Only this programme's; default all.")] = None,
    state_dir: StateDir = STATE,
) -> None:
    """Re-run every decision ever made; ends with 1 when one comes out differently."""
    if not replay:
        typer.secho("decisions are made by the service: say --replay to make them again", fg="red", err=True)
        raise typer.Exit(2)
    with refusals(CallFailed):
        result = replay_all(Client(state_dir, "person:auditor", ["auditor"]), programme)
    print_answer(result)
    if result["different"]:
        raise typer.Exit(1)

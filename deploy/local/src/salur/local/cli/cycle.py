"""`salur cycle`: open a payment cycle on an intake and see what it grants."""

from typing import Annotated

import typer

from salur.local.cli.output import AnswerApp, answer_of, print_answer
from salur.local.cli.programme import WHO
from salur.local.cli.up import STATE, StateDir

app = AnswerApp("Open cycles and see their entitlements.")


@app.answer("open")
def open_cycle(
    programme_id: Annotated[str, typer.Argument(help="Id of the programme.")],
    name: Annotated[str, typer.Argument(help="Name of the cycle, for example 2026-Q1.")],
    cut_id: Annotated[str, typer.Argument(help="The intake's cut, from `salur cut`.")],
    starts_on: Annotated[str | None, typer.Option(help="First day it pays for, YYYY-MM-DD. Without it: today.")] = None,
    early_reason: Annotated[str | None, typer.Option(help="Why sooner; alone: from the first day not covered.")] = None,
    state_dir: StateDir = STATE,
) -> None:
    """Open a cycle. Refused until everyone before the cut is decided: then ask again."""
    body = {"programme_id": programme_id, "name": name, "cut_id": cut_id}
    body |= {key: value for key, value in (("starts_on", starts_on), ("early_reason", early_reason)) if value}
    print_answer(answer_of(state_dir, WHO, "eligibility", "POST", "/cycles", json=body))


@app.answer("show")
def show(cycle_id: Annotated[str, typer.Argument(help="Id of the cycle.")], state_dir: StateDir = STATE) -> None:
    """A cycle's state and totals."""
    print_answer(answer_of(state_dir, WHO, "eligibility", "GET", f"/cycles/{cycle_id}"))

"""`salur programme`: publish rules and see how far deciding has come."""

from pathlib import Path
from typing import Annotated

import typer

from salur.local.cli.output import answer_app, answer_of, print_answer
from salur.local.cli.up import STATE, StateDir

app = answer_app("Publish programmes and follow their decisions.")
WHO = ("person:programme-officer", ["programme-officer"])
APPROVER = ("person:approver", ["approver"])


@app.command("propose")
def propose(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The programme's rules, YAML.")],
    state_dir: StateDir = STATE,
) -> None:
    """Propose a programme. Its version is the hash of the file; it comes in force when an approver approves it."""
    headers = {"content-type": "application/yaml"}
    print_answer(
        answer_of(state_dir, WHO, "eligibility", "POST", "/programmes", content=file.read_bytes(), headers=headers)
    )


@app.command("approve")
def approve(
    programme_id: Annotated[str, typer.Argument(help="Id of the programme.")],
    version: Annotated[str, typer.Argument(help="The proposed version, as `propose` printed it.")],
    state_dir: StateDir = STATE,
) -> None:
    """Put a proposed version in force, as another person than the one who proposed it."""
    body = {"version": version}
    print_answer(
        answer_of(state_dir, APPROVER, "eligibility", "POST", f"/programmes/{programme_id}/approve", json=body)
    )


@app.command("list")
def list_programmes(state_dir: StateDir = STATE) -> None:
    """Programmes in force and versions that wait for approval."""
    print_answer(answer_of(state_dir, WHO, "eligibility", "GET", "/programmes"))


@app.command("progress")
def progress(
    programme_id: Annotated[str, typer.Argument(help="Id of the programme.")], state_dir: StateDir = STATE
) -> None:
    """Households known, decided and enrolled, and how many meet each criterion."""
    print_answer(answer_of(state_dir, WHO, "eligibility", "GET", f"/programmes/{programme_id}/progress"))


@app.command("why")
def why(
    programme_id: Annotated[str, typer.Argument(help="Id of the programme.")],
    household_id: Annotated[str, typer.Argument(help="Id of the household.")],
    state_dir: StateDir = STATE,
) -> None:
    """Why a household is enrolled or not: each criterion with its text, value and outcome."""
    print_answer(answer_of(state_dir, WHO, "eligibility", "GET", f"/decisions/{programme_id}/{household_id}"))

"""`salur programme`: publish rules and see how far deciding has come."""

from pathlib import Path
from typing import Annotated

import typer

from salur.local.cli.output import AnswerApp, answer_of, print_answer
from salur.local.cli.up import STATE, StateDir

app = AnswerApp("Publish programmes and follow their decisions.")
WHO = ("person:programme-officer", ["programme-officer"])
APPROVER = ("person:approver", ["approver"])


@app.answer("propose")
def propose(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The programme's rules, YAML.")],
    state_dir: StateDir = STATE,
) -> None:
    """Propose a programme. Its version is the hash of the file; it comes in force when an approver approves it."""
    headers = {"content-type": "application/yaml"}
    print_answer(
        answer_of(state_dir, WHO, "eligibility", "POST", "/programmes", content=file.read_bytes(), headers=headers)
    )


@app.answer("approve")
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


@app.answer("publish")
def publish(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The programme's rules, YAML.")],
    proposer: Annotated[str, typer.Option("--as", help="Who proposes: a pseudonym.")] = WHO[0],
    approver: Annotated[str, typer.Option(help="Who approves: another person, or the service refuses.")] = APPROVER[0],
    state_dir: StateDir = STATE,
) -> None:
    """Propose a programme and approve it, for a platform of your own: both people are you. Elsewhere each of them
    says `propose` or `approve` with a token of their own."""
    headers = {"content-type": "application/yaml"}
    proposed = answer_of(
        state_dir, (proposer, WHO[1]), "eligibility", "POST", "/programmes", content=file.read_bytes(), headers=headers
    )
    body = {"version": proposed["version"]}
    path = f"/programmes/{proposed['programme_id']}/approve"
    done = answer_of(state_dir, (approver, APPROVER[1]), "eligibility", "POST", path, json=body)
    print_answer(done | {"proposed_as": proposer, "approved_as": approver})


@app.answer("list")
def list_programmes(state_dir: StateDir = STATE) -> None:
    """Programmes in force and versions that wait for approval."""
    print_answer(answer_of(state_dir, WHO, "eligibility", "GET", "/programmes"))


@app.answer("progress")
def progress(
    programme_id: Annotated[str, typer.Argument(help="Id of the programme.")], state_dir: StateDir = STATE
) -> None:
    """Households known, decided and enrolled, and how many meet each criterion."""
    print_answer(answer_of(state_dir, WHO, "eligibility", "GET", f"/programmes/{programme_id}/progress"))


@app.answer("why")
def why(
    programme_id: Annotated[str, typer.Argument(help="Id of the programme.")],
    household_id: Annotated[str, typer.Argument(help="Id of the household.")],
    state_dir: StateDir = STATE,
) -> None:
    """Why a household is enrolled or not: each criterion with its text, value and outcome."""
    print_answer(answer_of(state_dir, WHO, "eligibility", "GET", f"/decisions/{programme_id}/{household_id}"))

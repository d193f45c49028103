"""`salur payments`: funds, lists with two people, and what became of each payment."""

from typing import Annotated, Any

import typer

from salur.local.cli.output import AnswerApp, answer_of, print_answer
from salur.local.cli.up import STATE, StateDir

app = AnswerApp("Funds, payment lists and payments.")
ListId = Annotated[str, typer.Argument(help="Id of the list.")]
Maker = Annotated[str, typer.Option("--as", help="Who acts: a pseudonym.")]
MAKER, CHECKER = "person:payment-operator", "person:approver"


def _operator(state_dir: Any, sub: str, method: str, path: str, **request: Any) -> Any:
    return answer_of(state_dir, (sub, ["payment-operator"]), "payments", method, path, **request)


def _approver(state_dir: Any, sub: str, method: str, path: str, **request: Any) -> Any:
    return answer_of(state_dir, (sub, ["approver"]), "payments", method, path, **request)


@app.answer("fund")
def fund(
    fund_id: Annotated[str, typer.Argument(help="Id of the fund, for example central-2026.")],
    budget_minor: Annotated[int | None, typer.Option(min=0, help="Open it with this budget, in minor units.")] = None,
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "IDR",
    name: Annotated[str | None, typer.Option(help="Its name; default the id.")] = None,
    who: Maker = MAKER,
    state_dir: StateDir = STATE,
) -> None:
    """Show a fund; with --budget-minor open it."""
    if budget_minor is not None:
        body = {"fund_id": fund_id, "name": name or fund_id, "currency": currency, "budget_minor": budget_minor}
        _operator(state_dir, who, "POST", "/funds", json=body)
    print_answer(_operator(state_dir, who, "GET", f"/funds/{fund_id}"))


@app.answer("list")
def build(
    cycle_id: Annotated[str, typer.Argument(help="Id of the cycle.")],
    fund_id: Annotated[str, typer.Argument(help="Which fund pays.")],
    who: Maker = MAKER,
    state_dir: StateDir = STATE,
) -> None:
    """Lock the payment list of a complete cycle."""
    print_answer(_operator(state_dir, who, "POST", "/lists", json={"cycle_id": cycle_id, "fund_id": fund_id}))


@app.answer("submit")
def submit(list_id: ListId, who: Maker = MAKER, state_dir: StateDir = STATE) -> None:
    """Reserve the list's funds and ask for approval."""
    print_answer(_operator(state_dir, who, "POST", f"/lists/{list_id}/submit"))


@app.answer("approve")
def approve(
    list_id: ListId,
    content_hash: Annotated[str, typer.Argument(help="The list's content hash, as you read it.")],
    who: Maker = CHECKER,
    state_dir: StateDir = STATE,
) -> None:
    """Approve exactly what the hash covers; another person than the maker."""
    print_answer(_approver(state_dir, who, "POST", f"/lists/{list_id}/approve", json={"content_hash": content_hash}))


@app.answer("refuse")
def refuse(
    list_id: ListId,
    reason: Annotated[str, typer.Argument(help="Why.")],
    who: Maker = CHECKER,
    state_dir: StateDir = STATE,
) -> None:
    """Refuse a submitted list; its funds are free again."""
    print_answer(_approver(state_dir, who, "POST", f"/lists/{list_id}/refuse", json={"reason": reason}))


@app.answer("show")
def show(list_id: ListId, state_dir: StateDir = STATE) -> None:
    """A list and how many of its payments are in each state."""
    print_answer(_operator(state_dir, MAKER, "GET", f"/lists/{list_id}"))


@app.answer("find")
def find(
    list_id: ListId,
    state: Annotated[str, typer.Option(help="instructed, unknown, settled, rejected or returned.")] = "unknown",
    after: Annotated[str, typer.Option(help="The next page: the last payment_id seen.")] = "",
    state_dir: StateDir = STATE,
) -> None:
    """The payments of a list that are in one state."""
    params = {"state": state, "after": after}
    print_answer(_operator(state_dir, MAKER, "GET", f"/lists/{list_id}/payments", params=params))


@app.answer("suspense")
def suspense(state_dir: StateDir = STATE) -> None:
    """Banks' answers that contradict what we know; they changed no payment and wait for a person."""
    print_answer(_operator(state_dir, MAKER, "GET", "/suspense"))


@app.answer("why")
def why(payment_id: Annotated[str, typer.Argument(help="Id of the payment.")], state_dir: StateDir = STATE) -> None:
    """One payment: its state, why it is there, and who must act."""
    print_answer(_operator(state_dir, MAKER, "GET", f"/payments/{payment_id}"))


@app.answer("ledger")
def ledger(state_dir: StateDir = STATE) -> None:
    """Balances, sums and the hash of the ledger."""
    print_answer(_operator(state_dir, MAKER, "GET", "/ledger"))


@app.answer("backlog")
def backlog(state_dir: StateDir = STATE) -> None:
    """What waits, at which bank, and how long the oldest has waited."""
    print_answer(_operator(state_dir, MAKER, "GET", "/backlog"))


@app.answer("standing")
def standing(cycle_id: Annotated[str, typer.Argument(help="Id of the cycle.")], state_dir: StateDir = STATE) -> None:
    """Every payment of a cycle in exactly one state: list = paid + in flight + returned + held + cancelled."""
    print_answer(_operator(state_dir, MAKER, "GET", f"/cycles/{cycle_id}/standing"))


@app.answer("waiting")
def waiting(cycle_id: Annotated[str, typer.Argument(help="Id of the cycle.")], state_dir: StateDir = STATE) -> None:
    """What a cycle has not paid: held, failed or due as a supplement, its age and who must act."""
    print_answer(_operator(state_dir, MAKER, "GET", f"/cycles/{cycle_id}/waiting"))


@app.answer("unclaimed")
def unclaimed(state_dir: StateDir = STATE) -> None:
    """Settled money nobody has taken, by bank and age, and what banks have given back."""
    print_answer(_operator(state_dir, MAKER, "GET", "/unclaimed"))


@app.answer("decide")
def decide(
    payment_id: Annotated[str, typer.Argument(help="Id of the payment.")],
    act: Annotated[str, typer.Argument(help="hold, release, cancel or retry.")],
    reason: Annotated[str, typer.Argument(help="Why.")],
    who: Maker = MAKER,
    state_dir: StateDir = STATE,
) -> None:
    """Hold, release, cancel or retry one payment; a release pays by the next follow-up list."""
    body = {"act": act, "reason": reason}
    print_answer(_operator(state_dir, who, "POST", f"/payments/{payment_id}/decisions", json=body))


@app.answer("follow-up")
def follow_up(
    cycle_id: Annotated[str, typer.Argument(help="Id of the cycle.")], who: Maker = MAKER, state_dir: StateDir = STATE
) -> None:
    """Lock a list of what earlier lists of the cycle left and what can be paid now."""
    print_answer(_operator(state_dir, who, "POST", f"/cycles/{cycle_id}/follow-up"))


@app.answer("accept")
def accept(
    proposal_id: Annotated[str, typer.Argument(help="Id of the proposal.")],
    who: Maker = CHECKER,
    state_dir: StateDir = STATE,
) -> None:
    """Accept an act another person proposed; it is done at once."""
    print_answer(_approver(state_dir, who, "POST", f"/proposals/{proposal_id}/accept"))


@app.answer("breaks")
def breaks(state_dir: StateDir = STATE) -> None:
    """Open differences between what is due, instructed and booked by the banks."""
    print_answer(_operator(state_dir, MAKER, "GET", "/breaks"))

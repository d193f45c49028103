"""`salur payments`: funds, lists with two people, and what became of each payment."""

from typing import Annotated, Any

import typer

from salur.local.cli.output import answer_of, print_json
from salur.local.cli.up import STATE, StateDir

app = typer.Typer(help="Funds, payment lists and payments.", no_args_is_help=True)
ListId = Annotated[str, typer.Argument(help="Id of the list.")]
Maker = Annotated[str, typer.Option("--as", help="Who acts: a pseudonym.")]
MAKER, CHECKER = "person:payment-operator", "person:approver"


def _operator(state_dir: Any, sub: str, method: str, path: str, **request: Any) -> Any:
    return answer_of(state_dir, (sub, ["payment-operator"]), "payments", method, path, **request)


def _approver(state_dir: Any, sub: str, method: str, path: str, **request: Any) -> Any:
    return answer_of(state_dir, (sub, ["approver"]), "payments", method, path, **request)


@app.command("fund")
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
    print_json(_operator(state_dir, who, "GET", f"/funds/{fund_id}"))


@app.command("list")
def build(
    cycle_id: Annotated[str, typer.Argument(help="Id of the cycle.")],
    fund_id: Annotated[str, typer.Argument(help="Which fund pays.")],
    who: Maker = MAKER,
    state_dir: StateDir = STATE,
) -> None:
    """Lock the payment list of a complete cycle."""
    print_json(_operator(state_dir, who, "POST", "/lists", json={"cycle_id": cycle_id, "fund_id": fund_id}))


@app.command("submit")
def submit(list_id: ListId, who: Maker = MAKER, state_dir: StateDir = STATE) -> None:
    """Reserve the list's funds and ask for approval."""
    print_json(_operator(state_dir, who, "POST", f"/lists/{list_id}/submit"))


@app.command("approve")
def approve(
    list_id: ListId,
    content_hash: Annotated[str, typer.Argument(help="The list's content hash, as you read it.")],
    who: Maker = CHECKER,
    state_dir: StateDir = STATE,
) -> None:
    """Approve exactly what the hash covers; another person than the maker."""
    print_json(_approver(state_dir, who, "POST", f"/lists/{list_id}/approve", json={"content_hash": content_hash}))


@app.command("refuse")
def refuse(
    list_id: ListId,
    reason: Annotated[str, typer.Argument(help="Why.")],
    who: Maker = CHECKER,
    state_dir: StateDir = STATE,
) -> None:
    """Refuse a submitted list; its funds are free again."""
    print_json(_approver(state_dir, who, "POST", f"/lists/{list_id}/refuse", json={"reason": reason}))


@app.command("show")
def show(list_id: ListId, state_dir: StateDir = STATE) -> None:
    """A list and how many of its payments are in each state."""
    print_json(_operator(state_dir, MAKER, "GET", f"/lists/{list_id}"))


@app.command("find")
def find(
    list_id: ListId,
    state: Annotated[str, typer.Option(help="instructed, unknown, settled, rejected or returned.")] = "unknown",
    after: Annotated[str, typer.Option(help="The next page: the last payment_id seen.")] = "",
    state_dir: StateDir = STATE,
) -> None:
    """The payments of a list that are in one state."""
    params = {"state": state, "after": after}
    print_json(_operator(state_dir, MAKER, "GET", f"/lists/{list_id}/payments", params=params))


@app.command("suspense")
def suspense(state_dir: StateDir = STATE) -> None:
    """Banks' answers that contradict what we know; they changed no payment and wait for a person."""
    print_json(_operator(state_dir, MAKER, "GET", "/suspense"))


@app.command("why")
def why(payment_id: Annotated[str, typer.Argument(help="Id of the payment.")], state_dir: StateDir = STATE) -> None:
    """One payment: its state, why it is there, and who must act."""
    print_json(_operator(state_dir, MAKER, "GET", f"/payments/{payment_id}"))


@app.command("ledger")
def ledger(state_dir: StateDir = STATE) -> None:
    """Balances, sums and the hash of the ledger."""
    print_json(_operator(state_dir, MAKER, "GET", "/ledger"))

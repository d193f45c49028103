"""What people may read: funds, lists, payments and why one is not paid, the ledger, suspense."""

from datetime import datetime
from typing import Any

from salur.common.auth import Caller
from salur.common.database import Connection
from salur.payments import errors, ledger
from salur.payments.banks.reasons import reason_of
from salur.payments.domain.lists import CANCELLED, WHO_MUST_ACT
from salur.payments.domain.machine import FINAL
from salur.payments.domain.reconcile import BREAKS
from salur.payments.store import queries
from salur.payments.usecases import confirmations


def _amounts(rows: list[Any], key: str) -> dict[str, dict[str, int]]:
    return {row[key]: {"count": row["count"], "amount_minor": row["amount_minor"]} for row in rows}


async def fund_view(conn: Connection, fund_id: str) -> dict[str, Any]:
    """A fund: budget + recovered = available + reserved + settled + disputed + to treasury; reserved = in flight + not

    yet instructed. `claims_minor`: of what settled, what is to be got back.
    """
    row = await queries.fund_by_id(conn, fund_id=fund_id)
    if row is None:
        raise errors.fund_unknown(fund_id)
    posted, reserved = await ledger.account_of(conn, ledger.fund(fund_id, row["currency"]).id)
    people, _ = await ledger.account_of(conn, ledger.beneficiaries(fund_id, row["currency"]).id)
    kinds = {"overpaid": ledger.overpaid, "claims": ledger.claims, "written_off": ledger.written_off}
    owed = {name: (await ledger.account_of(conn, make(fund_id, row["currency"]).id))[0] for name, make in kinds.items()}
    states = _amounts(await queries.fund_states(conn, fund_id=fund_id), "state")

    def minor(*names: str) -> int:
        return sum(states[name]["amount_minor"] for name in names if name in states)

    return {
        **dict(row),
        "available_minor": posted - reserved,
        "reserved_minor": reserved,
        "settled_minor": people,
        "in_flight_minor": minor("instructed", "unknown"),
        "returned_minor": minor("returned"),
        "disputed_minor": minor("disputed"),
        "to_treasury_minor": minor("treasury"),
        "rejected_minor": minor("rejected"),
        "claims_minor": owed["claims"],
        "written_off_minor": owed["written_off"],
        "recovered_minor": -owed["overpaid"] - owed["claims"] - owed["written_off"],
    }


async def funds_page(conn: Connection, after: str, most: int) -> dict[str, Any]:
    """Funds in order of id."""
    return {"funds": [dict(row) for row in await queries.funds_page(conn, after=after, most=most)]}


async def fund_statement(conn: Connection, fund_id: str, until: datetime | None) -> dict[str, Any]:
    """Every movement of a fund's account up to a moment, and the balance it leads to. Raises NotFound."""
    row = await queries.fund_by_id(conn, fund_id=fund_id)
    if row is None:
        raise errors.fund_unknown(fund_id)
    account = ledger.fund(fund_id, row["currency"])
    return {"fund_id": fund_id, "currency": row["currency"], **await ledger.statement(conn, account.id, until)}


async def proposals_page(conn: Connection, state: str | None, after: str, most: int) -> dict[str, Any]:
    """Acts that were proposed, by id."""
    rows = await queries.proposals_page(conn, state=state, after=after, most=most)
    return {"proposals": [dict(row) for row in rows]}


async def list_view(conn: Connection, list_id: str) -> dict[str, Any]:
    """A list with the states of its payments. `complete`: approved, and every instruction has its answer."""
    row = await queries.list_by_id(conn, list_id=list_id)
    if row is None or row["state"] == "building":
        raise errors.list_unknown(list_id)
    states = _amounts(await queries.list_states(conn, list_id=list_id), "state")
    holds = _amounts(await queries.list_holds(conn, list_id=list_id), "hold")
    waiting = row["state"] == "approved" and row["instructed_rank"] < row["last_rank"]
    if waiting:
        rest = await queries.waiting_items(conn, list_id=list_id, after=row["instructed_rank"], last=row["last_rank"])
        states["approved"] = dict(rest)
    funds = await queries.list_funds(conn, list_id=list_id)
    names = (
        "list_id", "cycle_id", "fund_id", "programme_id", "state", "items", "amount_minor", "currency", "content_hash",
        "funded_items", "funded_minor", "built_by", "submitted_by", "checked_by", "refusal",
    )  # fmt: skip
    complete = row["state"] == "approved" and not waiting and set(states) <= FINAL
    return {
        **{name: row[name] for name in names},
        "kind": row["kind"],
        "funds": [dict(fund) for fund in funds],
        "approvals": [dict(approval) for approval in await queries.list_approvals(conn, list_id=list_id)],
        "held": {hold: item["count"] for hold, item in holds.items()},
        "states": states,
        "complete": complete,
    }


async def lists_page(conn: Connection, after: str, most: int) -> dict[str, Any]:
    """Lists in order of id."""
    return {"lists": [dict(row) for row in await queries.lists(conn, after=after, most=most)]}


async def gate_page(conn: Connection, caller: Caller, list_id: str, after: str, most: int) -> dict[str, Any]:
    """What the gate found in a list, by payment; only what the caller may see. `next` goes on after the last row."""
    rows = await queries.gate_hits_page(conn, list_id=list_id, after=after, most=most)
    seen = [dict(row) for row in rows if caller.sees(row["region"])]
    return {"hits": seen, "next": rows[-1]["payment_id"] if len(rows) == most else None}


async def payments_page(
    conn: Connection, caller: Caller, list_id: str, state: str | None, after: str, most: int
) -> dict[str, Any]:
    """A page of a list's payments that the caller may see; `next` goes on after the last row read."""
    rows = await queries.payments_page(conn, list_id=list_id, state=state, after=after, most=most)
    seen = [dict(row) for row in rows if caller.sees(row["region"])]
    return {"payments": seen, "next": rows[-1]["instruction_id"] if len(rows) == most else None}


WHY = {
    "instructed": ("the bank has been told and has not answered yet", "bank"),
    "unknown": ("the bank gave no final answer in time and is being asked; nothing else may happen before", "bank"),
    "settled": ("the account was credited", "nobody"),
    "disputed": ("the bank said it settled and its statement does not show it", "bank"),
    "treasury": ("it failed, and two people sent its money back to the treasury", "nobody"),
    "cancelled": ("people ended it", "nobody"),
    "not-listed": ("no payment list holds it yet", "payment operator"),
    "building": ("its list is being built", "payments"),
    "locked": ("its list is not submitted yet", "payment operator"),
    "submitted": ("its list waits for approval", "approver"),
    "approved": ("its list is approved; the bank is about to be told", "payments"),
    "refused": ("its list was refused", "payment operator"),
}
"""Why a payment is where it is, and whose move it is; held and failed ones by their reason."""


def explain(state: str, hold: str | None, reason: str | None) -> tuple[str, str]:
    """(why, who must act) of a payment in its one state."""
    if state == "held":
        who, _, why = WHO_MUST_ACT[hold or ""].partition(": ")
        return why, who
    if state in ("rejected", "returned"):
        found = reason_of(reason)
        return found.english, found.who
    return WHY[state]


async def payment_view(conn: Connection, caller: Caller, payment_id: str) -> dict[str, Any]:
    """One payment with its attempts, its state, why, and who must act. Raises NotFound, also outside the scope.

    `amount_minor` + `offset_minor` are due: the second is kept back for what `offsets` name.
    """
    attempts = [dict(row) for row in await queries.attempts_of_payment(conn, payment_id=payment_id)]
    items = await queries.items_of_payment(conn, payment_id=payment_id)
    known = attempts[-1] if attempts else (dict(items[0]) if items else None)
    if known is None or not caller.sees(known["region"]):
        raise errors.payment_unknown()
    hold = items[0]["hold"] if items else None
    ended = attempts and known["state"] in ("treasury", "cancelled")
    if hold is not None and not ended:
        state, reason = "cancelled" if hold == CANCELLED else "held", hold
    elif attempts:
        state, reason = known["state"], known["reason"]
    else:
        state, reason = items[0]["list_state"], None
    why, who = explain(state, hold, reason)
    names = ("entitlement_id", "cycle_id", "list_id", "bank", "amount_minor", "offset_minor", "currency", "region")
    cuts = await queries.offsets_of_payment(conn, payment_id=payment_id)
    return {
        "payment_id": payment_id,
        **{name: known[name] for name in names},
        "state": state,
        "reason": reason,
        "why": why,
        "who_must_act": who,
        "offsets": [dict(row) for row in cuts],
        "gate": [dict(row) for row in await queries.hits_of_payment(conn, payment_id=payment_id)],
        "attempts": attempts,
    }


async def cycle_standing(conn: Connection, cycle_id: str) -> dict[str, Any]:
    """Every payment of a cycle in exactly one state; `paid + in_flight + returned + held + cancelled` = `payments`.

    `returned`: the money is back with fund or treasury, or disputed with the bank; `in_flight` includes what waits for
    approval or instruction. `reissued`, apart: attempts after a payment's first. `receipts`: what recipients say.
    """
    states = _amounts(await queries.cycle_standing_counts(conn, cycle_id=cycle_id), "state")
    groups = dict.fromkeys(("paid", "in_flight", "returned", "held", "cancelled"), 0)
    for state, amount in states.items():
        groups[GROUPS.get(state, "in_flight")] += amount["count"]
    again = await queries.reissued_of_cycle(conn, cycle_id=cycle_id)
    receipts = await confirmations.rate(conn, cycle_id)
    return {
        "cycle_id": cycle_id, "payments": sum(groups.values()), **groups, "reissued": again, "states": states,
        "receipts": {name: value for name, value in receipts.items() if name != "cycle_id"},
    }  # fmt: skip


GROUPS = {
    "settled": "paid", "rejected": "returned", "returned": "returned", "treasury": "returned", "disputed": "returned",
    "held": "held", "cancelled": "cancelled",
}  # fmt: skip


async def beneficiary_view(conn: Connection, caller: Caller, beneficiary_id: str) -> dict[str, Any]:
    """Why (not) paid: every entitlement in exactly one state, its age, why, and who must act, in one query."""
    rows = await queries.beneficiary_standing(conn, beneficiary_id=beneficiary_id)
    seen = []
    for row in rows:
        if caller.sees(row["region"]):
            why, who = explain(row["state"], row["hold"], row["reason"])
            seen.append({**dict(row), "why": why, "who_must_act": who})
    return {"beneficiary_id": beneficiary_id, "entitlements": seen}


async def waiting_page(conn: Connection, caller: Caller, cycle_id: str, after: str, most: int) -> dict[str, Any]:
    """What a cycle has not paid, why, how long, and who must act before a follow-up list can pay it."""
    rows = await queries.waiting_for(conn, cycle_id=cycle_id, after=after, most=most)
    seen = []
    for row in rows:
        if not caller.sees(row["region"]):
            continue
        state = row["state"] or "held"
        why, who = explain(state, row["hold"], row["reason"])
        seen.append({**dict(row), "state": state, "why": why, "who_must_act": who})
    return {"waiting": seen, "next": rows[-1]["payment_id"] if len(rows) == most else None}


async def breaks_page(conn: Connection, state: str | None, after: str, most: int) -> dict[str, Any]:
    """Breaks by id, with their age and who must act."""
    rows = await queries.breaks_page(conn, state=state, after=after, most=most)
    return {"breaks": [{**dict(row), "who_must_act": BREAKS[row["kind"]]} for row in rows]}


async def cases_page(conn: Connection, caller: Caller, state: str | None, after: str, most: int) -> dict[str, Any]:
    """Money cases by id, within the caller's regions."""
    rows = await queries.cases_page(conn, state=state, after=after, most=most)
    seen = [dict(row) for row in rows if caller.sees(row["region"])]
    return {"cases": seen, "next": rows[-1]["case_id"] if len(rows) == most else None}


async def backlog(conn: Connection) -> dict[str, Any]:
    """What waits for whom, with the age of the oldest: instructed and unknown per bank, suspense, breaks, approvals."""
    return {"backlog": [dict(row) for row in await queries.backlog(conn)]}


async def unclaimed(conn: Connection) -> dict[str, Any]:
    """Settled money nobody has taken, by bank, age in days and recall, and what banks have given back."""
    back = [dict(row) for row in await queries.given_back(conn)]
    return {"unclaimed": [dict(row) for row in await queries.unclaimed(conn)], "given_back": back}


async def recalls_page(conn: Connection, caller: Caller, state: str | None, after: str, most: int) -> dict[str, Any]:
    """What banks were asked to give back, by instruction, within the caller's regions."""
    rows = await queries.recalls_page(conn, state=state, after=after, most=most)
    seen = [dict(row) for row in rows if caller.sees(row["region"])]
    return {"recalls": seen, "next": rows[-1]["instruction_id"] if len(rows) == most else None}


async def ledger_view(conn: Connection, *, with_hash: bool) -> dict[str, Any]:
    """The whole ledger in figures. The hash reads every transfer: ask for it when it is needed."""
    view = await ledger.overview(conn)
    if not with_hash:
        return {**view, "hash": None, "moved_hash": None}
    return {**view, "hash": await ledger.ledger_hash(conn), "moved_hash": await ledger.moved_hash(conn)}


async def suspense_page(conn: Connection, after: str, most: int) -> dict[str, Any]:
    """Answers put aside, by id; never their content."""
    return {"suspense": [dict(row) for row in await queries.suspense_page(conn, after=after, most=most)]}

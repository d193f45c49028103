"""What a fund is to get back: claims that money cases leave, how they end, and what the ledger shows of them.

A claim never touches what was paid: `beneficiaries` stays equal to the settled payments. Its other side is `overpaid`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from salur.common.auth import Caller
from salur.common.contracts.claims import ClaimReduced
from salur.common.database import Connection
from salur.common.events import Draft
from salur.payments import errors, ledger
from salur.payments.ledger import Move
from salur.payments.ledger.accounts import Account
from salur.payments.store import queries
from salur.payments.usecases.checks import SERVICE
from salur.payments.usecases.proposals import Person, Proposal

REDUCE = "claim-reduce"
RECOVERED, SET_OFF, WRITTEN_OFF = "recovered", "set-off", "written-off"
RETURNED, LOSS_RETURNED, SET_OFF_RETURNED = "returned", "written-off-returned", "set-off-returned"
PERCENT_MAX, NOTICE_DAYS = 20, 14
"""Of an offset whose proposal says nothing else."""
CLAIMED = frozenset({"offset", "recovery"})
"""Resolutions of a case that leave a claim; `written-off` leaves a loss."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How an offset is taken: at most `percent` of a payment (1 to 50), from payments listed `from_` on."""

    percent: int
    from_: datetime

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Terms":
        """As proposed; the notice begins when the second person accepts."""
        notice = timedelta(days=content.get("notice_days", NOTICE_DAYS))
        return cls(content.get("percent_max", PERCENT_MAX), datetime.now(UTC) + notice)


async def begin(conn: Connection, case: Any, resolution: str, terms: Terms | None = None) -> dict[str, Any]:
    """Post what a case became: a claim or a loss of the fund that paid. Returns what the event tells of it.

    `terms`: those of an offset.
    Nothing where the payment is not settled any more: its money is back. Raises Conflict while a bank disputes it.
    """
    payment = await queries.newest_attempt_for_update(conn, payment_id=case["payment_id"])
    if payment["state"] == "disputed":
        raise errors.act_not_possible("end the case of", "disputed")
    if payment["state"] != "settled":
        return {}
    told = {"fund_id": payment["fund_id"], "amount_minor": case["amount_minor"], "currency": case["currency"]}
    claimed = resolution in CLAIMED
    await ledger.open_accounts(conn, list(_accounts(told).values()))
    what, credit = ("claim", "claims") if claimed else ("write-off", "written-off")
    await ledger.apply_all(conn, [_move(f"{what}/{case['case_id']}", told, "overpaid", credit, case["amount_minor"])])
    await queries.insert_claim(
        conn, case_id=case["case_id"], payment_id=case["payment_id"], region=case["region"], **told,
        open_minor=case["amount_minor"] if claimed else 0, written_off_minor=0 if claimed else case["amount_minor"],
        offset_percent=terms.percent if terms else None, offset_from=terms.from_ if terms else None,
    )  # fmt: skip
    if terms is None:
        return told
    return told | {
        "beneficiary_id": case["beneficiary_id"],
        "offset_percent": terms.percent,
        "offset_from": terms.from_,
    }


def _accounts(row: Any) -> dict[str, Account]:
    named = (ledger.overpaid, ledger.claims, ledger.written_off, ledger.fund)
    return {account.kind: account for account in (make(row["fund_id"], row["currency"]) for make in named)}


def _move(move_id: str, row: Any, debit: str, credit: str, amount_minor: int) -> Move:
    accounts = _accounts(row)
    return Move(move_id, "transfer", None, accounts[debit].id, accounts[credit].id, amount_minor, row["currency"])


LEGS = {
    RECOVERED: ("claims", "fund"),
    SET_OFF: ("claims", "overpaid"),
    WRITTEN_OFF: ("claims", "written-off"),
    RETURNED: ("claims", "overpaid"),
    SET_OFF_RETURNED: ("overpaid", "claims"),
    LOSS_RETURNED: ("written-off", "overpaid"),
}


def leg(how: str, row: Any, number: int, amount_minor: int) -> Move:
    """The ledger's side of the claim's end number `number`."""
    return _move(f"{how}/{row['case_id']}/{number}", row, *LEGS[how], amount_minor)


async def reduce(
    conn: Connection, _proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """End a part of a claim as proposed. Raises NotFound, Conflict when less than that is open."""
    row = await queries.claim_for_update(conn, case_id=proposal.subject)
    if row is None or not person.sees(row["region"]):
        raise errors.case_unknown(proposal.subject)
    how, amount = proposal.content["how"], proposal.content["amount_minor"]
    if amount > row["open_minor"]:
        raise errors.claim_smaller(proposal.subject, row["open_minor"])
    draft = await _reduce(conn, dict(row), how, amount, proposal.reason, person)
    return {"case_id": proposal.subject, "open_minor": row["open_minor"] - amount}, [draft]


async def _reduce(
    conn: Connection, row: dict[str, Any], how: str, amount_minor: int, reason: str, person: Person
) -> Draft:
    row["reductions"] += 1
    number = row["reductions"]
    await ledger.apply_all(conn, [leg(how, row, number, amount_minor)])
    loss = {WRITTEN_OFF: amount_minor, LOSS_RETURNED: -amount_minor}.get(how, 0)
    await queries.reduce_claim(
        conn, case_id=row["case_id"], number=number, open_minor=0 if how == LOSS_RETURNED else amount_minor,
        written_off_minor=loss, returned_minor=amount_minor if how in (RETURNED, LOSS_RETURNED) else 0,
    )  # fmt: skip
    names = ("case_id", "payment_id", "fund_id", "currency")
    fact = ClaimReduced(
        **{name: row[name] for name in names}, number=number, how=how, amount_minor=amount_minor, reason=reason,
        reduced_by=person.actor,
    )  # fmt: skip
    return Draft(fact, fact.case_id, person.actor, person.cause)


async def end_returned(
    conn: Connection, payment_ids: Sequence[str], cause: str
) -> tuple[list[Draft], list[dict[str, Any]]]:
    """A bank returned these payments: nobody owes anything of them any more. Few ever have a claim.

    Returns events, and the claims of which something had been given back (`given_minor`): that belongs to the person.
    """
    drafts: list[Draft] = []
    surplus = []
    for found in await queries.claims_of_payments(conn, payment_ids=sorted(payment_ids)):
        row = dict(found)
        if row["given_minor"]:
            await queries.add_surplus(conn, case_id=row["case_id"], amount_minor=row["given_minor"])
            surplus.append(row)
        for how, amount in ((RETURNED, found["open_minor"]), (LOSS_RETURNED, found["written_off_minor"])):
            if amount:
                drafts.append(await _reduce(conn, row, how, amount, RETURNED, Person(SERVICE, cause)))
    return drafts, surplus


async def page(conn: Connection, caller: Caller, *, only_open: bool, after: str, most: int) -> dict[str, Any]:
    """Claims by id, within the caller's regions."""
    rows = await queries.claims_page(conn, after=after, only_open=only_open, most=most)
    seen = [dict(row) for row in rows if caller.sees(row["region"])]
    return {"claims": seen, "next": rows[-1]["case_id"] if len(rows) == most else None}

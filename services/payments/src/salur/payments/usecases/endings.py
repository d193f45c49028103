"""How a failed payment ends when it will not be paid: cancelled (the money stays with its fund) or to the treasury."""

from collections.abc import Sequence
from typing import Any

from salur.common.contracts.payments import PaymentCancelled, PaymentSentToTreasury
from salur.common.database import Connection
from salur.common.events import Draft
from salur.payments import errors, ledger, store
from salur.payments.ledger import Move
from salur.payments.ledger.book import LedgerRefused
from salur.payments.store import Moved, queries
from salur.payments.usecases.proposals import Person, Proposal

TO_TREASURY, CANCEL_FAILED, END_CYCLE = "payment-to-treasury", "payment-cancel", "cycle-end-failed"
FACTS = (
    "payment_id", "instruction_id", "entitlement_id", "beneficiary_id", "cycle_id", "bank", "amount_minor", "currency",
    "fund_id",
)  # fmt: skip


async def _failed(conn: Connection, payment_id: str, person: Person) -> Any:
    """The newest attempt, failed, of which no list has the next one on its way. Locked with its cycle: no list of it
    is locked meanwhile. Raises NotFound, Conflict.
    """
    await queries.lock_cycle_of(conn, payment_id=payment_id)
    row = await queries.newest_attempt_for_update(conn, payment_id=payment_id)
    if row is None or not person.sees(row["region"]):
        raise errors.payment_unknown()
    if row["state"] not in ("rejected", "returned"):
        raise errors.act_not_possible("end", row["state"])
    list_id = await queries.next_attempt_listed(conn, payment_id=payment_id, attempt=row["attempt"])
    if list_id is not None:
        raise errors.listed_again(list_id)
    return row


async def to_treasury(
    conn: Connection, proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Send the money of a failed payment from its fund to the treasury. Raises NotFound, Conflict by its state."""
    row = await _failed(conn, proposal.subject, person)
    drafts = await send(conn, [row], proposal_id, proposal.reason, person)
    return {"payment_id": proposal.subject, "state": "treasury"}, drafts


async def send(conn: Connection, rows: Sequence[Any], proposal_id: str, reason: str, person: Person) -> list[Draft]:
    """Money of returned payments goes from their funds to the treasury. Raises Conflict when a fund has spent it."""
    moves = [
        Move(
            f"treasury/{row['instruction_id']}", "transfer", None, ledger.fund(row["fund_id"], row["currency"]).id,
            ledger.treasury(row["currency"]).id, row["amount_minor"], row["currency"],
        )
        for row in rows
    ]  # fmt: skip
    try:
        await ledger.apply_pages(conn, moves)
    except LedgerRefused as refusal:
        if refusal.result == "insufficient":
            raise errors.fund_cannot_return(rows[0]["cycle_id"]) from None
        raise
    await store.move_payments(conn, [Moved(row["instruction_id"], "treasury", None, None, None) for row in rows])
    await _end_cases(conn, rows, proposal_id)
    facts = [
        PaymentSentToTreasury(
            **{name: row[name] for name in FACTS}, proposal_id=proposal_id, reason=reason, transfer_id=move.id
        )
        for row, move in zip(rows, moves, strict=True)
    ]
    return [Draft(fact, fact.payment_id, person.actor, person.cause) for fact in facts]


async def end_cycle(
    conn: Connection, proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """End every failed payment of a cycle: what came back goes to the treasury, what was refused is cancelled.

    Raises Conflict while a list of the cycle is undecided or a payment of it is in flight or disputed.
    """
    await queries.lock_cycle(conn, cycle_id=proposal.subject)
    waiting = await queries.open_in_cycle(conn, cycle_id=proposal.subject)
    if waiting:
        raise errors.cycle_in_use(waiting)
    rows = await queries.failed_of_cycle(conn, cycle_id=proposal.subject)
    back = [row for row in rows if row["state"] == "returned"]
    refused = [row for row in rows if row["state"] == "rejected"]
    drafts = await send(conn, back, proposal_id, proposal.reason, person)
    drafts += await _cancel(conn, refused, proposal_id, proposal, person)
    return {"cycle_id": proposal.subject, "to_treasury": len(back), "cancelled": len(refused)}, drafts


async def end_failed(
    conn: Connection, payment_id: str, proposal_id: str, proposal: Proposal, person: Person
) -> list[Draft]:
    """End one failed payment: what came back goes to the treasury, what was refused is cancelled."""
    row = await _failed(conn, payment_id, person)
    if row["state"] == "returned":
        return await send(conn, [row], proposal_id, proposal.reason, person)
    return await _cancel(conn, [row], proposal_id, proposal, person)


async def _end_cases(conn: Connection, rows: Sequence[Any], proposal_id: str) -> None:
    ids = [row["payment_id"] for row in rows]
    await queries.end_failed_cases(conn, payment_ids=ids, state="ended", proposal_id=proposal_id)


async def _cancel(
    conn: Connection, rows: Sequence[Any], proposal_id: str, proposal: Proposal, person: Person
) -> list[Draft]:
    await store.move_payments(conn, [Moved(row["instruction_id"], "cancelled", None, None, None) for row in rows])
    await _end_cases(conn, rows, proposal_id)
    names = ("payment_id", "entitlement_id", "beneficiary_id", "cycle_id", "list_id", "amount_minor", "currency")
    facts = [
        PaymentCancelled(**{name: row[name] for name in names}, reason=proposal.reason, cancelled_by=person.actor)
        for row in rows
    ]
    return [Draft(fact, fact.payment_id, person.actor, person.cause) for fact in facts]


async def cancel_failed(
    conn: Connection, proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """End a failed payment for good; its money is with its fund already. Raises NotFound, Conflict by its state."""
    row = await _failed(conn, proposal.subject, person)
    drafts = await _cancel(conn, [row], proposal_id, proposal, person)
    return {"payment_id": proposal.subject, "state": "cancelled"}, drafts

"""Withdraw one payment that a bank has been told about: the bank is asked at once, and its word decides.

*Not executed* closes the id for ever; then the payment is over, or goes to another account as the next attempt.
"""

from typing import Any

from salur.common.database import Connection
from salur.common.events import Draft
from salur.payments import errors
from salur.payments.store import queries
from salur.payments.usecases.proposals import Person, Proposal

WITHDRAW, REROUTE = "payment-withdraw", "payment-re-route"
WITHDRAWN, REROUTED = "payment-withdrawn", "re-routed"


async def withdraw(
    conn: Connection, _proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Ask the bank to close it; closed, it is not issued again. Raises NotFound, Conflict by its state."""
    return await _ask(conn, proposal, person, WITHDRAWN)


async def reroute(
    conn: Connection, _proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Ask the bank to close it; closed, the next follow-up list pays the beneficiary's other account, at any bank.

    Raises NotFound, Conflict by its state, and when the registry has no other account.
    """
    row = await queries.other_account(conn, payment_id=proposal.subject)
    if row is not None and not row["other"]:
        raise errors.no_other_account()
    return await _ask(conn, proposal, person, REROUTED)


async def _ask(conn: Connection, proposal: Proposal, person: Person, reason: str) -> tuple[dict[str, Any], list[Draft]]:
    row = await queries.newest_attempt_for_update(conn, payment_id=proposal.subject)
    if row is None or not person.sees(row["region"]):
        raise errors.payment_unknown()
    if row["state"] not in ("instructed", "unknown"):
        raise errors.act_not_possible(proposal.kind, row["state"])
    await queries.ask_to_cancel(conn, instruction_ids=[row["instruction_id"]], reasons=[reason])
    return {"payment_id": proposal.subject, "asked": row["instruction_id"]}, []

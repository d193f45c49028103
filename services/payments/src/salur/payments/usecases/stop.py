"""Stop an approved list: what no bank was told about is cancelled, what banks were told ends by their word."""

from typing import Any

from salur.common.contracts.payments import PaymentCancelled, PaymentListStopped
from salur.common.database import Connection
from salur.common.events import Draft
from salur.payments import errors
from salur.payments.store import queries
from salur.payments.usecases.checks import free_list, list_facts
from salur.payments.usecases.proposals import Person, Proposal

STOP = "list-stop"
STOPPED = "list-stopped"


async def stop_list(
    conn: Connection, proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Cancel every item not instructed yet, free its money, and ask the banks at once about the rest.

    Raises NotFound, Conflict when the list is not approved (a submitted one is refused instead).
    """
    row = await queries.list_for_update(conn, list_id=proposal.subject)
    if row is None:
        raise errors.list_unknown(proposal.subject)
    if row["state"] != "approved":
        raise errors.wrong_state(proposal.subject, row["state"], "approved")
    await free_list(conn, row)
    items = await queries.stop_items(conn, list_id=proposal.subject, after=row["instructed_rank"])
    await queries.cut_list(conn, list_id=proposal.subject)
    flying = await queries.in_flight_of_list(conn, list_id=proposal.subject)
    ids = [payment["instruction_id"] for payment in flying]
    await queries.ask_to_cancel(conn, instruction_ids=ids, reasons=[STOPPED] * len(ids))
    fact = PaymentListStopped(
        **await list_facts(conn, row), proposal_id=proposal_id, cancelled_items=len(items), asked_items=len(ids)
    )
    drafts = [Draft(fact, proposal.subject, person.actor, person.cause)]
    for item in items:
        cancelled = PaymentCancelled(
            **dict(item), cycle_id=row["cycle_id"], list_id=proposal.subject, reason=proposal.reason,
            cancelled_by=person.actor, freed=True,
        )  # fmt: skip
        drafts.append(Draft(cancelled, cancelled.payment_id, person.actor, person.cause))
    return {"list_id": proposal.subject, "cancelled_items": len(items), "asked_items": len(ids)}, drafts

"""Issue failed payments again: under a programme's standing order, as the next attempt of the same payment.

The order is set by two people and counts as one approver of the lists it builds; what its amount bands or regional
funds ask beyond that, people give. A reason that a person must look into opens a case instead.
"""

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from salur.common.database import Connection
from salur.common.errors import Forbidden
from salur.common.events import Draft
from salur.payments import store
from salur.payments.banks.reasons import reason_of, reasons
from salur.payments.domain.gate import rule_of
from salur.payments.domain.lists import NEEDS_DECISION, Banks
from salur.payments.store import queries
from salur.payments.usecases.checks import SERVICE, ListCommand, approve_list, submit_list
from salur.payments.usecases.lists import BuildList, build_from
from salur.payments.usecases.money_cases import FAILED, case_of, open_cases
from salur.payments.usecases.proposals import Person, Proposal

SET_ORDER = "reissue-order"
NEEDS_PERSON = frozenset({"case", "split", "inquire"})
"""What a reason leads to when no rule can say what is right."""


async def set_order(
    conn: Connection, proposal_id: str, proposal: Proposal, _person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Set a programme's standing order; `max_minor` 0 ends it."""
    await queries.set_reissue_order(
        conn, programme_id=proposal.subject, proposal_id=proposal_id, max_minor=proposal.content["max_minor"],
        attempts_max=proposal.content["attempts_max"], retry_after_s=proposal.content["retry_after_s"],
    )  # fmt: skip
    return {"programme_id": proposal.subject}, []


async def next_order(conn: Connection, after: str) -> Any:
    """The next cycle (by id, after `after`) with failed payments under a standing order, and that order; or None."""
    return await queries.next_reissue(conn, after=after)


async def reissue(
    conn: Connection, order: Any, banks: Banks, approve_within_s: float
) -> tuple[dict[str, Any] | None, list[Draft]]:
    """List, submit and, as far as the order may, approve what can be issued again in its cycle.

    None when there is nothing. Raises Conflict as a follow-up list does: no funds, another list undecided, the gate.
    """
    rule = rule_of(await queries.gate_rule(conn, programme_id=order["programme_id"]))
    pages = partial(
        queries.reissue_candidates, cycle_id=order["cycle_id"], attempts_max=order["attempts_max"],
        max_minor=order["max_minor"], needs_decision=sorted(NEEDS_DECISION), cool_off_s=rule.cool_off_s,
        account_reasons=_codes("correct-account"), passing_reasons=_codes("retry-later"),
        retry_after_s=order["retry_after_s"],
    )  # fmt: skip
    if not await pages(conn, after="", most=1):
        return None, []
    command = BuildList(order["cycle_id"], (), banks, SERVICE, order["proposal_id"])
    built, drafts = await build_from(conn, command, store.follow_up_pages(conn, pages))
    list_id = built["list_id"]
    _, submitted = await submit_list(conn, ListCommand(list_id, SERVICE, order["proposal_id"]), approve_within_s)
    by_order = ListCommand(
        list_id, f"order:{order['proposal_id']}", order["proposal_id"],
        frozenset({order["proposed_by"], order["decided_by"]}),
    )  # fmt: skip
    try:
        _, approved = await approve_list(conn, by_order, built["content_hash"])
    except Forbidden:
        approved = []  # no central money in it: only its own authorities may approve
    return built, [*drafts, *submitted, *approved]


@cache
def _codes(step: str) -> list[str]:
    return sorted(reason.code for reason in reasons().values() if reason.next == step)


async def open_failed(conn: Connection, failed: Sequence[tuple[Any, str]]) -> list[Draft]:
    """Open a case for each (payment, reason) that a person must look into."""
    cases = [
        case_of(FAILED, payment, payment["amount_minor"], reason, payment["instruction_id"])
        for payment, reason in failed
        if reason_of(reason).next in NEEDS_PERSON
    ]
    return await open_cases(conn, cases)

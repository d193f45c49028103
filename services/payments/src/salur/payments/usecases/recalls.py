"""Call money back that reached a bank and nobody: two people ask, the bank's word decides, the treasury gets it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from salur.common.contracts.payments import PaymentRecallRequested, RecallRefused
from salur.common.contracts.topics import instructions_topic
from salur.common.database import Connection
from salur.common.events import Draft
from salur.payments import errors
from salur.payments.store import queries
from salur.payments.usecases import endings
from salur.payments.usecases.checks import SERVICE
from salur.payments.usecases.proposals import Person, Proposal

RECALL_UNCLAIMED, RECALL_PAYMENT = "unclaimed-recall", "payment-recall"
ASK_AGAIN_S = 24 * 3600.0
RECALL_MAX = 50_000
"""Payments that one act calls back; the rest of a larger cycle needs another."""


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """What a bank says of a payment it credited: not handed out, not touched, or taken after all, since when."""

    instruction_id: str
    standing: str
    since: date


async def take_report(conn: Connection, bank: str, statement_id: str, rows: Sequence[Unclaimed]) -> None:
    """Keep a bank's newest word about each payment."""
    newest = {row.instruction_id: row for row in rows}
    ordered = [newest[key] for key in sorted(newest)]
    await queries.take_unclaimed(
        conn, bank=bank, statement_id=statement_id, instruction_ids=[row.instruction_id for row in ordered],
        standings=[row.standing for row in ordered], since=[row.since for row in ordered],
    )  # fmt: skip


async def recall_unclaimed(
    conn: Connection, proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Ask the banks for what nobody of a cycle has taken for so many days. Raises Conflict when that is nothing."""
    rows = await queries.recallable(
        conn, cycle_id=proposal.subject, older_than_days=proposal.content["older_than_days"], most=RECALL_MAX
    )
    if not rows:
        raise errors.nothing_unclaimed(proposal.subject)
    return {"cycle_id": proposal.subject, "asked": len(rows)}, await _ask(conn, rows, proposal_id, proposal, person)


async def recall_payment(
    conn: Connection, proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Ask the bank for one settled payment. Raises NotFound, Conflict by its state."""
    row = await queries.newest_attempt_for_update(conn, payment_id=proposal.subject)
    if row is None or not person.sees(row["region"]):
        raise errors.payment_unknown()
    if row["state"] != "settled":
        raise errors.act_not_possible("recall", row["state"])
    drafts = await _ask(conn, [row], proposal_id, proposal, person)
    if not drafts:
        raise errors.act_not_possible("recall", "being called back already")
    return {"payment_id": proposal.subject, "asked": 1}, drafts


async def _ask(
    conn: Connection, rows: Sequence[Any], proposal_id: str, proposal: Proposal, person: Person
) -> list[Draft]:
    asked = await queries.ask_back(
        conn, instruction_ids=[row["instruction_id"] for row in rows], banks=[row["bank"] for row in rows],
        reason=proposal.reason, proposal_id=proposal_id, wait_s=ASK_AGAIN_S,
    )  # fmt: skip
    numbers = {row["instruction_id"]: row["number"] for row in asked}
    return [
        _request(row, numbers[row["instruction_id"]], person.actor, proposal_id)
        for row in rows
        if row["instruction_id"] in numbers
    ]


def _request(row: Any, number: int, actor: str, cause: str) -> Draft:
    names = ("instruction_id", "payment_id", "bank", "amount_minor", "currency")
    fact = PaymentRecallRequested(**{name: row[name] for name in names}, recall=number)
    return Draft(fact, fact.payment_id, actor, cause, topic=instructions_topic(fact.bank).name)


async def ask_again(conn: Connection, most: int) -> tuple[bool, list[Draft]]:
    """Ask again for what a bank has not answered in a day. Returns (whether there may be more, events)."""
    rows = await queries.overdue_recalls(conn, most=most, wait_s=ASK_AGAIN_S)
    return len(rows) == most, [_request(row, row["number"], SERVICE, row["instruction_id"]) for row in rows]


async def end_recalls(
    conn: Connection, returned: Sequence[str], refused: Sequence[tuple[Any, str]], cause: str
) -> list[Draft]:
    """After banks' answers: what came back goes on to the treasury, in the same transaction; a refusal is kept."""
    back = await queries.recalls_given_back(conn, instruction_ids=sorted(returned)) if returned else []
    ended: list[tuple[str, str, str | None]] = [(row["instruction_id"], "given-back", None) for row in back]
    ended += [(payment["instruction_id"], "refused", reason) for payment, reason in refused]
    if not ended:
        return []
    ids, states, refusals = (list(column) for column in zip(*ended, strict=True))
    await queries.end_recalls(conn, instruction_ids=ids, states=states, refusals=refusals)
    drafts: list[Draft] = []
    for proposal_id, reason in sorted({(row["proposal_id"], row["recall_reason"]) for row in back}):
        rows = [row for row in back if row["proposal_id"] == proposal_id]
        drafts += await endings.send(conn, rows, proposal_id, reason, Person(SERVICE, cause))
    names = ("payment_id", "instruction_id", "entitlement_id", "beneficiary_id", "cycle_id", "bank", "amount_minor",
             "currency")  # fmt: skip
    for payment, reason in refused:
        fact = RecallRefused(**{name: payment[name] for name in names}, reason=reason)
        drafts.append(Draft(fact, fact.payment_id, SERVICE, cause))
    return drafts

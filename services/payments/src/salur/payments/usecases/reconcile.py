"""Hold banks' statements against what we say: take lines, find breaks, dispute what is missing, sign off a cycle.

The one port for statements: whatever file a line came in, `take_statement` gets it as a `Line`.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from salur.common.contracts.payments import (
    BreakRaised,
    BreakResolved,
    PaymentDisputed,
    PaymentReturned,
    PaymentSettled,
    ReconciliationSigned,
)
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.values import derived_id
from salur.payments import errors, ledger, store
from salur.payments.domain.reconcile import MISSING, Line, Statement, ends_ahead
from salur.payments.ledger import Move
from salur.payments.store import Moved, queries
from salur.payments.usecases import money_cases, offsets
from salur.payments.usecases.checks import SERVICE
from salur.payments.usecases.proposals import Person, Proposal
from salur.payments.usecases.recalls import Unclaimed, end_recalls, take_report

BREAK_RESOLVE, BREAKS_RESOLVE = "break-resolve", "breaks-resolve"
PAID, NOT_PAID, EXPLAINED = "paid", "not-paid", "explained"
NOT_CREDITED_REASON = "FOCR"  # following cancellation request: the bank never credited it
FACTS = (
    "payment_id", "instruction_id", "entitlement_id", "beneficiary_id", "cycle_id", "bank", "amount_minor", "currency",
    "fund_id",
)  # fmt: skip


async def take_statement(
    conn: Connection, statement: Statement, unclaimed: Sequence[Unclaimed] = ()
) -> tuple[dict[str, Any], list[Draft]]:
    """Keep a statement's lines, find breaks, dispute what settled and does not stand in it, close what is explained.

    `unclaimed`: what the bank says nobody has taken. The same statement again changes nothing.
    Raises Conflict when its id comes with other content, Invalid when it ends in the future.
    """
    if ends_ahead(statement.until, datetime.now(UTC)):
        raise errors.statement_ahead(statement.until)
    lines = statement.lines
    said = [_key(line) for line in lines]
    said += [[row.instruction_id, row.standing, row.since.isoformat()] for row in unclaimed]
    content_hash = hashlib.sha256(orjson.dumps(said)).digest()
    added = await queries.insert_statement(
        conn, bank=statement.bank, statement_id=statement.statement_id, until=statement.until, lines=len(lines),
        content_hash=content_hash,
    )  # fmt: skip
    answer = {"statement_id": statement.statement_id, "lines": len(lines)}
    if added is None:
        known = await queries.statement_hash(conn, bank=statement.bank, statement_id=statement.statement_id)
        if known != content_hash:
            raise errors.statement_differs(statement.statement_id)
        return {**answer, "breaks": 0, "explained": 0}, []
    await store.insert_lines(conn, statement)
    if unclaimed:
        await take_report(conn, statement.bank, statement.statement_id, unclaimed)
    found = await queries.find_breaks(
        conn, bank=statement.bank, statement_id=statement.statement_id, until=statement.until
    )
    drafts = [_raised(row, statement) for row in found]
    drafts += await _dispute(conn, [row["instruction_id"] for row in found if row["kind"] == MISSING])
    explained = await queries.explained_breaks(conn, bank=statement.bank)
    back = [row for row in explained if row["kind"] == MISSING]
    drafts += await _settle_again(conn, back)
    drafts += [_resolved(row["break_id"], row["kind"], EXPLAINED, SERVICE) for row in explained]
    return {**answer, "breaks": len(found), "explained": len(explained)}, drafts


def _key(line: Line) -> list[Any]:
    return [line.line_id, line.kind, line.instruction_id, line.amount_minor, line.currency, line.account]


def _raised(row: Any, statement: Statement) -> Draft:
    fact = BreakRaised(**dict(row), bank=statement.bank, statement_id=statement.statement_id)
    return Draft(fact, fact.break_id, SERVICE, statement.statement_id)


def _resolved(break_id: str, kind: str, resolution: str, actor: str) -> Draft:
    return Draft(
        BreakResolved(break_id=break_id, kind=kind, resolution=resolution, resolved_by=actor), break_id, actor, break_id
    )


async def _dispute(conn: Connection, instruction_ids: list[str]) -> list[Draft]:
    """What the statement does not show leaves `settled`; its money waits in the bank's disputed account."""
    rows = await queries.lock_payments(conn, instruction_ids=sorted(instruction_ids))
    rows = [row for row in rows if row["state"] == "settled"]
    if not rows:
        return []
    await ledger.open_accounts(conn, list({ledger.disputed(row["bank"], row["currency"]) for row in rows}))
    await store.move_payments(conn, [Moved(row["instruction_id"], "disputed", None, None, None) for row in rows])
    await ledger.apply_pages(conn, [_move("dispute", row, to_disputed=True) for row in rows])
    facts = [PaymentDisputed(**{name: row[name] for name in FACTS}) for row in rows]
    return [Draft(fact, fact.payment_id, SERVICE, fact.instruction_id) for fact in facts]


def _move(what: str, row: Any, *, to_disputed: bool) -> Move:
    people = ledger.beneficiaries(row["fund_id"], row["currency"]).id
    waiting = ledger.disputed(row["bank"], row["currency"]).id
    debit, credit = (people, waiting) if to_disputed else (waiting, people)
    return Move(
        f"{what}/{row['instruction_id']}", "transfer", None, debit, credit, row["amount_minor"], row["currency"]
    )


async def _settle_again(conn: Connection, breaks: list[Any]) -> list[Draft]:
    """The statement of a later day shows the credit: what was disputed is settled."""
    ids = sorted(row["instruction_id"] for row in breaks)
    rows = [row for row in await queries.lock_payments(conn, instruction_ids=ids) if row["state"] == "disputed"]
    await store.move_payments(conn, [Moved(row["instruction_id"], "settled", None, None, None) for row in rows])
    await ledger.apply_pages(conn, [_move("undispute", row, to_disputed=False) for row in rows])
    drafts = []
    for row in rows:
        fact = PaymentSettled(
            **{name: row[name] for name in FACTS}, bank_reference=row["bank_reference"], bank_message_id="statement",
            method=row["method"], offset_minor=row["offset_minor"] or None,
        )  # fmt: skip
        drafts.append(Draft(fact, fact.payment_id, SERVICE, fact.instruction_id))
    return drafts


async def own_break(conn: Connection, break_id: str, owner: str) -> dict[str, Any]:
    """Who looks into a break. Raises NotFound."""
    if await queries.break_for_update(conn, break_id=break_id) is None:
        raise errors.break_unknown(break_id)
    await queries.own_break(conn, break_id=break_id, owner=owner)
    return {"break_id": break_id, "owner": owner}


async def own_breaks(conn: Connection, bank: str, statement_id: str, kind: str, owner: str) -> dict[str, Any]:
    """Who looks into all open breaks of one kind in a statement. Returns how many they are."""
    owned = await queries.own_breaks(conn, bank=bank, statement_id=statement_id, kind=kind, owner=owner)
    return {"breaks": owned, "owner": owner}


async def resolve_break(
    conn: Connection, proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """End a break as two people decided. A disputed payment is settled after all, or was never paid: its money goes
    back to its fund and it may be issued again. Raises NotFound, Conflict when it ended or the state differs.
    """
    row = await queries.break_for_update(conn, break_id=proposal.subject)
    if row is None:
        raise errors.break_unknown(proposal.subject)
    if row["state"] != "open":
        raise errors.break_ended(proposal.subject, row["resolution"])
    drafts = await _end(conn, [row], proposal_id, proposal, person)
    return {"break_id": proposal.subject, "resolution": proposal.content["resolution"]}, drafts


async def breaks_proposal(
    conn: Connection, bank: str, statement_id: str, kind: str, resolution: str, reason: str
) -> Proposal:
    """To end all open breaks of one kind in a statement alike. It says how many and how much, so that who accepts
    knows what they sign. Raises NotFound when there is none.
    """
    row = await queries.open_breaks_of(conn, bank=bank, statement_id=statement_id, kind=kind)
    if not row["breaks"]:
        raise errors.break_unknown(f"{bank}/{statement_id}/{kind}")
    about = {"bank": bank, "statement_id": statement_id, "kind": kind, "resolution": resolution}
    return Proposal(BREAKS_RESOLVE, derived_id("breaks", bank, statement_id, kind), reason, about | dict(row))


async def resolve_breaks(
    conn: Connection, proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """End what was proposed, in one step. Raises Conflict when other breaks are open by now, or a state differs."""
    content = proposal.content
    names = ("bank", "statement_id", "kind")
    rows = await queries.breaks_for_update(conn, **{name: content[name] for name in names})
    if (len(rows), sum(row["expected_minor"] or 0 for row in rows)) != (content["breaks"], content["amount_minor"]):
        raise errors.breaks_changed(content["breaks"], len(rows))
    drafts = await _end(conn, rows, proposal_id, proposal, person)
    return {"breaks": len(rows), "resolution": content["resolution"]}, drafts


async def _end(
    conn: Connection, rows: Sequence[Any], proposal_id: str, proposal: Proposal, person: Person
) -> list[Draft]:
    """End breaks of one kind: what became of their payments, then the breaks themselves."""
    resolution, kind = proposal.content["resolution"], rows[0]["kind"]
    drafts: list[Draft] = []
    if kind == MISSING:
        drafts = await _end_disputes(conn, rows, resolution, person)
    elif resolution != EXPLAINED:
        raise errors.break_resolution(kind)
    ids = [row["break_id"] for row in rows]
    await queries.resolve_breaks(conn, break_ids=ids, resolution=resolution, proposal_id=proposal_id)
    return drafts + [_resolved(break_id, kind, resolution, person.actor) for break_id in ids]


async def _end_disputes(conn: Connection, rows: Sequence[Any], resolution: str, person: Person) -> list[Draft]:
    if resolution == PAID:
        return await _settle_again(conn, list(rows))
    if resolution != NOT_PAID:
        raise errors.break_resolution(MISSING)
    found = {row["instruction_id"]: row["break_id"] for row in rows}
    payments = await queries.lock_payments(conn, instruction_ids=sorted(found))
    for payment in payments:
        if payment["state"] != "disputed":
            raise errors.act_not_possible("resolve", payment["state"])
    await ledger.apply_pages(conn, [from_dispute(payment) for payment in payments])
    moved = [(row["instruction_id"], found[row["instruction_id"]]) for row in payments]
    await store.move_payments(
        conn, [Moved(instruction, "returned", NOT_CREDITED_REASON, None, told) for instruction, told in moved]
    )
    facts = [
        PaymentReturned(
            **{name: row[name] for name in FACTS}, reason=NOT_CREDITED_REASON,
            bank_reference=found[row["instruction_id"]], bank_message_id="statement",
        )
        for row in payments
    ]  # fmt: skip
    ended = await money_cases.end_returned(conn, [row["payment_id"] for row in payments], person.cause)
    cut = [row["instruction_id"] for row in payments if row["offset_minor"]]
    if cut:
        ended += await offsets.returned(conn, cut, person.actor, person.cause)
    # A bank that was asked to give it back has nothing to answer any more; what the recall decided happens.
    ended += await end_recalls(conn, sorted(found), [], person.cause)
    return [*(Draft(fact, fact.payment_id, person.actor, person.cause) for fact in facts), *ended]


def from_dispute(payment: Any) -> Move:
    """Money that waits in a bank's disputed account goes back to its fund."""
    fund = ledger.fund(payment["fund_id"], payment["currency"]).id
    waiting = ledger.disputed(payment["bank"], payment["currency"]).id
    move_id = f"refund/{payment['instruction_id']}"
    return Move(move_id, "transfer", None, waiting, fund, payment["amount_minor"], payment["currency"])


async def end_missing(conn: Connection, instruction_ids: Sequence[str]) -> list[Draft]:
    """The bank has told of these disputed payments itself: that its statement does not show them is explained."""
    rows = await queries.end_missing(conn, instruction_ids=sorted(instruction_ids))
    return [_resolved(row["break_id"], row["kind"], EXPLAINED, SERVICE) for row in rows]


async def totals(conn: Connection, cycle_id: str, bank: str) -> dict[str, Any]:
    """Control totals of a cycle at a bank: the difference must be zero, nothing may be open."""
    row = await queries.control_totals(conn, cycle_id=cycle_id, bank=bank)
    signed = await queries.sign_off_of(conn, cycle_id=cycle_id, bank=bank)
    return {
        "cycle_id": cycle_id, "bank": bank, **dict(row),
        "difference_minor": row["settled_minor"] - row["statement_minor"],
        "signed_by": signed["signed_by"] if signed else None,
    }  # fmt: skip


async def sign_off(conn: Connection, cycle_id: str, bank: str, person: Person) -> tuple[dict[str, Any], list[Draft]]:
    """Sign a cycle at a bank. Raises Conflict while a break or payment is open or the control totals differ."""
    view = await totals(conn, cycle_id, bank)
    if view["signed_by"]:
        return view, []
    if view["open_breaks"] or view["open_payments"] or view["difference_minor"] or not view["payments"]:
        raise errors.not_reconciled(view["open_breaks"], view["open_payments"], view["difference_minor"])
    await queries.insert_sign_off(
        conn, cycle_id=cycle_id, bank=bank, settled_minor=view["settled_minor"],
        statement_minor=view["statement_minor"], signed_by=person.actor,
    )  # fmt: skip
    fact = ReconciliationSigned(
        cycle_id=cycle_id, bank=bank, payments=view["payments"], settled_minor=view["settled_minor"],
        statement_minor=view["statement_minor"], signed_by=person.actor,
    )  # fmt: skip
    return {**view, "signed_by": person.actor}, [Draft(fact, cycle_id, person.actor, person.cause)]

"""Take what was paid and not due from a person's next payments, as two people agreed, until it is paid off.

A list plans it: an item is less by at most the agreed share, and never by more than half. Only the fund that has the
claim takes it, so no money passes between funds. When the bank has credited the rest, the claim is less by it; when the
bank returns that payment, the claim is open again and the next attempt takes it anew.
"""

from collections.abc import Sequence
from typing import Any

from salur.common.contracts.claims import ClaimReduced
from salur.common.database import Connection
from salur.common.events import Draft
from salur.payments import ledger
from salur.payments.domain.lists import ListBuilder, Offset, Source
from salur.payments.ledger import Move
from salur.payments.store import queries
from salur.payments.usecases.claims import SET_OFF, SET_OFF_RETURNED, leg
from salur.payments.usecases.money_cases import SURPLUS, case_of, open_cases

NOT_OWED = "set-off-not-owed"
Offsets = dict[str, list[Offset]]
"""By beneficiary, the oldest claim first."""


async def due(conn: Connection, cycle_id: str, sources: Sequence[Source]) -> Offsets:
    """What may be taken from a cycle's payments by these funds. The claims stay locked until the transaction ends."""
    fund_ids = [source.fund_id for source in sources]
    locked = await queries.lock_offset_claims(conn, cycle_id=cycle_id, fund_ids=fund_ids)
    found: Offsets = {}
    if locked:
        for row in await queries.offsets_due(conn, case_ids=[claim["case_id"] for claim in locked]):
            values = dict(row)
            found.setdefault(values.pop("beneficiary_id"), []).append(Offset(**values))
    return found


async def plan(conn: Connection, list_id: str, builder: ListBuilder) -> None:
    """Keep which claims the items of a list are less by."""
    if builder.cuts:
        payments, cases, amounts = (list(column) for column in zip(*builder.cuts, strict=True))
        await queries.insert_offsets(conn, list_id=list_id, payment_ids=payments, case_ids=cases, amounts=amounts)


async def settled(conn: Connection, instruction_ids: Sequence[str], actor: str, cause: str) -> list[Draft]:
    """These payments were credited less what they owe: their claims are less by it.

    What is owed no more by now (paid back otherwise, or the claim's payment returned) belongs to the person: a case.
    """
    rows = await queries.offsets_of(conn, instruction_ids=sorted(instruction_ids), state="planned")
    left = {row["case_id"]: row["open_minor"] for row in rows}
    taken = []
    for row in rows:
        amount = min(left[row["case_id"]], row["planned_minor"])
        left[row["case_id"]] -= amount
        taken.append(amount)
    drafts = await _move(conn, rows, taken, SET_OFF, "taken", actor, cause)
    short = [(row, row["planned_minor"] - amount) for row, amount in zip(rows, taken, strict=True)]
    cases = [
        case_of(SURPLUS, dict(row) | {"payment_id": row["cut_payment_id"]}, amount, NOT_OWED, row["case_id"],
                row["instruction_id"])
        for row, amount in short
        if amount
    ]  # fmt: skip
    return drafts + await open_cases(conn, cases)


async def returned(conn: Connection, instruction_ids: Sequence[str], actor: str, cause: str) -> list[Draft]:
    """Banks returned these payments: what they bore of a claim is owed again."""
    rows = await queries.offsets_of(conn, instruction_ids=sorted(instruction_ids), state="taken")
    given = [row["taken_minor"] for row in rows]
    return await _move(conn, rows, given, SET_OFF_RETURNED, "given-back", actor, cause)


async def _move(
    conn: Connection, rows: Sequence[Any], amounts: Sequence[int], how: str, state: str, actor: str, cause: str
) -> list[Draft]:
    """Book all of it in a handful of statements: the ledger, the claims, what was planned."""
    if not rows:
        return []
    claims: dict[str, tuple[int, int]] = {}
    moves: list[Move] = []
    drafts: list[Draft] = []
    for row, amount in zip(rows, amounts, strict=True):
        open_minor, number = claims.get(row["case_id"], (row["open_minor"], row["reductions"]))
        if amount:
            number += 1
            moves.append(leg(how, row, number, amount))
            drafts.append(_told(row, how, number, amount, actor, cause))
            open_minor += amount if how == SET_OFF_RETURNED else -amount
        claims[row["case_id"]] = open_minor, number
    await ledger.apply_pages(conn, moves)
    await queries.set_open_claims(
        conn, case_ids=list(claims), open_minor=[open_minor for open_minor, _ in claims.values()],
        reductions=[number for _, number in claims.values()],
    )  # fmt: skip
    await queries.end_offsets(
        conn, state=state, list_ids=[row["list_id"] for row in rows],
        payment_ids=[row["cut_payment_id"] for row in rows], case_ids=[row["case_id"] for row in rows],
        taken=list(amounts),
    )  # fmt: skip
    return drafts


def _told(row: Any, how: str, number: int, amount_minor: int, actor: str, cause: str) -> Draft:
    names = ("case_id", "payment_id", "fund_id", "currency")
    fact = ClaimReduced(
        **{name: row[name] for name in names}, number=number, how=how, amount_minor=amount_minor,
        reason=f"payment {row['cut_payment_id']}", reduced_by=actor,
    )  # fmt: skip
    return Draft(fact, fact.case_id, actor, cause)

"""Changes that come late: entitlements amended or cancelled, payees changed, beneficiaries deceased.

By the state of the payment: not listed yet, the change simply counts; on a list that no bank has been told about, the
item is held and its money free; instructed or unknown, the bank is asked at once and its word decides; settled, a
money case is opened: two people decide on an overpayment, a supplement is granted by eligibility.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from salur.common.contracts.payments import PaymentHeld
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.values import payment_id
from salur.payments import ledger
from salur.payments.domain.lists import ENTITLEMENT_CHANGED, FIRST_PART
from salur.payments.ledger import Move
from salur.payments.store import queries
from salur.payments.usecases.checks import SERVICE, release
from salur.payments.usecases.money_cases import case_of, open_cases, supersede


@dataclass(frozen=True, slots=True)
class Change:
    """What an entitlement is worth from now on (0: cancelled), and why; `retroactive`: even if it is paid.

    `payee_id`: whose account gets it from now on; None = as before.
    """

    change_id: str
    entitlement_id: str
    due_minor: int
    reason: str
    retroactive: bool = True
    payee_id: str | None = None


@dataclass(slots=True)
class Work:
    """What a batch of changes leads to."""

    held: list[Any] = field(default_factory=list)
    freed: list[Move] = field(default_factory=list)
    asked: dict[str, str] = field(default_factory=dict)
    cases: list[dict[str, Any]] = field(default_factory=list)
    superseded: list[str] = field(default_factory=list)


async def take_changes(conn: Connection, changes: Sequence[Change]) -> list[Draft]:
    """Take new changes of entitlements; known ones are repeats."""
    await queries.begin_change(conn)
    rows = await queries.take_changes(
        conn, change_ids=[change.change_id for change in changes],
        entitlement_ids=[change.entitlement_id for change in changes],
        dues=[change.due_minor for change in changes], reasons=[change.reason for change in changes],
        retroactive=[change.retroactive for change in changes], payee_ids=[change.payee_id for change in changes],
    )  # fmt: skip
    changed = {payment_id(row["entitlement_id"], FIRST_PART): row for row in rows}
    if not changed:
        return []
    await queries.lock_late_lists(conn, payment_ids=sorted(changed))
    await queries.lock_late_attempts(conn, payment_ids=sorted(changed))
    work = Work()
    for item in await queries.late_items(conn, payment_ids=sorted(changed)):
        _judge(work, item, changed[item["payment_id"]])
    if work.held:
        for list_id in {item["list_id"] for item in work.held}:
            ids = [item["payment_id"] for item in work.held if item["list_id"] == list_id]
            await queries.hold_items(conn, list_id=list_id, payment_ids=ids, holds=[ENTITLEMENT_CHANGED] * len(ids))
    await ledger.apply_pages(conn, work.freed)
    if work.asked:
        await queries.ask_to_cancel(conn, instruction_ids=list(work.asked), reasons=list(work.asked.values()))
    ended = await supersede(conn, work.superseded) if work.superseded else []
    return [*(_held(item) for item in work.held), *ended, *await open_cases(conn, work.cases)]


def _judge(work: Work, item: Any, change: Any) -> None:
    match item["attempt_state"]:
        case "instructed" | "unknown":
            work.asked[item["attempt_id"]] = change["reason"]
        case "settled" | "disputed" if not change["retroactive"]:
            pass  # it was right when it was paid: the next cycle knows better
        case "settled" | "disputed":
            work.superseded.append(item["payment_id"])
            paid = item["amount_minor"] + item["offset_minor"] + item["supplements_minor"] - item["claimed_minor"]
            difference = paid - change["due_minor"]
            if difference:
                work.cases.append(difference_case(item, difference, change["reason"], item["claimed_minor"]))
        case None if item["hold"] is None:
            work.held.append(item)
            if _is_reserved(item):
                work.freed.append(release(item["list_id"], item["payment_id"]))
        case _:
            pass  # held, or failed: the next list pays what is due then


def difference_case(payment: Any, difference_minor: int, reason: str, claimed_minor: int = 0) -> dict[str, Any]:
    """More was paid than is due (an overpayment), or less (a supplement), beyond what is claimed already."""
    kind = "overpayment" if difference_minor > 0 else "supplement"
    after = [f"after {claimed_minor}"] if claimed_minor else []
    return case_of(kind, payment, abs(difference_minor), reason, str(abs(difference_minor)), reason, *after)


async def paid_in_spite(conn: Connection, instruction_ids: Sequence[str]) -> list[Draft]:
    """A change came while a bank had been told, and the bank paid: what is too much or too little becomes a case."""
    rows = await queries.paid_in_spite(conn, instruction_ids=sorted(instruction_ids))
    cases = [difference_case(row, row["difference_minor"], row["cancel_reason"]) for row in rows]
    return await open_cases(conn, cases)


def _is_reserved(item: Any) -> bool:
    """Whether its list holds money for an item that no bank has been told about."""
    return bool(item["list_state"] != "locked" and item["rank"] <= item["last_rank"])


def _held(item: Any) -> Draft:
    names = ("payment_id", "entitlement_id", "beneficiary_id", "cycle_id", "list_id", "amount_minor", "currency")
    fact = PaymentHeld(**{name: item[name] for name in names}, reason=ENTITLEMENT_CHANGED, freed=_is_reserved(item))
    return Draft(fact, fact.payment_id, SERVICE, item["list_id"])


async def payees_changed(conn: Connection, payees: Sequence[str]) -> None:
    """A new payee version while a bank has been told: ask at once. Items not instructed yet are held at that time."""
    rows = await queries.in_flight_of(conn, payee_ids=list(payees))
    if rows:
        ids = sorted(row["instruction_id"] for row in rows)
        await queries.ask_to_cancel(conn, instruction_ids=ids, reasons=["payee-changed"] * len(ids))

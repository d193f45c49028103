"""What a person decides about one payment: hold it, release a hold, cancel it, or try a failed one again.

A release or a retry pays nothing by itself: the payment goes into the next follow-up list, which other people approve.
"""

from dataclasses import dataclass
from typing import Any, Literal

from salur.common.contracts.payments import PaymentCancelled, PaymentDecided, PaymentHeld
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.values import new_id
from salur.payments import errors, ledger
from salur.payments.domain.lists import BY_PERSON, CANCELLED
from salur.payments.store import queries
from salur.payments.usecases.checks import release
from salur.payments.usecases.proposals import Person

Act = Literal["hold", "release", "cancel", "retry"]


@dataclass(frozen=True, slots=True)
class DecideItem:
    """An act on a payment, and why."""

    payment_id: str
    act: Act
    reason: str


async def decide_item(conn: Connection, command: DecideItem, person: Person) -> tuple[dict[str, Any], list[Draft]]:
    """Do it. The same act again on what it has led to is answered alike (a release: while the payee is the same).

    Raises NotFound (also outside the scope), Conflict when the payment's state does not allow it.
    """
    item = await queries.newest_item(conn, payment_id=command.payment_id)
    if item is None or not person.sees(item["region"]):
        raise errors.payment_unknown()
    attempts = await queries.attempts_of_payment(conn, payment_id=command.payment_id)
    state = attempts[-1]["state"] if attempts and attempts[-1]["attempt"] >= item["attempt"] else None
    if item["hold"] is not None:
        state = "cancelled" if item["hold"] == CANCELLED else "held"
    if _is_repeat(command.act, item, state):
        return {"payment_id": command.payment_id, "act": command.act}, []
    _check(command, item, state)
    checks = [hit["check_code"] for hit in await queries.hits_of_payment(conn, payment_id=command.payment_id)]
    await queries.insert_decision(
        conn, decision_id=new_id(), list_id=item["list_id"], payment_id=command.payment_id, act=command.act,
        checks=checks if command.act == "release" else [], reason=command.reason, actor=person.actor,
        payee_id=item["payee_now"], payee_version=item["version_now"],
    )  # fmt: skip
    drafts = await _do(conn, command, item, state, person)
    names = ("payment_id", "entitlement_id", "beneficiary_id", "cycle_id", "list_id")
    fact = PaymentDecided(
        **{name: item[name] for name in names}, act=command.act, checks=checks if command.act == "release" else [],
        reason=command.reason, decided_by=person.actor,
    )  # fmt: skip
    return {"payment_id": command.payment_id, "act": command.act}, [
        Draft(fact, fact.payment_id, person.actor, person.cause),
        *drafts,
    ]


ALLOWED: dict[Act, frozenset[str | None]] = {
    "hold": frozenset({None}),
    "release": frozenset({"held"}),
    "cancel": frozenset({None, "held"}),
    "retry": frozenset({"rejected", "returned"}),
}
"""In which states each act is possible; None = on a list, and no bank has been told."""


def _is_repeat(act: Act, item: Any, state: str | None) -> bool:
    """Whether the newest decision says the same and has led here. A release of another account's hits is another."""
    if item["decided_act"] != act:
        return False
    return act == "retry" or (act, state) == ("cancel", "cancelled") or bool(act == "release" and item["decided_now"])


def _check(command: DecideItem, item: Any, state: str | None) -> None:
    if state not in ALLOWED[command.act]:
        raise errors.act_not_possible(command.act, state or item["list_state"])


async def _do(conn: Connection, command: DecideItem, item: Any, state: str | None, person: Person) -> list[Draft]:
    if command.act not in ("hold", "cancel"):
        return []
    freed = state is None and await free(conn, item)
    hold = BY_PERSON if command.act == "hold" else CANCELLED
    await queries.hold_items(conn, list_id=item["list_id"], payment_ids=[command.payment_id], holds=[hold])
    names = ("payment_id", "entitlement_id", "beneficiary_id", "cycle_id", "list_id", "amount_minor", "currency")
    common = {name: item[name] for name in names}
    fact: PaymentHeld | PaymentCancelled = (
        PaymentHeld(**common, reason=BY_PERSON, freed=freed)
        if command.act == "hold"
        else PaymentCancelled(**common, reason=command.reason, cancelled_by=person.actor, freed=freed)
    )
    return [Draft(fact, command.payment_id, person.actor, person.cause)]


async def free(conn: Connection, item: Any) -> bool:
    """Give back an item's reserve, when its list has one for it; whether it had. The list's row must be locked."""
    if item["list_state"] not in ("submitted", "approved") or item["rank"] is None or item["rank"] > item["last_rank"]:
        return False
    await ledger.apply_all(conn, [release(item["list_id"], item["payment_id"])])
    return True

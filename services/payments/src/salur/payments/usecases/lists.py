"""Build a payment list from a complete cycle and lock it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from salur.common.contracts.payments import PaymentHeld
from salur.common.database import Connection
from salur.common.events import PARTITIONS, Draft, blocked_keys
from salur.common.values import new_id
from salur.payments import errors, store
from salur.payments.domain.lists import Item, ListBuilder, Source
from salur.payments.store import queries
from salur.payments.usecases.inputs import ENTITLEMENTS_CONSUMER, PAYEES_CONSUMER


@dataclass(frozen=True, slots=True)
class BuildList:
    """Who asks for the list of a cycle, paid from `funds` (id, share). `banks`: the partner banks connected."""

    cycle_id: str
    funds: tuple[tuple[str, int], ...]
    banks: frozenset[str]
    actor: str
    cause: str


async def build_list(conn: Connection, command: BuildList) -> tuple[dict[str, Any], list[Draft]]:
    """Lock the list of a cycle at once. Returns its summary and an event per item held from the start.

    Raises Conflict: the cycle's input is not complete, the cycle has a list, a fund does not fit, nothing payable.
    """
    funds = [await _fund(conn, fund_id) for fund_id, _ in command.funds]
    cycle = await _complete_cycle(conn, command.cycle_id)
    for fund in funds:
        _check_fund(fund, cycle)
    list_id = new_id()
    begun = await queries.begin_list(
        conn, list_id=list_id, cycle_id=command.cycle_id, fund_id=funds[0]["fund_id"],
        programme_id=cycle["programme_id"], currency=cycle["currency"], built_by=command.actor,
    )  # fmt: skip
    if begun is None:
        known = await queries.list_of_cycle(conn, cycle_id=command.cycle_id)
        raise errors.list_exists(command.cycle_id, known)
    sources = [
        Source(fund["fund_id"], fund["region"], share) for fund, (_, share) in zip(funds, command.funds, strict=True)
    ]
    builder = ListBuilder(command.banks, sources)
    held = await _lock_items(conn, list_id, command.cycle_id, builder)
    if builder.items == 0:
        raise errors.list_empty(command.cycle_id)
    await queries.lock_list(
        conn, list_id=list_id, items=builder.items, amount_minor=builder.amount_minor,
        content_hash=builder.content_hash,
    )  # fmt: skip
    await store.insert_list_funds(conn, list_id, sources)
    summary = {
        "list_id": list_id,
        "items": builder.items,
        "amount_minor": builder.amount_minor,
        "currency": cycle["currency"],
        "content_hash": builder.content_hash,
        "funds": [
            {
                "fund_id": source.fund_id,
                "share": source.share,
                "items": source.items,
                "amount_minor": source.amount_minor,
            }
            for source in sources
        ],
        "held": builder.held,
    }
    drafts = [held_draft(item, item.hold or "", list_id, command.cycle_id, command) for item in held]
    return summary, drafts


async def _fund(conn: Connection, fund_id: str) -> Any:
    row = await queries.fund_by_id(conn, fund_id=fund_id)
    if row is None:
        raise errors.fund_unknown(fund_id)
    return row


def _check_fund(fund: Any, cycle: Any) -> None:
    if fund["state"] == "closed":
        raise errors.fund_closed(fund["fund_id"])
    if cycle["currency"] != fund["currency"]:
        raise errors.currency_differs(fund["currency"], cycle["currency"])
    if fund["programme_id"] not in (None, cycle["programme_id"]):
        raise errors.fund_of_other_programme(fund["fund_id"], fund["programme_id"])


async def _complete_cycle(conn: Connection, cycle_id: str) -> Any:
    cycle = await queries.cycle_standing(conn, cycle_id=cycle_id)
    if cycle is None:
        raise errors.cycle_not_complete(f"no mark of cycle {cycle_id} has arrived")
    if cycle["granted_partitions"] < PARTITIONS:
        raise errors.cycle_not_complete(f"{cycle['granted_partitions']} of {PARTITIONS} grant marks have arrived")
    if cycle["passed_partitions"] < PARTITIONS:
        raise errors.cycle_not_complete(f"{cycle['passed_partitions']} of {PARTITIONS} payee partitions passed the cut")
    known = cycle["known_entitlements"], cycle["known_minor"]
    if known != (cycle["entitlements"], cycle["amount_minor"]):
        raise errors.cycle_not_complete(f"{known[0]} of {cycle['entitlements']} entitlements are here")
    return cycle


async def _lock_items(conn: Connection, list_id: str, cycle_id: str, builder: ListBuilder) -> list[Item]:
    held: list[Item] = []
    async for page in store.candidates(conn, cycle_id):
        keys = [candidate.beneficiary_id for candidate in page]
        blocked = await blocked_keys(conn, [PAYEES_CONSUMER, ENTITLEMENTS_CONSUMER], keys)
        items = [builder.add(candidate, blocked=candidate.beneficiary_id in blocked) for candidate in page]
        held += [item for item in items if item.hold is not None]
        await store.insert_items(conn, list_id, items)
        # A large list takes seconds: other work of the process goes on between pages.
        await asyncio.sleep(0)
    return held


def held_draft(item: Any, reason: str, list_id: str, cycle_id: str, command: Any) -> Draft:
    """The event that an item is held, and why. `item`: anything with an item's fields; `command`: actor and cause."""
    fact = PaymentHeld(
        payment_id=item.payment_id, entitlement_id=item.entitlement_id, beneficiary_id=item.beneficiary_id,
        cycle_id=cycle_id, list_id=list_id, amount_minor=item.amount_minor, currency=item.currency, reason=reason,
    )  # fmt: skip
    return Draft(fact, item.payment_id, command.actor, command.cause)

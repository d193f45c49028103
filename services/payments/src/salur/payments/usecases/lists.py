"""Build a payment list from a complete cycle, or a follow-up list of what earlier ones left, and lock it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from salur.common.contracts.payments import PaymentHeld
from salur.common.database import Connection
from salur.common.events import PARTITIONS, Draft, blocked_keys
from salur.common.values import new_id
from salur.payments import errors, store
from salur.payments.domain.gate import Hit
from salur.payments.domain.lists import CANCELLED, Banks, Candidate, Item, ListBuilder, Source, hold_of
from salur.payments.store import queries
from salur.payments.usecases import offsets
from salur.payments.usecases.gate import gate_hits, keep_hits
from salur.payments.usecases.inputs import ENTITLEMENTS_CONSUMER, PAYEES_CONSUMER


@dataclass(frozen=True, slots=True)
class BuildList:
    """Who asks for the list of a cycle, paid from `funds` (id, share)."""

    cycle_id: str
    funds: tuple[tuple[str, int], ...]
    banks: Banks
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
    builder = ListBuilder(command.banks, _sources(funds, command.funds))
    hits = await gate_hits(conn, command.cycle_id, cycle["programme_id"], command.banks)
    owed = await offsets.due(conn, command.cycle_id, builder.sources)
    held = await _lock_items(conn, list_id, store.candidates(conn, command.cycle_id), builder, hits, owed)
    await offsets.plan(conn, list_id, builder)
    await keep_hits(
        conn, list_id, {item.payment_id: hits[item.entitlement_id] for item in held if item.entitlement_id in hits}
    )
    if builder.items == 0:
        raise errors.list_empty(command.cycle_id)
    summary = await _lock(conn, list_id, cycle, builder)
    # What a person cancelled on an earlier list was told then.
    drafts = [
        held_draft(item, item.hold, list_id, command.cycle_id, command)
        for item in held
        if item.hold is not None and item.hold != CANCELLED
    ]
    return summary, drafts


async def _lock(conn: Connection, list_id: str, cycle: Any, builder: ListBuilder) -> dict[str, Any]:
    await queries.lock_list(
        conn, list_id=list_id, items=builder.items, amount_minor=builder.amount_minor,
        content_hash=builder.content_hash,
    )  # fmt: skip
    await store.insert_list_funds(conn, list_id, builder.sources)
    return {
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
            for source in builder.sources
        ],
        "held": builder.held,
    }


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


async def build_follow_up(conn: Connection, command: BuildList) -> tuple[dict[str, Any], list[Draft]]:
    """Lock a list of what earlier lists of the cycle held or could not pay and what can be paid now.

    Released by a person, its cause of hold gone, or failed and its account corrected (then the next attempt). The gate
    checks again all that no person released. `funds` empty: the funds of the regular list. Raises Conflict when
    another list of the cycle is undecided or there is nothing to pay.
    """
    return await build_from(conn, command, store.follow_up_candidates(conn, command.cycle_id))


async def build_from(
    conn: Connection, command: BuildList, pages: AsyncIterator[list[store.Released]]
) -> tuple[dict[str, Any], list[Draft]]:
    """Lock a follow-up list of these candidates, checked by the gate. Raises as `build_follow_up` does."""
    if await queries.lock_cycle(conn, cycle_id=command.cycle_id) is None:
        raise errors.cycle_not_complete(f"no mark of cycle {command.cycle_id} has arrived")
    cycle = await queries.cycle_standing(conn, cycle_id=command.cycle_id)
    if await queries.cycle_has_open_list(conn, cycle_id=command.cycle_id):
        raise errors.follow_up_waits(command.cycle_id)
    shares = command.funds or tuple(
        (row["fund_id"], row["share"]) for row in await queries.funds_of_cycle(conn, cycle_id=command.cycle_id)
    )
    if not shares:
        raise errors.nothing_to_follow_up(command.cycle_id)
    funds = [await _fund(conn, fund_id) for fund_id, _ in shares]
    for fund in funds:
        _check_fund(fund, cycle)
    builder = ListBuilder(command.banks, _sources(funds, shares))
    items = await _payable_now(conn, command, cycle, builder, pages)
    if builder.items == 0:
        raise errors.nothing_to_follow_up(command.cycle_id)
    list_id = new_id()
    await queries.begin_follow_up(
        conn, list_id=list_id, cycle_id=command.cycle_id, fund_id=funds[0]["fund_id"],
        programme_id=cycle["programme_id"], currency=cycle["currency"], built_by=command.actor,
    )  # fmt: skip
    await store.insert_items(conn, list_id, items)
    await offsets.plan(conn, list_id, builder)
    return await _lock(conn, list_id, cycle, builder), []


async def _payable_now(
    conn: Connection,
    command: BuildList,
    cycle: Any,
    builder: ListBuilder,
    pages: AsyncIterator[list[store.Released]],
) -> list[Item]:
    """Ranked items only: what would be held again stays where it is held."""
    hits = await gate_hits(conn, command.cycle_id, cycle["programme_id"], command.banks)
    owed = await offsets.due(conn, command.cycle_id, builder.sources)
    items: list[Item] = []
    async for page in pages:
        blocked = await _blocked(conn, [candidate for candidate, _ in page])
        for candidate, released in page:
            found = [hit for hit in hits.get(candidate.entitlement_id, ()) if hit.code not in released]
            held = hold_of(candidate, blocked=candidate.entitlement_id in blocked, banks=command.banks)
            if not found and held is None:
                offset = owed.get(candidate.beneficiary_id, ())
                items.append(builder.add(candidate, blocked=False, offsets=offset))
    return [item for item in items if item.rank is not None]


def _sources(funds: Sequence[Any], shares: Sequence[tuple[str, int]]) -> list[Source]:
    return [Source(fund["fund_id"], fund["region"], share) for fund, (_, share) in zip(funds, shares, strict=True)]


async def _blocked(conn: Connection, page: Sequence[Candidate]) -> set[str]:
    """Entitlements of which something about beneficiary or payee waits behind a dead letter."""
    keys = sorted({name for candidate in page for name in (candidate.beneficiary_id, candidate.payee_id)})
    blocked = await blocked_keys(conn, [PAYEES_CONSUMER, ENTITLEMENTS_CONSUMER], keys)
    if not blocked:
        return set()
    return {item.entitlement_id for item in page if {item.beneficiary_id, item.payee_id} & blocked}


async def _lock_items(
    conn: Connection,
    list_id: str,
    pages: AsyncIterator[list[store.Decided]],
    builder: ListBuilder,
    hits: Mapping[str, Sequence[Hit]],
    owed: offsets.Offsets,
) -> list[Item]:
    held: list[Item] = []
    async for page in pages:
        blocked = await _blocked(conn, [candidate for candidate, _ in page])
        items = [
            builder.add(
                candidate,
                blocked=candidate.entitlement_id in blocked,
                hits=hits.get(candidate.entitlement_id, ()),
                offsets=owed.get(candidate.beneficiary_id, ()),
                decided=decided,
            )
            for candidate, decided in page
        ]
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

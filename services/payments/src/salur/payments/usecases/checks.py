"""Submit a list (maker), approve or refuse it (checker, another person); let it expire when nobody checks it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from salur.common.contracts.payments import (
    FundPart,
    PaymentHeld,
    PaymentListApproved,
    PaymentListEndorsed,
    PaymentListExpired,
    PaymentListRefused,
    PaymentListSubmitted,
)
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.values.region import region_within
from salur.payments import errors, ledger
from salur.payments.domain.lists import NO_FUNDS
from salur.payments.ledger import Move
from salur.payments.ledger.book import LedgerRefused
from salur.payments.store import queries

PAGE = 5_000
SERVICE = "service:payments"
INCOMPATIBLE = frozenset({"payment-operator", "programme-officer"})
"""Roles an approver may not hold at the same time: they make what is approved."""


@dataclass(frozen=True, slots=True)
class ListCommand:
    """An act of a person on a list. `delegators`: those whose right they use."""

    list_id: str
    actor: str
    cause: str
    delegators: frozenset[str] = frozenset()
    regions: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset()
    device: str = ""


async def _locked(conn: Connection, list_id: str) -> Any:
    row = await queries.list_for_update(conn, list_id=list_id)
    if row is None:
        raise errors.list_unknown(list_id)
    return row


async def list_facts(conn: Connection, row: Any) -> dict[str, Any]:
    names = ("list_id", "cycle_id", "fund_id", "content_hash", "items", "amount_minor", "currency")
    funds = await queries.list_funds(conn, list_id=row["list_id"])
    parts = [FundPart(**{name: fund[name] for name in FundPart.model_fields}) for fund in funds]
    return {**{name: row[name] for name in names}, "funds": parts}


async def submit_list(
    conn: Connection, command: ListCommand, approve_within_s: float
) -> tuple[dict[str, Any], list[Draft]]:
    """Reserve the list's funds in rank order and ask for approval. What a fund cannot bear is held for want of funds.

    Each fund is cut at the first item it cannot bear. The same maker's repeat gives the same answer. Raises Conflict
    when the list is not locked, a fund was closed or nothing fits.
    """
    row = await _locked(conn, command.list_id)
    facts = await list_facts(conn, row)
    if row["state"] == "submitted" and row["submitted_by"] == command.actor:
        return _submitted(facts, row["funded_items"], row["funded_minor"]), []
    if row["state"] != "locked":
        raise errors.wrong_state(command.list_id, row["state"], "locked")
    for fund in await queries.list_funds(conn, list_id=command.list_id):
        if fund["state"] == "closed":
            raise errors.fund_closed(fund["fund_id"])
    until = datetime.now(UTC) + timedelta(seconds=approve_within_s)
    reserved = await _reserve(conn, row, until)
    if reserved.items == 0:
        raise errors.nothing_funded(row["fund_id"])
    held = []
    if reserved.cuts:
        fund_ids, cuts = list(reserved.cuts), list(reserved.cuts.values())
        held = await queries.hold_unfunded(conn, list_id=command.list_id, fund_ids=fund_ids, cuts=cuts)
    await queries.submit_list(
        conn, list_id=command.list_id, actor=command.actor, funded_items=reserved.items,
        funded_minor=reserved.minor, last_rank=reserved.last_rank, approve_until=until,
    )  # fmt: skip
    await queries.fund_list(
        conn, list_id=command.list_id, fund_ids=list(reserved.funds),
        items=[items for items, _ in reserved.funds.values()], amounts=[minor for _, minor in reserved.funds.values()],
    )  # fmt: skip
    fact = PaymentListSubmitted(
        **facts, funded_items=reserved.items, funded_minor=reserved.minor, held_items=len(held),
        submitted_by=command.actor, device=command.device or None,
    )  # fmt: skip
    drafts = [Draft(fact, command.list_id, command.actor, command.cause)]
    for item in held:
        without = PaymentHeld(**item, cycle_id=row["cycle_id"], list_id=command.list_id, reason=NO_FUNDS)
        drafts.append(Draft(without, without.payment_id, command.actor, command.cause))
    return _submitted(facts, reserved.items, reserved.minor), drafts


def _submitted(facts: dict[str, Any], funded_items: int, funded_minor: int) -> dict[str, Any]:
    return {
        **facts,
        "state": "submitted",
        "funded_items": funded_items,
        "funded_minor": funded_minor,
        "held_items": facts["items"] - funded_items,
    }


@dataclass(slots=True)
class Reserved:
    """What the funds bear. `funds`: (items, minor units) by fund; `cuts`: the rank where a fund ran out."""

    items: int = 0
    minor: int = 0
    last_rank: int = 0
    funds: dict[str, tuple[int, int]] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)

    def take(self, result: Any) -> None:
        """Count one fund's outcome on a page. Raises LedgerRefused for what only a fault can bring."""
        fund_id = result["fund_id"]
        if result["result"] == "insufficient":
            self.cuts[fund_id] = result["first_rank"]
            return
        if result["result"] != "created":
            raise LedgerRefused(f"items of fund {fund_id}: {result['result']}")
        items, minor = self.funds.get(fund_id, (0, 0))
        self.funds[fund_id] = items + result["items"], minor + result["amount_minor"]
        self.items += result["items"]
        self.minor += result["amount_minor"]
        self.last_rank = max(self.last_rank, result["last_rank"])


async def _reserve(conn: Connection, row: Any, until: datetime) -> Reserved:
    """Reserve page by page. A fund that ran out bears nothing on later pages: it bears a prefix of its items."""
    banks = [bank["bank"] for bank in await queries.banks_of_list(conn, list_id=row["list_id"])]
    await ledger.open_accounts(conn, [ledger.clearing(bank, row["currency"]) for bank in banks])
    reserved = Reserved()
    for first in range(1, row["items"] + 1, PAGE):
        results = await queries.reserve_items(
            conn, list_id=row["list_id"], first=first, last=first + PAGE - 1, exhausted=list(reserved.cuts),
            expires_at=until,
        )  # fmt: skip
        for result in results:
            reserved.take(result)
    return reserved


async def approve_list(conn: Connection, command: ListCommand, content_hash: str) -> tuple[dict[str, Any], list[Draft]]:
    """Approve exactly the list with this hash.

    It is approved when as many different people as its amount asks have, among them one of each authority that funds
    it. Raises Forbidden for its maker, combined roles, a right used twice or another authority; Conflict for another
    hash or state.
    """
    row = await _locked(conn, command.list_id)
    _refuse_maker(row, command, "approve")
    if command.roles & INCOMPATIBLE:
        raise errors.roles_combined()
    facts = await list_facts(conn, row)
    if row["content_hash"] != content_hash:
        raise errors.content_differs()
    before = await queries.list_approvals(conn, list_id=command.list_id)
    mine = any(approval["approver"] == command.actor for approval in before)
    if row["state"] not in ("submitted", "approved"):
        raise errors.wrong_state(command.list_id, row["state"], "submitted")
    if row["state"] == "approved" and not mine:
        raise errors.already_checked(command.list_id, "approved")
    needed = await queries.approvers_needed(conn, currency=row["currency"], amount_minor=row["funded_minor"])
    if mine:
        return _approved(facts, row, len(before), needed), []
    used = {person for approval in before for person in (approval["approver"], *approval["delegators"])}
    if used & {command.actor, *command.delegators}:
        raise errors.right_used_twice()
    heard = await _heard(conn, command, [tuple(approval["regions"]) for approval in before])
    await queries.insert_approval(
        conn, list_id=command.list_id, approver=command.actor, content_hash=content_hash,
        regions=list(command.regions), delegators=sorted(command.delegators),
    )  # fmt: skip
    approvers = [*(approval["approver"] for approval in before), command.actor]
    answer = _approved(facts, row, len(approvers), needed)
    if len(approvers) < needed or not heard:
        endorsed = PaymentListEndorsed(
            **facts, endorsed_by=command.actor, approvals=len(approvers), approvers_needed=needed
        )
        return answer, [Draft(endorsed, command.list_id, command.actor, command.cause)]
    await queries.check_list(
        conn, list_id=command.list_id, state="approved", actor=command.actor, cause=command.cause, refusal=None
    )
    fact = PaymentListApproved(
        **facts, approved_by=command.actor, funded_items=row["funded_items"], funded_minor=row["funded_minor"],
        approvers=approvers, device=command.device or None,
    )  # fmt: skip
    return {**answer, "state": "approved"}, [Draft(fact, command.list_id, command.actor, command.cause)]


async def _heard(conn: Connection, command: ListCommand, before: list[tuple[str, ...]]) -> bool:
    """Whether with this approver every authority that funds the list has approved. Raises Forbidden for a stranger."""
    funds = await queries.list_funds(conn, list_id=command.list_id)
    authorities = {fund["region"] for fund in funds if fund["funded_items"]}
    if not any(speaks_for(command.regions, authority) for authority in authorities):
        raise errors.other_funds()
    scopes = [*before, command.regions]
    return all(any(speaks_for(scope, authority) for scope in scopes) for authority in authorities)


def speaks_for(regions: tuple[str, ...], authority: str) -> bool:
    """Whether a person of these regions (none: central) speaks for the authority of a fund ('' central)."""
    if not authority or not regions:
        return not authority and not regions
    return any(region_within(authority, own) for own in regions)


def _approved(facts: dict[str, Any], row: Any, approvals: int, needed: int) -> dict[str, Any]:
    funded = {"funded_items": row["funded_items"], "funded_minor": row["funded_minor"]}
    return {**facts, **funded, "state": row["state"], "approvals": approvals, "approvers_needed": needed}


def _refuse_maker(row: Any, command: ListCommand, act: str) -> None:
    if {command.actor, *command.delegators} & {row["built_by"], row["submitted_by"]}:
        raise errors.same_person(act)


async def refuse_list(conn: Connection, command: ListCommand, reason: str) -> tuple[dict[str, Any], list[Draft]]:
    """Refuse a submitted list and free its funds; the cycle may be listed again. Raises as `approve_list` does."""
    row = await _locked(conn, command.list_id)
    _refuse_maker(row, command, "refuse")
    await _heard(conn, command, [])
    facts = await list_facts(conn, row)
    answer = {**facts, "state": "refused"}
    if row["state"] == "refused" and row["checked_by"] == command.actor:
        return answer, []
    if row["state"] != "submitted":
        raise errors.wrong_state(command.list_id, row["state"], "submitted")
    await _free(conn, row, release)
    await queries.check_list(
        conn, list_id=command.list_id, state="refused", actor=command.actor, cause=command.cause, refusal=reason
    )
    fact = PaymentListRefused(**facts, refused_by=command.actor, reason=reason)
    return answer, [Draft(fact, command.list_id, command.actor, command.cause)]


async def expire_list(conn: Connection) -> tuple[bool, list[Draft]]:
    """Let one list expire that nobody checked in time: its reserves expire, the cycle may be listed again."""
    row = await queries.list_to_expire(conn)
    if row is None:
        return False, []
    await _free(conn, row, expiry)
    await queries.expire_list(conn, list_id=row["list_id"])
    fact = PaymentListExpired(**await list_facts(conn, row))
    return True, [Draft(fact, row["list_id"], SERVICE, row["list_id"])]


async def free_list(conn: Connection, row: Any) -> None:
    """Give back every reserve of a list that no bank has been told about."""
    await _free(conn, row, release)


async def _free(conn: Connection, row: Any, move: Callable[[str, str], Move]) -> None:
    """Give back every reserve of a list that no bank has been told about."""
    for first in range(row["instructed_rank"] + 1, row["last_rank"] + 1, PAGE):
        last = min(first + PAGE - 1, row["last_rank"])
        page = await queries.items_of_ranks(conn, list_id=row["list_id"], first=first, last=last)
        await ledger.apply_all(conn, [move(row["list_id"], item["payment_id"]) for item in page])


def reserve_id(list_id: str, payment_id: str) -> str:
    """The id of an item's reservation in the ledger (`reserve_items` builds the same)."""
    return f"reserve/{list_id}/{payment_id}"


def release(list_id: str, payment_id: str) -> Move:
    """Free an item's reservation."""
    return Move(f"void/{list_id}/{payment_id}", "void", reserve_id(list_id, payment_id))


def expiry(list_id: str, payment_id: str) -> Move:
    """Free an item's reservation whose time is over."""
    return Move(f"expire/{list_id}/{payment_id}", "expire", reserve_id(list_id, payment_id))

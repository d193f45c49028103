"""Submit a list (maker), approve or refuse it (checker, another person)."""

from dataclasses import dataclass
from typing import Any

from salur.common.contracts.payments import (
    PaymentHeld,
    PaymentListApproved,
    PaymentListRefused,
    PaymentListSubmitted,
)
from salur.common.database import Connection
from salur.common.events import Draft
from salur.payments import errors, ledger
from salur.payments.domain.lists import NO_FUNDS
from salur.payments.ledger import Move
from salur.payments.ledger.book import LedgerRefused
from salur.payments.store import queries

PAGE = 5_000


@dataclass(frozen=True, slots=True)
class ListCommand:
    """An act of a person on a list. `delegators`: those whose right they use."""

    list_id: str
    actor: str
    cause: str
    delegators: frozenset[str] = frozenset()


async def _locked(conn: Connection, list_id: str) -> Any:
    row = await queries.list_for_update(conn, list_id=list_id)
    if row is None:
        raise errors.list_unknown(list_id)
    return row


def _facts(row: Any) -> dict[str, Any]:
    names = ("list_id", "cycle_id", "fund_id", "content_hash", "items", "amount_minor", "currency")
    return {name: row[name] for name in names}


async def submit_list(conn: Connection, command: ListCommand) -> tuple[dict[str, Any], list[Draft]]:
    """Reserve the list's funds in rank order and ask for approval. What the fund cannot bear is held for want of funds.

    The same maker's repeat gives the same answer. Raises Conflict when the list is not locked or nothing fits.
    """
    row = await _locked(conn, command.list_id)
    if row["state"] == "submitted" and row["submitted_by"] == command.actor:
        return _submitted(row, row["funded_items"], row["funded_minor"]), []
    if row["state"] != "locked":
        raise errors.wrong_state(command.list_id, row["state"], "locked")
    funded_items, funded_minor = await _reserve(conn, row)
    if funded_items == 0:
        raise errors.nothing_funded(row["fund_id"])
    held = []
    if funded_items < row["items"]:
        held = await queries.hold_unfunded(conn, list_id=command.list_id, funded=funded_items)
    await queries.submit_list(
        conn, list_id=command.list_id, actor=command.actor, funded_items=funded_items, funded_minor=funded_minor
    )
    fact = PaymentListSubmitted(
        **_facts(row), funded_items=funded_items, funded_minor=funded_minor, held_items=len(held),
        submitted_by=command.actor,
    )  # fmt: skip
    drafts = [Draft(fact, command.list_id, command.actor, command.cause)]
    for item in held:
        without = PaymentHeld(**item, cycle_id=row["cycle_id"], list_id=command.list_id, reason=NO_FUNDS)
        drafts.append(Draft(without, without.payment_id, command.actor, command.cause))
    return _submitted(row, funded_items, funded_minor), drafts


def _submitted(row: Any, funded_items: int, funded_minor: int) -> dict[str, Any]:
    return {
        **_facts(row),
        "state": "submitted",
        "funded_items": funded_items,
        "funded_minor": funded_minor,
        "held_items": row["items"] - funded_items,
    }


async def _reserve(conn: Connection, row: Any) -> tuple[int, int]:
    """Reserve page by page until the fund is exhausted. Returns (items, minor units) reserved: a prefix by rank."""
    banks = [bank["bank"] for bank in await queries.banks_of_list(conn, list_id=row["list_id"])]
    await ledger.open_accounts(conn, [ledger.clearing(bank, row["currency"]) for bank in banks])
    debit = ledger.fund(row["fund_id"], row["currency"]).id
    items = minor = 0
    for first in range(1, row["items"] + 1, PAGE):
        results = await queries.reserve_items(
            conn, list_id=row["list_id"], debit=debit, first=first, last=first + PAGE - 1
        )
        for result in results:
            if result["result"] == "insufficient":
                return items, minor
            if result["result"] != "created":
                raise LedgerRefused(f"item {result['rank']} of list {row['list_id']}: {result['result']}")
            items += 1
            minor += result["amount_minor"]
    return items, minor


async def approve_list(conn: Connection, command: ListCommand, content_hash: str) -> tuple[dict[str, Any], list[Draft]]:
    """Approve exactly the list with this hash. Raises Forbidden for its maker, Conflict for another hash or state."""
    row = await _locked(conn, command.list_id)
    _refuse_maker(row, command, "approve")
    if row["content_hash"] != content_hash:
        raise errors.content_differs()
    if row["state"] == "approved":
        if row["checked_by"] != command.actor:
            raise errors.already_checked(command.list_id, "approved")
        return _approved(row), []
    if row["state"] != "submitted":
        raise errors.wrong_state(command.list_id, row["state"], "submitted")
    await queries.check_list(
        conn, list_id=command.list_id, state="approved", actor=command.actor, cause=command.cause, refusal=None
    )
    fact = PaymentListApproved(
        **_facts(row), approved_by=command.actor, funded_items=row["funded_items"], funded_minor=row["funded_minor"]
    )
    return _approved(row), [Draft(fact, command.list_id, command.actor, command.cause)]


def _approved(row: Any) -> dict[str, Any]:
    funded = {"funded_items": row["funded_items"], "funded_minor": row["funded_minor"]}
    return {**_facts(row), **funded, "state": "approved"}


def _refuse_maker(row: Any, command: ListCommand, act: str) -> None:
    if {command.actor, *command.delegators} & {row["built_by"], row["submitted_by"]}:
        raise errors.same_person(act)


async def refuse_list(conn: Connection, command: ListCommand, reason: str) -> tuple[dict[str, Any], list[Draft]]:
    """Refuse a submitted list and free its funds; the cycle may be listed again. Raises as `approve_list` does."""
    row = await _locked(conn, command.list_id)
    _refuse_maker(row, command, "refuse")
    answer = {**_facts(row), "state": "refused"}
    if row["state"] == "refused" and row["checked_by"] == command.actor:
        return answer, []
    if row["state"] != "submitted":
        raise errors.wrong_state(command.list_id, row["state"], "submitted")
    for first in range(1, row["funded_items"] + 1, PAGE):
        last = min(first + PAGE - 1, row["funded_items"])
        page = await queries.items_of_ranks(conn, list_id=command.list_id, first=first, last=last)
        await ledger.apply_all(conn, [release(command.list_id, item["payment_id"]) for item in page])
    await queries.check_list(
        conn, list_id=command.list_id, state="refused", actor=command.actor, cause=command.cause, refusal=reason
    )
    fact = PaymentListRefused(**_facts(row), refused_by=command.actor, reason=reason)
    return answer, [Draft(fact, command.list_id, command.actor, command.cause)]


def reserve_id(list_id: str, payment_id: str) -> str:
    """The id of an item's reservation in the ledger (`reserve_items` builds the same)."""
    return f"reserve/{list_id}/{payment_id}"


def release(list_id: str, payment_id: str) -> Move:
    """Free an item's reservation."""
    return Move(f"void/{list_id}/{payment_id}", "void", reserve_id(list_id, payment_id))

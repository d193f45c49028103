"""Payments' rows. SQL stands in sql/; this module gives it shape."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import astuple, fields
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from salur.common.contracts.eligibility import CycleGranted, EntitlementGranted
from salur.common.database import Connection, load_queries
from salur.payments.domain.gate import ABOUT_ACCOUNT
from salur.payments.domain.lists import BY_PERSON, CANCELLED, NEEDS_DECISION, Candidate, Hold, Item, Source
from salur.payments.domain.reconcile import Statement

queries = load_queries(Path(__file__).parent / "sql")

CANDIDATES_PAGE = 2_000
CANDIDATE_FIELDS = len(fields(Candidate))

_ITEM_COLUMNS = (
    "list_id", "payment_id", "rank", "hold", "entitlement_id", "part", "attempt", "instruction_id", "beneficiary_id",
    "payee_version", "bank", "amount_minor", "currency", "region", "fund_id", "payee_id", "method", "offset_minor",
)  # fmt: skip


class PayeeRow(NamedTuple):
    """A payee version as stored; `sealed` holds number and holder."""

    beneficiary_id: str
    version: int
    status: str
    bank: str
    account_token: str
    sealed: bytes
    since: datetime
    identity_token: str | None
    living: str
    method: str


class MessageId(NamedTuple):
    """A bank's message: unique per bank."""

    bank: str
    message_id: str


class Suspended(NamedTuple):
    """An answer put aside, as stored. `size` is -1 for a tombstone."""

    suspense_id: str
    bank: str
    topic: str
    partition: int
    kafka_offset: int
    reason: str
    instruction_id: str | None
    size: int
    sealed: bytes


class Parked(NamedTuple):
    """A return that waits for its settlement, as stored."""

    bank: str
    message_id: str
    instruction_id: str
    topic: str
    partition: int
    kafka_offset: int
    sealed: bytes


class Moved(NamedTuple):
    """A payment's next state with what the bank said."""

    instruction_id: str
    state: str
    reason: str | None
    bank_reference: str | None
    return_reference: str | None


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as `width` column arrays, empty ones too."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


async def insert_payees(conn: Connection, rows: Sequence[PayeeRow]) -> list[str]:
    """Keep payee versions. Returns the beneficiaries whose version is known with other content."""
    ids, versions, statuses, banks, tokens, sealed, since, identities, living, methods = columns(rows, 10)
    differing = await queries.insert_payees(
        conn, beneficiary_ids=ids, versions=versions, statuses=statuses, banks=banks, tokens=tokens, sealed=sealed,
        since=since, identities=identities, living=living, methods=methods,
    )  # fmt: skip
    return [row["beneficiary_id"] for row in differing]


async def insert_entitlements(conn: Connection, facts: Sequence[EntitlementGranted]) -> list[str]:
    """Keep entitlements. Returns the ids known with other content."""
    differing = await queries.insert_entitlements(
        conn,
        entitlement_ids=[fact.entitlement_id for fact in facts],
        programme_ids=[fact.programme_id for fact in facts],
        cycle_ids=[fact.cycle_id for fact in facts],
        beneficiary_ids=[fact.beneficiary_id for fact in facts],
        kinds=[fact.kind for fact in facts],
        amounts=[fact.amount_minor for fact in facts],
        currencies=[fact.currency for fact in facts],
        regions=[fact.region for fact in facts],
        payee_ids=[fact.payee_id or fact.beneficiary_id for fact in facts],
    )
    return [row["entitlement_id"] for row in differing]


async def insert_granted(conn: Connection, marks: Sequence[tuple[int, CycleGranted]]) -> list[str]:
    """Keep cycles and the partitions whose mark has passed. Returns cycles known with other totals."""
    facts = [fact for _, fact in marks]
    differing = await queries.insert_cycles(
        conn,
        cycle_ids=[fact.cycle_id for fact in facts],
        programme_ids=[fact.programme_id for fact in facts],
        cut_ids=[fact.cut_id for fact in facts],
        entitlements=[fact.entitlements for fact in facts],
        amounts=[fact.amount_minor for fact in facts],
        currencies=[fact.currency for fact in facts],
    )
    await queries.insert_granted_cycles(
        conn, cycle_ids=[fact.cycle_id for fact in facts], partitions=[partition for partition, _ in marks]
    )
    return [row["cycle_id"] for row in differing]


Decided = tuple[Candidate, Hold | None]
"""A candidate with the hold that a person's decision about it means; None without one."""
_HOLDS: dict[str | None, Hold] = {"hold": BY_PERSON, "cancel": CANCELLED}


async def candidates(conn: Connection, cycle_id: str) -> AsyncIterator[list[Decided]]:
    """The cycle's entitlements with their current payees, in order of entitlement id, page by page."""
    after = ""
    while True:
        rows = await queries.candidates(conn, cycle_id=cycle_id, after=after, most=CANDIDATES_PAGE)
        if not rows:
            return
        yield [(Candidate(*list(row.values())[:-1]), _HOLDS.get(row["act"])) for row in rows]
        after = rows[-1]["entitlement_id"]


Released = tuple[Candidate, frozenset[str]]
"""A candidate with the gate's checks that a person released."""


def follow_up_candidates(conn: Connection, cycle_id: str) -> AsyncIterator[list[Released]]:
    """What earlier lists left and can be paid now."""
    query = partial(
        queries.follow_up_candidates, cycle_id=cycle_id, needs_decision=sorted(NEEDS_DECISION),
        account_checks=sorted(ABOUT_ACCOUNT),
    )  # fmt: skip
    return follow_up_pages(conn, query)


async def follow_up_pages(conn: Connection, query: Callable[..., Awaitable[Any]]) -> AsyncIterator[list[Released]]:
    """Candidates of a query with `after` and `most`, page by page; `place` is where the next page goes on."""
    after = ""
    while True:
        rows = await query(conn, after=after, most=CANDIDATES_PAGE)
        if not rows:
            return
        yield [(Candidate(*list(row.values())[:CANDIDATE_FIELDS]), frozenset(row["released"])) for row in rows]
        after = rows[-1]["place"]


async def insert_items(conn: Connection, list_id: str, items: Sequence[Item]) -> None:
    """Lock items into a list that is being built."""
    await conn.copy_records_to_table(
        "list_item", records=[(list_id, *astuple(item)) for item in items], columns=_ITEM_COLUMNS
    )


async def insert_list_funds(conn: Connection, list_id: str, sources: Sequence[Source]) -> None:
    """The funds of a list with what each is to bear."""
    await queries.insert_list_funds(
        conn, list_id=list_id, fund_ids=[source.fund_id for source in sources],
        shares=[source.share for source in sources], items=[source.items for source in sources],
        amounts=[source.amount_minor for source in sources],
    )  # fmt: skip


async def insert_lines(conn: Connection, statement: Statement) -> None:
    """Keep a statement's lines. A line id known from an earlier statement is a repeat."""
    await queries.insert_lines(
        conn, bank=statement.bank, statement_id=statement.statement_id,
        line_ids=[line.line_id for line in statement.lines], kinds=[line.kind for line in statement.lines],
        instruction_ids=[line.instruction_id for line in statement.lines],
        amounts=[line.amount_minor for line in statement.lines],
        currencies=[line.currency for line in statement.lines], accounts=[line.account for line in statement.lines],
    )  # fmt: skip


async def insert_messages(conn: Connection, messages: dict[MessageId, bytes]) -> dict[MessageId, bytes]:
    """Keep new messages with their content hash. Returns the ones known before, with the hash known."""
    if not messages:
        return {}
    # In one order, so that two writers never wait for each other in a circle.
    ordered = sorted(messages)
    banks, ids = [message.bank for message in ordered], [message.message_id for message in ordered]
    hashes = [messages[message] for message in ordered]
    added = await queries.insert_messages(conn, banks=banks, message_ids=ids, hashes=hashes)
    if len(added) == len(ordered):
        return {}
    new = {MessageId(row["bank"], row["message_id"]) for row in added}
    old = [message for message in ordered if message not in new]
    rows = await queries.known_messages(
        conn, banks=[message.bank for message in old], message_ids=[message.message_id for message in old]
    )
    return {MessageId(row["bank"], row["message_id"]): row["content_hash"] for row in rows}


async def move_payments(conn: Connection, moves: Sequence[Moved]) -> None:
    """Move payments (each at most once per call); the database refuses what the machine does not allow."""
    if not moves:
        return
    ids, states, reasons, references, returns = columns(moves, 5)
    await queries.move_payments(
        conn, instruction_ids=ids, states=states, reasons=reasons, bank_references=references,
        return_references=returns,
    )  # fmt: skip


async def park_returns(conn: Connection, rows: Sequence[Parked]) -> None:
    """Keep returns that came before their settlement."""
    if not rows:
        return
    banks, messages, instructions, topics, partitions, offsets, sealed = columns(rows, 7)
    await queries.park_returns(
        conn, banks=banks, message_ids=messages, instruction_ids=instructions, topics=topics, partitions=partitions,
        offsets=offsets, sealed=sealed,
    )  # fmt: skip


async def judge_returns(conn: Connection, messages: Sequence[MessageId]) -> None:
    """Close waiting returns that have been judged."""
    if messages:
        banks, ids = columns(messages, 2)
        await queries.judge_returns(conn, banks=banks, message_ids=ids)


async def insert_suspense(conn: Connection, rows: Sequence[Suspended]) -> None:
    """Put answers aside for a person."""
    if not rows:
        return
    ids, banks, topics, partitions, offsets, reasons, instructions, sizes, sealed = columns(rows, 9)
    await queries.insert_suspense(
        conn, suspense_ids=ids, banks=banks, topics=topics, partitions=partitions, offsets=offsets, reasons=reasons,
        instruction_ids=instructions, sizes=sizes, sealed=sealed,
    )  # fmt: skip

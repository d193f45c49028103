"""Ask the trail. Every question is a fact of its own on `audit.activity`: who asked what, and how much was found."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson

from salur.audit import store
from salur.audit.search.export import Format, collected, digest_of, file_of
from salur.audit.search.question import END, Question, position, refuse_other_region, scope_of
from salur.common.auth import Caller
from salur.common.contracts.trail import TrailAsked
from salur.common.database import Connection
from salur.common.errors import NotFound, TooLarge
from salur.common.events import Draft
from salur.common.values import new_id

PAGE_MAX = 500
EXPORT_PAGE = 2_000
EXPORT_MAX = 50_000
TIMELINE_MAX = 2_000
CHAIN_STEPS = 12
CHAIN_MAX = 500
COUNT_BLOCKS = 100
"""The rarest of several terms is told by so many blocks of each."""


def entry_view(row: Any) -> dict[str, Any]:
    """An entry as auditors see it: the event's words, its place, and the hash its inclusion proof begins with."""
    leaf: bytes = row["leaf"]
    document = orjson.loads(leaf)
    is_event = row["stream"] is not None
    return {
        **position(row),
        "leaf_hash": hashlib.sha256(b"\x00" + leaf).hexdigest(),
        "event_id": row["event_id"] or f"{row['topic']}/{row['partition']}/{row['kafka_offset']}",
        "type": row["type"],
        "subject": row["subject"],
        "time": row["event_time"],
        "actor": document.get("actor") if is_event else None,
        "cause": document.get("cause") if is_event else None,
        "data": document["data"] if is_event else document,
    }


async def find(conn: Connection, caller: Caller, question: Question, after: int, most: int) -> list[dict[str, Any]]:
    """The next entries that answer the question, in the log's order. Raises Forbidden for another region."""
    refuse_other_region(caller, question)
    terms, before = question.terms(), END
    if question.event is not None:
        leaf = await store.queries.search_event(conn, name=question.event)
        if leaf is None or leaf <= after:
            return []
        after, before = leaf - 1, leaf + 1
    if len(terms) > 1:
        counts = await store.queries.term_counts(conn, terms=terms, most=COUNT_BLOCKS)
        terms = [row["term"] for row in sorted(counts, key=lambda row: row["entries"])]
    rows = await store.queries.search_page(
        conn, terms=terms, scope=scope_of(caller), since=question.since, until=question.until, after=after,
        before=before, most=most,
    )  # fmt: skip
    return [entry_view(row) for row in rows]


async def timeline(conn: Connection, caller: Caller, household: str) -> dict[str, Any]:
    """One household from registration to receipt, with the banks' records its payments were answered by.

    Raises NotFound when nothing is known of it, also outside the caller's regions.
    """
    question = Question(household=household)
    entries = await find(conn, caller, question, -1, TIMELINE_MAX + 1)
    if not entries:
        raise NotFound("nothing in the trail about that household", code="household-unknown", who="caller")
    truncated = len(entries) > TIMELINE_MAX
    entries = entries[:TIMELINE_MAX]
    known = {entry["event_id"] for entry in entries}
    causes = sorted({entry["cause"] for entry in entries if entry["cause"]} - known)
    outside = await store.queries.entries_named(conn, names=causes)
    entries = sorted([*entries, *map(entry_view, outside)], key=lambda entry: entry["leaf_index"])
    known = {entry["event_id"] for entry in entries}
    for entry in entries:
        entry["cause_in_timeline"] = entry["cause"] in known
    return {"household_id": household, "entries": entries, "truncated": truncated}


async def chain(conn: Connection, caller: Caller, event: str) -> dict[str, Any]:
    """An event with what led to it and what it led to. Raises NotFound."""
    rows = await store.queries.cause_chain(
        conn, start=event, steps=CHAIN_STEPS, most=CHAIN_MAX + 1, scope=scope_of(caller)
    )
    if not rows:
        raise NotFound("no entry of that event id in the trail", code="entry-unknown", who="caller")
    return {"entries": [entry_view(row) for row in rows[:CHAIN_MAX]], "truncated": len(rows) > CHAIN_MAX}


async def export(conn: Connection, caller: Caller, question: Question, format_: Format) -> tuple[bytes, int]:
    """The whole filtered view as one file. Raises TooLarge over the limit: narrow the question."""
    entries, more = await collected(_pages(conn, caller, question), EXPORT_MAX)
    if more:
        raise TooLarge(f"over {EXPORT_MAX} entries: ask for a shorter time", code="export-too-large", who="caller")
    return await asyncio.to_thread(file_of, format_, entries), len(entries)


async def _pages(conn: Connection, caller: Caller, question: Question) -> AsyncIterator[Sequence[dict[str, Any]]]:
    after = -1
    while page := await find(conn, caller, question, after, EXPORT_PAGE):
        yield page
        after = page[-1]["leaf_index"]


def asked(
    caller: Caller, kind: str, question: dict[str, Any], found: int, content: bytes | None = None
) -> tuple[str, Draft]:
    """(id, event): that this was asked. With a file's hash, a receipt of the event proves the file."""
    query_id = new_id()
    fact = TrailAsked(
        query_id=query_id, kind=kind, question={name: str(value) for name, value in question.items()}, found=found,
        file_sha256=None if content is None else digest_of(content),
    )  # fmt: skip
    return query_id, Draft(fact, query_id, caller.actor, caller.request_id)

"""Entries with their own terms, and what follows from terms."""

from collections.abc import Iterable, Sequence
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Any, NamedTuple

import orjson

from salur.audit import store
from salur.audit.search.terms import Implied, Read, dimension, implies, terms_of
from salur.common.database import Connection


class Fact(NamedTuple):
    """An event in the log with its own terms. `document` is empty where the bytes are no event."""

    leaf_index: int
    time: datetime | None
    terms: Sequence[str]
    document: dict[str, Any]

    def values(self, name: str) -> list[str]:
        """The terms of one dimension."""
        return [term for term in self.terms if dimension(term) == name]

    def said(self, field: str) -> Any:
        """A field of the data, else of the envelope."""
        data = self.document.get("data")
        value = data.get(field) if isinstance(data, dict) else None
        return self.document.get(field) if value is None else value


async def follow(
    conn: Connection, terms: Iterable[str], taught: Iterable[tuple[str, str]] = ()
) -> tuple[Implied, set[tuple[str, str]]]:
    """(all that follows from terms by what is known and by what was `taught` beside it, what was known)."""
    implied, known = Implied(), set[tuple[str, str]]()
    asked: set[str] = set()
    asking = {term for term in {*terms, *implied.add(taught)} if implies(term)}
    while asking:
        rows = await store.queries.implied_by(conn, terms=sorted(asking))
        pairs = {(row["term"], row["implied"]) for row in rows}
        known |= pairs
        asked |= asking
        asking = {term for term in implied.add(pairs) if implies(term)} - asked
    return implied, known


async def facts_at(conn: Connection, leaves: Sequence[int]) -> list[Fact]:
    """The entries at these indexes, in order."""
    if not leaves:
        return []
    rows = await store.queries.entries_at(conn, leaves=leaves)
    return [
        Fact(row["leaf_index"], time_of(row["event_time"]), terms_of(Read(*row[:7])), _document(row)) for row in rows
    ]


def time_of(text: str | None) -> datetime | None:
    """The time an event says, if it is one with a zone that every database can hold."""
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo and MINYEAR < time.year < MAXYEAR else None


def _document(row: Any) -> dict[str, Any]:
    if row["stream"] is None:
        return {}
    document = orjson.loads(row["leaf"])
    return document if isinstance(document, dict) else {}

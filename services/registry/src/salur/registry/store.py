"""The registry's rows. SQL stands in sql/; this module gives it shape.

Lock order of every transaction: known households, new households, identifiers (each sorted), then streams.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import asyncpg
import orjson

from salur.common.database import Connection, load_queries

queries = load_queries(Path(__file__).parent / "sql")

PayeeStatus = Literal["active", "suspended", "closed"]
Key = tuple[str, str]
"""An identifier's place in the table: (scheme, token)."""


class IdentifierTaken(Exception):
    """Another transaction registered one of these identifiers just now: roll back, look again."""


class IdentifierRow(NamedTuple):
    """A row of `identifier`; the order of fields is the order of columns."""

    scheme: str
    token: str
    household_id: str
    member_id: str | None
    sealed: bytes


class HouseholdRow(NamedTuple):
    """What `insert_households` writes; attributes and members as JSON text, identity sealed."""

    household_id: str
    region: str
    attributes: str
    members: str
    content_token: str
    import_id: str | None
    identity: bytes | None


class PayeeRow(NamedTuple):
    """What `save_payees` writes."""

    household_id: str
    version: int
    status: PayeeStatus
    bank: str
    account_token: str
    sealed: bytes
    usable_from: datetime | None = None
    changed_by: str | None = None
    identity_token: str | None = None


def json_text(value: object) -> str:
    """Compact JSON for a jsonb column."""
    return orjson.dumps(value).decode()


async def insert_households(conn: Connection, rows: Sequence[HouseholdRow]) -> set[str]:
    """Insert what is new; returns the ids inserted. A concurrent insert of the same id is waited for."""
    if not rows:
        return set()
    ordered = sorted(rows, key=lambda row: row.household_id)
    ids, regions, attributes, members, tokens, import_ids, identities = zip(*ordered, strict=True)
    inserted = await queries.insert_households(
        conn, ids=ids, regions=regions, attributes=attributes, members=members, tokens=tokens, import_ids=import_ids,
        identities=identities,
    )  # fmt: skip
    return {row["household_id"] for row in inserted}


async def insert_identifiers(conn: Connection, rows: Sequence[IdentifierRow]) -> None:
    """Insert. Raises IdentifierTaken when another transaction was first; this one must then be rolled back."""
    if not rows:
        return
    ordered = sorted(rows, key=lambda row: (row.token, row.scheme))
    try:
        await conn.copy_records_to_table("identifier", records=ordered, columns=IdentifierRow._fields)
    except asyncpg.UniqueViolationError:
        raise IdentifierTaken from None


async def identifier_owners(conn: Connection, keys: Sequence[Key]) -> dict[Key, str]:
    """Household of each of these identifiers that is known."""
    if not keys:
        return {}
    schemes, tokens = zip(*keys, strict=True)
    rows = await queries.known_identifiers(conn, schemes=schemes, tokens=tokens)
    return {(row["scheme"], row["token"]): row["household_id"] for row in rows}


async def delete_identifiers(conn: Connection, keys: Sequence[Key]) -> None:
    if keys:
        schemes, tokens = zip(*keys, strict=True)
        await queries.delete_identifiers(conn, schemes=schemes, tokens=tokens)


async def save_payees(conn: Connection, rows: Sequence[PayeeRow]) -> None:
    if rows:
        ordered = sorted(rows, key=lambda row: row.household_id)
        ids, versions, statuses, banks, tokens, sealed, usable, actors, identities = zip(*ordered, strict=True)
        await queries.save_payees(
            conn, ids=ids, versions=versions, statuses=statuses, banks=banks, tokens=tokens, sealed=sealed,
            usable=usable, actors=actors, identities=identities,
        )  # fmt: skip


async def known_households(conn: Connection, ids: Sequence[str]) -> dict[str, Any]:
    """Rows (content_token, import_id) of these households that are known, by id."""
    return {row["household_id"]: row for row in await queries.known_households(conn, ids=list(ids))}

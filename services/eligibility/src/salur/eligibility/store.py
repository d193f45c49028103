"""Eligibility's rows. SQL stands in sql/; this module gives what is written in bulk its shape.

Lock order of every transaction: publishing (advisory), marks, programme or cycle row, then streams.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from salur.common.database import Connection, load_queries

queries = load_queries(Path(__file__).parent / "sql")

HOUSEHOLDS_CONSUMER = "eligibility.households"

Json = object
"""Anything the JSONB codec writes: dicts, lists, dataclasses."""


class HouseholdRow(NamedTuple):
    """A row of `household`; the order of fields is the order of columns."""

    household_id: str
    version: int
    partition: int
    sequence: int
    replaced_by: int | None
    region: str
    attributes: Json
    members: Json
    merged_into: str | None = None
    kind: str = "family"


class DecisionRow(NamedTuple):
    """A row of `decision`."""

    programme: int
    household_id: str
    household_version: int
    decision_id: str
    enrolled: bool
    unmet: list[str]
    criteria: Json
    components: Json
    not_due: Json
    amount_minor: int
    input_hash: str
    enrolled_members: list[str]
    score: float | None
    vulnerability: int | None
    occasion: str
    corrections: Json | None


class EntitlementRow(NamedTuple):
    """A row of `entitlement`."""

    programme_id: str
    cycle_id: str
    beneficiary_id: str
    kind: str
    entitlement_id: str | None
    decision_id: str
    amount_minor: int


async def copy_households(conn: Connection, rows: Sequence[HouseholdRow]) -> None:
    await conn.copy_records_to_table("household", records=rows, columns=HouseholdRow._fields)


async def copy_decisions(conn: Connection, rows: Sequence[DecisionRow]) -> None:
    await conn.copy_records_to_table("decision", records=rows, columns=DecisionRow._fields)


async def copy_entitlements(conn: Connection, rows: Sequence[EntitlementRow]) -> None:
    await conn.copy_records_to_table("entitlement", records=rows, columns=EntitlementRow._fields)

"""Grant what stood at the cut, and mark every partition when all is granted."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from salur.common.contracts.eligibility import (
    Component,
    CycleGranted,
    EntitlementGranted,
    EntitlementNotDue,
    NotDue,
)
from salur.common.database import Connection
from salur.common.events import PARTITIONS, Draft
from salur.common.values import derived_id
from salur.eligibility.store import EntitlementRow, copy_entitlements, queries

ACTOR = "service:eligibility"
ENTITLEMENTS_TOPIC = "eligibility.entitlements"
REGULAR = "regular"


async def grant(conn: Connection, cycle: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[Draft]:
    if not rows:
        return []
    granted: list[EntitlementRow] = []
    drafts: list[Draft] = []
    for row in rows:
        for beneficiary_id, components, not_due in _beneficiaries(row):
            written, fact = _entitlement(cycle, row, beneficiary_id, components, not_due)
            granted.append(written)
            drafts.append(Draft(fact, beneficiary_id, ACTOR, cycle["cause"]))
    await copy_entitlements(conn, granted)
    due = [row.amount_minor for row in granted if row.amount_minor > 0]
    await queries.add_to_cycle(
        conn, cycle_id=cycle["cycle_id"], entitlements=len(due), not_due=len(granted) - len(due), amount_minor=sum(due)
    )
    return drafts


def _beneficiaries(row: Mapping[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]]:
    """Who of a household is owed what: the household, or each of its members who qualifies and has a place."""
    selected = row["selected"]
    if not row["enrolled_members"] and (selected is None or selected):
        yield row["household_id"], row["components"], row["not_due"]
    for member_id in row["enrolled_members"]:
        if selected is None or member_id in selected:
            yield member_id, _of(member_id, row["components"]), _of(member_id, row["not_due"])


def _of(member_id: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["member_id"] == member_id]


def _entitlement(
    cycle: Mapping[str, Any],
    row: Mapping[str, Any],
    beneficiary_id: str,
    components: list[dict[str, Any]],
    not_due: list[dict[str, Any]],
) -> tuple[EntitlementRow, EntitlementGranted | EntitlementNotDue]:
    amount_minor = sum(line["amount_minor"] for line in components)
    place = {
        "programme_id": cycle["programme_id"], "cycle_id": cycle["cycle_id"], "beneficiary_id": beneficiary_id,
        "decision_id": row["decision_id"], "not_due": [NotDue(**_plain(item)) for item in not_due],
    }  # fmt: skip
    entitlement_id: str | None = None
    fact: EntitlementGranted | EntitlementNotDue = EntitlementNotDue(**place)
    if amount_minor > 0:
        entitlement_id = derived_id(cycle["programme_id"], cycle["cycle_id"], beneficiary_id, REGULAR)
        fact = EntitlementGranted(
            **place, entitlement_id=entitlement_id, kind=REGULAR, amount_minor=amount_minor,
            currency=cycle["currency"], components=[Component(**_plain(item)) for item in components],
            region=row["region"], payee_id=None if beneficiary_id == row["household_id"] else row["household_id"],
        )  # fmt: skip
    written = EntitlementRow(
        cycle["programme_id"], cycle["cycle_id"], beneficiary_id, REGULAR, entitlement_id, row["decision_id"],
        amount_minor,
    )  # fmt: skip
    return written, fact


def _plain(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line without whose it is: the entitlement says that."""
    return {name: value for name, value in line.items() if name != "member_id"}


async def close(conn: Connection, cycle: Mapping[str, Any]) -> list[Draft]:
    """All are granted: one mark behind them in every partition, in this one transaction."""
    totals = await queries.granted_totals(conn, cycle_id=cycle["cycle_id"])
    told = {name: cycle[name] for name in ("entitlements", "not_due", "amount_minor")}
    if dict(totals) != told or told["entitlements"] + told["not_due"] != cycle["selected"]:
        raise RuntimeError(
            f"cycle {cycle['cycle_id']} holds {dict(totals)}, was told {told} for {cycle['selected']} with a place: "
            "operations must compare its rows with its events"
        )
    await queries.close_granting(conn, cycle_id=cycle["cycle_id"])
    await queries.ask_late_changes_again(conn, cut_id=cycle["cut_id"])
    marks = [
        CycleGranted(
            cycle_id=cycle["cycle_id"], programme_id=cycle["programme_id"], cut_id=cycle["cut_id"], partition=partition,
            entitlements=told["entitlements"], amount_minor=told["amount_minor"], currency=cycle["currency"],
        )
        for partition in range(PARTITIONS)
    ]  # fmt: skip
    return [
        Draft(mark, mark.cycle_id, ACTOR, cycle["cause"], topic=ENTITLEMENTS_TOPIC, partition=mark.partition)
        for mark in marks
    ]

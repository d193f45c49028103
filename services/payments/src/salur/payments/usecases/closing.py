"""The daily close: control totals that must be zero, what is carried over with owner and age, signed by a person."""

from datetime import UTC, date, datetime
from typing import Any

from salur.common.contracts.payments import DayClosed, SuspenseEnded
from salur.common.database import Connection
from salur.common.events import Draft
from salur.payments import errors
from salur.payments.store import queries
from salur.payments.usecases.proposals import Person
from salur.payments.usecases.views import backlog


async def closing(conn: Connection, day: date) -> dict[str, Any]:
    """How a day stands: totals per currency with their differences, movements, carried breaks, what else waits."""
    known = await queries.close_of(conn, day=day)
    if known is not None:
        return {**known["report"], "day": day, "closed_by": known["closed_by"], "closed_at": known["closed_at"]}
    totals = [_with_differences(dict(row)) for row in await queries.closing_totals(conn)]
    statements = await queries.newest_statements(conn)
    return {
        "day": day,
        "closed_by": None,
        "totals": totals,
        "difference_minor": sum(abs(value) for row in totals for value in row["differences"].values()),
        "moves": [dict(row) for row in await queries.day_moves(conn, day=day)],
        "carried_breaks": [dict(row) for row in await queries.carried_breaks(conn)],
        "statements_until": {row["bank"]: row["until"].isoformat() for row in statements},
        "waiting": (await backlog(conn))["backlog"],
    }


def _with_differences(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "differences": {
            "ledger": row["ledger_sum_minor"],
            "clearing": row["clearing_minor"],
            "settled": row["beneficiaries_minor"] - row["settled_minor"],
            "disputed": row["disputed_minor"] - row["in_dispute_minor"],
            "reserved": row["reserved_minor"] - row["in_flight_minor"] - row["waiting_minor"],
        }
    }


async def close_day(conn: Connection, day: date, person: Person) -> tuple[dict[str, Any], list[Draft]]:
    """Close a day that is over, once. Raises Conflict: a total differs, a break has no owner, a later day is closed."""
    view = await closing(conn, day)
    if view["closed_by"] is not None:
        return view, []
    last = await queries.last_close(conn)
    if day >= datetime.now(UTC).date() or (last is not None and day < last):
        raise errors.day_not_closable(day.isoformat())
    if view["difference_minor"]:
        raise errors.day_does_not_add_up(day.isoformat(), view["difference_minor"])
    unowned = sum(row["count"] for row in view["carried_breaks"] if row["owner"] is None)
    if unowned:
        raise errors.break_without_owner(unowned)
    report = {name: value for name, value in view.items() if name not in ("day", "closed_by")}
    await queries.insert_close(conn, day=day, report=report, closed_by=person.actor)
    fact = DayClosed(
        day=day, closed_by=person.actor, difference_minor=view["difference_minor"],
        settled_minor={row["currency"]: row["settled_minor"] for row in view["totals"]},
        in_flight_minor={row["currency"]: row["in_flight_minor"] for row in view["totals"]},
        carried_breaks=sum(row["count"] for row in view["carried_breaks"]),
        oldest_break_s=max((row["oldest_s"] for row in view["carried_breaks"]), default=0),
    )  # fmt: skip
    return {**view, "closed_by": person.actor}, [Draft(fact, day.isoformat(), person.actor, person.cause)]


async def closes_page(conn: Connection, before: date, most: int) -> dict[str, Any]:
    """Closed days, the newest first."""
    return {"closings": [dict(row) for row in await queries.closes_page(conn, before=before, most=most)]}


async def end_suspense(
    conn: Connection, suspense_id: str, finding: str, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Write down what an answer put aside turned out to be. It moves no payment. Raises NotFound, Conflict."""
    row = await queries.suspense_by_id(conn, suspense_id=suspense_id)
    if row is None:
        raise errors.suspense_unknown(suspense_id)
    answer = {"suspense_id": suspense_id, "finding": finding}
    if await queries.end_suspense(conn, suspense_id=suspense_id, actor=person.actor, finding=finding) is None:
        if (row["ended_by"], row["finding"]) != (person.actor, finding):
            raise errors.suspense_ended(suspense_id)
        return answer, []
    fact = SuspenseEnded(suspense_id=suspense_id, bank=row["bank"], finding=finding, ended_by=person.actor)
    return answer, [Draft(fact, suspense_id, person.actor, person.cause)]

"""What people ask of a cycle: whom it reaches, who has a place, and why."""

from typing import Any

from salur.common.auth import Caller
from salur.common.database import Connection
from salur.eligibility import errors
from salur.eligibility.domain.places import place_told
from salur.eligibility.store import queries
from salur.eligibility.usecases.fairness import Check
from salur.eligibility.usecases.programmes import Rules

PAGE = 5_000


async def indicators_view(conn: Connection, rules: Rules, cycle_id: str) -> dict[str, Any]:
    """Coverage and error of a cycle: as checked before it was granted, or counted now. Raises NotFound."""
    cycle = await queries.cycle_indicators(conn, cycle_id=cycle_id)
    if cycle is None:
        raise errors.cycle_unknown(cycle_id)
    result = cycle["indicators"]
    if result is None:
        check = Check((await rules.numbered(conn, cycle["programme"])).compiled)
        last: str | None = ""
        while last is not None:
            last = await check.take_page(conn, cycle, last, PAGE)
        result = check.tally.result()
    return {"cycle_id": cycle_id, "state": cycle["state"], "alarms": cycle["alarms"], "indicators": result}


async def places_page(
    conn: Connection, caller: Caller, cycle_id: str, outcome: str | None, after: str, limit: int
) -> dict[str, Any]:
    """Those considered behind beneficiary `after`, within the caller's regions."""
    rows = await queries.places_page(
        conn, cycle_id=cycle_id, outcome=outcome, after=after, regions=list(caller.regions), most=limit
    )
    places = [dict(row) for row in rows]
    return {"places": places, "next": places[-1]["beneficiary_id"] if len(places) == limit else None}


async def place_view(
    conn: Connection, rules: Rules, caller: Caller, cycle_id: str, beneficiary_id: str
) -> dict[str, Any]:
    """Why somebody has a place or none. Raises NotFound, also for somebody outside the caller's regions."""
    row = await queries.place_of(conn, cycle_id=cycle_id, beneficiary_id=beneficiary_id)
    if row is None or not caller.sees(row["region"]):
        raise errors.place_unknown()
    document = (await rules.numbered(conn, row["programme"])).compiled.document
    shown = (
        "cycle_id", "programme_id", "beneficiary_id", "household_id", "decision_id", "outcome", "area", "rank",
        "candidates", "places", "score", "vulnerability", "waiting_since", "draw",
    )  # fmt: skip
    return {name: row[name] for name in shown} | {"told": place_told(document, row)}

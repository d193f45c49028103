"""What people ask of a cycle: whom it reaches, who has a place, and why."""

from typing import Any

from salur.common.auth import Caller
from salur.common.contracts.topics import PARTITIONS
from salur.common.database import Connection
from salur.eligibility import errors
from salur.eligibility.domain.indicators import Tally
from salur.eligibility.domain.places import place_told
from salur.eligibility.store import queries
from salur.eligibility.usecases.decide import facts_of
from salur.eligibility.usecases.fairness import Check
from salur.eligibility.usecases.programmes import Rules

PAGE = 5_000


async def indicators_view(conn: Connection, rules: Rules, cycle_id: str) -> dict[str, Any]:
    """Coverage and error of a cycle: as checked before it was granted, or counted now; `last`: of the cycle before.

    Raises NotFound.
    """
    cycle = await queries.cycle_indicators(conn, cycle_id=cycle_id)
    if cycle is None:
        raise errors.cycle_unknown(cycle_id)
    result = cycle["indicators"]
    if result is None:
        check = Check((await rules.numbered(conn, cycle["programme"])).compiled)
        last: str | None = ""
        while last is not None:
            last = await check.take_page(conn, cycle, last, PAGE)
            check.committed()
        result = check.result()
    last_one = await queries.last_indicators(conn, programme_id=cycle["programme_id"], cycle_id=cycle_id)
    shown = {name: cycle[name] for name in ("state", "alarms")}
    return {"cycle_id": cycle_id, **shown, "indicators": result, "last": last_one}


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


async def cut_view(conn: Connection, cut_id: str) -> dict[str, Any]:
    """How far a registry cut has come here."""
    passed = await queries.cut_passed(conn, cut_id=cut_id)
    return {
        "cut_id": cut_id,
        "passed": passed["partitions"],
        "partitions": PARTITIONS,
        "households": passed["households"],
    }


async def coverage_view(conn: Connection, cut_id: str) -> dict[str, Any]:
    """Who of those at a cut is owed anything by a cycle on it. Raises Conflict until the cut has passed."""
    passed = await queries.cut_passed(conn, cut_id=cut_id)
    if passed["partitions"] < PARTITIONS:
        raise errors.cut_not_passed(passed["partitions"], PARTITIONS)
    cycles = [row["cycle_id"] for row in await queries.cycles_on_cut(conn, cut_id=cut_id)]
    tally, after = Tally(), ""
    while rows := await queries.reached_page(conn, cut_id=cut_id, cycles=cycles, after=after, most=PAGE):
        for row in rows:
            household, reached = facts_of(row), set(row["reached"])
            whole = row["household_id"] in reached
            places = {place for place, member_id in enumerate(household.member_ids) if member_id in reached}
            tally.add(
                row["region"], row["attributes"], household.members, reached=bool(reached),
                reached_places=None if whole else places, ought=None,
            )  # fmt: skip
        after = rows[-1]["household_id"]
    return {"cut_id": cut_id, "cycles": len(cycles), "coverage": tally.result(reference=False)}

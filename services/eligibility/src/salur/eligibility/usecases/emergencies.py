"""A declared disaster: another person approves, residents are decided, entitlements follow at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from salur.common.contracts.eligibility import CycleOpened, EmergencyApproved, EmergencyDeclared
from salur.common.contracts.topics import PARTITIONS
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.events.stream import queries as event_queries
from salur.common.values import derived_id
from salur.eligibility import errors
from salur.eligibility.store import HOUSEHOLDS_CONSUMER, queries
from salur.eligibility.usecases.decide import Case, decide_cases, facts_of
from salur.eligibility.usecases.programmes import Rules


@dataclass(frozen=True, slots=True)
class Declare:
    """A command: who lives in `regions` at the cut is helped by the programme."""

    programme_id: str
    name: str
    regions: tuple[str, ...]
    started_on: date
    cut_id: str
    reason: str
    actor: str
    cause: str


async def declare(conn: Connection, rules: Rules, command: Declare) -> tuple[dict[str, Any], list[Draft]]:
    """Keep a declaration until another person approves. Raises NotFound, Conflict."""
    programme = await _emergency_programme(conn, rules, command.programme_id)
    declaration_id = derived_id("declaration", command.programme_id, command.name)
    inserted = await queries.insert_declaration(
        conn, declaration_id=declaration_id, programme_id=command.programme_id, name=command.name,
        regions=list(command.regions), started_on=command.started_on, cut_id=command.cut_id, reason=command.reason,
        actor=command.actor,
    )  # fmt: skip
    if inserted is None:
        raise errors.declaration_exists(command.name)
    fact = EmergencyDeclared(
        declaration_id=declaration_id, programme_id=command.programme_id, programme_version=programme["version"],
        name=command.name, regions=list(command.regions), started_on=command.started_on, cut_id=command.cut_id,
        reason=command.reason,
    )  # fmt: skip
    answer = {"declaration_id": declaration_id, "programme_id": command.programme_id, "state": "declared"}
    return answer, [Draft(fact, declaration_id, command.actor, command.cause)]


async def approve_declaration(
    conn: Connection, rules: Rules, declaration_id: str, *, people: frozenset[str], actor: str, cause: str
) -> tuple[dict[str, Any], list[Draft]]:
    """Begin the cycle of a declared disaster. Raises NotFound, Conflict while the cut is on its way, Forbidden."""
    row = await queries.lock_declaration(conn, declaration_id=declaration_id)
    if row is None:
        raise errors.declaration_unknown()
    if row["declared_by"] in people:
        raise errors.same_person("declared this disaster")
    if row["cycle_id"] is not None:
        return {"declaration_id": declaration_id, "cycle_id": row["cycle_id"], "state": "approved"}, []
    programme = await _emergency_programme(conn, rules, row["programme_id"])
    await _whole_at_cut(conn, row["cut_id"])
    cycle_id = derived_id("cycle", row["programme_id"], row["name"])
    opened = await queries.insert_cycle(
        conn, cycle_id=cycle_id, programme_id=row["programme_id"], programme=programme["number"], name=row["name"],
        cut_id=row["cut_id"], currency=programme["currency"], state="deciding", regions=row["regions"],
        actor=row["declared_by"], cause=cause, decided=0, enrolled=0, starts_on=None, ends_on=None, early_reason=None,
    )  # fmt: skip
    if opened is None:
        raise errors.cycle_exists(row["name"])
    await queries.approve_declaration(conn, declaration_id=declaration_id, cycle_id=cycle_id, actor=actor)
    fact = EmergencyApproved(
        declaration_id=declaration_id, programme_id=row["programme_id"], cycle_id=cycle_id,
        declared_by=row["declared_by"],
    )  # fmt: skip
    answer = {"declaration_id": declaration_id, "cycle_id": cycle_id, "state": "approved"}
    return answer, [Draft(fact, declaration_id, actor, cause)]


async def _emergency_programme(conn: Connection, rules: Rules, programme_id: str) -> Mapping[str, Any]:
    programme: Mapping[str, Any] | None = await queries.programme(conn, programme_id=programme_id)
    if programme is None:
        raise errors.programme_unknown(programme_id)
    if (await rules.numbered(conn, programme["number"])).compiled.document.approach != "emergency":
        raise errors.no_emergency_programme()
    return programme


async def _whole_at_cut(conn: Connection, cut_id: str) -> None:
    passed = await queries.cut_passed(conn, cut_id=cut_id)
    if passed["partitions"] < PARTITIONS:
        raise errors.cut_not_passed(passed["partitions"], PARTITIONS)
    if await event_queries.any_blocked(conn, consumers=[HOUSEHOLDS_CONSUMER]):
        raise errors.input_blocked()
    known = await queries.count_at_cut(conn, cut_id=cut_id)
    if known != passed["households"]:
        raise errors.cut_incomplete(known, passed["households"])


async def decide_residents(
    conn: Connection, rules: Rules, cycle: Mapping[str, Any], after: str, most: int
) -> tuple[str | None, list[Draft]]:
    """Decide the next residents: (where to go on, events); None when all are and the cycle goes on to grant."""
    place = {name: cycle[name] for name in ("cut_id", "programme", "regions")}
    ruling = await rules.numbered(conn, cycle["programme"])
    subject = ruling.compiled.document.subject
    rows = await queries.undecided_residents(conn, **place, subject=subject, after=after, most=most)
    if rows:
        cases = [Case(facts_of(row), cycle["cause"]) for row in rows]
        return rows[-1]["household_id"], await decide_cases(conn, ruling, cases)
    counts = dict(await queries.standing_residents(conn, **place))
    await queries.begin_granting(conn, cycle_id=cycle["cycle_id"], **counts)
    fact = CycleOpened(
        cycle_id=cycle["cycle_id"], programme_id=cycle["programme_id"], programme_version=ruling.compiled.version,
        name=cycle["name"], cut_id=cycle["cut_id"], **counts,
    )  # fmt: skip
    return None, [Draft(fact, cycle["cycle_id"], cycle["opened_by"], cycle["cause"])]


async def declarations_view(conn: Connection) -> dict[str, Any]:
    """Every declared disaster, the latest first."""
    return {"declarations": [dict(row) for row in await queries.declarations(conn)]}

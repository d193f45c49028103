"""What people ask: how far a programme is, who is decided how, and why."""

from collections.abc import Mapping
from typing import Any

from salur.common.auth import Caller
from salur.common.database import Connection
from salur.eligibility import errors
from salur.eligibility.domain.decide import decide, scored
from salur.eligibility.domain.explain import benefit_told, criteria_told, outcome_told, score_told
from salur.eligibility.store import queries
from salur.eligibility.usecases.decide import facts_of
from salur.eligibility.usecases.programmes import Rules
from salur.eligibility.usecases.replay import agrees


async def programmes_view(conn: Connection) -> dict[str, Any]:
    """Every programme in force and every version that waits for approval, without their rules."""
    return {
        "programmes": [dict(row) for row in await queries.programmes(conn)],
        "proposals": [dict(row) for row in await queries.proposals(conn)],
    }


async def programme_view(conn: Connection, programme_id: str) -> dict[str, Any]:
    """One programme in force with its rules, byte for byte. Raises NotFound."""
    row = await _programme(conn, programme_id)
    return {name: value for name, value in row.items() if name != "number"}


async def progress_view(conn: Connection, rules: Rules, programme_id: str) -> dict[str, Any]:
    """Households known, decided by the version in force, enrolled, and how many meet each criterion."""
    row = await _programme(conn, programme_id)
    compiled = (await rules.numbered(conn, row["number"])).compiled
    counts = dict(await queries.progress(conn, programme=row["number"], subject=compiled.document.subject))
    unmet = {item["code"]: item["unmet"] for item in await queries.unmet_counts(conn, programme=row["number"])}
    met = {c.code: counts["decided"] - unmet.get(c.code, 0) for c in compiled.document.criteria}
    return {"programme_id": programme_id, "version": row["version"], **counts, "eligible_by_criterion": met}


async def decisions_page(conn: Connection, caller: Caller, programme_id: str, after: str, limit: int) -> dict[str, Any]:
    """Decisions in force behind household `after`, in order of household id, within the caller's regions."""
    row = await _programme(conn, programme_id)
    rows = await queries.decisions_page(
        conn, programme=row["number"], after=after, regions=list(caller.regions), most=limit
    )
    decisions = [{**item, "outcome": _outcome(item)} for item in map(dict, rows)]
    for item in decisions:
        del item["enrolled"]
    return {"decisions": decisions, "next": decisions[-1]["household_id"] if len(decisions) == limit else None}


async def decision_view(
    conn: Connection, rules: Rules, caller: Caller, programme_id: str, household_id: str
) -> dict[str, Any]:
    """Why (not): each criterion with its texts, legal basis, expression, values and outcome; what is due and what not.

    `reproduced`: the stored rules and inputs, run again now, give the same decision.
    """
    programme = await _programme(conn, programme_id)
    row = await queries.decision_of(conn, programme=programme["number"], household_id=household_id)
    if row is None or not caller.sees(row["region"]):
        raise errors.decision_unknown()
    compiled = (await rules.numbered(conn, programme["number"])).compiled
    facts = facts_of(row)
    again = decide(compiled, facts)
    return {
        "decision_id": row["decision_id"], "programme_id": programme_id, "programme_version": programme["version"],
        "programme": programme["name"], "legal": compiled.document.legal, "household_id": household_id,
        "household_version": row["version"], "decided_at": row["decided_at"], "outcome": _outcome(row),
        "summary": outcome_told(compiled, row["enrolled"]), "unmet": row["unmet"],
        "criteria": criteria_told(compiled, row["criteria"]), "benefit": benefit_told(compiled, row),
        "score": score_told(compiled.model, scored(compiled.model, facts)) if compiled.model else None,
        "input_hash": row["input_hash"], "reproduced": agrees(again, row),
    }  # fmt: skip


def _outcome(row: Mapping[str, Any]) -> str:
    return "enrolled" if row["enrolled"] else "not-enrolled"


async def _programme(conn: Connection, programme_id: str) -> Mapping[str, Any]:
    row: Mapping[str, Any] | None = await queries.programme(conn, programme_id=programme_id)
    if row is None:
        raise errors.programme_unknown(programme_id)
    return row


async def cycle_view(conn: Connection, cycle_id: str) -> dict[str, Any]:
    """A cycle and what it has granted so far. Raises NotFound."""
    row = await queries.cycle(conn, cycle_id=cycle_id)
    if row is None:
        raise errors.cycle_unknown(cycle_id)
    counts = {item["outcome"]: item["count"] for item in await queries.places_counts(conn, cycle_id=cycle_id)}
    return {**row, "places": counts}

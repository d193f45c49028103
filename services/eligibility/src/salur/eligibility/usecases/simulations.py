"""Ask what other rules would change, and keep the answer."""

from collections.abc import Mapping
from typing import Any

from salur.common.contracts.eligibility import SimulationDone
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.values import new_id
from salur.eligibility import errors
from salur.eligibility.domain.rules import ExpressionInvalid
from salur.eligibility.domain.simulation import Question, Version, reference_rule
from salur.eligibility.store import queries
from salur.eligibility.usecases.programmes import compiled_or_refused, model_text

ACTOR = "service:eligibility"


async def ask(
    conn: Connection, rules: str, against: str | None, reference: str | None, *, actor: str, cause: str
) -> dict[str, str | None]:
    """Keep the question: `rules` against `against`, or against what is in force. Raises Invalid."""
    proposed = await compiled_or_refused(conn, rules)
    try:
        reference_rule(proposed, reference)
    except ExpressionInvalid as error:
        raise errors.programme_invalid(f"reference: {error}") from None
    programme_id = proposed.document.id
    current_rules, current = against, None
    if against is None:
        row = await queries.programme(conn, programme_id=programme_id)
        if row is not None:
            current_rules, current = row["rules"], row["version"]
    else:
        current = (await compiled_or_refused(conn, against)).version
    simulation_id = new_id()
    await queries.insert_simulation(
        conn, simulation_id=simulation_id, programme_id=programme_id, proposed=proposed.version, current=current,
        proposed_rules=rules, current_rules=current_rules, reference=reference, actor=actor, cause=cause,
    )  # fmt: skip
    return {
        "simulation_id": simulation_id, "programme_id": programme_id, "proposed": proposed.version,
        "current": current, "state": "waiting",
    }  # fmt: skip


async def next_question(conn: Connection) -> Mapping[str, Any] | None:
    """The oldest question nobody has answered."""
    row: Mapping[str, Any] | None = await queries.next_simulation(conn)
    if row is None:
        return None
    models = {
        name: await model_text(conn, row[name]) for name in ("proposed_rules", "current_rules") if row[name] is not None
    }
    return {**row, "models": models}


def question_of(row: Mapping[str, Any]) -> Question:
    """The question as the processes take it."""
    proposed, current = (
        None if row[name] is None else Version(row[name], row["models"][name])
        for name in ("proposed_rules", "current_rules")
    )
    assert proposed is not None
    return Question(current, proposed, row["reference"])


async def answer(conn: Connection, question: Mapping[str, Any], result: dict[str, Any] | None) -> list[Draft]:
    """Keep the result (None: it failed, for operations to look why); tell the totals."""
    state = "failed" if result is None else "done"
    await queries.end_simulation(conn, simulation_id=question["simulation_id"], state=state, result=result)
    if result is None:
        return []
    gain, lose = (result[kind].get("all", {}) for kind in ("gain", "lose"))
    fact = SimulationDone(
        simulation_id=question["simulation_id"], programme_id=question["programme_id"],
        proposed=question["proposed"], current=question["current"], families=result["families"],
        families_gain=gain.get("families", 0), families_lose=lose.get("families", 0),
        current_minor=result["current"]["amount_minor"], proposed_minor=result["proposed"]["amount_minor"],
        asked_by=question["asked_by"],
    )  # fmt: skip
    return [Draft(fact, question["simulation_id"], ACTOR, question["cause"])]


async def simulation_view(conn: Connection, simulation_id: str) -> dict[str, Any]:
    """A question and, when it is done, its answer. Raises NotFound."""
    row = await queries.simulation(conn, simulation_id=simulation_id)
    if row is None:
        raise errors.simulation_unknown()
    return dict(row)

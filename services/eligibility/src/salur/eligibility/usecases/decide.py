"""Decide for households as they arrive, and for all known ones when a programme is new."""

from collections.abc import Sequence
from typing import Any

import orjson

from salur.common.contracts.eligibility import CriterionResult, DecisionMade
from salur.common.contracts.registry import HouseholdChanged, HouseholdRegistered, RegistryCut
from salur.common.events import Draft, Received
from salur.common.values import new_id
from salur.eligibility.domain.decide import Decision, HouseholdFacts, decide
from salur.eligibility.domain.programme import Compiled
from salur.eligibility.store import queries
from salur.eligibility.usecases.programmes import Rules

ACTOR = "service:eligibility"
HOUSEHOLDS_PER_BATCH = 1_000


async def take_households(conn: Any, batch: Sequence[Received], rules: Rules) -> list[Draft]:
    """Keep the newest snapshot of each household, record cuts, and decide for every programme in force."""
    newest: dict[str, Received] = {}
    cuts = [event for event in batch if isinstance(event.data, RegistryCut)]
    for event in batch:
        if isinstance(event.data, HouseholdRegistered | HouseholdChanged):
            newest[event.key] = event
    await _save(conn, list(newest.values()))
    if cuts:
        await queries.save_cut_marks(
            conn,
            cut_ids=[event.key for event in cuts],
            streams=[event.stream for event in cuts],
            sequences=[event.sequence for event in cuts],
            households=[event.data.households for event in cuts if isinstance(event.data, RegistryCut)],
        )
    facts = [(_facts(event), event.id) for event in newest.values()]
    programmes = await rules.in_force(conn) if facts else []
    return [draft for programme in programmes for draft in await _decide(conn, programme, facts)]


async def _save(conn: Any, events: Sequence[Received]) -> None:
    data: list[Any] = [event.data for event in events]
    await queries.save_households(
        conn,
        ids=[item.household_id for item in data],
        versions=[item.version for item in data],
        regions=[item.region for item in data],
        attributes=[orjson.dumps(item.attributes).decode() for item in data],
        members=[orjson.dumps([member.attributes for member in item.members]).decode() for item in data],
        streams=[event.stream for event in events],
        sequences=[event.sequence for event in events],
    )


def _facts(event: Received) -> HouseholdFacts:
    data: Any = event.data
    members = [member.attributes for member in data.members]
    return HouseholdFacts(data.household_id, data.version, data.attributes, members)


async def decide_undecided(conn: Any, rules: Rules) -> list[Draft]:
    """Decide one batch of households that lack a decision in force. No cursor: what is missing is asked of the rows."""
    for programme in await rules.in_force(conn):
        rows = await queries.undecided(
            conn, programme_id=programme.document.id, version=programme.version, most=HOUSEHOLDS_PER_BATCH
        )
        if rows:
            facts = [
                (
                    HouseholdFacts(row["household_id"], row["version"], row["attributes"], row["members"]),
                    programme.version[:32],
                )
                for row in rows
            ]
            return await _decide(conn, programme, facts)
    return []


async def _decide(conn: Any, programme: Compiled, facts: Sequence[tuple[HouseholdFacts, str]]) -> list[Draft]:
    made = [(household, cause, new_id(), decide(programme, household)) for household, cause in facts]
    programme_id, count = programme.document.id, len(made)
    await queries.save_decisions(
        conn,
        programmes=[programme_id] * count,
        households=[household.household_id for household, _, _, _ in made],
        ids=[decision_id for _, _, decision_id, _ in made],
        programme_versions=[programme.version] * count,
        household_versions=[household.version for household, _, _, _ in made],
        outcomes=[decision.outcome for _, _, _, decision in made],
        unmet=[",".join(decision.unmet) for _, _, _, decision in made],
        criteria=[orjson.dumps(decision.criteria).decode() for _, _, _, decision in made],
        benefits=[_benefit(decision) for _, _, _, decision in made],
        amounts=[decision.amount_minor for _, _, _, decision in made],
        hashes=[decision.input_hash for _, _, _, decision in made],
    )
    return [
        Draft(_fact(programme, household, decision_id, decision), household.household_id, ACTOR, cause)
        for household, cause, decision_id, decision in made
    ]


def _benefit(decision: Decision) -> str:
    return orjson.dumps({"components": decision.components, "not_due": decision.not_due}).decode()


def _fact(programme: Compiled, household: HouseholdFacts, decision_id: str, decision: Decision) -> DecisionMade:
    return DecisionMade(
        decision_id=decision_id,
        programme_id=programme.document.id,
        programme_version=programme.version,
        household_id=household.household_id,
        household_version=household.version,
        outcome=decision.outcome,
        unmet=decision.unmet,
        criteria=[CriterionResult.model_construct(**item) for item in decision.criteria],
        input_hash=decision.input_hash,
    )

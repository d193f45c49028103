"""Decide: the same function for households as they arrive and for those known before a programme came in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from salur.common.contracts.eligibility import CriterionResult, DecisionMade
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.values import derived_id
from salur.eligibility.domain.compiling import Compiled
from salur.eligibility.domain.decide import Decision, HouseholdFacts, decide
from salur.eligibility.store import DecisionRow, copy_decisions, queries
from salur.eligibility.usecases.programmes import Rules, Ruling

ACTOR = "service:eligibility"


@dataclass(frozen=True, slots=True)
class Case:
    """A household version to decide, and the id of the event or request that asks for it."""

    household: HouseholdFacts
    cause: str
    occasion: str = ""
    corrections: Mapping[str, Any] | None = None


async def decide_cases(conn: Connection, ruling: Ruling, cases: Sequence[Case]) -> list[Draft]:
    """Decide a batch by one programme version, write the decisions, return their events."""
    rows: list[DecisionRow] = []
    drafts: list[Draft] = []
    for case in cases:
        household, decision = case.household, decide(ruling.compiled, case.household)
        fact = _fact(ruling.compiled, household, decision, case.occasion)
        rows.append(
            DecisionRow(
                ruling.number, household.household_id, household.version, fact.decision_id,
                decision.outcome == "enrolled", decision.unmet, decision.criteria, decision.components,
                decision.not_due, decision.amount_minor, decision.input_hash, decision.enrolled_members,
                decision.score, decision.vulnerability, case.occasion, case.corrections,
            )
        )  # fmt: skip
        drafts.append(Draft(fact, household.household_id, ACTOR, case.cause))
    await copy_decisions(conn, rows)
    return drafts


def _fact(compiled: Compiled, household: HouseholdFacts, decision: Decision, occasion: str) -> DecisionMade:
    programme_id, version = compiled.document.id, compiled.version
    return DecisionMade(
        decision_id=derived_id(
            programme_id, version, household.household_id, str(household.version), *([occasion] if occasion else [])
        ),
        programme_id=programme_id, programme_version=version, household_id=household.household_id,
        household_version=household.version, outcome=decision.outcome, unmet=decision.unmet,
        criteria=[
            CriterionResult(code=c.code, outcome=c.outcome, values=c.values, member_id=c.member_id)
            for c in decision.criteria
        ],
        input_hash=decision.input_hash, enrolled_members=decision.enrolled_members,
    )  # fmt: skip


class Place(NamedTuple):
    """A household version in the order a backfill takes them."""

    programme: int
    household_id: str = ""
    version: int = 0


START = Place(0)


def facts_of(row: Mapping[str, Any]) -> HouseholdFacts:
    """A stored household version as rules see it; `corrections`, where a row has some, put facts right."""
    members, attributes = row["members"], row["attributes"]
    if put_right := row.get("corrections"):
        attributes = attributes | put_right["household"]
        members = [
            {**member, "attributes": member["attributes"] | put_right["members"].get(member["member_id"], {})}
            for member in members
        ]
    return HouseholdFacts(
        row["household_id"], row["version"], attributes, [member["attributes"] for member in members],
        row["region"], [member["member_id"] for member in members],
    )  # fmt: skip


@dataclass(slots=True)
class Backfill:
    """Decides for the households known before a programme came in force, a batch a step.

    What is left is asked of the rows, so a crash loses nothing. Where the last committed batch ended only saves reading
    the same rows again: the work is done when a pass from the very first household finds nothing.
    """

    rules: Rules
    batch: int
    _after: Place = START
    _reached: Place = START

    async def step(self, conn: Connection) -> tuple[bool, list[Draft]]:
        """(whether there may be more, events). Call `committed` once the transaction is."""
        row = await queries.lock_undecided_programme(conn)
        if row is None:
            self._reached = START
            return False, []
        number = row["number"]
        after = self._after if self._after.programme == number else Place(number)
        households = await queries.undecided(
            conn,
            programme=number,
            subject=row["subject"],
            after_id=after.household_id,
            after_version=after.version,
            most=self.batch,
        )
        if not households:
            self._reached = Place(number)
            if after == self._reached:
                await queries.set_decided(conn, number=number)
            return True, []
        self._reached = Place(number, households[-1]["household_id"], households[-1]["version"])
        cases = [Case(facts_of(household), row["cause"]) for household in households]
        return True, await decide_cases(conn, await self.rules.numbered(conn, number), cases)

    def committed(self) -> None:
        """The step's transaction committed: go on from where it ended."""
        self._after = self._reached

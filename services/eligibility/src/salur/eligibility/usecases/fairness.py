"""Whom a cycle reaches, looked at before anything is granted; what breaks a limit waits for a person."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from salur.common.contracts.eligibility import CycleHeld, CycleReleased, FairnessAlarm
from salur.common.database import Connection
from salur.common.events import Draft
from salur.eligibility import errors
from salur.eligibility.domain.compiling import Compiled
from salur.eligibility.domain.decide import known_of
from salur.eligibility.domain.indicators import Tally, alarms
from salur.eligibility.store import queries
from salur.eligibility.usecases.decide import facts_of

ACTOR = "service:eligibility"


@dataclass(slots=True)
class Check:
    """Counts the households that stood at the cut, page by page; a crash begins again.

    A page counts once its transaction is committed: one that fails is read again.
    """

    compiled: Compiled
    tally: Tally = field(default_factory=Tally)
    _page: Tally = field(default_factory=Tally)

    async def take_page(self, conn: Connection, cycle: Mapping[str, Any], after: str, most: int) -> str | None:
        """Count the next households; returns the last one's id, None when all are counted."""
        rows = await queries.standing_page(
            conn, cycle_id=cycle["cycle_id"], cut_id=cycle["cut_id"], programme=cycle["programme"],
            subject=self.compiled.document.subject, chooses=cycle["chooses"], after=after, most=most,
        )  # fmt: skip
        self._page = Tally()
        for row in rows:
            self._add(row)
        return rows[-1]["household_id"] if rows else None

    def committed(self) -> None:
        """Count the page taken last."""
        self.tally.merge(self._page)
        self._page = Tally()

    def result(self) -> dict[str, Any]:
        """Coverage, and error against the programme's reference where it has one."""
        return self.tally.result(reference=self.compiled.reference is not None)

    def _add(self, row: Mapping[str, Any]) -> None:
        household = facts_of(row)
        facts = known_of(self.compiled, household).facts
        persons: set[int] | None = None
        if self.compiled.document.kind == "person":
            reached_ids = set(row["reached"])
            persons = {place for place, member_id in enumerate(household.member_ids) if member_id in reached_ids}
        self._page.add(
            row["region"], row["attributes"], household.members, reached=bool(row["reached"]),
            reached_places=persons, ought=self.compiled.reference.value(facts) if self.compiled.reference else None,
            decile=facts.get("decile"),
        )  # fmt: skip

    async def conclude(self, conn: Connection, cycle: Mapping[str, Any]) -> list[Draft]:
        """Keep the indicators; hold the cycle when a limit of the programme is broken, else let it be granted."""
        limits = self.compiled.document.fairness
        result = self.result()
        last = await queries.last_indicators(conn, programme_id=cycle["programme_id"], cycle_id=cycle["cycle_id"])
        found = alarms(limits, result, last) if limits else []
        await queries.conclude_check(
            conn, cycle_id=cycle["cycle_id"], indicators=result, alarms=found, state="held" if found else "granting"
        )
        if not found:
            return []
        fact = CycleHeld(
            cycle_id=cycle["cycle_id"], programme_id=cycle["programme_id"],
            alarms=[FairnessAlarm(**alarm) for alarm in found[:50]],
        )  # fmt: skip
        return [Draft(fact, cycle["cycle_id"], ACTOR, cycle["cause"])]


async def release(
    conn: Connection, cycle_id: str, reason: str, *, people: frozenset[str], actor: str, cause: str
) -> list[Draft]:
    """Let a held cycle be granted, as another person than who opened it. Raises NotFound, Conflict, Forbidden."""
    cycle = await queries.lock_cycle(conn, cycle_id=cycle_id)
    if cycle is None:
        raise errors.cycle_unknown(cycle_id)
    if cycle["state"] != "held":
        raise errors.cycle_not_held()
    if cycle["opened_by"] in people:
        raise errors.same_person("opened this cycle")
    await queries.release_cycle(conn, cycle_id=cycle_id, actor=actor)
    fact = CycleReleased(
        cycle_id=cycle_id, programme_id=cycle["programme_id"], opened_by=cycle["opened_by"], reason=reason
    )
    return [Draft(fact, cycle_id, actor, cause)]

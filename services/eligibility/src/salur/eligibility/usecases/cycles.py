"""Open a cycle on a cut, and take it from step to step until everything is granted.

Who is enrolled, and with what, is what stood at the cut, however much changed since: rows keep every version.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from salur.common.contracts.eligibility import CycleOpened
from salur.common.database import Connection
from salur.common.events import PARTITIONS, Draft
from salur.common.events.stream import queries as event_queries
from salur.common.values import derived_id
from salur.eligibility import errors
from salur.eligibility.domain.periods import Period
from salur.eligibility.store import HOUSEHOLDS_CONSUMER, queries
from salur.eligibility.usecases.emergencies import decide_residents
from salur.eligibility.usecases.fairness import Check
from salur.eligibility.usecases.grant import REGULAR, close, grant
from salur.eligibility.usecases.programmes import Rules
from salur.eligibility.usecases.selection import announce, select

Reached = tuple[str, str, str, int]
"""A place in a cycle's work: cycle, state, household or beneficiary, version."""
NOWHERE: Reached = ("", "", "", 0)


@dataclass(frozen=True, slots=True)
class OpenCycle:
    """A command: a cycle of that programme, under that name, on that cut, for the months from `starts_on`.

    Without a day it is today; with an `early_reason` and no day, the first that no cycle has covered yet.
    """

    programme_id: str
    name: str
    cut_id: str
    actor: str
    cause: str
    starts_on: date | None = None
    early_reason: str | None = None


async def open_cycle(conn: Connection, rules: Rules, command: OpenCycle) -> tuple[dict[str, Any], list[Draft]]:
    """Open the cycle once everyone at the cut is decided; a cut is granted once. Of two at once one wins.

    Raises NotFound, Conflict.
    """
    programme = await queries.programme(conn, programme_id=command.programme_id)
    if programme is None:
        raise errors.programme_unknown(command.programme_id)
    document = (await rules.numbered(conn, programme["number"])).compiled.document
    if document.approach == "emergency":
        raise errors.needs_declaration()
    state = "selecting" if document.selects else "checking" if document.fairness else "granting"
    cycle_id = derived_id("cycle", command.programme_id, command.name)
    await queries.lock_programme(conn, programme=programme["number"])
    if await queries.cycle(conn, cycle_id=cycle_id) is not None:
        raise errors.cycle_exists(command.name)
    if paid := await queries.cycle_on_cut(conn, programme_id=command.programme_id, cut_id=command.cut_id):
        raise errors.cut_paid(paid)
    period, early_reason = await _period(conn, command, document.cycle_months)
    standing = await _standing(conn, programme["number"], document.subject, command.cut_id)
    opened = await queries.insert_cycle(
        conn, cycle_id=cycle_id, programme_id=command.programme_id, programme=programme["number"], name=command.name,
        cut_id=command.cut_id, currency=programme["currency"], state=state, regions=[], actor=command.actor,
        cause=command.cause, starts_on=period.starts_on, ends_on=period.ends_on, early_reason=early_reason, **standing,
    )  # fmt: skip
    if opened is None:
        raise errors.cycle_exists(command.name)
    fact = CycleOpened(
        cycle_id=cycle_id, programme_id=command.programme_id, programme_version=programme["version"],
        name=command.name, cut_id=command.cut_id, starts_on=period.starts_on, ends_on=period.ends_on,
        early_reason=early_reason, **standing,
    )  # fmt: skip
    answer = {
        "cycle_id": cycle_id, "programme_id": command.programme_id, "programme_version": programme["version"],
        "name": command.name, "cut_id": command.cut_id, "state": state, "starts_on": period.starts_on,
        "ends_on": period.ends_on, "early_reason": early_reason, **standing,
    }  # fmt: skip
    return answer, [Draft(fact, cycle_id, command.actor, command.cause)]


async def _period(conn: Connection, command: OpenCycle, months: int) -> tuple[Period, str | None]:
    """The months it pays for, and why before they begin where it does. Raises Conflict, Invalid."""
    today = datetime.now(UTC).date()
    starts_on = command.starts_on or today
    if command.starts_on is None and command.early_reason is not None:
        latest = await queries.covered_until(conn, programme_id=command.programme_id)
        starts_on = max(today, latest or today)
    try:
        period = Period.of(starts_on, months)
    except ValueError:
        raise errors.period_invalid() from None
    if other := await queries.cycle_in_period(conn, programme_id=command.programme_id, **period._asdict()):
        raise errors.cycle_overlaps(other["name"], other["starts_on"], other["ends_on"])
    early = starts_on > today
    if early and command.early_reason is None:
        raise errors.cycle_early(starts_on)
    return period, command.early_reason if early else None


async def _standing(conn: Connection, programme: int, subject: str, cut_id: str) -> dict[str, int]:
    """How many stand decided and enrolled at the cut. Raises Conflict as long as anyone may be missing."""
    passed = await queries.cut_passed(conn, cut_id=cut_id)
    if passed["partitions"] < PARTITIONS:
        raise errors.cut_not_passed(passed["partitions"], PARTITIONS)
    if await event_queries.any_blocked(conn, consumers=[HOUSEHOLDS_CONSUMER]):
        raise errors.input_blocked()
    # Read before the count: decided in between, the count is whole; the other way round it could look superseded.
    is_decided = await queries.is_decided(conn, programme=programme)
    counts = await queries.standing_at_cut(conn, programme=programme, subject=subject, cut_id=cut_id)
    if counts["known"] != passed["households"]:
        raise errors.cut_incomplete(counts["known"], passed["households"])
    if counts["decided"] < counts["living"]:
        refusal = errors.cut_superseded if is_decided else errors.decisions_pending
        raise refusal(counts["decided"], counts["living"])
    return {"decided": counts["decided"], "enrolled": counts["enrolled"]}


@dataclass(slots=True)
class CycleWork:
    """Takes the oldest cycle at work from state to state, a batch a step.

    What is left is asked of the rows, so a crash loses nothing: a new process passes over all of them again. Nothing
    that stood at the cut can be added behind the place reached, and closing compares the sums with who has a place.
    """

    rules: Rules
    batch: int
    _after: Reached = NOWHERE
    _reached: Reached = NOWHERE
    _check: Check | None = None

    async def step(self, conn: Connection) -> tuple[bool, list[Draft]]:
        """(whether there may be more, events). Call `committed` once the transaction is."""
        cycle = await queries.lock_cycle_at_work(conn)
        if cycle is None:
            return False, []
        here = (cycle["cycle_id"], cycle["state"])
        after = self._after if self._after[:2] == here else (*here, "", 0)
        self._reached = after
        match cycle["state"]:
            case "deciding":
                return True, await self._decide(conn, cycle, after)
            case "selecting":
                return True, await self._select(conn, cycle)
            case "announcing":
                return True, await self._announce(conn, cycle, after)
            case "checking":
                return True, await self._look(conn, cycle, after)
            case _:
                return True, await self._grant(conn, cycle, after)

    def committed(self) -> None:
        """The step's transaction committed: go on from where it ended."""
        self._after = self._reached
        if self._check is not None:
            self._check.committed()

    async def _decide(self, conn: Connection, cycle: Mapping[str, Any], after: Reached) -> list[Draft]:
        place, drafts = await decide_residents(conn, self.rules, cycle, after[2], self.batch)
        if place is not None:
            self._reached = (*after[:2], place, 0)
        return drafts

    async def _select(self, conn: Connection, cycle: Mapping[str, Any]) -> list[Draft]:
        ruling = await self.rules.numbered(conn, cycle["programme"])
        selected = await select(conn, cycle, ruling.compiled.document)
        await queries.set_cycle_state(conn, cycle_id=cycle["cycle_id"], state="announcing", selected=selected)
        return []

    async def _announce(self, conn: Connection, cycle: Mapping[str, Any], after: Reached) -> list[Draft]:
        place, drafts = await announce(conn, cycle, after[2], self.batch)
        if place is None:
            ruling = await self.rules.numbered(conn, cycle["programme"])
            state = "checking" if ruling.compiled.document.fairness else "granting"
            await queries.set_cycle_state(conn, cycle_id=cycle["cycle_id"], state=state, selected=None)
        else:
            self._reached = (*after[:2], place, 0)
        return drafts

    async def _look(self, conn: Connection, cycle: Mapping[str, Any], after: Reached) -> list[Draft]:
        if self._check is None or after[2] == "":
            self._check = Check((await self.rules.numbered(conn, cycle["programme"])).compiled)
        last = await self._check.take_page(conn, cycle, after[2], self.batch)
        if last is None:
            return await self._check.conclude(conn, cycle)
        self._reached = (*after[:2], last, 0)
        return []

    async def _grant(self, conn: Connection, cycle: Mapping[str, Any], after: Reached) -> list[Draft]:
        page = await queries.grant_page(
            conn, cycle_id=cycle["cycle_id"], programme=cycle["programme"], cut_id=cycle["cut_id"], kind=REGULAR,
            chooses=cycle["chooses"], regions=cycle["regions"], after_id=after[2], after_version=after[3],
            most=self.batch,
        )  # fmt: skip
        if not page:
            return await close(conn, cycle)
        self._reached = (*after[:2], page[-1]["household_id"], page[-1]["version"])
        return await grant(conn, cycle, [row for row in page if row["decision_id"] is not None])

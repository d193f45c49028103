"""Open a cycle on a cut, grant its entitlements, and mark every partition when all are granted.

Who is enrolled, and with what, is what stood at the cut, however much changed since: rows keep every version.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from salur.common.contracts.eligibility import (
    Component,
    CycleGranted,
    CycleOpened,
    EntitlementGranted,
    EntitlementNotDue,
    NotDue,
)
from salur.common.database import Connection
from salur.common.events import PARTITIONS, Draft
from salur.common.events.stream import queries as event_queries
from salur.common.values import derived_id
from salur.eligibility import errors
from salur.eligibility.store import HOUSEHOLDS_CONSUMER, EntitlementRow, copy_entitlements, queries

ACTOR = "service:eligibility"
ENTITLEMENTS_TOPIC = "eligibility.entitlements"
REGULAR = "regular"


@dataclass(frozen=True, slots=True)
class OpenCycle:
    """A command: a cycle of that programme, under that name, on that cut."""

    programme_id: str
    name: str
    cut_id: str
    actor: str
    cause: str


async def open_cycle(conn: Connection, command: OpenCycle) -> tuple[dict[str, Any], list[Draft]]:
    """Open the cycle once everyone at the cut is decided. Of two at once one wins. Raises NotFound, Conflict."""
    programme = await queries.programme(conn, programme_id=command.programme_id)
    if programme is None:
        raise errors.programme_unknown(command.programme_id)
    cycle_id = derived_id("cycle", command.programme_id, command.name)
    if await queries.cycle(conn, cycle_id=cycle_id) is not None:
        raise errors.cycle_exists(command.name)
    standing = await _standing(conn, programme["number"], command.cut_id)
    opened = await queries.insert_cycle(
        conn, cycle_id=cycle_id, programme_id=command.programme_id, programme=programme["number"], name=command.name,
        cut_id=command.cut_id, currency=programme["currency"], actor=command.actor, cause=command.cause, **standing,
    )  # fmt: skip
    if opened is None:
        raise errors.cycle_exists(command.name)
    fact = CycleOpened(
        cycle_id=cycle_id, programme_id=command.programme_id, programme_version=programme["version"],
        name=command.name, cut_id=command.cut_id, **standing,
    )  # fmt: skip
    answer = {
        "cycle_id": cycle_id, "programme_id": command.programme_id, "programme_version": programme["version"],
        "name": command.name, "cut_id": command.cut_id, "state": "granting", **standing,
    }  # fmt: skip
    return answer, [Draft(fact, cycle_id, command.actor, command.cause)]


async def _standing(conn: Connection, programme: int, cut_id: str) -> dict[str, int]:
    """How many stand decided and enrolled at the cut. Raises Conflict as long as anyone may be missing."""
    passed = await queries.cut_passed(conn, cut_id=cut_id)
    if passed["partitions"] < PARTITIONS:
        raise errors.cut_not_passed(passed["partitions"], PARTITIONS)
    if await event_queries.any_blocked(conn, consumers=[HOUSEHOLDS_CONSUMER]):
        raise errors.input_blocked()
    # Read before the count: decided in between, the count is whole; the other way round it could look superseded.
    is_decided = await queries.is_decided(conn, programme=programme)
    counts = await queries.standing_at_cut(conn, programme=programme, cut_id=cut_id)
    if counts["known"] != passed["households"]:
        raise errors.cut_incomplete(counts["known"], passed["households"])
    if counts["decided"] < counts["living"]:
        refusal = errors.cut_superseded if is_decided else errors.decisions_pending
        raise refusal(counts["decided"], counts["living"])
    return {"decided": counts["decided"], "enrolled": counts["enrolled"]}


@dataclass(slots=True)
class Granting:
    """Grants the oldest open cycle, a batch a step.

    What is left is asked of the rows, so a crash loses nothing: a new process passes over all of them again. Nothing
    that stood at the cut can be added behind the place reached, and closing compares the sums with who is enrolled.
    """

    batch: int
    _after: tuple[str, str, int] = ("", "", 0)
    _reached: tuple[str, str, int] = ("", "", 0)

    async def step(self, conn: Connection) -> tuple[bool, list[Draft]]:
        """(whether there may be more, events). Call `committed` once the transaction is."""
        cycle = await queries.lock_granting_cycle(conn)
        if cycle is None:
            return False, []
        cycle_id = cycle["cycle_id"]
        after = self._after if self._after[0] == cycle_id else (cycle_id, "", 0)
        page = await queries.grant_page(
            conn, cycle_id=cycle_id, programme=cycle["programme"], cut_id=cycle["cut_id"], kind=REGULAR,
            after_id=after[1], after_version=after[2], most=self.batch,
        )  # fmt: skip
        if not page:
            return True, await _close(conn, cycle)
        self._reached = (cycle_id, page[-1]["household_id"], page[-1]["version"])
        return True, await _grant(conn, cycle, [row for row in page if row["decision_id"] is not None])

    def committed(self) -> None:
        """The step's transaction committed: go on from where it ended."""
        self._after = self._reached


async def _grant(conn: Connection, cycle: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> list[Draft]:
    if not rows:
        return []
    granted: list[EntitlementRow] = []
    drafts: list[Draft] = []
    for row in rows:
        for beneficiary_id, components, not_due in _beneficiaries(row):
            written, fact = _entitlement(cycle, row, beneficiary_id, components, not_due)
            granted.append(written)
            drafts.append(Draft(fact, beneficiary_id, ACTOR, cycle["cause"]))
    await copy_entitlements(conn, granted)
    due = [row.amount_minor for row in granted if row.amount_minor > 0]
    await queries.add_to_cycle(
        conn, cycle_id=cycle["cycle_id"], entitlements=len(due), not_due=len(granted) - len(due), amount_minor=sum(due)
    )
    return drafts


def _beneficiaries(row: Mapping[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]]:
    """Who of a household is owed what: the household, or each of its members who qualifies."""
    if not row["enrolled_members"]:
        yield row["household_id"], row["components"], row["not_due"]
    for member_id in row["enrolled_members"]:
        yield member_id, _of(member_id, row["components"]), _of(member_id, row["not_due"])


def _of(member_id: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["member_id"] == member_id]


def _entitlement(
    cycle: Mapping[str, Any],
    row: Mapping[str, Any],
    beneficiary_id: str,
    components: list[dict[str, Any]],
    not_due: list[dict[str, Any]],
) -> tuple[EntitlementRow, EntitlementGranted | EntitlementNotDue]:
    amount_minor = sum(line["amount_minor"] for line in components)
    place = {
        "programme_id": cycle["programme_id"], "cycle_id": cycle["cycle_id"], "beneficiary_id": beneficiary_id,
        "decision_id": row["decision_id"], "not_due": [NotDue(**_plain(item)) for item in not_due],
    }  # fmt: skip
    entitlement_id: str | None = None
    fact: EntitlementGranted | EntitlementNotDue = EntitlementNotDue(**place)
    if amount_minor > 0:
        entitlement_id = derived_id(cycle["programme_id"], cycle["cycle_id"], beneficiary_id, REGULAR)
        fact = EntitlementGranted(
            **place, entitlement_id=entitlement_id, kind=REGULAR, amount_minor=amount_minor,
            currency=cycle["currency"], components=[Component(**_plain(item)) for item in components],
            region=row["region"], payee_id=None if beneficiary_id == row["household_id"] else row["household_id"],
        )  # fmt: skip
    written = EntitlementRow(
        cycle["programme_id"], cycle["cycle_id"], beneficiary_id, REGULAR, entitlement_id, row["decision_id"],
        amount_minor,
    )  # fmt: skip
    return written, fact


def _plain(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line without whose it is: the entitlement says that."""
    return {name: value for name, value in line.items() if name != "member_id"}


async def _close(conn: Connection, cycle: Mapping[str, Any]) -> list[Draft]:
    """All are granted: one mark behind them in every partition, in this one transaction."""
    totals = await queries.granted_totals(conn, cycle_id=cycle["cycle_id"])
    told = {name: cycle[name] for name in ("entitlements", "not_due", "amount_minor")}
    if dict(totals) != told or told["entitlements"] + told["not_due"] != cycle["enrolled"]:
        raise RuntimeError(
            f"cycle {cycle['cycle_id']} holds {dict(totals)}, was told {told} for {cycle['enrolled']} enrolled: "
            "operations must compare its rows with its events"
        )
    await queries.close_granting(conn, cycle_id=cycle["cycle_id"])
    marks = [
        CycleGranted(
            cycle_id=cycle["cycle_id"], programme_id=cycle["programme_id"], cut_id=cycle["cut_id"], partition=partition,
            entitlements=told["entitlements"], amount_minor=told["amount_minor"], currency=cycle["currency"],
        )
        for partition in range(PARTITIONS)
    ]  # fmt: skip
    return [
        Draft(mark, mark.cycle_id, ACTOR, cycle["cause"], topic=ENTITLEMENTS_TOPIC, partition=mark.partition)
        for mark in marks
    ]

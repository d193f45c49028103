"""What changes after a cycle has granted: entitlements amended or cancelled, each with its reason and cause.

A cycle pays what stood at its cut. A death, a merge, a split, a move or a departure after it changes what is owed as
long as it is not paid; payments knows whether it is. What was wrong from the start counts even then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from salur.common.contracts.eligibility import EntitlementAmended, EntitlementCancelled
from salur.common.contracts.feeds import PersonDeceased
from salur.common.contracts.registry import (
    HouseholdChanged,
    HouseholdMerged,
    HouseholdRegistered,
    HouseholdRestored,
    HouseholdSplit,
    PersonMerged,
)
from salur.common.database import Connection
from salur.common.events import Draft, Received
from salur.common.values import derived_id
from salur.eligibility.domain import late
from salur.eligibility.domain.compiling import Compiled
from salur.eligibility.domain.decide import HouseholdFacts
from salur.eligibility.domain.late import Reason, due_to, facts_now, reason_of, tied
from salur.eligibility.store import queries
from salur.eligibility.usecases.apart import Apart, Due, grant_apart
from salur.eligibility.usecases.decide import facts_of
from salur.eligibility.usecases.grant import REGULAR
from salur.eligibility.usecases.programmes import Rules

ACTOR = "service:eligibility"
SUPPLEMENT = "supplement"
COLUMNS = ("households", "partitions", "sequences", "reasons", "members", "others", "died_on", "requests", "causes")
Row = Mapping[str, Any]


async def keep_late_changes(conn: Connection, batch: Iterable[Received]) -> None:
    """Note what may change what was granted; a worker looks at it."""
    rows = [row for event in batch if (row := _noted(event)) is not None]
    if rows:
        names = (
            "households",
            "partitions",
            "sequences",
            "reasons",
            "members",
            "others",
            "died_on",
            "requests",
            "causes",
        )
        await queries.keep_late_changes(conn, **dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def _noted(event: Received) -> tuple[Any, ...] | None:
    member_id = other_id = died_on = None
    match event.data:
        case HouseholdRegistered():
            return None
        case HouseholdChanged() as fact if "region" in fact.changed:
            reason = late.MOVED
        case HouseholdChanged() as fact if "members" in fact.changed:
            reason = late.LEFT
        case HouseholdMerged() | PersonMerged() as fact:
            reason, other_id = late.MERGED, fact.into
        case HouseholdRestored():
            reason = late.MERGE_UNDONE
        case HouseholdSplit() as fact:
            reason, other_id = late.SPLIT, fact.new_household_id
        case PersonDeceased() as fact:
            reason, member_id, died_on = late.DEATH, fact.member_id, fact.died_on
        case _:
            return None
    return (
        event.key, event.partition, event.sequence, reason, member_id, other_id, died_on, event.cause, event.id,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Amendment:
    """What an entitlement (a row of `owed_to`) is worth from now on, and whose account is paid when that changes."""

    owed: Row
    amount_minor: int
    reason: Reason
    payee_id: str | None = None


async def amend(conn: Connection, amendments: Sequence[Amendment]) -> list[Draft]:
    """Keep the changes and tell them. The caller holds `lock_amending`."""
    if not amendments:
        return []
    await queries.insert_amendments(
        conn, entitlements=[one.owed["entitlement_id"] for one in amendments],
        numbers=[one.owed["changes"] + 1 for one in amendments], amounts=[one.amount_minor for one in amendments],
        payees=[one.payee_id or one.owed["payee_id"] for one in amendments],
        reasons=[one.reason.code for one in amendments], causes=[one.reason.cause for one in amendments],
        retroactive=[one.reason.retroactive for one in amendments],
    )  # fmt: skip
    return [_told(one) for one in amendments]


def _told(one: Amendment) -> Draft:
    owed = one.owed
    told = {
        "change_id": derived_id("change", owed["entitlement_id"], str(owed["changes"] + 1)),
        "entitlement_id": owed["entitlement_id"], "cycle_id": owed["cycle_id"],
        "beneficiary_id": owed["beneficiary_id"], "reason": one.reason.code, "retroactive": one.reason.retroactive,
    }  # fmt: skip
    fact: EntitlementAmended | EntitlementCancelled = EntitlementCancelled(**told)
    if one.amount_minor > 0:
        fact = EntitlementAmended(
            **told, amount_minor=one.amount_minor, currency=owed["currency"], payee_id=one.payee_id
        )
    return Draft(fact, owed["beneficiary_id"], ACTOR, one.reason.cause)


@dataclass(slots=True)
class Families:
    """Families tied to each other: what happened to them, and how they are now."""

    changes: Sequence[Row]
    now: dict[str, Row]

    @property
    def ids(self) -> set[str]:
        return {row["household_id"] for row in self.changes} | {
            row["other_id"] for row in self.changes if row["other_id"] is not None
        }

    def whose(self, member_id: str) -> Row | None:
        """The family a person belongs to now."""
        for household_id in sorted(self.ids & self.now.keys()):
            row = self.now[household_id]
            if row["merged_into"] is None and any(m["member_id"] == member_id for m in row["members"]):
                return row
        return None


@dataclass(slots=True)
class Judged:
    """What one cycle owes tied families from now on."""

    cycle: Row
    compiled: Compiled
    families: Families
    standing: dict[str, Row]
    owed: Mapping[str, Row]
    """By beneficiary: what the cycle granted, else what supplements to it did."""
    amendments: list[Amendment] = field(default_factory=list)
    supplements: list[tuple[Due, Reason]] = field(default_factory=list)
    _facts: dict[str, HouseholdFacts] = field(default_factory=dict)

    def judge(self) -> None:
        self._facts = {name: facts_of(row) for name, row in self.standing.items()}
        if self.compiled.document.kind == "person":
            for household_id, facts in self._facts.items():
                for member_id in facts.member_ids:
                    if (owed := self.owed.get(member_id)) is not None:
                        self._person(owed, household_id, member_id)
            return
        for household_id in sorted(self.families.ids & self.owed.keys()):
            self._family(self.owed[household_id], household_id)
        for change in self.families.changes:
            if change["other_id"] is not None and change["reason"] in (late.MERGED, late.SPLIT):
                self._pass_on(change)

    def _target(self, household_id: str) -> int:
        facts = facts_now(
            self.compiled, self._facts.get(household_id), list(self._facts.values()), self.families.now[household_id]
        )
        return due_to(self.compiled, facts, household_id)

    def _family(self, owed: Row, household_id: str) -> None:
        own = self._facts.get(household_id)
        most = owed["granted_minor"]
        if owed["kind"] == REGULAR:
            most += sum(
                self.owed[one]["granted_minor"] for one in self.families.ids & self.owed.keys()
                if self.families.now[one]["merged_into"] == household_id
            )  # fmt: skip
        self._change(owed, min(most, self._target(household_id)), own, self.families.now[household_id])

    def _person(self, owed: Row, household_id: str, member_id: str) -> None:
        own = self._facts[household_id]
        now = self.families.whose(member_id)
        if now is None:
            unknown = all(not change["small"] for change in self.families.changes)
            gone = any(c["member_id"] == member_id or c["reason"] == late.MERGED for c in self.families.changes)
            if unknown and not gone:
                return  # an import took them out of the family: where they live now nobody has said
            self._change(owed, 0, own, self.families.now[household_id])
            return
        due = due_to(self.compiled, facts_now(self.compiled, own, [own], now), member_id)
        payee_id = now["household_id"] if now["household_id"] != (owed["payee_id"] or household_id) else None
        self._change(owed, min(owed["granted_minor"], due), own, self.families.now[household_id], payee_id)

    def _change(
        self, owed: Row, amount_minor: int, own: HouseholdFacts | None, now: Row, payee_id: str | None = None
    ) -> None:
        if amount_minor == owed["due_minor"] and (payee_id is None or amount_minor == 0):
            return
        reason = reason_of(
            self.families.changes, own or facts_of(now), now, raised=amount_minor > owed["due_minor"],
            opened_on=self.cycle["opened_at"].date(),
        )  # fmt: skip
        self.amendments.append(Amendment(owed, amount_minor, reason, payee_id))

    def _pass_on(self, change: Row) -> None:
        """A family merged into, or split off, that was granted nothing: it takes over what the other loses."""
        giver, taker = change["household_id"], change["other_id"]
        owed, now = self.owed.get(giver), self.families.now.get(taker)
        if owed is None or now is None or taker in self.owed or owed["kind"] != REGULAR:
            return
        if change["reason"] == late.MERGED and self.families.now[giver]["merged_into"] != taker:
            return
        given = next((one.amount_minor for one in self.amendments if one.owed is owed), owed["due_minor"])
        amount_minor = min(owed["granted_minor"] - given, self._target(taker))
        if amount_minor > 0:
            due = Due(taker, [(SUPPLEMENT, amount_minor)], owed["decision_id"], now["region"])
            self.supplements.append((due, Reason(change["reason"], change["cause"], False)))


@dataclass(slots=True)
class LateWork:
    """Takes what happened to families, in order, and amends what was granted to them. A crash loses nothing.

    Done again it changes nothing: an entitlement is amended only when what it should be worth differs from what it is.
    """

    rules: Rules
    batch: int
    days: int

    async def step(self, conn: Connection) -> tuple[bool, list[Draft]]:
        """(whether there may be more, events)."""
        await queries.lock_amending(conn)
        due = list(await queries.late_changes_due(conn, most=self.batch))
        if not due:
            return False, []
        drafts: list[Draft] = []
        if cycles := list(await queries.changeable_cycles(conn, days=self.days)):
            drafts = await self._amend(conn, cycles, await _families(conn, {row["household_id"] for row in due}))
        await queries.end_late_changes(conn, numbers=[row["number"] for row in due])
        return True, drafts

    def committed(self) -> None:
        """Nothing is remembered between steps."""

    async def _amend(self, conn: Connection, cycles: Sequence[Row], groups: Sequence[Families]) -> list[Draft]:
        ids = [cycle["cycle_id"] for cycle in cycles]
        everyone = set().union(*(group.ids for group in groups))
        standing = await queries.standing_of(conn, ids=sorted(everyone), cycles=ids)
        people = {member["member_id"] for row in standing for member in row["members"]}
        owed = await queries.owed_to(conn, beneficiaries=sorted(everyone | people), cycles=ids)
        stood: dict[str, dict[str, Row]] = {}
        for row in standing:
            stood.setdefault(row["cycle_id"], {})[row["household_id"]] = row
        granted: dict[str, dict[str, Row]] = {}
        for row in owed:
            granted.setdefault(row["origin"], {})[row["beneficiary_id"]] = row
        amendments: list[Amendment] = []
        drafts: list[Draft] = []
        for cycle in (cycle for cycle in cycles if cycle["cycle_id"] in granted):
            compiled = (await self.rules.numbered(conn, cycle["programme"])).compiled
            there = stood.get(cycle["cycle_id"], {})
            for group in groups:
                own = {name: there[name] for name in group.ids & there.keys()}
                judged = Judged(cycle, compiled, group, own, granted[cycle["cycle_id"]])
                judged.judge()
                amendments += judged.amendments
                drafts += await _supplement(conn, cycle, judged.supplements)
        return await amend(conn, amendments) + drafts


async def _families(conn: Connection, touched: set[str]) -> list[Families]:
    changes = await queries.families_touched(conn, ids=sorted(touched))
    groups = [Families(group, {}) for group in tied(changes)]
    everyone = sorted(set().union(*(group.ids for group in groups)))
    now = {row["household_id"]: row for row in await queries.snapshots_of(conn, ids=everyone)}
    for group in groups:
        group.now = {name: now[name] for name in group.ids & now.keys()}
    return groups


async def _supplement(conn: Connection, cycle: Row, given: Sequence[tuple[Due, Reason]]) -> list[Draft]:
    drafts: list[Draft] = []
    for due, reason in given:
        cycle_id = derived_id(SUPPLEMENT, cycle["cycle_id"], due.beneficiary_id)
        apart = Apart(
            cycle_id, f"supplement {cycle_id}", SUPPLEMENT, cycle, ACTOR, reason.cause, supplements=cycle["cycle_id"]
        )
        drafts += await grant_apart(conn, apart, [due])
    return drafts

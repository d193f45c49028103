"""What a cycle owes after families have changed: what stood at its cut, less who left, where they live now. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from salur.eligibility.domain.compiling import Compiled
from salur.eligibility.domain.decide import HouseholdFacts, decide

DEATH, MERGED, MERGE_UNDONE, SPLIT, MOVED, LEFT = "death", "merged", "merge-undone", "split", "moved", "left"
RETURNED, OVERTURNED = "returned", "decision-overturned"
WRONG_FROM_THE_START = frozenset({MERGED, MERGE_UNDONE, RETURNED, OVERTURNED})


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an entitlement changes, the event that led here, and whether it was wrong when it was granted."""

    code: str
    cause: str
    retroactive: bool


def tied(changes: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Changes in groups of families that have to do with each other: by a merge, a split or one small request."""
    above: dict[str, str] = {}

    def top(name: str) -> str:
        above.setdefault(name, name)
        while above[name] != name:
            name = above[name]
        return name

    kept = list(changes)
    for change in kept:
        here = top(change["household_id"])
        if change["other_id"] is not None:
            above[top(change["other_id"])] = here
        if change["small"]:
            above[top(f"request/{change['request']}")] = top(here)
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for change in kept:
        groups.setdefault(top(change["household_id"]), []).append(change)
    return list(groups.values())


def facts_now(
    compiled: Compiled, own: HouseholdFacts | None, standing: Sequence[HouseholdFacts], now: Mapping[str, Any]
) -> HouseholdFacts | None:
    """A family as a cycle sees it after the changes; None when nobody of those who stood at the cut is left in it.

    `own`: the family at the cut (None: it is younger); `standing`: it and those it is tied to, there; `now`: its latest
    version. In a declared disaster where people lived then decides.
    """
    if now["merged_into"] is not None:
        return None
    here = {member["member_id"] for member in now["members"]}
    families = [own, *(one for one in standing if one is not own)] if own else list(standing)
    staying = {
        member_id: attributes
        for family in families
        for member_id, attributes in zip(family.member_ids, family.members, strict=True)
        if member_id in here
    }
    if not staying and (own is None or own.member_ids):
        return None
    stays_put = own is not None and compiled.document.approach == "emergency"
    return HouseholdFacts(
        now["household_id"], now["version"], own.attributes if own else now["attributes"], list(staying.values()),
        own.region if own and stays_put else now["region"], list(staying),
    )  # fmt: skip


def due_to(compiled: Compiled, facts: HouseholdFacts | None, beneficiary_id: str) -> int:
    """Minor units due per cycle to a family or one of its members."""
    if facts is None:
        return 0
    decision = decide(compiled, facts)
    if decision.outcome != "enrolled":
        return 0
    if compiled.document.kind != "person":
        return decision.amount_minor
    return sum(line.amount_minor for line in decision.components if line.member_id == beneficiary_id)


def reason_of(
    changes: Sequence[Mapping[str, Any]], own: HouseholdFacts, now: Mapping[str, Any], *, raised: bool, opened_on: date
) -> Reason:
    """What of the changes, in order, made the difference; the gravest where several did."""
    lost = set(own.member_ids) - {member["member_id"] for member in now["members"]}
    latest = {kind: [change for change in changes if change["reason"] == kind][-1:] for kind in (MERGED, SPLIT, MOVED)}
    died = [change for change in changes if change["reason"] == DEATH and change["member_id"] in lost]
    if raised:
        here = now["household_id"]
        joined = [
            change for change in changes
            if change["reason"] == MERGE_UNDONE or (change["reason"] == MERGED and change["other_id"] == here)
        ]  # fmt: skip
        code, found = (joined[-1]["reason"], joined) if joined else (RETURNED, changes)
    else:
        moved = latest[MOVED] if now["region"] != own.region else []
        merged = latest[MERGED] if now["merged_into"] is not None else []
        request = changes[-1]["request"]
        with_it = [c for c in changes if c["request"] == request and c["reason"] in (MERGED, MERGE_UNDONE)]
        told = [(MERGED, merged), (DEATH, died), (SPLIT, latest[SPLIT]), (MOVED, moved)]
        told += [(one["reason"], [one]) for one in with_it[-1:]]
        code, found = next(((code, rows) for code, rows in told if rows), (LEFT, changes))
    change = found[-1]
    before = code == DEATH and bool(change["died_on"]) and change["died_on"] < opened_on.isoformat()
    return Reason(code, change["cause"], before or code in WRONG_FROM_THE_START)

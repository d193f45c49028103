"""Erase a family, one of its people, or a group: asked for by one person on a legal basis, decided by another.

It happens in one transaction. The log keeps every entry and every proof: entries hold commitments, and what opens them
is destroyed here. The event tells eligibility and payments to destroy what they keep. Payments ends what is under way
first: it holds and asks banks to cancel, and keeps the account of a payment until the law lets it go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from salur.common.contracts.erasures import ErasureDecided, ErasureRequested, SubjectErased
from salur.common.database import Connection
from salur.common.errors import Conflict, Forbidden, Invalid, NotFound
from salur.common.events import Draft, erase_subjects
from salur.common.secrets import Secrets
from salur.common.values import derived_id, in_scope
from salur.registry.store import queries
from salur.registry.usecases.erase_person import (
    erase_people_again,
    erase_person,
    is_known,
    refuse_while_needed,
    unknown_person,
)
from salur.registry.usecases.groups import unknown_group
from salur.registry.usecases.states import By, unknown_household

Basis = Literal["subject-request", "consent-withdrawn", "retention-ended", "unlawful-processing", "court-order"]
"""Indonesia's law 27/2022 on personal data, articles 8, 43 and 44; the reference names the letter or the order."""
VIEW = (
    "erasure_id", "household_id", "member_id", "group_id", "basis", "reference", "state", "requested_by", "decided_by",
    "reason",
)  # fmt: skip
REAPPLIED = 100
MOST_DUE = 100_000


@dataclass(frozen=True, slots=True)
class Erasure:
    """What is asked for: a family, a person of it (`member_id`), or a group. `reference` is the office's own: the same
    one again is the same request."""

    household_id: str | None
    basis: Basis
    reference: str
    member_id: str | None = None
    group_id: str | None = None


async def request_erasure(conn: Connection, erasure: Erasure, by: By) -> tuple[dict[str, Any], bool, list[Draft]]:
    """Ask for an erasure. Returns (answer, whether new, events). Raises Invalid, NotFound, Conflict."""
    if (erasure.household_id is None) == (erasure.group_id is None) or (erasure.group_id and erasure.member_id):
        raise Invalid(
            "name a family, a family and one of its people, or a group", code="erasure-of-nobody", who="caller"
        )
    await (_family_stands(conn, erasure, by) if erasure.household_id else _group_stands(conn, erasure, by))
    subject = erasure.household_id or erasure.group_id or ""
    named = [subject, *filter(None, [erasure.member_id])]
    erasure_id = derived_id("erasure", *named, erasure.reference)
    row = await queries.insert_erasure(
        conn, erasure_id=erasure_id, household_id=erasure.household_id, member_id=erasure.member_id,
        group_id=erasure.group_id, basis=erasure.basis, reference=erasure.reference, by=by.actor,
    )  # fmt: skip
    if row is not None:
        fact = ErasureRequested(
            erasure_id=erasure_id, household_id=subject, basis=erasure.basis, member_id=erasure.member_id
        )
        return _view(row), True, [Draft(fact, erasure_id, by.actor, by.cause)]
    known = await queries.erasure_by_id(conn, erasure_id=erasure_id)
    if known is None or known["basis"] != erasure.basis:
        raise Conflict(
            "another request for the same waits, or had this reference: decide on it first",
            code="erasure-exists",
            who="caller",
        )
    return _view(known), False, []


async def _family_stands(conn: Connection, erasure: Erasure, by: By) -> None:
    household = await queries.household(conn, id=erasure.household_id)
    if household is None or not in_scope(household["region"], by.regions):
        raise unknown_household()
    if household["status"] != "active":
        where = household["merged_into"]
        raise Conflict(
            f"the family was merged into {where}: erase that one" if where else "the family was erased already",
            code="household-merged" if where else "household-erased",
            who="caller",
        )
    if erasure.member_id and not await is_known(conn, household["household_id"], erasure.member_id):
        raise unknown_person()


async def _group_stands(conn: Connection, erasure: Erasure, by: By) -> None:
    versions = await queries.lock_group(conn, group_id=erasure.group_id)
    if not versions or not in_scope(versions[-1]["region"], by.regions):
        raise unknown_group()
    if versions[-1]["state"] == "erased":
        raise Conflict("the group was erased already", code="group-erased", who="caller")


async def decide_erasure(
    conn: Connection, erasure_id: str, accept: bool, reason: str, by: By, secrets: Secrets
) -> tuple[dict[str, Any], list[Draft]]:
    """Refuse, or destroy: of a family keys, rows, and those of the families that were merged into it.

    Raises NotFound, Forbidden for who asked, Conflict while something open needs the data.
    """
    row = await queries.lock_erasure(conn, erasure_id=erasure_id)
    if row is None or not in_scope(row["region"], by.regions):
        raise NotFound("no such request in your regions: check the id", code="erasure-unknown", who="caller")
    if row["requested_by"] in by.people:
        raise Forbidden("you asked for this erasure: another person must decide", code="same-person", who="caller")
    state = "accepted" if accept else "refused"
    if row["state"] != "requested":
        if (row["state"], row["decided_by"]) == (state, by.actor):
            return _view(row), []
        raise Conflict(f"the request was {row['state']} already", code="erasure-decided", who="caller")
    drafts = await _erase(conn, row, by, secrets) if accept else []
    await queries.decide_erasure(conn, erasure_id=erasure_id, state=state, by=by.actor, reason=reason)
    fact = ErasureDecided(
        erasure_id=erasure_id, household_id=row["household_id"] or row["group_id"], basis=row["basis"],
        outcome="accepted" if accept else "refused", reason=reason, requested_by=row["requested_by"],
        member_id=row["member_id"],
    )  # fmt: skip
    answer = _view(row) | {"state": state, "decided_by": by.actor, "reason": reason}
    return answer, [Draft(fact, erasure_id, by.actor, by.cause), *drafts]


async def _erase(conn: Connection, row: Mapping[str, Any], by: By, secrets: Secrets) -> list[Draft]:
    household_id, member_id, erasure_id, basis = row["household_id"], row["member_id"], row["erasure_id"], row["basis"]
    if row["group_id"] is not None:
        return await _erase_group(conn, row["group_id"], erasure_id, basis, by)
    if member_id is not None:
        await refuse_while_needed(conn, household_id, member_id, secrets)
        return await erase_person(conn, household_id, member_id, erasure_id, basis, by, secrets)
    await _refuse_while_needed(conn, household_id)
    return await _destroy(conn, household_id, erasure_id, basis, by)


async def _erase_group(conn: Connection, group_id: str, erasure_id: str, basis: str, by: By) -> list[Draft]:
    kept = await queries.what_keeps_group(conn, id=group_id)
    if waiting := [name.removeprefix("open_") for name, found in kept.items() if found]:
        raise Conflict(
            f"a {' and a '.join(waiting)} of the group is open and needs its data: end it first",
            code="group-needed", who="registrar",
        )  # fmt: skip
    versions = await queries.lock_group(conn, group_id=group_id)
    await queries.erase_groups(conn, ids=[group_id])
    await erase_subjects(conn, [(group_id, erasure_id)])
    fact = SubjectErased(erasure_id=erasure_id, household_id=group_id, version=versions[-1]["version"] + 1, basis=basis)
    return [Draft(fact, group_id, by.actor, by.cause, topic=topic) for topic in fact.topics]


async def _refuse_while_needed(conn: Connection, household_id: str) -> None:
    kept = await queries.what_keeps_household(conn, id=household_id)
    waiting = [name.removeprefix("open_") for name, found in kept.items() if found]
    if waiting:
        raise Conflict(
            f"a {' and a '.join(waiting)} of the family is open and needs its data: close it first",
            code="household-needed",
            who="registrar",
        )


async def _destroy(conn: Connection, household_id: str, erasure_id: str, basis: str, by: By) -> list[Draft]:
    family = [row["household_id"] for row in await queries.absorbed_by(conn, id=household_id)]
    wards = {row["ward_id"]: row["version"] for row in await queries.wards_lent(conn, ids=family)}
    await queries.erase_households(conn, ids=family)
    await erase_subjects(conn, [(subject, erasure_id) for subject in (*family, *wards)])
    facts = [
        SubjectErased(
            erasure_id=erasure_id, household_id=row["household_id"], version=row["version"], basis=basis
        )
        for row in await queries.erased_households(conn, ids=family)
    ]  # fmt: skip
    lent = [
        SubjectErased(erasure_id=erasure_id, household_id=ward_id, version=version, basis=basis)
        for ward_id, version in wards.items()
    ]  # fmt: skip
    return [
        *(Draft(fact, fact.household_id, by.actor, by.cause, topic=topic) for fact in facts for topic in fact.topics),
        *(Draft(fact, fact.household_id, by.actor, by.cause, topic="registry.payees") for fact in lent),
    ]


async def records_due(conn: Connection, before: datetime) -> int:
    """How many families nobody has changed since `before`, without a request that somebody decided on since."""
    return len(await queries.due_household_records(conn, before=before, most=MOST_DUE))


async def request_due(conn: Connection, before: datetime, most: int) -> tuple[int, list[Draft]]:
    """Ask for the erasure of families whose retention has ended; people decide. Returns (how many, events)."""
    rows = await queries.due_household_records(conn, before=before, most=most)
    by = By("service:registry", f"retention/{before:%Y-%m-%d}")
    told: list[Draft] = []
    for row in rows:
        wanted = Erasure(row["household_id"], "retention-ended", f"retention/{before:%Y-%m-%d}")
        told += (await request_erasure(conn, wanted, by))[2]
    return len(rows), told


async def erase_again(conn: Connection, secrets: Secrets) -> bool:
    """Destroy what a restored backup has brought back of who was erased. True: there may be more."""
    rows = await queries.erased_but_held(conn, most=REAPPLIED)
    await queries.erase_households(conn, ids=[row["household_id"] for row in rows])
    groups = await queries.groups_held(conn, most=REAPPLIED)
    await queries.erase_groups(conn, ids=[row["group_id"] for row in groups])
    people = await erase_people_again(conn, REAPPLIED, secrets)
    return REAPPLIED in (len(rows), len(groups), people)


def _view(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in VIEW}

"""Erase one person of a family: what was said of them is destroyed, the family stands, every entry stays.

A value that speaks of several people, such as a family's list of members, cannot be parted: it is destroyed of every
version that had the person, and the family's snapshot without them follows.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from salur.common.contracts.erasures import PersonErased, SubjectErased
from salur.common.database import Connection
from salur.common.errors import Conflict, NotFound
from salur.common.events import Draft, erase_subjects, forget_values, person_subjects
from salur.common.secrets import Secrets
from salur.registry.domain.household import HouseholdInvalid
from salur.registry.store import json_text, queries
from salur.registry.usecases.identities import Identities
from salur.registry.usecases.prepare import open_payee
from salur.registry.usecases.states import (
    By,
    State,
    check_whole,
    lock_states,
    standing,
    unknown_household,
    write_states,
)

SERVICE = "service:registry"


async def is_known(conn: Connection, household_id: str, member_id: str) -> bool:
    """Whether somebody is, or was, of a family."""
    return bool(await queries.is_person_known(conn, id=household_id, member_id=member_id))


def unknown_person() -> NotFound:
    """Nobody of that id is or was of the family."""
    return NotFound("nobody of that id is or was of this family: check the id", code="member-unknown", who="caller")


async def refuse_while_needed(conn: Connection, household_id: str, member_id: str, secrets: Secrets) -> None:
    """Raises Conflict with what has to be ended first."""
    kept = dict(await queries.what_keeps_person(conn, id=household_id, member_id=member_id))
    waiting = [name.removeprefix("open_") for name, found in kept.items() if found]
    if waiting:
        raise Conflict(
            f"a {' and a '.join(waiting)} is open and needs this person's data: close it first",
            code="person-needed", who="registrar",
        )  # fmt: skip
    state = await _state(conn, household_id)
    if set(state.member_ids()) == {member_id}:
        raise Conflict("nobody else is of this family: erase the family", code="person-is-the-family", who="caller")
    names = _names(await queries.sides_of_family(conn, ids=[household_id]), {member_id}, secrets)
    for row in await queries.payees(conn, ids=[household_id]):
        if _said(open_payee(row["sealed"], household_id, secrets).holder) in names:
            raise Conflict(
                "the family's account stands in this person's name, and money may go to it: register another first",
                code="person-is-paid", who="registrar",
            )  # fmt: skip


async def erase_person(
    conn: Connection, household_id: str, member_id: str, erasure_id: str, basis: str, by: By, secrets: Secrets
) -> list[Draft]:
    """Destroy and tell. Raises Conflict when the family cannot stand without the person."""
    state = await _state(conn, household_id)
    was_there = member_id in state.member_ids()
    if was_there:
        await _leave(conn, state, member_id, by, secrets)
    wards = {
        row["ward_id"]: row["version"]
        for row in await queries.wards_lent(conn, ids=[household_id]) if row["ward_id"] == member_id
    }  # fmt: skip
    await destroy_person(conn, household_id, member_id, secrets)
    fact = PersonErased(
        erasure_id=erasure_id, household_id=household_id, member_id=member_id, version=state.version, basis=basis
    )
    await erase_subjects(conn, [(subject, erasure_id) for subject in person_subjects(fact.model_dump())])
    drafts = [Draft(fact, household_id, by.actor, by.cause)]
    if was_there:
        drafts.append(Draft(state.changed_fact(["members"]), household_id, by.actor, by.cause))
    for ward_id, version in wards.items():
        lent = SubjectErased(erasure_id=erasure_id, household_id=ward_id, version=version, basis=basis)
        drafts.append(Draft(lent, ward_id, by.actor, by.cause, topic="registry.payees"))
    return drafts


async def destroy_person(conn: Connection, household_id: str, member_id: str, secrets: Secrets) -> None:
    """Of the family's rows and of those of families merged into it; of their events; of what points to them."""
    family = [row["household_id"] for row in await queries.absorbed_by(conn, id=household_id)]
    people = {
        member_id,
        *(row["member_id"] for row in await queries.same_people(conn, ids=family, member_id=member_id)),
    }
    rows = await queries.sides_of_family(conn, ids=family)
    names = _names(rows, people, secrets)
    for each in family:
        await forget_values(conn, secrets, each, lambda data, values: _about(data, values, people, names))
    await _strip(conn, rows, people, secrets)
    accounts = [
        (row["household_id"], row["version"])
        for row in await queries.former_payees(conn, ids=family)
        if _said(open_payee(row["sealed"], row["household_id"], secrets).holder) in names
    ]
    await queries.forget_payee_versions(conn, ids=[row[0] for row in accounts], versions=[row[1] for row in accounts])
    await queries.erase_people(conn, families=family, people=sorted(people))
    await queries.person_applied(conn, subject=f"{household_id}/{member_id}")


async def erase_people_again(conn: Connection, most: int, secrets: Secrets) -> int:
    """People who are erased and whom a restored backup has brought back. Returns how many were looked at."""
    rows = await queries.people_to_erase_again(conn, most=most)
    for row in rows:
        household_id, _, member_id = row["subject"].partition("/")
        state = (await lock_states(conn, [household_id])).get(household_id)
        if state is not None and state.status == "active" and member_id in state.member_ids():
            # The snapshot without them was told already, as the version that Kafka has.
            state.members = [member for member in state.members if member["member_id"] != member_id]
            state.become(SERVICE, _others(state, member_id, secrets), secrets)
            await write_states(conn, [state])
        await destroy_person(conn, household_id, member_id, secrets)
    return len(rows)


async def _state(conn: Connection, household_id: str) -> State:
    state = (await lock_states(conn, [household_id])).get(household_id)
    if state is None:
        raise unknown_household()
    return standing(state, ())


async def _leave(conn: Connection, state: State, member_id: str, by: By, secrets: Secrets) -> None:
    """The next version of the family, without the person."""
    members = [member for member in state.members if member["member_id"] != member_id]
    try:
        check_whole(state.attributes, members)
    except HouseholdInvalid as error:
        raise Conflict(
            f"the family cannot stand without this person: {error}. Change it first",
            code="person-needed", who="registrar",
        ) from None  # fmt: skip
    state.members = members
    state.become(by.actor, _others(state, member_id, secrets), secrets)
    await write_states(conn, [state])


def _others(state: State, member_id: str, secrets: Secrets) -> Identities:
    present = state.identities(secrets)
    return Identities(present.contact, {key: person for key, person in present.people.items() if key != member_id})


async def _strip(conn: Connection, rows: Sequence[Any], people: Collection[str], secrets: Secrets) -> None:
    """Members and names without these people, in present rows and in all earlier versions."""
    ids, versions, members, identities = [], [], [], []
    for row in rows:
        known = Identities.open(row["identity"], row["household_id"], secrets)
        others = {key: person for key, person in known.people.items() if key not in people}
        ids.append(row["household_id"])
        versions.append(row["version"])
        members.append(json_text([member for member in row["members"] if member["member_id"] not in people]))
        identities.append(Identities(known.contact, others).seal(row["household_id"], secrets))
    await queries.save_sides(conn, ids=ids, versions=versions, members=members, identities=identities)


def _names(rows: Sequence[Any], people: Collection[str], secrets: Secrets) -> set[str]:
    """Every name these people ever had here."""
    opened = [Identities.open(row["identity"], row["household_id"], secrets).people for row in rows]
    return {_said(known[person].name) for known in opened for person in people if person in known}


def _said(name: str) -> str:
    return " ".join(name.split()).casefold()


def _about(
    data: Mapping[str, Any], values: Mapping[str, Any], people: Collection[str], names: Collection[str]
) -> list[str]:
    """Which values of an event speak of these people."""
    if data.get("member_id") in people or _said(str(values.get("account_holder", ""))) in names:
        return list(values)
    members = values.get("members")
    listed = isinstance(members, list) and any(member.get("member_id") in people for member in members)
    return ["members"] if listed else []

"""Families that join, part, or turn out to be one: people and their numbers change place, history stays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from salur.common.contracts.base import Fact
from salur.common.contracts.registry import (
    HouseholdMerged,
    HouseholdRegistered,
    HouseholdRestored,
    HouseholdSplit,
    Living,
    PersonMerged,
    SamePerson,
)
from salur.common.contracts.registry import Member as MemberFact
from salur.common.database import Connection
from salur.common.errors import Conflict, Forbidden, Invalid, NotFound
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.common.values import derived_id, in_scope
from salur.registry.domain.household import HEAD, HouseholdInvalid, Identifier, check_identifier
from salur.registry.store import (
    HouseholdRow,
    IdentifierTaken,
    Key,
    PayeeStatus,
    identifier_owners,
    insert_households,
    insert_identifiers,
    json_text,
    queries,
)
from salur.registry.usecases.change import Changed, check_version, refusal
from salur.registry.usecases.guardians import follow_people
from salur.registry.usecases.guardians_merged import give_back
from salur.registry.usecases.holders import follow_heads
from salur.registry.usecases.identities import Identities
from salur.registry.usecases.payees import account_status, set_standing
from salur.registry.usecases.prepare import identifier_rows, tokens_of
from salur.registry.usecases.states import (
    By,
    State,
    check_whole,
    lock_states,
    standing,
    unknown_household,
    write_states,
)

DECEASED = "deceased"
"""Whose an identifier is that rests with the dead, as `identifier_owners` says it."""


@dataclass(frozen=True, slots=True)
class Move:
    """A command: some members of a household go to another one."""

    source_id: str
    target_id: str
    member_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """A command: some members become a family of their own, with its own card. `region` None = stays."""

    household_id: str
    member_ids: tuple[str, ...]
    identifiers: tuple[Identifier, ...]
    head_id: str
    region: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """A command: `absorbed_id` and `survivor_id` are one family. `same`: its members who are members there already.

    Not `whole`: only those in `same` are one person each, the families stay two.
    """

    absorbed_id: str
    survivor_id: str
    reason: str
    same: Mapping[str, str] = field(default_factory=dict)
    whole: bool = True


async def move(conn: Connection, command: Move, by: By, secrets: Secrets) -> tuple[list[Changed], list[Draft]]:
    """Move members; both households get a new version. Raises SalurError."""
    if command.source_id == command.target_id:
        raise Invalid("a household cannot move to itself", code="same-household", who="registrar")
    states = await lock_states(conn, [command.source_id, command.target_id])
    source = standing(states.get(command.source_id), by.regions)
    target = standing(states.get(command.target_id), by.regions)
    moved = await _carry(conn, source, target, command.member_ids, {}, secrets)
    for state in (source, target):
        _close(state, by, moved[state.household_id], secrets)
    await write_states(conn, [source, target])
    drafts = [Draft(s.changed_fact(["members"]), s.household_id, by.actor, by.cause) for s in (source, target)]
    drafts += await follow_people(conn, {name: name for name in command.member_ids}, target.household_id, by, secrets)
    drafts += await _accounts_follow(conn, (source, target), by, secrets)
    return [Changed(state.household_id, state.version) for state in (source, target)], drafts


async def split(conn: Connection, command: Split, by: By, secrets: Secrets) -> tuple[str, list[Draft]]:
    """Make a new family of some members; returns its id. Raises SalurError."""
    states = await lock_states(conn, [command.household_id])
    source = standing(states.get(command.household_id), by.regions)
    check_version(source, command.version)
    region = command.region or source.region
    if not in_scope(region, by.regions):
        raise Forbidden("the new family's region lies outside your regions", code="other-region", who="caller")
    new = await _new_family(conn, source, command, region, secrets)
    moved = await _carry(conn, source, new, command.member_ids, {}, secrets)
    _name_head(new, command.head_id)
    _close(source, by, moved[source.household_id], secrets)
    _close(new, by, moved[new.household_id], secrets)
    await write_states(conn, [source, new])
    registered = HouseholdRegistered(
        household_id=new.household_id, version=new.version, region=region, member_count=len(new.members),
        attributes=new.attributes, members=[MemberFact(**member) for member in new.members],
    )  # fmt: skip
    parted = HouseholdSplit(
        household_id=source.household_id, version=source.version, new_household_id=new.household_id,
        member_ids=list(command.member_ids),
    )  # fmt: skip
    drafts = [
        Draft(registered, new.household_id, by.actor, by.cause),
        Draft(source.changed_fact(["members"]), source.household_id, by.actor, by.cause),
        Draft(parted, source.household_id, by.actor, by.cause),
    ]
    drafts += await follow_people(conn, {name: name for name in command.member_ids}, new.household_id, by, secrets)
    return new.household_id, drafts + await _accounts_follow(conn, (source,), by, secrets)


async def _accounts_follow(conn: Connection, states: Sequence[State], by: By, secrets: Secrets) -> list[Draft]:
    return await follow_heads(conn, {state.household_id: (by.actor, by.cause) for state in states}, secrets)


async def _new_family(conn: Connection, source: State, command: Split, region: str, secrets: Secrets) -> State:
    """An empty household under the new card's number, with the welfare data of the old one."""
    try:
        if not command.identifiers:
            raise HouseholdInvalid("identifiers", "a household needs at least one identifier")
        for identifier in command.identifiers:
            check_identifier(identifier)
    except HouseholdInvalid as error:
        raise refusal(error) from None
    tokens = tokens_of(command.identifiers, secrets)
    household_id = derived_id("household", command.identifiers[0].scheme, tokens[0])
    statement = secrets.token("registration", f"split/{source.household_id}/{'/'.join(command.member_ids)}")
    row = HouseholdRow(household_id, region, json_text(source.attributes), "[]", statement, None, None)
    rows = identifier_rows(command.identifiers, tokens, household_id, None, secrets)
    taken = Conflict("the new card's number belongs to another family", code="identifier-taken", who="registrar")
    if not await insert_households(conn, [row]):
        raise taken
    try:
        async with conn.transaction():
            await insert_identifiers(conn, rows)
    except IdentifierTaken:
        raise taken from None
    return State(household_id, 0, region, dict(source.attributes), [], "active", None, None)


def _name_head(family: State, head_id: str) -> None:
    if head_id not in family.member_ids():
        raise Invalid("the new head is none of the new family", code="member-unknown", who="registrar")
    family.members = [
        {**m, "attributes": m["attributes"] | {"relation": HEAD}} if m["member_id"] == head_id
        else as_guest(m, family) if m["attributes"].get("relation") == HEAD else m
        for m in family.members
    ]  # fmt: skip


async def merge(conn: Connection, command: Merge, by: By, secrets: Secrets) -> tuple[str, list[Draft]]:
    """Put one household, or people of it, into another; returns the merge's id. Raises SalurError."""
    if command.absorbed_id == command.survivor_id:
        raise Invalid("a household cannot be merged into itself", code="same-household", who="registrar")
    states = await lock_states(conn, [command.absorbed_id, command.survivor_id])
    absorbed = standing(states.get(command.absorbed_id), by.regions)
    survivor = standing(states.get(command.survivor_id), by.regions)
    if not set(command.same.values()) <= set(survivor.member_ids()):
        raise Invalid("names somebody who is not of the surviving family", code="member-unknown", who="registrar")
    going = absorbed.member_ids() if command.whole else list(command.same)
    before, merge_id = absorbed.version, derived_id("merge", absorbed.household_id, str(absorbed.version))
    identifiers = [[*key, owner] for key, owner in absorbed.keys.items() if owner in going]
    names = await _carry(conn, absorbed, survivor, going, command.same, secrets)
    if command.whole:
        absorbed.status, absorbed.merged_into = "merged", survivor.household_id
    for state in (absorbed, survivor):
        _close(state, by, names[state.household_id], secrets)
    await write_states(conn, [absorbed, survivor])
    await queries.insert_merge(
        conn, merge_id=merge_id, absorbed_id=absorbed.household_id, survivor_id=survivor.household_id,
        absorbed_version=before, same_people=dict(command.same), identifiers=identifiers, whole=command.whole,
        reason=command.reason, merged_by=by.actor,
        payee_status=await account_status(conn, absorbed.household_id) if command.whole else None,
    )  # fmt: skip
    await queries.merge_pairs(conn, **_pairs(command.same), actor=by.actor, reason=command.reason)
    drafts = _merged(absorbed, survivor, merge_id, command, by)
    people = {name: command.same.get(name, name) for name in going}
    drafts += await follow_people(conn, people, survivor.household_id, by, secrets, merge_id)
    if command.whole:
        drafts += await set_standing(
            conn, absorbed.household_id, "closed", secrets, actor=by.actor, cause=by.cause
        )  # fmt: skip
    return merge_id, drafts + await _accounts_follow(conn, (absorbed, survivor), by, secrets)


def _pairs(same: Mapping[str, str]) -> dict[str, list[str]]:
    """People who are one, as pairs stand in their table."""
    ordered = [sorted(pair) for pair in same.items()]
    return {"firsts": [first for first, _ in ordered], "seconds": [second for _, second in ordered]}


def _merged(absorbed: State, survivor: State, merge_id: str, command: Merge, by: By) -> list[Draft]:
    same = [SamePerson(member_id=one, same_as=other) for one, other in sorted(command.same.items())]
    told = {"household_id": absorbed.household_id, "version": absorbed.version, "into": survivor.household_id}
    facts: list[tuple[Fact, State]] = [(survivor.changed_fact(["members"]), survivor)]
    if command.whole:
        facts.insert(0, (HouseholdMerged(**told, merge_id=merge_id, same=same), absorbed))
    else:
        facts.insert(0, (PersonMerged(**told, merge_id=merge_id, same=same), absorbed))
        facts.insert(0, (absorbed.changed_fact(["members"]), absorbed))
    return [Draft(fact, state.household_id, by.actor, by.cause) for fact, state in facts]


async def undo_merge(
    conn: Connection, household_id: str, merge_id: str, reason: str, by: By, secrets: Secrets
) -> tuple[str, list[Draft]]:
    """Bring absorbed people back to their household; returns its id. Who has left the survivor since, stays away.

    The account is as it stood before the merge, or rests when who it may belong to has died since. Raises SalurError.
    """
    row = await queries.lock_merge(conn, merge_id=merge_id)
    if row is None or row["absorbed_id"] != household_id:
        raise NotFound("no such merge: check the id", code="merge-unknown", who="registrar")
    states = await lock_states(conn, [row["absorbed_id"], row["survivor_id"]])
    absorbed, survivor = states[row["absorbed_id"]], states[row["survivor_id"]]
    if not (in_scope(absorbed.region, by.regions) and in_scope(survivor.region, by.regions)):
        raise unknown_household()
    if row["undone_at"] is not None:
        raise Conflict("the merge was undone already", code="merge-undone", who="registrar")
    standing(survivor, by.regions)
    if row["whole"]:
        absorbed.status, absorbed.merged_into = "active", None
    standing(absorbed, by.regions)
    back_home = await _give_back(conn, row, absorbed, survivor, by, secrets)
    here, away = back_home.here, back_home.away
    await write_states(conn, [absorbed, survivor])
    await queries.undo_merge(conn, merge_id=merge_id, actor=by.actor, reason=reason)
    await queries.reopen_pairs(conn, **_pairs(row["same_people"]))
    back: Fact = absorbed.changed_fact(["members"])
    if row["whole"]:
        back = HouseholdRestored(
            household_id=absorbed.household_id, version=absorbed.version, region=absorbed.region,
            member_count=len(absorbed.members), attributes=absorbed.attributes,
            members=[MemberFact(**member) for member in absorbed.members], merge_id=merge_id,
        )  # fmt: skip
    drafts = [
        Draft(back, absorbed.household_id, by.actor, by.cause),
        Draft(survivor.changed_fact(["members"]), survivor.household_id, by.actor, by.cause),
    ]
    drafts += await follow_people(conn, {name: name for name in sorted(here)}, absorbed.household_id, by, secrets)
    if row["whole"]:
        status, living = await _standing_after(conn, row, absorbed, back_home)
        drafts += await set_standing(
            conn, absorbed.household_id, status, secrets, actor=by.actor, cause=by.cause, living=living
        )  # fmt: skip
    drafts += await give_back(conn, merge_id, dict.fromkeys(here, absorbed.household_id), by, secrets, away)
    return absorbed.household_id, drafts + await _accounts_follow(conn, (absorbed, survivor), by, secrets)


class _Back(NamedTuple):
    """People of an undone merge: who is back, who stays away, and who of all was the head before."""

    here: set[str]
    away: set[str]
    heads: set[str]


async def _give_back(conn: Connection, row: Any, absorbed: State, survivor: State, by: By, secrets: Secrets) -> _Back:
    """Members, names and identifiers as the version before the merge had them. Raises Conflict.

    Who was taken for somebody comes back as long as that one is of the survivor: else they have left, or died.
    """
    old = await queries.household_version(conn, id=absorbed.household_id, version=row["absorbed_version"])
    same: dict[str, str] = row["same_people"]
    going = {m["member_id"] for m in old["members"]} if row["whole"] else set(same)
    present = set(survivor.member_ids())
    here = going & present | {one for one, other in same.items() if other in present}
    back = [m for m in old["members"] if m["member_id"] in here]
    theirs, ours = absorbed.identities(secrets), survivor.identities(secrets)
    before = Identities.open(old["identity"], absorbed.household_id, secrets)
    before.keep([m["member_id"] for m in back])
    absorbed.members = [*absorbed.members, *back]
    survivor.members = [m for m in survivor.members if m["member_id"] not in here]
    theirs_before = {(scheme, token): owner for scheme, token, owner in row["identifiers"] if owner in here}
    await _check_nobody_else_s(conn, theirs_before, same, survivor)
    keys = {key: owner for key, owner in theirs_before.items() if key in survivor.keys}
    await _repoint(conn, keys, absorbed.household_id)
    names = Identities(ours.contact, dict(ours.people))
    names.keep(survivor.member_ids())
    _close(absorbed, by, Identities(theirs.contact, theirs.people | before.people), secrets)
    _close(survivor, by, names, secrets)
    heads = {m["member_id"] for m in old["members"] if m["attributes"].get("relation") == HEAD}
    return _Back(here, going - here, heads & going)


async def _check_nobody_else_s(
    conn: Connection, keys: Mapping[Key, str], same: Mapping[str, str], survivor: State
) -> None:
    """Identifiers of who comes back are theirs still, or nobody's. Raises Conflict: one person is in one family."""
    owners = await identifier_owners(conn, sorted(keys))
    for key, owner in keys.items():
        whose = survivor.keys.get(key)
        if owners.get(key) not in (None, survivor.household_id) or whose not in (None, owner, same.get(owner)):
            raise Conflict(
                "an identifier of somebody who would come back belongs to somebody else now: correct that one first",
                code="identifier-taken",
                who="registrar",
            )


async def _standing_after(conn: Connection, row: Any, absorbed: State, back: _Back) -> tuple[PayeeStatus, Living]:
    """How the account stands after the undoing, and whether anybody is left: as before the merge.

    It rests when the head, or the last of the family, has died since: the account may be theirs.
    """
    status: PayeeStatus = row["payee_status"] or "suspended"
    dead = await _dead(conn, row, back.away)
    living: Living = "deceased" if dead and not absorbed.members else "alive"
    if status == "active" and (dead & back.heads or living == "deceased"):
        status = "suspended"
    return status, living


async def _dead(conn: Connection, row: Any, people: set[str]) -> set[str]:
    """Who of these people of a merge has died, under their own id or whom they were taken for, or by their number."""
    as_one = {row["same_people"].get(one, one): one for one in people}
    found = await queries.dead_among(conn, people=sorted(people | as_one.keys()))
    dead = {as_one.get(death["member_id"], death["member_id"]) for death in found}
    keys = {(scheme, token): owner for scheme, token, owner in row["identifiers"] if owner in people}
    owners = await identifier_owners(conn, sorted(keys))
    return dead | {owner for key, owner in keys.items() if owners.get(key) == DECEASED}


async def _carry(
    conn: Connection, source: State, target: State, member_ids: Sequence[str], same: Mapping[str, str], secrets: Secrets
) -> dict[str, Identities]:
    """Members with their identifiers and names from one state to the other; in `same` they are people known there.

    Returns the names and contacts of both afterwards. Raises Invalid.
    """
    going = set(member_ids)
    if (not going and source.members) or not going <= set(source.member_ids()):
        raise Invalid("names nobody, or somebody who is not of this household", code="member-unknown", who="registrar")
    theirs, ours = source.identities(secrets), target.identities(secrets)
    after = {source.household_id: Identities(theirs.contact, dict(theirs.people)),
             target.household_id: Identities(ours.contact, dict(ours.people))}  # fmt: skip
    for member in (member for member in source.members if member["member_id"] in going):
        person = after[source.household_id].people.pop(member["member_id"], None)
        if member["member_id"] not in same:
            target.members = [*target.members, as_guest(member, target)]
            if person is not None:
                after[target.household_id].people[member["member_id"]] = person
    source.members = [member for member in source.members if member["member_id"] not in going]
    keys = {key: same.get(owner, owner) for key, owner in source.keys.items() if owner in going}
    await _repoint(conn, keys, target.household_id)
    source.keys = {key: owner for key, owner in source.keys.items() if key not in keys}
    target.keys |= keys
    return after


def as_guest(member: dict[str, Any], family: State) -> dict[str, Any]:
    """Who comes as head of a family that has one is a further member there."""
    if member["attributes"].get("relation") != HEAD or not any(
        other["attributes"].get("relation") == HEAD for other in family.members
    ):
        return member
    return {**member, "attributes": member["attributes"] | {"relation": "other"}}


async def _repoint(conn: Connection, keys: Mapping[Key, str], household_id: str) -> None:
    if not keys:
        return
    ordered = sorted(keys, key=lambda key: (key[1], key[0]))
    await queries.move_identifiers(
        conn, schemes=[scheme for scheme, _ in ordered], tokens=[token for _, token in ordered],
        households=[household_id] * len(ordered), members=[keys[key] for key in ordered],
    )  # fmt: skip


def _close(state: State, by: By, identities: Identities, secrets: Secrets) -> None:
    try:
        if len(set(state.member_ids())) < len(state.members):
            raise HouseholdInvalid("members", "the same member twice in one household")
        check_whole(state.attributes, state.members)
    except HouseholdInvalid as error:
        raise refusal(error) from None
    state.become(by.actor, identities, secrets)

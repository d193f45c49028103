"""Change households; a change is a new version and an event with the whole snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from salur.common.contracts.registry import HouseholdChanged
from salur.common.database import Connection
from salur.common.errors import Conflict, Forbidden, Invalid, SalurError, Unavailable
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.common.values import in_scope
from salur.registry.domain.household import HouseholdInvalid, Member, Scalar, check_identifier
from salur.registry.domain.identity import Contact
from salur.registry.store import (
    IdentifierRow,
    IdentifierTaken,
    Key,
    delete_identifiers,
    identifier_owners,
    insert_identifiers,
)
from salur.registry.usecases.holders import follow_heads
from salur.registry.usecases.identities import Identities
from salur.registry.usecases.prepare import identifier_rows, member_id_of, tokens_of
from salur.registry.usecases.states import State, check_whole, lock_states, standing, write_states

LOOKS = 3


@dataclass(frozen=True, slots=True)
class Change:
    """A command. None = stays. `attributes` replace those of the same name, `members` replace all, `joining` are added.

    `version`, when given, must be the present one. `regions` is the caller's scope, empty = every region.
    """

    household_id: str
    actor: str
    cause: str
    region: str | None = None
    attributes: Mapping[str, Scalar] | None = None
    members: tuple[Member, ...] | None = None
    joining: tuple[Member, ...] = ()
    version: int | None = None
    regions: tuple[str, ...] = ()
    contact: Contact | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """The answer: the version that holds now."""

    household_id: str
    version: int


Result = Changed | Exception


@dataclass(slots=True)
class _Identifiers:
    """What the batch does to the table of identifiers."""

    owners: dict[Key, str]
    removed: set[Key] = field(default_factory=set)
    added: dict[Key, IdentifierRow] = field(default_factory=dict)


@dataclass(slots=True)
class _After:
    """Members after a change. `rows` None = their identifiers stay; `identities` None = names and contact stay."""

    members: list[dict[str, Any]]
    rows: list[IdentifierRow] | None = None
    identities: Identities | None = None


async def change(conn: Connection, commands: Sequence[Change], secrets: Secrets) -> tuple[list[Result], list[Draft]]:
    """Change a batch, in order. One result per command; no difference gives no version and no event."""
    for _ in range(LOOKS):
        try:
            async with conn.transaction():
                return await _change(conn, commands, secrets)
        except IdentifierTaken:
            continue
    raise Unavailable("others register the same identifiers now: try again", code="busy", who="caller")


async def _change(conn: Connection, commands: Sequence[Change], secrets: Secrets) -> tuple[list[Result], list[Draft]]:
    states = await lock_states(conn, {command.household_id for command in commands})
    new = [
        (i.scheme, secrets.token(i.scheme, i.value))
        for command in commands
        for member in (*(command.members or ()), *command.joining)
        for i in member.identifiers
    ]
    identifiers = _Identifiers(await identifier_owners(conn, sorted(set(new))))
    results: list[Result] = []
    drafts: list[Draft] = []
    for command in commands:
        try:
            result, draft = _apply(command, states.get(command.household_id), identifiers, secrets)
        except (SalurError, HouseholdInvalid) as error:
            results.append(refusal(error))
            continue
        results.append(result)
        drafts += [draft] if draft else []
    await write_states(conn, states.values())
    await delete_identifiers(conn, sorted(identifiers.removed))
    await insert_identifiers(conn, list(identifiers.added.values()))
    return results, drafts + await _accounts_follow(conn, drafts, secrets)


async def _accounts_follow(conn: Connection, drafts: Sequence[Draft], secrets: Secrets) -> list[Draft]:
    """Whose members changed may have another head."""
    changed = {
        draft.key: (draft.actor, draft.cause)
        for draft in drafts
        if isinstance(draft.data, HouseholdChanged) and "members" in draft.data.changed
    }
    return await follow_heads(conn, changed, secrets)


def refusal(error: SalurError | HouseholdInvalid) -> SalurError:
    """What the caller is told."""
    if isinstance(error, SalurError):
        return error
    return Invalid(f"the household cannot be changed: {error}", code="household-invalid", who="registrar")


def _apply(
    command: Change, state: State | None, identifiers: _Identifiers, secrets: Secrets
) -> tuple[Changed, Draft | None]:
    state = standing(state, command.regions)
    if command.region is not None and not in_scope(command.region, command.regions):
        raise Forbidden("the new region lies outside your regions", code="other-region", who="caller")
    check_version(state, command.version)
    attributes = state.attributes | dict(command.attributes or {})
    after = _members(command, state, secrets)
    check_whole(attributes, after.members)
    changed = sorted(
        name for name, value in attributes.items() if name not in state.attributes or state.attributes[name] != value
    )
    if command.region is not None and command.region != state.region:
        changed.append("region")
    rows = after.rows
    if after.members != state.members or (rows is not None and {row_key(r): r.member_id for r in rows} != state.keys):
        changed.append("members")
    if after.identities is not None and after.identities != state.identities(secrets):
        changed.append("identity")
    if not changed:
        return Changed(command.household_id, state.version), None
    if rows is not None:
        _take_identifiers(command.household_id, state, rows, identifiers)
    state.region = command.region or state.region
    state.attributes, state.members = attributes, after.members
    state.become(command.actor, after.identities, secrets)
    draft = Draft(state.changed_fact(changed), command.household_id, command.actor, command.cause)
    return Changed(command.household_id, state.version), draft


def check_version(state: State, version: int | None) -> None:
    """The version the caller has read is the present one. Raises Conflict."""
    if version is not None and version != state.version:
        raise Conflict(
            f"the household is at version {state.version}, not {version}: read it again",
            code="version-passed",
            who="registrar",
        )


def row_key(row: IdentifierRow) -> Key:
    """Where an identifier stands."""
    return row.scheme, row.token


def _members(command: Change, state: State, secrets: Secrets) -> _After:
    coming = (*(command.members or ()), *command.joining)
    identities = None
    if command.contact is not None or any(member.person for member in coming) or command.members is not None:
        present = state.identities(secrets)
        identities = Identities(command.contact or present.contact, dict(present.people))
    if command.members is None and not command.joining:
        return _After(state.members, None, identities)
    known = set(state.member_ids())
    after: list[dict[str, Any]] = [] if command.members is not None else list(state.members)
    rows: list[IdentifierRow] = []
    if command.members is None:
        rows = [_kept(key, state.household_id, member_id) for key, member_id in state.keys.items()]
    for number, member in enumerate(coming):
        if member.member_id is not None and member.member_id not in known:
            raise HouseholdInvalid("members", "names a member who is not of this household")
        for identifier in member.identifiers:
            check_identifier(identifier)
        # A member without identifiers is told apart by the version and place it came with.
        tokens = tokens_of(member.identifiers, secrets)
        member_id = member_id_of(member, f"{state.household_id}/{state.version + 1}/{number}", tokens)
        after.append({"member_id": member_id, "attributes": dict(member.attributes)})
        if member.person is not None and identities is not None:
            identities.people[member_id] = member.person
        own = identifier_rows(member.identifiers, tokens, state.household_id, member_id, secrets)
        if member.member_id is not None and not own:
            own = [_kept(key, state.household_id, member_id)
                   for key, owner in state.keys.items() if owner == member_id]  # fmt: skip
        rows += own
    if len({member["member_id"] for member in after}) < len(after) or len({row_key(row) for row in rows}) < len(rows):
        raise HouseholdInvalid("members", "the same member or identifier twice in one household")
    if identities is not None:
        identities.keep([member["member_id"] for member in after])
    return _After(after, rows, identities)


def _kept(key: Key, household_id: str, member_id: str) -> IdentifierRow:
    """An identifier that stays as it is: its sealed value is not read."""
    return IdentifierRow(*key, household_id, member_id, b"")


def _take_identifiers(
    household_id: str, state: State, rows: Sequence[IdentifierRow], identifiers: _Identifiers
) -> None:
    """Claim what is new and free what is gone. Raises Conflict when another household holds one."""
    after = {row_key(row): row for row in rows}
    for key in after:
        owner = identifiers.owners.get(key)
        if owner not in (None, household_id) or (owner == household_id and key not in state.keys):
            raise Conflict(
                "an identifier of a member belongs to somebody else: check the identifiers",
                code="identifier-taken",
                who="registrar",
            )
    for key in [key for key in state.keys if key not in after]:
        identifiers.owners.pop(key, None)
        if identifiers.added.pop(key, None) is None:
            identifiers.removed.add(key)
    for key, row in after.items():
        if state.keys.get(key) != row.member_id:
            identifiers.owners[key] = household_id
            identifiers.added[key] = row
            if key in state.keys:
                identifiers.removed.add(key)
    state.keys = {key: str(row.member_id) for key, row in after.items()}

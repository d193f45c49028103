"""Change households or their payee accounts; a change is a new version and an event with the whole snapshot."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from salur.common.contracts.registry import HouseholdChanged
from salur.common.contracts.registry import Member as MemberFact
from salur.common.database import Connection
from salur.common.errors import Conflict, Forbidden, Invalid, NotFound, SalurError, Unavailable
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.common.values import region_within
from salur.registry.domain.household import (
    HouseholdInvalid,
    Member,
    Payee,
    Scalar,
    check_attributes,
    check_members,
    check_payee,
    check_size,
)
from salur.registry.store import (
    IdentifierRow,
    IdentifierTaken,
    Key,
    PayeeRow,
    delete_identifiers,
    identifier_owners,
    insert_identifiers,
    json_text,
    queries,
    save_payees,
)
from salur.registry.usecases.prepare import identifier_rows, member_id_of, open_payee, payee_fact, payee_row, tokens_of

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


@dataclass(frozen=True, slots=True)
class NewPayee:
    """A command: the account a household is paid to from now on."""

    household_id: str
    payee: Payee
    actor: str
    cause: str
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """The answer: the version that holds now."""

    household_id: str
    version: int


Result = Changed | Exception


@dataclass(slots=True)
class _State:
    """A locked household as the batch has left it so far."""

    version: int
    region: str
    attributes: dict[str, Scalar]
    members: list[dict[str, Any]]
    keys: dict[Key, str] = field(default_factory=dict)
    dirty: bool = False


@dataclass(slots=True)
class _Identifiers:
    """What the batch does to the table of identifiers."""

    owners: dict[Key, str]
    removed: set[Key] = field(default_factory=set)
    added: dict[Key, IdentifierRow] = field(default_factory=dict)


def unknown_household() -> NotFound:
    """The same answer whether it does not exist or lies outside the caller's regions."""
    return NotFound("no such household in your regions: check the id", code="household-unknown", who="registrar")


def within(region: str, regions: Collection[str]) -> bool:
    """Whether a scope covers a region; an empty scope covers all."""
    return not regions or any(region_within(region, scope) for scope in regions)


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
    states = await _lock(conn, {command.household_id for command in commands})
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
            results.append(_refusal(error))
            continue
        results.append(result)
        drafts += [draft] if draft else []
    await _write(conn, {key: state for key, state in states.items() if state.dirty}, identifiers)
    return results, drafts


def _refusal(error: SalurError | HouseholdInvalid) -> SalurError:
    if isinstance(error, SalurError):
        return error
    return Invalid(f"the household cannot be changed: {error}", code="household-invalid", who="registrar")


async def _lock(conn: Connection, ids: set[str]) -> dict[str, _State]:
    rows = await queries.lock_households(conn, ids=sorted(ids))
    states = {row["household_id"]: _State(row["version"], row["region"], row["attributes"], row["members"])
              for row in rows}  # fmt: skip
    for row in await queries.member_identifiers(conn, ids=list(states)):
        states[row["household_id"]].keys[row["scheme"], row["token"]] = row["member_id"]
    return states


def _apply(
    command: Change, state: _State | None, identifiers: _Identifiers, secrets: Secrets
) -> tuple[Changed, Draft | None]:
    if state is None or not within(state.region, command.regions):
        raise unknown_household()
    if command.region is not None and not within(command.region, command.regions):
        raise Forbidden("the new region lies outside your regions", code="other-region", who="caller")
    if command.version is not None and command.version != state.version:
        raise Conflict(
            f"the household is at version {state.version}, not {command.version}: read it again",
            code="version-passed",
            who="registrar",
        )
    version = state.version + 1
    attributes = state.attributes | dict(command.attributes or {})
    members, rows = _members(command, state, version, secrets)
    _check(attributes, members)
    changed = sorted(
        name for name, value in attributes.items() if name not in state.attributes or state.attributes[name] != value
    )
    if command.region is not None and command.region != state.region:
        changed.append("region")
    if members != state.members or (rows is not None and {row_key(r): r.member_id for r in rows} != state.keys):
        changed.append("members")
    if not changed:
        return Changed(command.household_id, state.version), None
    if rows is not None:
        _take_identifiers(command.household_id, state, rows, identifiers)
    state.version, state.dirty = version, True
    state.region = command.region or state.region
    state.attributes, state.members = attributes, members
    fact = HouseholdChanged(
        household_id=command.household_id, version=version, region=state.region, member_count=len(members),
        attributes=attributes, members=[MemberFact(**member) for member in members], changed=changed,
    )  # fmt: skip
    return Changed(command.household_id, version), Draft(fact, command.household_id, command.actor, command.cause)


def row_key(row: IdentifierRow) -> Key:
    """Where an identifier stands."""
    return row.scheme, row.token


def _members(
    command: Change, state: _State, version: int, secrets: Secrets
) -> tuple[list[dict[str, Any]], list[IdentifierRow] | None]:
    """(members after the change, their identifiers or None when members stay as they are)."""
    if command.members is None and not command.joining:
        return state.members, None
    known = {member["member_id"] for member in state.members}
    after: list[dict[str, Any]] = [] if command.members is not None else list(state.members)
    rows: list[IdentifierRow] = []
    if command.members is None:
        rows = [IdentifierRow(scheme, token, command.household_id, member_id, b"")
                for (scheme, token), member_id in state.keys.items()]  # fmt: skip
    for number, member in enumerate((*(command.members or ()), *command.joining)):
        if member.member_id is not None and member.member_id not in known:
            raise HouseholdInvalid("members", "names a member who is not of this household")
        # A member without identifiers is told apart by the version and place it came with.
        tokens = tokens_of(member.identifiers, secrets)
        member_id = member_id_of(member, f"{command.household_id}/{version}/{number}", tokens)
        after.append({"member_id": member_id, "attributes": dict(member.attributes)})
        own = identifier_rows(member.identifiers, tokens, command.household_id, member_id, secrets)
        if member.member_id is not None and not own:
            own = [IdentifierRow(scheme, token, command.household_id, member_id, b"")
                   for (scheme, token), owner in state.keys.items() if owner == member_id]  # fmt: skip
        rows += own
    if len({member["member_id"] for member in after}) < len(after) or len({row_key(row) for row in rows}) < len(rows):
        raise HouseholdInvalid("members", "the same member or identifier twice in one household")
    return after, rows


def _check(attributes: Mapping[str, Scalar], members: Sequence[Mapping[str, Any]]) -> None:
    check_attributes("attributes", attributes)
    people = [Member(member["attributes"]) for member in members]
    check_members(people)
    check_size(attributes, people)


def _take_identifiers(
    household_id: str, state: _State, rows: Sequence[IdentifierRow], identifiers: _Identifiers
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


async def _write(conn: Connection, states: Mapping[str, _State], identifiers: _Identifiers) -> None:
    if not states:
        return
    await queries.change_households(
        conn,
        ids=list(states),
        versions=[state.version for state in states.values()],
        regions=[state.region for state in states.values()],
        attributes=[json_text(state.attributes) for state in states.values()],
        members=[json_text(state.members) for state in states.values()],
    )
    await delete_identifiers(conn, sorted(identifiers.removed))
    await insert_identifiers(conn, list(identifiers.added.values()))


async def change_payees(
    conn: Connection, commands: Sequence[NewPayee], secrets: Secrets, banks: Collection[str] = ()
) -> tuple[list[Result], list[Draft]]:
    """Set accounts, in order. The same account and holder again changes nothing."""
    ids = sorted({command.household_id for command in commands})
    regions = {row["household_id"]: row["region"] for row in await queries.lock_households(conn, ids=ids)}
    present = {
        row["household_id"]: (row["version"], open_payee(row["sealed"], row["household_id"], secrets))
        for row in await queries.payees(conn, ids=ids)
    }
    rows: dict[str, PayeeRow] = {}
    results: list[Result] = []
    drafts: list[Draft] = []
    for command in commands:
        household_id = command.household_id
        if household_id not in regions or not within(regions[household_id], command.regions):
            results.append(unknown_household())
            continue
        try:
            check_payee(command.payee, banks)
        except HouseholdInvalid as error:
            results.append(_refusal(error))
            continue
        version, payee = present.get(household_id, (0, None))
        if payee != command.payee:
            version += 1
            present[household_id] = version, command.payee
            rows[household_id] = payee_row(command.payee, household_id, version, secrets)
            fact = payee_fact(command.payee, rows[household_id])
            drafts.append(Draft(fact, household_id, command.actor, command.cause))
        results.append(Changed(household_id, version))
    await save_payees(conn, list(rows.values()))
    return results, drafts

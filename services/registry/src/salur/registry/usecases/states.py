"""Locked households as a batch of commands leaves them: read once, changed in memory, written once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from salur.common.auth import Caller
from salur.common.contracts.registry import HouseholdChanged
from salur.common.contracts.registry import Member as MemberFact
from salur.common.database import Connection
from salur.common.errors import Conflict, NotFound
from salur.common.secrets import Secrets
from salur.common.values import in_scope
from salur.registry.domain.household import Member, Scalar, check_attributes, check_members, check_size
from salur.registry.store import Key, json_text, queries
from salur.registry.usecases.identities import Identities


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, because of what, in which regions (empty = all); `delegators`: whose right it is, when not theirs."""

    actor: str
    cause: str
    regions: tuple[str, ...] = ()
    delegators: frozenset[str] = frozenset()

    @property
    def people(self) -> frozenset[str]:
        """Everybody who acts here: who proposed something may not be among those who decide on it."""
        return frozenset({self.actor, *self.delegators})


def by_caller(caller: Caller) -> By:
    """The caller of a route, as who acts."""
    return By(caller.actor, caller.request_id, caller.regions, caller.delegators)


@dataclass(slots=True)
class State:
    """A locked household as the batch has left it so far. `keys`: identifiers of its members, and whose they are."""

    household_id: str
    version: int
    region: str
    attributes: dict[str, Scalar]
    members: list[dict[str, Any]]
    status: str
    merged_into: str | None
    sealed: bytes | None
    keys: dict[Key, str] = field(default_factory=dict)
    changed_by: str = ""
    dirty: bool = False
    _identities: Identities | None = None

    def identities(self, secrets: Secrets) -> Identities:
        """Names and contact, opened when first asked for."""
        if self._identities is None:
            self._identities = Identities.open(self.sealed, self.household_id, secrets)
        return self._identities

    def member_ids(self) -> list[str]:
        return [member["member_id"] for member in self.members]

    def become(self, actor: str, identities: Identities | None, secrets: Secrets) -> None:
        """The next version, made by `actor`; `identities` None = as they are."""
        self.version, self.dirty, self.changed_by = self.version + 1, True, actor
        if identities is not None:
            self._identities, self.sealed = identities, identities.seal(self.household_id, secrets)

    def changed_fact(self, changed: Sequence[str]) -> HouseholdChanged:
        """The event that tells this version."""
        return HouseholdChanged(
            household_id=self.household_id, version=self.version, region=self.region,
            member_count=len(self.members), attributes=self.attributes,
            members=[MemberFact(**member) for member in self.members], changed=list(changed),
        )  # fmt: skip


def unknown_household() -> NotFound:
    """The same answer whether it does not exist or lies outside the caller's regions."""
    return NotFound("no such household in your regions: check the id", code="household-unknown", who="registrar")


def standing(state: State | None, regions: Collection[str]) -> State:
    """A household that may be changed. Raises NotFound, Conflict."""
    if state is None or not in_scope(state.region, regions):
        raise unknown_household()
    if state.status == "merged":
        raise Conflict(
            f"the household was merged into {state.merged_into}: change that one, or undo the merge",
            code="household-merged",
            who="registrar",
        )
    if state.status == "erased":
        raise Conflict("the family was erased: nothing of it can be changed", code="household-erased", who="registrar")
    return state


async def lock_states(conn: Connection, ids: Collection[str]) -> dict[str, State]:
    """Those that exist, locked in the order of their ids."""
    states = {
        row["household_id"]: State(
            row["household_id"], row["version"], row["region"], row["attributes"], row["members"], row["status"],
            row["merged_into"], row["identity"],
        )
        for row in await queries.lock_households(conn, ids=sorted(set(ids)))
    }  # fmt: skip
    for row in await queries.member_identifiers(conn, ids=list(states)):
        states[row["household_id"]].keys[row["scheme"], row["token"]] = row["member_id"]
    return states


async def write_states(conn: Connection, states: Collection[State]) -> None:
    """Write what became a new version."""
    dirty = [state for state in states if state.dirty]
    if not dirty:
        return
    await queries.change_households(
        conn,
        ids=[state.household_id for state in dirty],
        versions=[state.version for state in dirty],
        regions=[state.region for state in dirty],
        attributes=[json_text(state.attributes) for state in dirty],
        members=[json_text(state.members) for state in dirty],
        identities=[state.sealed for state in dirty],
        statuses=[state.status for state in dirty],
        merged_into=[state.merged_into for state in dirty],
        changed_by=[state.changed_by for state in dirty],
    )


def check_whole(attributes: Mapping[str, Scalar], members: Sequence[Mapping[str, Any]]) -> None:
    """A household after a change keeps the limits of a registration. Raises HouseholdInvalid."""
    check_attributes("attributes", attributes)
    people = [Member(member["attributes"]) for member in members]
    check_members(people)
    check_size(attributes, people)

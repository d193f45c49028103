"""A death that was wrongly recorded is taken back: proposed by one person, accepted by another."""

from dataclasses import dataclass

from salur.common.contracts.feeds import PersonRestored
from salur.common.database import Connection
from salur.common.errors import Conflict, NotFound, SalurError
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.registry.domain.household import HouseholdInvalid
from salur.registry.store import queries
from salur.registry.usecases.change import refusal
from salur.registry.usecases.families import as_guest
from salur.registry.usecases.holders import follow_heads
from salur.registry.usecases.identities import Identities
from salur.registry.usecases.payees import account_status, set_standing
from salur.registry.usecases.states import By, check_whole, lock_states, standing, write_states


@dataclass(frozen=True, slots=True)
class UndoDeath:
    """A command: the member whose death this evidence told lives."""

    household_id: str
    match_id: str


async def undo_death(conn: Connection, command: UndoDeath, by: By, secrets: Secrets) -> tuple[str, list[Draft]]:
    """The member is back with name, numbers and attributes; returns (their id, events). Raises SalurError."""
    states = await lock_states(conn, [command.household_id])
    state = standing(states.get(command.household_id), by.regions)
    death = await queries.lock_death(conn, match_id=command.match_id, household_id=command.household_id)
    if death is None:
        raise await _unknown(conn, command)
    if death["undone_at"] is not None:
        raise Conflict("this death was taken back already", code="death-undone", who="registrar")
    old = await queries.household_version(conn, id=command.household_id, version=death["version"])
    member_id = death["member_id"]
    member = next(member for member in old["members"] if member["member_id"] == member_id)
    nobody_left = not state.members
    state.members = [*state.members, as_guest(member, state)]
    before, now = Identities.open(old["identity"], command.household_id, secrets), state.identities(secrets)
    before.keep([member_id])
    try:
        check_whole(state.attributes, state.members)
    except HouseholdInvalid as error:
        raise refusal(error) from None
    state.become(by.actor, Identities(now.contact, now.people | before.people), secrets)
    await write_states(conn, [state])
    await queries.give_identifiers_back(
        conn, match_id=command.match_id, household_id=command.household_id, member_id=member_id
    )
    await queries.undo_death(conn, match_id=command.match_id, actor=by.actor)
    fact = PersonRestored(household_id=command.household_id, member_id=member_id, match_id=command.match_id)
    drafts = [
        Draft(fact, command.household_id, by.actor, by.cause),
        Draft(state.changed_fact(["members"]), command.household_id, by.actor, by.cause),
    ]
    drafts += await follow_heads(conn, {command.household_id: (by.actor, by.cause)}, secrets)
    status = await account_status(conn, command.household_id)
    reopens = death["suspended"] and not death["suspended_since"]
    if status is not None and (reopens or nobody_left):
        drafts += await set_standing(
            conn, command.household_id, "active" if reopens else status, secrets, actor=by.actor,
            cause=by.cause, again=nobody_left,
        )  # fmt: skip
    return member_id, drafts


async def _unknown(conn: Connection, command: UndoDeath) -> SalurError:
    """Early deaths were recorded without what is needed to take them back."""
    match = await queries.match_by_id(conn, match_id=command.match_id)
    if match is None or (match["household_id"], match["kind"], match["state"]) != (
        command.household_id, "deaths", "confirmed",
    ):  # fmt: skip
        return NotFound("no death of this family was recorded by that evidence: check the id", code="death-unknown",
                        who="registrar")  # fmt: skip
    return Conflict(
        "this death was recorded by an earlier version, which kept nothing to take it back: add the person to the "
        "family anew, without the number, which stays closed",
        code="death-not-kept",
        who="registrar",
    )

"""Who acts for a child or a person under guardianship, and whether they receive what is due to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from salur.common.contracts.registry import GuardianChanged
from salur.common.database import Connection
from salur.common.errors import Conflict, Invalid, NotFound
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.common.values import new_id
from salur.registry.domain.household import Identifier
from salur.registry.store import queries
from salur.registry.usecases.guardians_merged import close_lent, follow_merged, told_end
from salur.registry.usecases.payees import lend_account, set_standing
from salur.registry.usecases.states import By, lock_states, standing

ENDED_A_STEP = 100
SERVICE = "service:registry"


@dataclass(frozen=True, slots=True)
class SetGuardian:
    """A command: from now on this person or institution acts for a member; neither = nobody does any more."""

    household_id: str
    member_id: str
    evidence: str
    person: Identifier | None = None
    institution_id: str | None = None
    receives: bool = False
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class _Guardian:
    """`payer_id`: whose account is used when they receive."""

    kind: str
    guardian_id: str
    payer_id: str


async def set_guardian(conn: Connection, command: SetGuardian, by: By, secrets: Secrets) -> tuple[str, list[Draft]]:
    """One guardian at a time: another one ends the guardianship before. Returns (its id, events). Raises SalurError."""
    state = standing((await lock_states(conn, [command.household_id])).get(command.household_id), by.regions)
    if command.member_id not in state.member_ids():
        raise Invalid("the ward is none of this family", code="member-unknown", who="registrar")
    ended = await queries.end_guardianships(conn, wards=[command.member_id], actor=by.actor)
    if command.person is None and command.institution_id is None:
        if not ended:
            raise Conflict("nobody is their guardian", code="no-guardian", who="registrar")
        return ended[0]["guardianship_id"], await told_end(conn, ended, by, secrets)
    guardian = await _found(conn, command, secrets)
    if guardian.guardian_id == command.member_id:
        raise Invalid("nobody is their own guardian", code="guardian-invalid", who="registrar")
    since = command.since or datetime.now(UTC).date()
    guardianship_id = new_id()
    await queries.insert_guardianship(
        conn, guardianship_id=guardianship_id, ward_id=command.member_id, household_id=command.household_id,
        kind=guardian.kind, guardian_id=guardian.guardian_id, payer_id=guardian.payer_id, receives=command.receives,
        evidence=command.evidence, since=since, until=command.until, actor=by.actor, follows=None,
    )  # fmt: skip
    fact = GuardianChanged(
        household_id=command.household_id, member_id=command.member_id, guardianship_id=guardianship_id,
        guardian_kind=guardian.kind, guardian_id=guardian.guardian_id, receives=command.receives,
        since=since.isoformat(), until=command.until and command.until.isoformat(),
    )  # fmt: skip
    drafts = [Draft(fact, command.household_id, by.actor, by.cause)]
    if command.receives:
        lent = await lend_account(conn, guardian.payer_id, [command.member_id], secrets, actor=by.actor, cause=by.cause)
        if not lent:
            raise Conflict(
                "the guardian has no open account here: register one first", code="guardian-without-account",
                who="registrar",
            )  # fmt: skip
        return guardianship_id, drafts + lent
    return guardianship_id, drafts + await close_lent(conn, ended, by, secrets)


async def _found(conn: Connection, command: SetGuardian, secrets: Secrets) -> _Guardian:
    if command.person is not None:
        token = secrets.token(command.person.scheme, command.person.value)
        owner = await queries.identifier_owner(conn, scheme=command.person.scheme, token=token)
        if owner is None or owner["member_id"] is None:
            raise NotFound("the guardian is not registered: register them first", code="guardian-unknown",
                           who="registrar")  # fmt: skip
        return _Guardian("person", owner["member_id"], owner["household_id"])
    row: Any = await queries.institution(conn, group_id=command.institution_id)
    if row is None:
        raise NotFound("no such institution: check the id", code="guardian-unknown", who="registrar")
    if not row["accredited"]:
        raise Conflict("the institution's accreditation has ended: have it renewed", code="accreditation-ended",
                       who="institution")  # fmt: skip
    return _Guardian("institution", row["group_id"], row["group_id"])


async def follow_people(
    conn: Connection, people: Mapping[str, str], household_id: str, by: By, secrets: Secrets, merge_id: str = ""
) -> list[Draft]:
    """People are of this family now, each under the id given: guardianships go along.

    What a guardian among them receives goes to the account of their new family, or nowhere as long as it has none.
    `merge_id`: of the merge by which some turned out to be others.
    """
    await queries.move_wards(conn, wards=list(people), household_id=household_id)
    moved = await queries.move_guardians(
        conn, people=[was for was, now in people.items() if was == now], payer_id=household_id
    )  # fmt: skip
    wards = sorted(row["ward_id"] for row in moved if row["receives"])
    lent = await lend_account(conn, household_id, wards, secrets, actor=by.actor, cause=by.cause)
    drafts: list[Draft] = list(lent or await close_lent(conn, moved, by, secrets))
    same = {was: now for was, now in people.items() if was != now}
    return drafts + (await follow_merged(conn, same, household_id, merge_id, by, secrets) if same else [])


async def end_guardianships_of(conn: Connection, guardian_id: str, by: By, secrets: Secrets) -> list[Draft]:
    """Who has died is nobody's guardian."""
    wards = [row["ward_id"] for row in await queries.wards_of_guardian(conn, guardian_id=guardian_id)]
    ended = await queries.end_guardianships(conn, wards=wards, actor=by.actor) if wards else []
    return await told_end(conn, ended, by, secrets)


async def end_what_has_run_out(conn: Connection, secrets: Secrets) -> tuple[bool, list[Draft]]:
    """Guardianships past their last day end; the account of an institution whose accreditation has ended rests.

    Returns (whether there may be more, events).
    """
    by = By(SERVICE, SERVICE)
    wards = [row["ward_id"] for row in await queries.guardianships_run_out(conn, most=ENDED_A_STEP)]
    ended = await queries.end_guardianships(conn, wards=wards, actor=by.actor) if wards else []
    drafts = await told_end(conn, ended, by, secrets)
    institutions = await queries.institutions_run_out(conn, most=ENDED_A_STEP)
    for row in institutions:
        drafts += await set_standing(conn, row["group_id"], "suspended", secrets, actor=by.actor, cause=by.cause)
    return len(wards) == ENDED_A_STEP or len(institutions) == ENDED_A_STEP, drafts

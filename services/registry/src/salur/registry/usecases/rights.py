"""Give and take rights: proposed by one administrator, accepted by another; taken away by one alone, at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from salur.common.auth import PERMISSIONS
from salur.common.contracts.principals import Grant, PrincipalChanged
from salur.common.database import Connection
from salur.common.errors import Conflict, Forbidden, Invalid, NotFound
from salur.common.events import Draft
from salur.common.values import new_id
from salur.registry.domain.rights import (
    GRANTS_MAX,
    RightRefused,
    check_delegation,
    check_expiry,
    check_roles,
    covers,
)
from salur.registry.store import queries
from salur.registry.usecases.states import By


@dataclass(frozen=True, slots=True)
class Wanted:
    """A right asked for."""

    principal_id: str
    role: str
    regions: tuple[str, ...]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to a principal, as its event tells it."""

    code: str
    concerns: str | None = None
    proposed_by: str | None = None
    reason: str | None = None


Answer = tuple[dict[str, Any], list[Draft]]


async def register_principal(conn: Connection, principal_id: str, by: By) -> tuple[dict[str, Any], bool, list[Draft]]:
    """Make somebody known, without any right. Returns (answer, whether new, events)."""
    if await queries.insert_principal(conn, id=principal_id, by=by.actor) is None:
        return {"principal_id": principal_id}, False, []
    fact = PrincipalChanged(
        principal_id=principal_id, version=1, status="active", grants=[], device_bound=False, devices=[],
        change="registered",
    )  # fmt: skip
    return {"principal_id": principal_id}, True, [Draft(fact, principal_id, by.actor, by.cause)]


async def propose(conn: Connection, wanted: Wanted, by: By) -> tuple[dict[str, Any], bool]:
    """Ask for a right for somebody. The same wish again is the same proposal. Returns (answer, whether new)."""
    await lock(conn, wanted.principal_id)
    _not_for_oneself(wanted.principal_id, by)
    _in_scope(by, wanted.regions)
    await _check_wanted(conn, wanted)
    grant_id = new_id()
    where = {"principal": wanted.principal_id, "role": wanted.role, "regions": list(wanted.regions)}
    made = await queries.propose_grant(conn, id=grant_id, expires_at=wanted.expires_at, by=by.actor, **where)
    if made is None:
        known = await queries.proposed_grant(conn, **where)
        if (known["expires_at"], known["proposed_by"]) != (wanted.expires_at, by.actor):
            raise Conflict(
                "this right is proposed already by somebody else or for another time: decide on that one first",
                code="grant-proposed",
                who="administrator",
            )
        grant_id = known["grant_id"]
    return {"grant_id": grant_id, "state": "proposed"}, made is not None


async def decide(conn: Connection, grant_id: str, by: By, *, accept: bool) -> Answer:
    """Another administrator accepts or refuses a proposal. Refusing needs no second person and makes no event."""
    grant = await _locked_grant(conn, grant_id, by)
    state = "active" if accept else "refused"
    if grant["state"] == state and grant["decided_by"] == by.actor:
        return {"grant_id": grant_id, "state": state}, []
    if grant["state"] != "proposed":
        raise Conflict(
            f"this right is {grant['state']} already: propose it again if it is still wanted",
            code="grant-decided",
            who="administrator",
        )
    if accept:
        _not_for_oneself(grant["principal_id"], by)
        if grant["proposed_by"] in by.people:
            raise Forbidden(
                "you proposed this right: another administrator must accept it",
                code="own-proposal",
                who="administrator",
            )
        await _check_wanted(conn, Wanted(grant["principal_id"], grant["role"], (), grant["expires_at"]), grant_id)
    await queries.decide_grant(conn, id=grant_id, state=state, by=by.actor)
    answer = {"grant_id": grant_id, "state": state}
    if not accept:
        return answer, []
    change = Change("granted", grant_id, grant["proposed_by"])
    return answer, await announce(conn, {grant["principal_id"]: change}, by)


async def delegate(conn: Connection, wanted: Wanted, by: By) -> Answer:
    """Lend a right one holds to a colleague for a time. It cannot be lent on, and ends with the lender's own."""
    assert wanted.expires_at is not None
    await lock(conn, wanted.principal_id, by.actor)
    _not_for_oneself(wanted.principal_id, by)
    now = datetime.now(UTC)
    own = [
        grant
        for grant in await queries.grants_of(conn, ids=[by.actor])
        if grant["state"] == "active" and grant["role"] == wanted.role and grant["delegated_by"] is None
        and covers(grant["regions"], wanted.regions) and (grant["expires_at"] is None or grant["expires_at"] > now)
    ]  # fmt: skip
    if not own:
        raise Forbidden(
            "you hold no right of your own that covers this: ask an administrator", code="not-held", who="administrator"
        )
    source = max(own, key=lambda grant: (grant["expires_at"] is None, grant["expires_at"] or now))
    try:
        check_delegation(wanted.expires_at, source["expires_at"], now)
    except RightRefused as refused:
        raise _invalid(refused) from None
    await _check_wanted(conn, wanted)
    grant_id = new_id()
    await queries.delegate_grant(
        conn, id=grant_id, principal=wanted.principal_id, role=wanted.role, regions=list(wanted.regions),
        expires_at=wanted.expires_at, source=source["grant_id"], by=by.actor,
    )  # fmt: skip
    drafts = await announce(conn, {wanted.principal_id: Change("delegated", grant_id, by.actor)}, by)
    return {"grant_id": grant_id, "state": "active"}, drafts


async def revoke(conn: Connection, grant_id: str, by: By, reason: str, *, own: bool = False) -> Answer:
    """Take a right away, and all that was lent from it. One person is enough; `own`: its holder or lender."""
    grant = await _locked_grant(conn, grant_id, None if own else by)
    if own and by.actor not in (grant["principal_id"], grant["delegated_by"]):
        raise unknown_grant()
    falling = {row["grant_id"]: row["principal_id"] for row in await queries.grants_falling_with(conn, id=grant_id)}
    if not falling:
        return {"grant_id": grant_id, "state": grant["state"]}, []
    await queries.revoke_grants(conn, ids=list(falling), by=by.actor)
    changes = {principal: Change("revoked", grant, None, reason) for grant, principal in falling.items()}
    return {"grant_id": grant_id, "state": "revoked"}, await announce(conn, changes, by)


async def announce(conn: Connection, changes: dict[str, Change], by: By) -> list[Draft]:
    """A new version of each of these principals, as events. Locked first, so that a snapshot misses nothing."""
    ids = sorted(changes)
    await lock(conn, *ids)
    grants = [grant for grant in await queries.grants_of(conn, ids=ids) if grant["state"] == "active"]
    devices = await queries.devices_of(conn, ids=ids)
    drafts = []
    for row in sorted(await queries.advance_principals(conn, ids=ids), key=lambda row: str(row["principal_id"])):
        principal_id = row["principal_id"]
        change = changes[principal_id]
        held = [
            Grant(**{name: grant[name] for name in Grant.model_fields})
            for grant in grants
            if grant["principal_id"] == principal_id
        ]
        fact = PrincipalChanged(
            principal_id=principal_id, version=row["version"], status=row["status"], grants=held,
            device_bound=row["device_bound"],
            devices=[device["device_id"] for device in devices if device["principal_id"] == principal_id],
            change=change.code, concerns=change.concerns, proposed_by=change.proposed_by, reason=change.reason,
        )  # fmt: skip
        drafts.append(Draft(fact, principal_id, by.actor, by.cause))
    return drafts


async def lock(conn: Connection, *principal_ids: str) -> dict[str, Any]:
    """Lock principals, in order. Raises NotFound."""
    rows = {row["principal_id"]: row for row in await queries.lock_principals(conn, ids=list(principal_ids))}
    if missing := set(principal_ids) - rows.keys():
        raise NotFound(
            f"{len(missing)} of the principals named is not registered: register them first",
            code="principal-unknown",
            who="administrator",
        )
    return rows


def unknown_grant() -> NotFound:
    """The same answer whether it does not exist or is none of the caller's business."""
    return NotFound("no right of that id in your regions: check the id", code="grant-unknown", who="administrator")


async def _locked_grant(conn: Connection, grant_id: str, by: By | None) -> Any:
    """The grant, its holder locked. `by`: whose scope it must lie in."""
    grant = await queries.grant_by_id(conn, id=grant_id)
    if grant is None or (by is not None and not covers(by.regions, grant["regions"])):
        raise unknown_grant()
    await lock(conn, grant["principal_id"])
    return await queries.grant_by_id(conn, id=grant_id)


async def _check_wanted(conn: Connection, wanted: Wanted, proposal: str | None = None) -> None:
    """Whether the right may stand beside what its holder has or is proposed. Raises Invalid."""
    now = datetime.now(UTC)
    others = [
        grant for grant in await queries.grants_of(conn, ids=[wanted.principal_id])
        if grant["grant_id"] != proposal and (grant["expires_at"] is None or grant["expires_at"] > now)
    ]  # fmt: skip
    try:
        check_expiry(wanted.expires_at, now)
        check_roles(wanted.role, _roles(others), PERMISSIONS)
        if len(others) >= GRANTS_MAX:
            raise RightRefused(f"they hold {GRANTS_MAX} rights already: revoke what is not needed")
    except RightRefused as refused:
        raise _invalid(refused) from None


def _roles(grants: Sequence[Any]) -> set[str]:
    return {grant["role"] for grant in grants}


def _invalid(refused: RightRefused) -> Invalid:
    return Invalid(f"this right cannot be given: {refused}", code="right-refused", who="administrator")


def _not_for_oneself(principal_id: str, by: By) -> None:
    if principal_id in by.people:
        raise Forbidden("nobody gives rights to themselves: ask a colleague", code="own-right", who="administrator")


def _in_scope(by: By, regions: tuple[str, ...]) -> None:
    if not covers(by.regions, regions):
        raise Forbidden(
            "the right reaches beyond your regions: the office above yours must give it",
            code="other-region",
            who="administrator",
        )

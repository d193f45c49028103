"""Suspend and reinstate those who work here; register and revoke the devices they act from."""

from typing import Any

from salur.common.database import Connection
from salur.common.errors import Conflict, Forbidden, NotFound
from salur.common.values import new_id
from salur.registry.domain.rights import DEVICES_MAX, covers
from salur.registry.store import queries
from salur.registry.usecases.rights import Answer, Change, announce, lock
from salur.registry.usecases.states import By


async def suspend(conn: Connection, principal_id: str, by: By, reason: str) -> Answer:
    """Stop somebody at once, and what they have lent to others. One administrator is enough."""
    rows = await lock(conn, principal_id)
    await _whole_in_scope(conn, principal_id, by)
    if rows[principal_id]["status"] == "suspended":
        return {"principal_id": principal_id, "status": "suspended"}, []
    await queries.suspend_principal(conn, id=principal_id, by=by.actor)
    lent = {row["grant_id"]: row["principal_id"] for row in await queries.delegations_by(conn, by=principal_id)}
    await queries.revoke_grants(conn, ids=list(lent), by=by.actor)
    changes = {holder: Change("revoked", grant, None, reason) for grant, holder in lent.items()}
    changes[principal_id] = Change("suspended", None, None, reason)
    return {"principal_id": principal_id, "status": "suspended"}, await announce(conn, changes, by)


async def reinstate(conn: Connection, principal_id: str, by: By) -> Answer:
    """Let somebody act again: another administrator than who suspended them, and never they themselves."""
    rows = await lock(conn, principal_id)
    await _whole_in_scope(conn, principal_id, by)
    if rows[principal_id]["status"] == "active":
        return {"principal_id": principal_id, "status": "active"}, []
    if by.actor in (principal_id, rows[principal_id]["suspended_by"]):
        raise Forbidden(
            "another administrator than who suspended them must reinstate them",
            code="own-suspension",
            who="administrator",
        )
    await queries.reinstate_principal(conn, id=principal_id)
    drafts = await announce(conn, {principal_id: Change("reinstated")}, by)
    return {"principal_id": principal_id, "status": "active"}, drafts


async def register_device(conn: Connection, principal_id: str, by: By) -> Answer:
    """A device to act from. From the first one on, tokens must name a registered device."""
    await lock(conn, principal_id)
    await _whole_in_scope(conn, principal_id, by)
    if len(await queries.devices_of(conn, ids=[principal_id])) >= DEVICES_MAX:
        raise Conflict(
            f"{DEVICES_MAX} devices are registered already: revoke one", code="too-many-devices", who="administrator"
        )
    device_id = new_id()
    await queries.insert_device(conn, id=device_id, principal=principal_id, by=by.actor)
    await queries.bind_principal(conn, id=principal_id)
    drafts = await announce(conn, {principal_id: Change("device-registered", device_id)}, by)
    return {"device_id": device_id}, drafts


async def revoke_device(conn: Connection, device_id: str, by: By, reason: str) -> Answer:
    """A lost or returned device lets nobody in any more, at once."""
    device: Any = await queries.device_by_id(conn, id=device_id)
    if device is None:
        raise NotFound("no device of that id: check the id", code="device-unknown", who="administrator")
    principal_id = device["principal_id"]
    await lock(conn, principal_id)
    await _whole_in_scope(conn, principal_id, by)
    if device_id not in {row["device_id"] for row in await queries.devices_of(conn, ids=[principal_id])}:
        return {"device_id": device_id, "state": "revoked"}, []
    await queries.revoke_device(conn, id=device_id, by=by.actor)
    drafts = await announce(conn, {principal_id: Change("device-revoked", device_id, None, reason)}, by)
    return {"device_id": device_id, "state": "revoked"}, drafts


async def _whole_in_scope(conn: Connection, principal_id: str, by: By) -> None:
    """What acts on a whole person needs a scope that covers all they hold. Raises Forbidden."""
    for grant in await queries.grants_of(conn, ids=[principal_id]):
        if not covers(by.regions, grant["regions"]):
            raise Forbidden(
                "they act beyond your regions too: the office above yours must do it",
                code="other-region",
                who="administrator",
            )

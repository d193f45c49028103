"""The registry's HTTP API: those who work here, their rights and devices."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, Field

from salur.common.contracts.base import Code, Id
from salur.common.contracts.principals import PrincipalId
from salur.common.errors import NotFound
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.common.values import RegionCode
from salur.registry.bodies import Body
from salur.registry.domain.rights import REGIONS_MAX, covers
from salur.registry.store import queries
from salur.registry.usecases import principals, rights
from salur.registry.usecases.rights import Wanted
from salur.registry.usecases.states import by_caller

PAGE_MAX = 500
Manager = Annotated[Caller, permit("principal:manage")]
Holder = Annotated[Caller, permit("own-right:delegate")]


class PrincipalBody(Body):
    """Somebody who works here, by the subject of their tokens."""

    principal_id: PrincipalId


class GrantBody(Body):
    """A right: a role for some regions (none named: every region), perhaps for a time."""

    role: Code
    regions: list[RegionCode] = Field(default_factory=list, max_length=REGIONS_MAX)
    expires_at: AwareDatetime | None = None


class DelegationBody(Body):
    """A right lent to a colleague until a time."""

    principal_id: PrincipalId
    role: Code
    regions: list[RegionCode] = Field(default_factory=list, max_length=REGIONS_MAX)
    expires_at: AwareDatetime


class ReasonBody(Body):
    """Why, in one word of an agreed list: `left`, `lost`, `misuse` … Never a story: it stands in an event."""

    reason: Code


def principal_routes(runtime: Runtime) -> APIRouter:
    """Register people, give and take rights, lend them, bind devices."""
    router = APIRouter(tags=["people who work here"])
    _read(router, runtime)
    _grants(router, runtime)
    _own(router, runtime)
    _people(router, runtime)
    return router


def _wanted(principal_id: str, role: str, regions: list[str], expires_at: datetime | None) -> Wanted:
    return Wanted(principal_id, role, tuple(sorted(set(regions))), expires_at)


def _read(router: APIRouter, runtime: Runtime) -> None:
    @router.get("/principals")
    async def list_principals(
        caller: Annotated[Caller, permit("principal:read")],
        after: Annotated[str, Query(max_length=80)] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """Those who work here, by id, with the rights that lie in the caller's regions."""
        async with runtime.db.connection() as conn:
            rows = await queries.principals_after(conn, after=after, most=limit)
            grants = await queries.grants_of(conn, ids=[row["principal_id"] for row in rows])
        return {"principals": [_view(row, grants, caller) for row in rows]}

    @router.get("/principals/{principal_id}")
    async def read_principal(
        principal_id: PrincipalId, caller: Annotated[Caller, permit("principal:read")]
    ) -> dict[str, Any]:
        """One of them, with devices."""
        return await _one(runtime, principal_id, caller)


async def _one(runtime: Runtime, principal_id: str, caller: Caller) -> dict[str, Any]:
    async with runtime.db.connection() as conn:
        row = await queries.principal(conn, id=principal_id)
        if row is None:
            raise NotFound("nobody of that id is registered", code="principal-unknown", who="administrator")
        grants = await queries.grants_of(conn, ids=[principal_id])
        devices = await queries.devices_of(conn, ids=[principal_id])
    return _view(row, grants, caller) | {"devices": [device["device_id"] for device in devices]}


def _view(row: Any, grants: list[Any], caller: Caller) -> dict[str, Any]:
    held = [
        {name: value for name, value in grant.items() if name != "principal_id"}
        for grant in grants
        if grant["principal_id"] == row["principal_id"] and covers(caller.regions, grant["regions"])
    ]
    return {name: row[name] for name in ("principal_id", "version", "status", "device_bound")} | {"grants": held}


def _grants(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/principals/{principal_id}/grants", status_code=201)
    async def propose_grant(
        principal_id: PrincipalId, body: GrantBody, response: Response, caller: Manager
    ) -> dict[str, Any]:
        """Propose a right. It holds when another administrator accepts it. The same proposal again answers 200."""
        wanted = _wanted(principal_id, body.role, body.regions, body.expires_at)
        async with runtime.unit_of_work() as unit:
            answer, new = await rights.propose(unit.conn, wanted, by_caller(caller))
        response.status_code = 201 if new else 200
        return answer

    @router.post("/grants/{grant_id}/accept")
    async def accept_grant(grant_id: Id, caller: Manager) -> dict[str, Any]:
        """Accept a right somebody else proposed. It holds in every service within seconds."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await rights.decide(unit.conn, grant_id, by_caller(caller), accept=True)
            unit.emit(*drafts)
        return answer

    @router.post("/grants/{grant_id}/refuse")
    async def refuse_grant(grant_id: Id, caller: Manager) -> dict[str, Any]:
        """Refuse a proposed right."""
        async with runtime.unit_of_work() as unit:
            answer, _ = await rights.decide(unit.conn, grant_id, by_caller(caller), accept=False)
        return answer

    @router.post("/grants/{grant_id}/revoke")
    async def revoke_grant(grant_id: Id, body: ReasonBody, caller: Manager) -> dict[str, Any]:
        """Take a right away, and all that was lent from it."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await rights.revoke(unit.conn, grant_id, by_caller(caller), body.reason)
            unit.emit(*drafts)
        return answer


def _own(router: APIRouter, runtime: Runtime) -> None:
    @router.get("/me/rights")
    async def own_rights(caller: Annotated[Caller, permit("own-right:read")]) -> dict[str, Any]:
        """What the registry holds of the caller."""
        everything = Caller(caller.actor, caller.roles)
        return await _one(runtime, caller.actor, everything)

    @router.post("/me/delegations", status_code=201)
    async def lend(body: DelegationBody, caller: Holder) -> dict[str, Any]:
        """Lend a right the caller holds, for at most 30 days. It acts at once and cannot be lent on."""
        wanted = _wanted(body.principal_id, body.role, body.regions, body.expires_at)
        async with runtime.unit_of_work() as unit:
            answer, drafts = await rights.delegate(unit.conn, wanted, by_caller(caller))
            unit.emit(*drafts)
        return answer

    @router.post("/me/grants/{grant_id}/revoke")
    async def give_up(grant_id: Id, body: ReasonBody, caller: Holder) -> dict[str, Any]:
        """Give up a right, or take back one that was lent."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await rights.revoke(unit.conn, grant_id, by_caller(caller), body.reason, own=True)
            unit.emit(*drafts)
        return answer


def _people(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/principals", status_code=201)
    async def register(body: PrincipalBody, response: Response, caller: Manager) -> dict[str, Any]:
        """Make somebody known. From now on their rights are what stands here, not what their token says: none yet."""
        async with runtime.unit_of_work() as unit:
            answer, new, drafts = await rights.register_principal(unit.conn, body.principal_id, by_caller(caller))
            unit.emit(*drafts)
        response.status_code = 201 if new else 200
        return answer

    @router.post("/principals/{principal_id}/suspend")
    async def suspend(principal_id: PrincipalId, body: ReasonBody, caller: Manager) -> dict[str, Any]:
        """Stop somebody at once."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await principals.suspend(unit.conn, principal_id, by_caller(caller), body.reason)
            unit.emit(*drafts)
        return answer

    @router.post("/principals/{principal_id}/reinstate")
    async def reinstate(principal_id: PrincipalId, caller: Manager) -> dict[str, Any]:
        """Let somebody act again; another administrator than who suspended them."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await principals.reinstate(unit.conn, principal_id, by_caller(caller))
            unit.emit(*drafts)
        return answer

    @router.post("/principals/{principal_id}/devices", status_code=201)
    async def register_device(principal_id: PrincipalId, caller: Manager) -> dict[str, Any]:
        """A device to act from; the identity provider names it in the claim `device`. From now on only with one."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await principals.register_device(unit.conn, principal_id, by_caller(caller))
            unit.emit(*drafts)
        return answer

    @router.post("/devices/{device_id}/revoke")
    async def revoke_device(device_id: Id, body: ReasonBody, caller: Manager) -> dict[str, Any]:
        """A lost or returned device lets nobody in any more."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await principals.revoke_device(unit.conn, device_id, by_caller(caller), body.reason)
            unit.emit(*drafts)
        return answer

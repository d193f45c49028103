"""The registry's HTTP API: households and cuts."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Response

from salur.common.contracts.base import Id
from salur.common.database import Connection
from salur.common.errors import Forbidden
from salur.common.events import Draft
from salur.common.http import Caller, permit
from salur.common.service import Coalescer, Runtime
from salur.registry.bodies import ChangeBody, CutBody, HouseholdBody, IdentifierBody, IdentifiersBody, PayeeBody
from salur.registry.store import queries
from salur.registry.usecases.change import Change, Changed, NewPayee, change, change_payees, unknown_household
from salur.registry.usecases.cut import make_cut
from salur.registry.usecases.register import Registered, Registration, Result, register


def household_routes(runtime: Runtime) -> APIRouter:
    """Register, read, find and change households; count them; close an intake."""
    router = APIRouter()
    _register(router, runtime)
    _read(router, runtime)
    _change(router, runtime)
    _cut(router, runtime)
    return router


def _register(router: APIRouter, runtime: Runtime) -> None:
    async def handle(conn: Connection, commands: Sequence[Registration]) -> tuple[list[Result], list[Draft]]:
        return await register(conn, commands, runtime.secrets, runtime.settings.banks)

    coalescer: Coalescer[Registration, Registered] = Coalescer(runtime, handle)

    @router.post("/households", status_code=201, tags=["households"])
    async def register_household(
        body: HouseholdBody, response: Response, caller: Annotated[Caller, permit("household:register")]
    ) -> dict[str, Any]:
        """Register a household. The same statement again answers 200 with the same id; other content is a conflict."""
        if not caller.sees(body.region):
            raise Forbidden("the household lies outside your regions", code="other-region", who="caller")
        result = await coalescer.submit(Registration(body.to_domain(), caller.actor, caller.request_id))
        response.status_code = 201 if result.created else 200
        return {"household_id": result.household_id, "version": result.version}


def _read(router: APIRouter, runtime: Runtime) -> None:
    @router.get("/households/{household_id}", tags=["households"])
    async def read_household(household_id: Id, caller: Annotated[Caller, permit("household:read")]) -> dict[str, Any]:
        """A household with its members and the standing of its account; never an identifier or account number."""
        async with runtime.db.connection() as conn:
            row = await queries.household(conn, id=household_id)
        if row is None or not caller.sees(row["region"]):
            raise unknown_household()
        names = ("household_id", "version", "region", "attributes", "members", "registered_at")
        payee = {"bank": row["bank"], "version": row["payee_version"], "status": row["payee_status"]}
        return {name: row[name] for name in names} | {"payee": payee if row["bank"] else None}

    @router.post("/households/find", tags=["households"])
    async def find_household(
        body: IdentifierBody, caller: Annotated[Caller, permit("household:read")]
    ) -> dict[str, str | None]:
        """Find by an identifier of the household or a member; it stands in the body so that no URL or log holds it."""
        token = runtime.secrets.token(body.scheme, body.value)
        async with runtime.db.connection() as conn:
            owner = await queries.identifier_owner(conn, scheme=body.scheme, token=token)
            row = await queries.household(conn, id=owner["household_id"]) if owner else None
        if row is None or not caller.sees(row["region"]):
            raise unknown_household()
        return {"household_id": owner["household_id"], "member_id": owner["member_id"]}

    @router.post("/households/find-many", tags=["households"])
    async def find_households(
        body: IdentifiersBody, caller: Annotated[Caller, permit("household:read")]
    ) -> dict[str, list[str | None]]:
        """Find up to 1,000 identifiers of one scheme; the answers stand in the same order, null where unknown."""
        tokens = [runtime.secrets.token(body.scheme, value) for value in body.values]
        async with runtime.db.connection() as conn:
            rows = await queries.identifier_owners(conn, scheme=body.scheme, tokens=tokens)
        seen = {row["place"]: row["household_id"] for row in rows if caller.sees(row["region"])}
        return {"household_ids": [seen.get(place) for place in range(1, len(tokens) + 1)]}

    @router.get("/counts", tags=["households"])
    async def counts(_caller: Annotated[Caller, permit("import:read")]) -> dict[str, int]:
        """How many households are registered."""
        async with runtime.db.connection() as conn:
            return {"households": await queries.count_households(conn)}


def _change(router: APIRouter, runtime: Runtime) -> None:
    async def handle(conn: Connection, commands: Sequence[Change]) -> Any:
        return await change(conn, commands, runtime.secrets)

    async def handle_payees(conn: Connection, commands: Sequence[NewPayee]) -> Any:
        return await change_payees(conn, commands, runtime.secrets, runtime.settings.banks)

    changes: Coalescer[Change, Changed] = Coalescer(runtime, handle)
    payees: Coalescer[NewPayee, Changed] = Coalescer(runtime, handle_payees)

    @router.put("/households/{household_id}", tags=["households"])
    async def put_household(
        household_id: Id, body: ChangeBody, caller: Annotated[Caller, permit("household:change")]
    ) -> dict[str, Any]:
        """Change region, attributes or members: a new version. No difference, no new version."""
        members = None if body.members is None else tuple(member.to_domain() for member in body.members)
        command = Change(
            household_id, caller.actor, caller.request_id, body.region, body.attributes, members,
            version=body.version, regions=caller.regions,
        )  # fmt: skip
        result = await changes.submit(command)
        return {"household_id": result.household_id, "version": result.version}

    @router.put("/households/{household_id}/payee", tags=["households"])
    async def put_payee(
        household_id: Id, body: PayeeBody, caller: Annotated[Caller, permit("household:change")]
    ) -> dict[str, Any]:
        """Set the payee account: a new version of it. The same account and holder again changes nothing."""
        command = NewPayee(household_id, body.to_domain(), caller.actor, caller.request_id, caller.regions)
        result = await payees.submit(command)
        return {"household_id": result.household_id, "version": result.version}


def _cut(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/cuts", status_code=201, tags=["cuts"])
    async def cut(
        body: CutBody, response: Response, caller: Annotated[Caller, permit("cut:make", central=True)]
    ) -> dict[str, Any]:
        """Close an intake. The same name again answers 200 with the same cut. `imports_unfinished` go on after it."""
        async with runtime.unit_of_work() as unit:
            result, new, drafts = await make_cut(unit.conn, body.name, actor=caller.actor, cause=caller.request_id)
            unit.emit(*drafts)
        response.status_code = 201 if new else 200
        return result

"""The registry's HTTP API: households and cuts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from salur.common.contracts.base import Id
from salur.common.database import Connection
from salur.common.errors import Forbidden, NotFound
from salur.common.events import AnyDraft
from salur.common.http import Caller, permit
from salur.common.service import Coalescer, Runtime
from salur.registry.bodies import AsOf, ChangeBody, CutBody, HouseholdBody, IdentifierBody, IdentifiersBody, moment
from salur.registry.store import queries
from salur.registry.usecases.change import Change, Changed, change
from salur.registry.usecases.cut import make_cut
from salur.registry.usecases.register import Registered, Registration, Result, register
from salur.registry.usecases.states import unknown_household

READ = ("household_id", "version", "region", "attributes", "members", "status", "merged_into")
MAX_VERSIONS = 500


def household_routes(runtime: Runtime) -> APIRouter:
    """Register, read, find and change households; count them; close an intake."""
    router = APIRouter()
    _register(router, runtime)
    _read(router, runtime)
    _change(router, runtime)
    _cut(router, runtime)
    return router


def _register(router: APIRouter, runtime: Runtime) -> None:
    async def handle(conn: Connection, commands: Sequence[Registration]) -> tuple[list[Result], list[AnyDraft]]:
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
    async def read_household(
        household_id: Id,
        caller: Annotated[Caller, permit("household:read")],
        as_of: AsOf = None,
    ) -> dict[str, Any]:
        """A household with its members and the standing of its account; never an identifier, name or account number.

        `as_of` (`2026-01-31T00:00:00+07:00`): as it stood at that moment, without the account.
        """
        async with runtime.db.connection() as conn:
            row = await queries.household(conn, id=household_id)
            if row is None or not caller.sees(row["region"]):
                raise unknown_household()
            if as_of is not None:
                return await _as_of(conn, household_id, moment(as_of))
        payee = {"bank": row["bank"], "version": row["payee_version"], "status": row["payee_status"]}
        names = (*READ, "registered_at", "changed_at")
        return {name: row[name] for name in names} | {"payee": payee if row["bank"] else None}

    @router.get("/households/{household_id}/guardians", tags=["households"])
    async def read_guardians(
        household_id: Id,
        caller: Annotated[Caller, permit("household:read")],
        as_of: AsOf = None,
    ) -> dict[str, list[dict[str, Any]]]:
        """Who acts for members of the household and whether they receive for them; `as_of`: as it stood then."""
        then_at = moment(as_of) if as_of is not None else datetime.now(UTC)
        async with runtime.db.connection() as conn:
            row = await queries.household(conn, id=household_id)
            if row is None or not caller.sees(row["region"]):
                raise unknown_household()
            then = await _as_of(conn, household_id, then_at)
            wards = [member["member_id"] for member in then["members"]]
            return {"guardians": [dict(r) for r in await queries.guardianships_of(conn, wards=wards, moment=then_at)]}

    @router.get("/households/{household_id}/versions", tags=["households"])
    async def read_versions(
        household_id: Id,
        caller: Annotated[Caller, permit("household:read")],
        most: Annotated[int, Query(ge=1, le=MAX_VERSIONS)] = 100,
    ) -> dict[str, list[dict[str, Any]]]:
        """From when to when each version held and who made it, the newest first."""
        async with runtime.db.connection() as conn:
            row = await queries.household(conn, id=household_id)
            if row is None or not caller.sees(row["region"]):
                raise unknown_household()
            return {"versions": [dict(r) for r in await queries.household_versions(conn, id=household_id, most=most)]}

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
        """Find up to 1,000 identifiers of one scheme; the answers stand in the same order, null where unknown.

        `member_ids` is null too where the identifier is the household's own.
        """
        tokens = [runtime.secrets.token(body.scheme, value) for value in body.values]
        async with runtime.db.connection() as conn:
            rows = await queries.identifier_owners(conn, scheme=body.scheme, tokens=tokens)
        seen = {row["place"]: row for row in rows if caller.sees(row["region"])}
        found = [seen.get(place) for place in range(1, len(tokens) + 1)]
        return {f"{name}s": [row and row[name] for row in found] for name in ("household_id", "member_id")}

    @router.get("/counts", tags=["households"])
    async def counts(_caller: Annotated[Caller, permit("import:read")]) -> dict[str, int]:
        """How many households are registered."""
        async with runtime.db.connection() as conn:
            return {"households": await queries.count_households(conn)}


async def _as_of(conn: Connection, household_id: str, moment: datetime) -> dict[str, Any]:
    row = await queries.household_as_of(conn, id=household_id, moment=moment)
    if row is None:
        raise NotFound("the household was not registered then", code="not-yet", who="caller")
    return dict(row)


def _change(router: APIRouter, runtime: Runtime) -> None:
    async def handle(conn: Connection, commands: Sequence[Change]) -> Any:
        return await change(conn, commands, runtime.secrets)

    changes: Coalescer[Change, Changed] = Coalescer(runtime, handle)

    @router.put("/households/{household_id}", tags=["households"])
    async def put_household(
        household_id: Id, body: ChangeBody, caller: Annotated[Caller, permit("household:change")]
    ) -> dict[str, Any]:
        """New region or welfare data: a new version. No difference, no new version. Members and payee: `/changes`."""
        command = Change(
            household_id, caller.actor, caller.request_id, body.region, body.attributes,
            version=body.version, regions=caller.regions,
        )  # fmt: skip
        result = await changes.submit(command)
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

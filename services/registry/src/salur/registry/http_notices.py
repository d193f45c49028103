"""The registry's HTTP API: what people were told."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from salur.common.contracts.base import Id
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.registry.store import queries
from salur.registry.usecases.states import unknown_household

PAGE_MAX = 500


def notice_routes(runtime: Runtime) -> APIRouter:
    """Notices of a household, and how many wait."""
    router = APIRouter(tags=["notices"])

    @router.get("/households/{household_id}/notices")
    async def household_notices(
        household_id: Id,
        caller: Annotated[Caller, permit("household:read")],
        after: Annotated[str, Query(max_length=32)] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """What a household was told and when, by id; never a text or a telephone number."""
        async with runtime.db.connection() as conn:
            row = await queries.household(conn, id=household_id)
            if row is None or not caller.sees(row["region"]):
                raise unknown_household()
            rows = await queries.notices_of(conn, household_id=household_id, after=after, most=limit)
        return {"notices": [dict(row) for row in rows]}

    @router.get("/notices/counts")
    async def counts(_caller: Annotated[Caller, permit("case:oversee", central=True)]) -> dict[str, Any]:
        """How many messages were made and sent, by kind; of the whole country."""
        async with runtime.db.connection() as conn:
            return {"counts": [dict(row) for row in await queries.notice_counts(conn)]}

    return router

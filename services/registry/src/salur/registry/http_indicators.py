"""The registry's HTTP API: coverage and gaps."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field, StringConstraints

from salur.common.contracts.base import Id
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.common.values import RegionCode
from salur.registry.bodies import Body, Text
from salur.registry.scope import scope_of
from salur.registry.store import queries
from salur.registry.usecases import indicators
from salur.registry.usecases.indicators import Reference

ROWS_MAX = 20_000
REFERENCES_MAX = 5_000
PAGE_MAX = 500
Dimension = Literal["all", "sex", "age", "disability", "decile", "obstacle"]
Band = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class CountBody(Body):
    """A count to begin: its name, for example `before-2026-1`, and the level of its regions."""

    name: Text
    level: Literal["province", "regency", "district"] = "regency"


class ReferenceBody(Body):
    """How many persons there are in a band of a region."""

    dimension: Dimension
    region: RegionCode
    band: Band
    persons: int = Field(ge=0, le=10**10)

    def to_domain(self) -> Reference:
        return Reference(self.dimension, self.region, self.band, self.persons)


class ReferencesBody(Body):
    """What another source says, and which."""

    source: Text
    references: list[ReferenceBody] = Field(min_length=1, max_length=REFERENCES_MAX)


def indicator_routes(runtime: Runtime) -> APIRouter:
    """Begin counts, state references, read coverage and gaps."""
    router = APIRouter(tags=["indicators"])

    @router.post("/indicators", status_code=201)
    async def begin_count(
        body: CountBody, response: Response, caller: Annotated[Caller, permit("indicator:make", central=True)]
    ) -> dict[str, Any]:
        """Begin to count who is registered. The same name again answers 200 with the same count."""
        async with runtime.db.transaction() as conn:
            answer, new = await indicators.begin(conn, body.name, body.level, caller.actor)
        response.status_code = 201 if new else 200
        return answer

    @router.put("/indicators/references")
    async def put_references(
        body: ReferencesBody, _caller: Annotated[Caller, permit("indicator:make", central=True)]
    ) -> dict[str, int]:
        """State how many persons there are by another source; coverage is measured against it."""
        async with runtime.db.transaction() as conn:
            await indicators.save_references(conn, [each.to_domain() for each in body.references], body.source)
        return {"references": len(body.references)}

    @router.get("/indicators")
    async def list_counts(
        _caller: Annotated[Caller, permit("indicator:read")],
        after: Annotated[str, Query(max_length=32)] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """The counts there are, by id."""
        async with runtime.db.connection() as conn:
            return {"counts": [dict(row) for row in await queries.indicator_runs(conn, after=after, most=limit)]}

    @router.get("/indicators/{run_id}")
    async def read_count(
        run_id: Id,
        caller: Annotated[Caller, permit("indicator:read")],
        dimension: Dimension = "all",
        before: Id | None = None,
    ) -> dict[str, Any]:
        """One dimension by region: persons, coverage, gaps, and the change since the count `before`."""
        async with runtime.db.connection() as conn:
            return await indicators.report(conn, run_id, dimension, before, scope_of(caller), ROWS_MAX)

    return router

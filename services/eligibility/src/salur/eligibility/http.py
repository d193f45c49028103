"""Eligibility's HTTP API."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict

from salur.common.contracts.base import Code, Id, Name
from salur.common.errors import Invalid, NotFound
from salur.common.events.stream import queries as event_queries
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.eligibility.domain.programme import MAX_RULES_SIZE, compile_programme
from salur.eligibility.store import HOUSEHOLDS_CONSUMER, queries
from salur.eligibility.usecases.cycles import open_cycle
from salur.eligibility.usecases.programmes import publish

PAGE_MAX = 1_000


class CycleBody(BaseModel):
    """Open a cycle of a programme on a registry cut."""

    model_config = ConfigDict(extra="forbid")

    programme_id: Code
    name: Name
    cut_id: Id


def _unknown(what: str) -> NotFound:
    return NotFound(f"no such {what}: check the id", code=f"{what}-unknown", who="caller")


def routes(runtime: Runtime) -> APIRouter:
    """Programmes, decisions and cycles."""
    router = APIRouter()
    _programme_routes(router, runtime)
    _decision_routes(router, runtime)
    _cycle_routes(router, runtime)
    return router


def _programme_routes(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/programmes", status_code=201, tags=["programmes"])
    async def publish_programme(
        request: Request, caller: Annotated[Caller, permit("programme:publish")]
    ) -> dict[str, str]:
        """Publish a programme: the body is its YAML. Errors point at line and expression."""
        raw = await request.body()
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Invalid("the rules are not UTF-8", code="programme-invalid", who="author of the programme") from None
        if len(raw) > MAX_RULES_SIZE:
            raise Invalid("the rules are too long", code="programme-invalid", who="author of the programme")
        async with runtime.unit_of_work() as unit:
            compiled, drafts = await publish(unit.conn, text, actor=caller.actor, cause=caller.request_id)
            unit.emit(*drafts)
        return {"programme_id": compiled.document.id, "version": compiled.version}

    @router.get("/programmes", tags=["programmes"])
    async def programmes(_caller: Annotated[Caller, permit("programme:read")]) -> dict[str, Any]:
        """The programmes in force."""
        async with runtime.db.connection() as conn:
            rows = await queries.programmes(conn)
        return {"programmes": [{k: v for k, v in row.items() if k != "rules"} for row in rows]}

    @router.get("/programmes/{programme_id}", tags=["programmes"])
    async def programme(programme_id: Code, _caller: Annotated[Caller, permit("programme:read")]) -> dict[str, Any]:
        """One programme with its rules as published."""
        async with runtime.db.connection() as conn:
            row = await queries.programme(conn, programme_id=programme_id)
        if row is None:
            raise _unknown("programme")
        return dict(row)

    @router.get("/programmes/{programme_id}/progress", tags=["programmes"])
    async def progress(programme_id: Code, _caller: Annotated[Caller, permit("programme:read")]) -> dict[str, Any]:
        """How many households are known, decided, enrolled, and how many meet each criterion."""
        async with runtime.db.connection() as conn:
            row = await queries.progress(conn, programme_id=programme_id)
            met = await queries.criteria_met(conn, programme_id=programme_id)
        if row is None:
            raise _unknown("programme")
        return {**dict(row), "met": {item["code"]: item["met"] for item in met}}


def _decision_routes(router: APIRouter, runtime: Runtime) -> None:
    @router.get("/decisions", tags=["decisions"])
    async def decisions(
        programme_id: Code,
        _caller: Annotated[Caller, permit("decision:read")],
        after: str = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """Decisions in force, by household id."""
        async with runtime.db.connection() as conn:
            rows = await queries.decisions_after(conn, programme_id=programme_id, after=after, most=limit)
        return {"decisions": [dict(row) for row in rows]}

    @router.get("/decisions/{programme_id}/{household_id}", tags=["decisions"])
    async def decision(
        programme_id: Code, household_id: Id, caller: Annotated[Caller, permit("decision:read")]
    ) -> dict[str, Any]:
        """Why: each criterion with its text, legal basis, value and outcome; what is owed and what is not, and why."""
        async with runtime.db.connection() as conn:
            row = await queries.decision(conn, programme_id=programme_id, household_id=household_id)
            programme = await queries.programme(conn, programme_id=programme_id)
        if row is None or programme is None or not caller.sees(row["region"]):
            raise _unknown("decision")
        texts = {c.code: c for c in compile_programme(programme["rules"]).document.criteria}
        criteria = [
            {**item, "text": texts[item["code"]].text, "legal": texts[item["code"]].legal}
            for item in row["criteria"]
            if item["code"] in texts
        ]
        return {**dict(row), "criteria": criteria}


def _cycle_routes(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/cycles", status_code=201, tags=["cycles"])
    async def cycle(body: CycleBody, caller: Annotated[Caller, permit("cycle:open")]) -> dict[str, Any]:
        """Open a cycle. 409 with Retry-After until the cut has passed and everyone before it is decided."""
        async with runtime.unit_of_work() as unit:
            blocked = await event_queries.any_blocked(unit.conn, consumers=[HOUSEHOLDS_CONSUMER])
            answer, drafts = await open_cycle(
                unit.conn, body.programme_id, body.name, body.cut_id, blocked=blocked, actor=caller.actor,
                cause=caller.request_id,
            )  # fmt: skip
            unit.emit(*drafts)
        return answer

    @router.get("/cycles/{cycle_id}", tags=["cycles"])
    async def read_cycle(cycle_id: Id, _caller: Annotated[Caller, permit("cycle:read")]) -> dict[str, Any]:
        """A cycle and its totals."""
        async with runtime.db.connection() as conn:
            row = await queries.cycle(conn, cycle_id=cycle_id)
            totals = await queries.cycle_totals(conn, cycle_id=cycle_id)
        if row is None:
            raise _unknown("cycle")
        return {**dict(row), **dict(totals)}

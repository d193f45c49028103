"""The HTTP API of eligibility: programmes, scoring models, decisions."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from salur.common.contracts.base import Code, Id, Sha256
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.eligibility.errors import programme_invalid
from salur.eligibility.openapi import text_body
from salur.eligibility.usecases import views
from salur.eligibility.usecases.models import models_view, propose_model, publish_model
from salur.eligibility.usecases.programmes import Rules, approve, propose
from salur.eligibility.usecases.replay import place, replay_page

PAGE_MAX = 1_000
YAML = text_body("application/yaml")
After = Annotated[str, Query(max_length=32)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


class VersionBody(BaseModel):
    """The version approved: the hash of the text the approver has read."""

    model_config = ConfigDict(extra="forbid")

    version: Sha256


def routes(runtime: Runtime, rules: Rules) -> APIRouter:
    """Programmes, scoring models and decisions."""
    router = APIRouter()
    _programme_routes(router, runtime, rules)
    _decision_routes(router, runtime, rules)
    _model_routes(router, runtime)
    return router


def _programme_routes(router: APIRouter, runtime: Runtime, rules: Rules) -> None:
    @router.post("/programmes", status_code=201, tags=["programmes"], openapi_extra=YAML)
    async def propose_programme(
        request: Request, response: Response, caller: Annotated[Caller, permit("programme:publish", central=True)]
    ) -> dict[str, str]:
        """Propose a programme: the body is its YAML. An error names line and expression. The same text again: 200.

        It comes in force when another person approves its version.
        """
        text = await _text_of(request)
        async with runtime.unit_of_work() as unit:
            compiled, state, drafts = await propose(unit.conn, text, actor=caller.actor, cause=caller.request_id)
            unit.emit(*drafts)
        response.status_code = 201 if drafts else 200
        return {"programme_id": compiled.document.id, "version": compiled.version, "state": state}

    @router.post("/programmes/{programme_id}/approve", tags=["programmes"])
    async def approve_programme(
        programme_id: Code, body: VersionBody, caller: Annotated[Caller, permit("programme:approve", central=True)]
    ) -> dict[str, str]:
        """Put a proposed version in force: never by the person who proposed it."""
        async with runtime.unit_of_work() as unit:
            drafts = await approve(
                unit.conn, programme_id, body.version, people=caller.people, actor=caller.actor,
                cause=caller.request_id,
            )  # fmt: skip
            unit.emit(*drafts)
        return {"programme_id": programme_id, "version": body.version, "state": "in-force"}

    @router.get("/programmes", tags=["programmes"])
    async def programmes(_caller: Annotated[Caller, permit("programme:read")]) -> dict[str, Any]:
        """The programmes in force, and the versions that wait for approval."""
        async with runtime.db.connection() as conn:
            return await views.programmes_view(conn)

    @router.get("/programmes/{programme_id}", tags=["programmes"])
    async def programme(programme_id: Code, _caller: Annotated[Caller, permit("programme:read")]) -> dict[str, Any]:
        """One programme with its rules as published."""
        async with runtime.db.connection() as conn:
            return await views.programme_view(conn, programme_id)

    @router.get("/programmes/{programme_id}/progress", tags=["programmes"])
    async def progress(programme_id: Code, _caller: Annotated[Caller, permit("programme:read")]) -> dict[str, Any]:
        """How many households are known, decided and enrolled, and how many meet each criterion."""
        async with runtime.db.transaction() as conn:
            return await views.progress_view(conn, rules, programme_id)


def _decision_routes(router: APIRouter, runtime: Runtime, rules: Rules) -> None:
    @router.get("/decisions", tags=["decisions"])
    async def decisions(
        programme_id: Code, caller: Annotated[Caller, permit("decision:read")], after: After = "", limit: Limit = 100
    ) -> dict[str, Any]:
        """A page of the decisions in force, by household id; `next` is the `after` of the next page."""
        async with runtime.db.connection() as conn:
            return await views.decisions_page(conn, caller, programme_id, after, limit)

    @router.get("/decisions/replay", tags=["decisions"])
    async def replay(
        _caller: Annotated[Caller, permit("decision:replay", central=True)],
        programme_id: Code | None = None,
        after: Annotated[str, Query(max_length=120)] = "",
        limit: Limit = PAGE_MAX,
    ) -> dict[str, Any]:
        """Make a page of old decisions again from their stored rules and inputs: how many agree, which do not."""
        async with runtime.db.connection() as conn:
            return await replay_page(conn, rules, programme_id, place(after), limit)

    @router.get("/decisions/{programme_id}/{household_id}", tags=["decisions"])
    async def decision(
        programme_id: Code, household_id: Id, caller: Annotated[Caller, permit("decision:read")]
    ) -> dict[str, Any]:
        """Why: each criterion with text, legal basis, values and outcome; what is due, what is not, and why."""
        async with runtime.db.connection() as conn:
            return await views.decision_view(conn, rules, caller, programme_id, household_id)


def _model_routes(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/score-models", status_code=201, tags=["score-models"], openapi_extra=YAML)
    async def propose_score_model(
        request: Request, response: Response, caller: Annotated[Caller, permit("programme:publish", central=True)]
    ) -> dict[str, str]:
        """Propose a scoring model: the body is its YAML. An error names line and expression. The same again: 200."""
        text = await _text_of(request)
        async with runtime.unit_of_work() as unit:
            model, drafts = await propose_model(unit.conn, text, actor=caller.actor, cause=caller.request_id)
            unit.emit(*drafts)
        response.status_code = 201 if drafts else 200
        return {"model_id": model.document.id, "version": model.version}

    @router.post("/score-models/{model_id}/approve", tags=["score-models"])
    async def approve_score_model(
        model_id: Code, body: VersionBody, caller: Annotated[Caller, permit("programme:approve", central=True)]
    ) -> dict[str, str]:
        """Let programmes name a version: never by the person who proposed it."""
        async with runtime.unit_of_work() as unit:
            drafts = await publish_model(
                unit.conn, model_id, body.version, people=caller.people, actor=caller.actor, cause=caller.request_id
            )
            unit.emit(*drafts)
        return {"model_id": model_id, "version": body.version}

    @router.get("/score-models", tags=["score-models"])
    async def score_models(_caller: Annotated[Caller, permit("programme:read")]) -> dict[str, Any]:
        """Every version of every scoring model, proposed or published."""
        async with runtime.db.connection() as conn:
            return await models_view(conn)


async def _text_of(request: Request) -> str:
    """The body as text. Raises Invalid."""
    try:
        return (await request.body()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise programme_invalid(f"byte {error.start} is not UTF-8: save the file as UTF-8") from None

"""The audit's HTTP API for those who search the trail."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from salur.audit import store
from salur.audit.search.export import MEDIA, Format
from salur.audit.search.question import Question, Value
from salur.audit.usecases import search
from salur.audit.usecases.money import follow_money, personal_reads
from salur.common.contracts.base import Id
from salur.common.database import Connection
from salur.common.errors import NotFound
from salur.common.http import Caller, permit
from salur.common.service import Runtime

EventId = Annotated[str, Path(pattern=r"^[A-Za-z0-9._/-]{1,200}$")]
SAVED_MAX = 100
Auditor = Annotated[Caller, permit("trail:read")]


class _Asked(Question):
    """A page of the answer."""

    after: int = Field(-1, ge=-1, lt=2**62, description="the last leaf_index seen")
    limit: int = Field(50, ge=1, le=search.PAGE_MAX)


class _Exported(Question):
    """The whole answer."""

    format: Format = "csv"


class SavedQuestion(BaseModel):
    """A question to ask again, under a name of one's own."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[\w .-]+$")
    question: Question


def trail_routes(runtime: Runtime) -> APIRouter:
    """Search, timelines, causes, exports, saved questions, lag."""
    router = APIRouter(prefix="/trail", tags=["trail"])
    _search_routes(router, runtime)
    _saved_routes(router, runtime)
    _report_routes(router, runtime)

    @router.get("/lag")
    async def lag(_caller: Auditor) -> dict[str, Any]:
        """Entries of the log that search does not know yet, and for how long."""
        async with runtime.db.connection() as conn:
            row = await store.queries.search_lag(conn)
        return {"indexed": row["indexed"], "entries": row["entries"], "age_s": round(max(0.0, row["age_s"]), 3)}

    return router


def _search_routes(router: APIRouter, runtime: Runtime) -> None:
    @router.get("")
    async def entries(question: Annotated[_Asked, Query()], caller: Auditor) -> dict[str, Any]:
        """The next page of entries that answer the question, in the log's order. `next` is the page after it."""
        async with runtime.unit_of_work() as unit:
            found = await search.find(unit.conn, caller, question, question.after, question.limit)
            unit.emit(search.asked(caller, "search", question.asked(), len(found))[1])
        following = found[-1]["leaf_index"] if len(found) == question.limit else None
        return {"entries": found, "next": following}

    @router.get("/export")
    async def export(question: Annotated[_Exported, Query()], caller: Auditor) -> Response:
        """Exactly the filtered view as a file. Its hash is in the trail: `salur-query` names the event to prove it."""
        async with runtime.unit_of_work() as unit:
            content, count = await search.export(unit.conn, caller, question, question.format)
            query_id, draft = search.asked(caller, "export", question.asked(), count, content)
            unit.emit(draft)
        headers = {
            "salur-query": query_id,
            "content-disposition": f'attachment; filename="trail-{query_id}.{question.format}"',
        }
        return Response(content, media_type=MEDIA[question.format], headers=headers)

    @router.get("/households/{household_id}")
    async def household(household_id: Id, caller: Auditor) -> dict[str, Any]:
        """Everything about one household, from registration to receipt, with the causes that link it."""
        ask = partial(search.timeline, caller=caller, household=household_id)
        return await _asked(runtime, caller, "timeline", {"household": household_id}, ask)

    @router.get("/causes/{event:path}")
    async def causes(event: EventId, caller: Auditor) -> dict[str, Any]:
        """What led to an event, and what it led to."""
        question = Question(event=event)
        ask = partial(search.chain, caller=caller, event=event)
        return await _asked(runtime, caller, "causes", question.asked(), ask)


async def _asked(
    runtime: Runtime,
    caller: Caller,
    kind: str,
    question: dict[str, str],
    ask: Callable[[Connection], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """The answer; that it was asked for is an event, found or not. Raises NotFound."""
    async with runtime.unit_of_work() as unit:
        view: dict[str, Any] | NotFound
        try:
            view = await ask(unit.conn)
        except NotFound as nothing:
            view = nothing
        found = 0 if isinstance(view, NotFound) else len(view["entries"])
        unit.emit(search.asked(caller, kind, question, found)[1])
    if isinstance(view, NotFound):
        raise view
    return view


def _saved_routes(router: APIRouter, runtime: Runtime) -> None:
    @router.get("/questions")
    async def questions(caller: Auditor) -> dict[str, Any]:
        """The questions the caller has saved."""
        async with runtime.db.connection() as conn:
            rows = await store.queries.saved_questions(conn, owner=caller.actor, most=SAVED_MAX)
        return {"questions": [dict(row) for row in rows]}

    @router.post("/questions", status_code=201)
    async def save(body: SavedQuestion, caller: Auditor) -> dict[str, str]:
        """Save a question under a name, over an earlier one of the same name."""
        async with runtime.unit_of_work() as unit:
            question = body.question.asked()
            await store.queries.save_question(unit.conn, owner=caller.actor, name=body.name, question=question)
            unit.emit(search.asked(caller, "save", question, 0)[1])
        return {"name": body.name}


def _report_routes(router: APIRouter, runtime: Runtime) -> None:
    @router.get("/money/{dimension}/{value}")
    async def money(
        dimension: Literal["fund", "cycle", "programme", "region", "bank", "household"], value: Value, caller: Auditor
    ) -> dict[str, Any]:
        """Budget, commitments, approvals, instructions, confirmations, returns; each with the question behind it."""
        question = Question.model_validate({dimension: value})
        async with runtime.unit_of_work() as unit:
            figures = await follow_money(unit.conn, caller, question)
            unit.emit(search.asked(caller, "money", question.asked(), sum(row["entries"] for row in figures))[1])
        return {dimension: value, "figures": figures}

    @router.get("/reads")
    async def reads(
        actor: Annotated[Value, Query()],
        since: Annotated[AwareDatetime, Query()],
        until: Annotated[AwareDatetime, Query()],
        caller: Annotated[Caller, permit("trail:read", central=True)],
    ) -> dict[str, Any]:
        """Breach report: whose personal values a principal read between two times, which field or kind, and why."""
        question = Question(actor=actor, since=since, until=until)
        async with runtime.unit_of_work() as unit:
            report = await personal_reads(unit.conn, actor, since, until)
            unit.emit(search.asked(caller, "reads", question.asked(), len(report["reads"]))[1])
        return report

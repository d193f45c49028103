"""The registry's HTTP API: complaints."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field, StringConstraints

from salur.common.contracts.base import Code, Id
from salur.common.contracts.cases import CaseOutcome, CaseState, Category, Priority
from salur.common.contracts.principals import PrincipalId
from salur.common.errors import Forbidden
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.common.values import RegionCode
from salur.registry.bodies import WITHOUT_NUL, Body
from salur.registry.scope import scope_of
from salur.registry.store import queries
from salur.registry.usecases import cases
from salur.registry.usecases.cases import CaseWorker, Complaint

PAGE_MAX = 500
TEXT_MAX = 5_000
SENSITIVE = "case:oversee"
"""Who oversees cases sees the sensitive ones too."""
Story = Annotated[str, StringConstraints(min_length=3, max_length=TEXT_MAX, strip_whitespace=True, pattern=WITHOUT_NUL)]
Handler = Annotated[Caller, permit("case:handle")]


class CaseBody(Body):
    """A complaint. `reference` is the sender's own: sent again, it is the same case."""

    reference: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{8,64}$")]
    category: Category
    priority: Priority = "normal"
    sensitive: bool = False
    region: RegionCode
    channel: Code
    text: Story
    contact: Annotated[str, StringConstraints(min_length=3, max_length=200, pattern=WITHOUT_NUL)] | None = None
    household_id: Id | None = None
    about: PrincipalId | None = None


class OwnerBody(Body):
    """Who is to take care of it."""

    owner: PrincipalId


class PriorityBody(Body):
    """How soon it must be resolved."""

    priority: Priority


class TextBody(Body):
    """What was found, done, or is still wrong."""

    text: Story


class ResolutionBody(Body):
    """What came of it, and what the person is told."""

    outcome: CaseOutcome
    text: Story


class WhyBody(Body):
    """Why the texts are read, in one word: it stands in an event."""

    reason: Code = Field(examples=["handling"])


def case_routes(runtime: Runtime) -> APIRouter:
    """Open, see and handle complaints."""
    router = APIRouter(tags=["cases"])
    _open(router, runtime)
    _see(router, runtime)
    _handle(router, runtime)
    _end(router, runtime)
    return router


def _by(caller: Caller) -> CaseWorker:
    return CaseWorker(caller.actor, caller.request_id, caller.regions, caller.may(SENSITIVE))


def _open(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/cases", status_code=201)
    async def open_case(
        body: CaseBody, response: Response, caller: Annotated[Caller, permit("case:open")]
    ) -> dict[str, Any]:
        """Open a case. Misconduct is always sensitive. Texts and contact rest sealed and stand in no event."""
        if not caller.sees(body.region):
            raise Forbidden("the region lies outside yours", code="other-region", who="caller")
        complaint = Complaint(**body.model_dump())
        async with runtime.unit_of_work() as unit:
            answer, new, drafts = await cases.open_case(unit.conn, complaint, _by(caller), runtime.secrets)
            unit.emit(*drafts)
        response.status_code = 201 if new else 200
        return answer


def _see(router: APIRouter, runtime: Runtime) -> None:
    @router.get("/cases")
    async def list_cases(
        caller: Annotated[Caller, permit("case:read")],
        after: Annotated[str, Query(max_length=32)] = "",
        state: CaseState | None = None,
        category: Category | None = None,
        owner: PrincipalId | None = None,
        overdue: bool = False,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """Cases the caller may see, by id; never a text."""
        async with runtime.db.connection() as conn:
            rows = await queries.cases_after(
                conn, after=after, actor=caller.actor, sensitive=caller.may(SENSITIVE), state=state,
                category=category, owner=owner, overdue=overdue, most=limit, **scope_of(caller),
            )  # fmt: skip
        return {"cases": [dict(row) for row in rows]}

    @router.get("/cases/counts")
    async def count_cases(caller: Annotated[Caller, permit(SENSITIVE)]) -> dict[str, Any]:
        """How many cases there are, by category, state, outcome and whether they are overdue."""
        async with runtime.db.connection() as conn:
            rows = await queries.count_cases(conn, **scope_of(caller))
        return {"counts": [dict(row) for row in rows]}

    @router.get("/cases/{case_id}")
    async def read_case(case_id: Id, caller: Annotated[Caller, permit("case:read")]) -> dict[str, Any]:
        """Where a case stands."""
        async with runtime.db.connection() as conn:
            return await cases.read_case(conn, case_id, _by(caller))

    @router.post("/cases/{case_id}/texts")
    async def read_texts(case_id: Id, body: WhyBody, caller: Handler) -> dict[str, Any]:
        """The complaint, contact and notes in clear. Reading them is an event that names who and why."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await cases.read_texts(unit.conn, case_id, body.reason, _by(caller), runtime.secrets)
            unit.emit(*drafts)
        return answer


def _handle(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/cases/{case_id}/assign")
    async def assign(case_id: Id, body: OwnerBody, caller: Handler) -> dict[str, Any]:
        """Give the case an owner; never somebody it is about."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await cases.assign(unit.conn, case_id, body.owner, _by(caller))
            unit.emit(*drafts)
        return answer

    @router.post("/cases/{case_id}/priority")
    async def set_priority(case_id: Id, body: PriorityBody, caller: Handler) -> dict[str, Any]:
        """Another priority and deadline."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await cases.set_priority(unit.conn, case_id, body.priority, _by(caller))
            unit.emit(*drafts)
        return answer

    @router.post("/cases/{case_id}/notes", status_code=201)
    async def note(case_id: Id, body: TextBody, caller: Handler) -> dict[str, Any]:
        """Write down what was found or done."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await cases.note(unit.conn, case_id, body.text, _by(caller), runtime.secrets)
            unit.emit(*drafts)
        return answer


def _end(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/cases/{case_id}/resolve")
    async def resolve(case_id: Id, body: ResolutionBody, caller: Handler) -> dict[str, Any]:
        """The owner says what came of it."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await cases.resolve(
                unit.conn, case_id, body.outcome, body.text, _by(caller), runtime.secrets
            )
            unit.emit(*drafts)
        return answer

    @router.post("/cases/{case_id}/close")
    async def close(case_id: Id, caller: Handler) -> dict[str, Any]:
        """Nothing more is to be done. A sensitive case needs another person than who resolved it."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await cases.close(unit.conn, case_id, _by(caller))
            unit.emit(*drafts)
        return answer

    @router.post("/cases/{case_id}/reopen")
    async def reopen(case_id: Id, body: TextBody, caller: Handler) -> dict[str, Any]:
        """The resolution was not enough: it goes back to its owner, more urgent than before."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await cases.reopen(unit.conn, case_id, body.text, _by(caller), runtime.secrets)
            unit.emit(*drafts)
        return answer

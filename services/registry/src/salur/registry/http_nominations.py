"""The registry's HTTP API: proposals to register a family, and the community's meetings about them."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field, StringConstraints

from salur.common.contracts.base import Code, Id
from salur.common.contracts.nominations import NominatedBy, NominationState
from salur.common.errors import Forbidden, Invalid
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.common.values import RegionCode
from salur.registry.bodies import WITHOUT_NUL, Body
from salur.registry.scope import scope_of
from salur.registry.store import queries
from salur.registry.usecases import nominations
from salur.registry.usecases.nominations import Meeting, Nomination
from salur.registry.usecases.states import by_caller

PAGE_MAX = 500
PARTICIPANTS_MIN = 3
Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{8,64}$")]
Story = Annotated[str, StringConstraints(min_length=3, max_length=5_000, pattern=WITHOUT_NUL)]
Line = Annotated[str, StringConstraints(min_length=2, max_length=200, pattern=WITHOUT_NUL)]
Office = Annotated[Caller, permit("nomination:decide")]


class NominationBody(Body):
    """A family proposed: by itself, by somebody else, by an organisation. What it says rests sealed."""

    reference: Reference
    nominated_by: NominatedBy
    region: RegionCode
    text: Story
    contact: Line | None = None


class ParticipantBody(Body):
    """Somebody who took part, and for whom they stood: `village-head`, `women`, `residents` …"""

    role: Code
    name: Line


class VerdictBody(Body):
    """What the meeting said of one proposal."""

    nomination_id: Id
    outcome: Literal["supported", "not-supported"]
    reason: Code


class MeetingBody(Body):
    """A meeting as it was held."""

    reference: Reference
    region: RegionCode
    held_on: date
    participants: list[ParticipantBody] = Field(min_length=PARTICIPANTS_MIN, max_length=500)
    verdicts: list[VerdictBody] = Field(min_length=1, max_length=1_000)


class DecisionBody(Body):
    """What came of it: the household that was registered, or none (refused)."""

    household_id: Id | None = None
    reason: Code


class WhyBody(Body):
    """Why it is read, in one word: it stands in an event."""

    reason: Code


def nomination_routes(runtime: Runtime) -> APIRouter:
    """Propose, meet, decide."""
    router = APIRouter(tags=["proposals of families"])
    _propose(router, runtime)
    _office(router, runtime)
    return router


def _propose(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/nominations", status_code=201)
    async def nominate(
        body: NominationBody, response: Response, caller: Annotated[Caller, permit("nomination:make")]
    ) -> dict[str, Any]:
        """Propose a family for registration (usul). The same reference again answers 200 with the same proposal."""
        if not caller.sees(body.region):
            raise Forbidden("the region lies outside yours", code="other-region", who="caller")
        async with runtime.unit_of_work() as unit:
            nomination = Nomination(**body.model_dump())
            answer, new, drafts = await nominations.nominate(unit.conn, nomination, by_caller(caller), runtime.secrets)
            unit.emit(*drafts)
        response.status_code = 201 if new else 200
        return answer

    @router.post("/meetings", status_code=201)
    async def record_meeting(body: MeetingBody, response: Response, caller: Office) -> dict[str, Any]:
        """Record a meeting (musyawarah): who took part, and what it said of proposals of its region."""
        if not caller.sees(body.region):
            raise Forbidden("the region lies outside yours", code="other-region", who="caller")
        if body.held_on > datetime.now(UTC).date():
            raise Invalid("the meeting has not been held yet", code="meeting-invalid", who="caller")
        if len({verdict.nomination_id for verdict in body.verdicts}) < len(body.verdicts):
            raise Invalid("the same proposal stands twice in the meeting", code="meeting-invalid", who="caller")
        meeting = Meeting(
            body.reference, body.region, body.held_on,
            tuple((participant.role, participant.name) for participant in body.participants),
            tuple((verdict.nomination_id, verdict.outcome, verdict.reason) for verdict in body.verdicts),
        )  # fmt: skip
        async with runtime.unit_of_work() as unit:
            answer, new, drafts = await nominations.record_meeting(
                unit.conn, meeting, by_caller(caller), runtime.secrets
            )
            unit.emit(*drafts)
        response.status_code = 201 if new else 200
        return answer


def _office(router: APIRouter, runtime: Runtime) -> None:
    @router.get("/nominations")
    async def list_nominations(
        caller: Office,
        after: Annotated[str, Query(max_length=32)] = "",
        state: NominationState | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """Proposals of the caller's regions, by id; not what they say."""
        async with runtime.db.connection() as conn:
            rows = await queries.nominations_after(conn, after=after, state=state, most=limit, **scope_of(caller))
        return {"nominations": [dict(row) for row in rows]}

    @router.post("/nominations/{nomination_id}/read")
    async def read_nomination(nomination_id: Id, body: WhyBody, caller: Office) -> dict[str, Any]:
        """What was written, in clear. Reading it is an event that names who and why."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await nominations.read_nomination(
                unit.conn, nomination_id, body.reason, by_caller(caller), runtime.secrets
            )
            unit.emit(*drafts)
        return answer

    @router.post("/nominations/{nomination_id}/decide")
    async def decide(nomination_id: Id, body: DecisionBody, caller: Office) -> dict[str, Any]:
        """Name the household it became, once a meeting supported it, or refuse it. Never one's own proposal."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await nominations.decide_nomination(
                unit.conn, nomination_id, body.household_id, body.reason, by_caller(caller)
            )
            unit.emit(*drafts)
        return answer

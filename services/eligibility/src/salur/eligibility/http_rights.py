"""The HTTP API of declared disasters and of appeals: whoever opens one never decides it."""

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from salur.common.contracts.base import Code, Id, Name, Sha256
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.common.values.region import RegionCode
from salur.eligibility.usecases import appeals, emergencies
from salur.eligibility.usecases.programmes import Rules

PAGE_MAX = 1_000
REGIONS_MAX = 600
Value = bool | int | float | str | None
Corrected = Annotated[dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")], Value], Field(max_length=100)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DeclarationBody(_Body):
    """A disaster: where, since when, which emergency programme helps, and the cut that says who lives there."""

    programme_id: Code
    name: Name
    regions: list[RegionCode] = Field(min_length=1, max_length=REGIONS_MAX)
    started_on: date
    cut_id: Id
    reason: Name


class EvidenceBody(_Body):
    """A document kept elsewhere, by the hash of its bytes."""

    kind: Code
    sha256: Sha256


class AppealBody(_Body):
    """An objection to one decision, in the person's own words."""

    household_id: Id
    decision_id: Id
    grounds: Code
    statement: str = Field(min_length=1, max_length=4_000)
    evidence: list[EvidenceBody] = Field(default_factory=list, max_length=20)


class ReviewBody(_Body):
    """What the second person found. Upheld: the facts put right, of the household and by member id."""

    outcome: Literal["upheld", "dismissed"]
    reason: Name
    household: Corrected = Field(default_factory=dict)
    members: dict[Id, Corrected] = Field(default_factory=dict, max_length=50)


def emergency_routes(runtime: Runtime, rules: Rules) -> APIRouter:
    """Declare a disaster; approve as another person."""
    router = APIRouter()

    @router.post("/declarations", status_code=201, tags=["emergencies"])
    async def declare(
        body: DeclarationBody, caller: Annotated[Caller, permit("emergency:declare", central=True)]
    ) -> dict[str, Any]:
        """Declare a disaster. Nothing is paid until another person approves."""
        command = emergencies.Declare(
            body.programme_id, body.name, tuple(body.regions), body.started_on, body.cut_id, body.reason,
            caller.actor, caller.request_id,
        )  # fmt: skip
        async with runtime.unit_of_work() as unit:
            answer, drafts = await emergencies.declare(unit.conn, rules, command)
            unit.emit(*drafts)
        return answer

    @router.post("/declarations/{declaration_id}/approve", tags=["emergencies"])
    async def approve(
        declaration_id: Id, caller: Annotated[Caller, permit("emergency:approve", central=True)]
    ) -> dict[str, Any]:
        """Help everyone who lives there: decided and granted at once. Never by the person who declared it."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await emergencies.approve_declaration(
                unit.conn, rules, declaration_id, people=caller.people, actor=caller.actor, cause=caller.request_id
            )
            unit.emit(*drafts)
        return answer

    @router.get("/declarations", tags=["emergencies"])
    async def declarations(_caller: Annotated[Caller, permit("cycle:read")]) -> dict[str, Any]:
        """The declared disasters, the latest first."""
        async with runtime.db.connection() as conn:
            return await emergencies.declarations_view(conn)

    return router


def appeal_routes(runtime: Runtime, rules: Rules) -> APIRouter:
    """Object to a decision; review as another person."""
    router = APIRouter()

    @router.post("/appeals", status_code=201, tags=["appeals"])
    async def open_appeal(body: AppealBody, caller: Annotated[Caller, permit("appeal:open")]) -> dict[str, Any]:
        """Object to a decision, within the days its programme gives. One objection to a decision at a time."""
        objection = appeals.Objection(
            body.household_id, body.decision_id, body.grounds, body.statement,
            [{"kind": item.kind, "sha256": item.sha256} for item in body.evidence],
        )  # fmt: skip
        async with runtime.unit_of_work() as unit:
            answer, drafts = await appeals.open_appeal(unit.conn, rules, runtime.secrets, caller, objection)
            unit.emit(*drafts)
        return answer

    @router.post("/appeals/{appeal_id}/decide", tags=["appeals"])
    async def decide(
        appeal_id: Id, body: ReviewBody, caller: Annotated[Caller, permit("appeal:review")]
    ) -> dict[str, Any]:
        """Uphold or dismiss, as another person. Upheld: decided again, and paid back since the wrong decision."""
        review = appeals.Review(appeal_id, body.outcome == "upheld", body.reason, body.household, body.members)
        async with runtime.unit_of_work() as unit:
            answer, drafts = await appeals.decide_appeal(unit.conn, rules, caller, review)
            unit.emit(*drafts)
        return answer

    @router.get("/appeals", tags=["appeals"])
    async def page(
        caller: Annotated[Caller, permit("appeal:read")],
        state: Literal["open", "upheld", "dismissed"] | None = None,
        after: Annotated[str, Query(max_length=32)] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """A page of appeals within the caller's regions, without the persons' words."""
        async with runtime.db.connection() as conn:
            return await appeals.appeals_page(conn, caller, state, after, limit)

    @router.get("/appeals/statistics", tags=["appeals"])
    async def statistics(caller: Annotated[Caller, permit("appeal:read")]) -> dict[str, Any]:
        """By programme, province and grounds: how many, how many overdue, the share overturned, back-pay, days."""
        async with runtime.db.connection() as conn:
            return await appeals.statistics_view(conn, caller)

    @router.get("/appeals/{appeal_id}", tags=["appeals"])
    async def read(appeal_id: Id, caller: Annotated[Caller, permit("appeal:read")]) -> dict[str, Any]:
        """One appeal with the person's own words."""
        async with runtime.db.connection() as conn:
            return await appeals.appeal_view(conn, runtime.secrets, caller, appeal_id)

    return router

"""The HTTP API of cycles: opening, places, conditions, indicators, what is held."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from salur.common.contracts.base import Code, Id, Name
from salur.common.contracts.eligibility import EnrolmentState
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.eligibility.domain.reports import Report
from salur.eligibility.openapi import text_body
from salur.eligibility.usecases import cycle_views, views
from salur.eligibility.usecases.conditions import report_conditions, take_report_file
from salur.eligibility.usecases.cycles import OpenCycle, open_cycle
from salur.eligibility.usecases.fairness import release
from salur.eligibility.usecases.programmes import Rules

EARLIEST, LATEST = date(2000, 1, 1), date(2999, 12, 31)
REPORTS_MAX = 1_000
PAGE_MAX = 1_000
REPORTS_CSV = text_body("text/csv", pattern=r"^household_id,(member_id,)?code,value\r?\n")
After = Annotated[str, Query(max_length=32)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Period = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-(Q[1-4]|[01][0-9]|[1-9])$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CycleBody(_Body):
    """Which programme, on which registry cut; the name is unique in the programme.

    `starts_on`: first day of the months it pays for, without it today. Before that day only with an `early_reason`.
    """

    programme_id: Code
    name: Annotated[Name, StringConstraints(strip_whitespace=True)]
    cut_id: Id
    starts_on: date | None = Field(default=None, ge=EARLIEST, le=LATEST)
    early_reason: Annotated[Name, StringConstraints(strip_whitespace=True, min_length=1)] | None = None


class ReleaseBody(_Body):
    """Why a held cycle may go on."""

    reason: Name


class ReportBody(_Body):
    """One value of one condition. `member_id` for a condition asked of each member."""

    household_id: Id
    member_id: Id | None = None
    code: Code
    value: int = Field(ge=0, le=1_000_000)


class ReportsBody(_Body):
    """What is reported for a period, `2026-Q1` or `2026-03`: periods are compared as text."""

    period: Period
    reports: list[ReportBody] = Field(min_length=1, max_length=REPORTS_MAX)


def cycle_routes(runtime: Runtime, rules: Rules) -> APIRouter:
    """Cycles and what belongs to them."""
    router = APIRouter()

    @router.post("/cycles", status_code=201, tags=["cycles"])
    async def cycle(body: CycleBody, caller: Annotated[Caller, permit("cycle:open", central=True)]) -> dict[str, Any]:
        """Open a cycle. 409 with Retry-After until the cut has passed and everyone at it is decided.

        409 without it when its months overlap those of another cycle of the programme, or have not begun.
        """
        command = OpenCycle(
            body.programme_id, body.name, body.cut_id, caller.actor, caller.request_id, body.starts_on,
            body.early_reason,
        )  # fmt: skip
        async with runtime.unit_of_work() as unit:
            answer, drafts = await open_cycle(unit.conn, rules, command)
            unit.emit(*drafts)
        return answer

    @router.get("/cycles/{cycle_id}", tags=["cycles"])
    async def read_cycle(cycle_id: Id, _caller: Annotated[Caller, permit("cycle:read")]) -> dict[str, Any]:
        """A cycle, how many have a place or not and why, what holds it, what it has granted so far."""
        async with runtime.db.connection() as conn:
            return await views.cycle_view(conn, cycle_id)

    @router.post("/cycles/{cycle_id}/release", tags=["cycles"])
    async def release_cycle(
        cycle_id: Id, body: ReleaseBody, caller: Annotated[Caller, permit("cycle:release", central=True)]
    ) -> dict[str, str]:
        """Let a held cycle be granted, with a reason: never by the person who opened it."""
        async with runtime.unit_of_work() as unit:
            drafts = await release(
                unit.conn, cycle_id, body.reason, people=caller.people, actor=caller.actor, cause=caller.request_id
            )
            unit.emit(*drafts)
        return {"cycle_id": cycle_id, "state": "granting"}

    @router.get("/cycles/{cycle_id}/indicators", tags=["cycles"])
    async def indicators(cycle_id: Id, _caller: Annotated[Caller, permit("cycle:read")]) -> dict[str, Any]:
        """Whom the cycle reaches, and whom the last one did: coverage and error by province, decile, sex and others."""
        async with runtime.db.connection() as conn:
            return await cycle_views.indicators_view(conn, rules, cycle_id)

    @router.get("/cuts/{cut_id}", tags=["cycles"])
    async def cut(cut_id: Id, _caller: Annotated[Caller, permit("cycle:read")]) -> dict[str, Any]:
        """How many partitions a registry cut has passed here."""
        async with runtime.db.connection() as conn:
            return await cycle_views.cut_view(conn, cut_id)

    @router.get("/cuts/{cut_id}/coverage", tags=["cycles"])
    async def coverage(cut_id: Id, _caller: Annotated[Caller, permit("cycle:read")]) -> dict[str, Any]:
        """Who is owed anything by the cycles on a cut: by province, decile, sex, disability, age, obstacle."""
        async with runtime.db.connection() as conn:
            return await cycle_views.coverage_view(conn, cut_id)

    @router.get("/cycles/{cycle_id}/places", tags=["cycles"])
    async def places(
        cycle_id: Id,
        caller: Annotated[Caller, permit("decision:read")],
        outcome: EnrolmentState | None = None,
        after: After = "",
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """A page of those considered, in order of beneficiary id, within the caller's regions."""
        async with runtime.db.connection() as conn:
            return await cycle_views.places_page(conn, caller, cycle_id, outcome, after, limit)

    @router.get("/cycles/{cycle_id}/places/{beneficiary_id}", tags=["cycles"])
    async def place(
        cycle_id: Id, beneficiary_id: Id, caller: Annotated[Caller, permit("decision:read")]
    ) -> dict[str, Any]:
        """Why somebody who qualifies has a place or none: rank, places, condition, in two languages."""
        async with runtime.db.connection() as conn:
            return await cycle_views.place_view(conn, rules, caller, cycle_id, beneficiary_id)

    @router.post("/programmes/{programme_id}/conditions", tags=["cycles"])
    async def conditions(
        programme_id: Code, body: ReportsBody, caller: Annotated[Caller, permit("condition:report")]
    ) -> dict[str, int]:
        """Report conditions of a period, all or nothing; the same again changes nothing, another value is refused."""
        reports = [Report(item.household_id, item.code, item.value, item.member_id) for item in body.reports]
        async with runtime.unit_of_work() as unit:
            added, drafts = await report_conditions(unit.conn, rules, caller, programme_id, body.period, reports)
            unit.emit(*drafts)
        return {"reported": len(reports), "added": added}

    @router.post("/programmes/{programme_id}/condition-files", tags=["cycles"], openapi_extra=REPORTS_CSV)
    async def condition_file(
        programme_id: Code, period: Period, request: Request, caller: Annotated[Caller, permit("condition:report")]
    ) -> dict[str, Any]:
        """Report conditions of a period by a CSV file (household_id, member_id, code, value); at most 10,000 rows.

        A row that cannot be taken is told by its line; the others stand. The same file again changes nothing.
        """
        text = (await request.body()).decode("utf-8", errors="replace")
        async with runtime.unit_of_work() as unit:
            answer, drafts = await take_report_file(unit.conn, rules, caller, programme_id, period, text)
            unit.emit(*drafts)
        return answer

    return router

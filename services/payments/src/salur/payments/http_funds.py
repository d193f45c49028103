"""HTTP: funds, their statements, and acts that need two people."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from salur.common.contracts.base import AmountMinor, Code, Currency, Id, Name
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.common.values.region import RegionCode
from salur.payments.usecases import funds, proposals, views
from salur.payments.usecases.acts import ACTS
from salur.payments.usecases.proposals import Person, Proposal

PAGE_MAX = 1_000
After = Annotated[str, Query(max_length=64)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Reason = Annotated[Name, Field(min_length=3)]


class FundBody(BaseModel):
    """A fund and its whole budget in minor units of `currency`."""

    fund_id: Code
    name: Name
    currency: Currency
    budget_minor: AmountMinor
    region: RegionCode | None = Field(None, description="where it pays; absent: everywhere (central)")
    programme_id: Code | None = Field(None, description="the only programme it pays; absent: any")


class TopUpBody(BaseModel):
    """Money to add to a fund, and why."""

    amount_minor: Annotated[AmountMinor, Field(ge=1)]
    reason: Reason


class ReasonBody(BaseModel):
    """Why."""

    reason: Reason


def person_of(caller: Caller) -> Person:
    return Person(caller.actor, caller.request_id, caller.regions, caller.delegators)


def proposer(runtime: Runtime) -> Callable[[Caller, Proposal], Awaitable[dict[str, Any]]]:
    """How a route proposes an act that another person must accept."""

    async def propose(caller: Caller, proposal: Proposal) -> dict[str, Any]:
        async with runtime.unit_of_work() as unit:
            answer, drafts = await proposals.propose(unit.conn, proposal, person_of(caller))
            unit.emit(*drafts)
        return answer

    return propose


def fund_routes(router: APIRouter, runtime: Runtime) -> None:
    """Open, read and state funds."""

    @router.post("/funds", tags=["funds"], status_code=201)
    async def open_fund(
        body: FundBody, response: Response, caller: Annotated[Caller, permit("fund:open", central=True)]
    ) -> dict[str, Any]:
        """Open a fund with its budget. The same again is answered 200; other content under its id 409."""
        content = body.model_dump() | {"region": body.region or ""}
        command = funds.OpenFund(**content, actor=caller.actor, cause=caller.request_id)
        async with runtime.unit_of_work() as unit:
            new, drafts = await funds.open_fund(unit.conn, command)
            unit.emit(*drafts)
        response.status_code = 201 if new else 200
        return content

    @router.get("/funds", tags=["funds"])
    async def all_funds(
        _caller: Annotated[Caller, permit("fund:read")], after: After = "", limit: Limit = 100
    ) -> dict[str, Any]:
        """Funds by id."""
        async with runtime.db.connection() as conn:
            return await views.funds_page(conn, after, limit)

    @router.get("/funds/{fund_id}", tags=["funds"])
    async def fund(fund_id: Code, _caller: Annotated[Caller, permit("fund:read")]) -> dict[str, Any]:
        """Budget, available, reserved, in flight, settled and returned, in minor units."""
        async with runtime.db.transaction() as conn:
            return await views.fund_view(conn, fund_id)

    @router.get("/funds/{fund_id}/statement", tags=["funds"])
    async def statement(
        fund_id: Code, _caller: Annotated[Caller, permit("fund:read")], until: datetime | None = None
    ) -> dict[str, Any]:
        """Every movement of the fund up to a moment, by kind, and the balance it leads to."""
        async with runtime.db.transaction() as conn:
            return await views.fund_statement(conn, fund_id, until)

    @router.post("/funds/{fund_id}/top-ups", tags=["funds"], status_code=202)
    async def top_up(
        fund_id: Code, body: TopUpBody, caller: Annotated[Caller, permit("proposal:make")]
    ) -> dict[str, Any]:
        """Propose more money for a fund; it is booked when another person accepts."""
        content = {"amount_minor": body.amount_minor}
        return await _propose_for_fund(runtime, caller, Proposal(funds.TOP_UP, fund_id, body.reason, content))

    @router.post("/funds/{fund_id}/close", tags=["funds"], status_code=202)
    async def close(
        fund_id: Code, body: ReasonBody, caller: Annotated[Caller, permit("proposal:make")]
    ) -> dict[str, Any]:
        """Propose to close a fund; what is left goes to the treasury when another person accepts."""
        return await _propose_for_fund(runtime, caller, Proposal(funds.CLOSE, fund_id, body.reason))


async def _propose_for_fund(runtime: Runtime, caller: Caller, proposal: Proposal) -> dict[str, Any]:
    person = person_of(caller)
    async with runtime.unit_of_work() as unit:
        await funds.fund_of(unit.conn, proposal.subject, person)
        answer, drafts = await proposals.propose(unit.conn, proposal, person)
        unit.emit(*drafts)
    return answer


def proposal_routes(router: APIRouter, runtime: Runtime) -> None:
    """Read proposed acts and decide on them."""

    @router.get("/proposals", tags=["proposals"])
    async def all_proposals(
        _caller: Annotated[Caller, permit("proposal:read")],
        state: Code | None = None,
        after: After = "",
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Acts that were proposed: what, why, by whom, and who decided."""
        async with runtime.db.connection() as conn:
            return await views.proposals_page(conn, state, after, limit)

    @router.post("/proposals/{proposal_id}/accept", tags=["proposals"])
    async def accept(proposal_id: Id, caller: Annotated[Caller, permit("proposal:decide")]) -> dict[str, Any]:
        """Accept a proposed act: it is done at once. Who proposed it cannot."""
        return await _decide(proposal_id, caller, accept=True)

    @router.post("/proposals/{proposal_id}/refuse", tags=["proposals"])
    async def refuse(proposal_id: Id, caller: Annotated[Caller, permit("proposal:decide")]) -> dict[str, Any]:
        """Refuse a proposed act; nothing is done."""
        return await _decide(proposal_id, caller, accept=False)

    async def _decide(proposal_id: str, caller: Caller, *, accept: bool) -> dict[str, Any]:
        async with runtime.unit_of_work() as unit:
            answer, drafts = await proposals.decide(unit.conn, proposal_id, person_of(caller), ACTS, accept=accept)
            unit.emit(*drafts)
        return answer

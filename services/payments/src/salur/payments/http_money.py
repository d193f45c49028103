"""HTTP: statements and breaks, sign-off, money cases, ends of failed payments, standing of cycles and beneficiaries."""

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field

from salur.common.contracts.base import AmountMinor, BankCode, Code, Currency, Id, Name
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.payments.domain.reconcile import Line, Statement
from salur.payments.http_funds import After, Limit, Reason, ReasonBody, person_of, proposer
from salur.payments.usecases import claims, endings, money_cases, reconcile, stop, views
from salur.payments.usecases.proposals import Proposal
from salur.payments.usecases.recalls import Unclaimed

LINES_MAX = 5_000
StatementId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
"""In a path: a statement whose id holds a slash is ended break by break."""
BankText = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/-]{1,64}$")]


class LineBody(BaseModel):
    """One booking."""

    line_id: BankText
    kind: Literal["credit", "return"]
    instruction_id: BankText
    amount_minor: Annotated[AmountMinor, Field(ge=1)]
    currency: Currency


class UnclaimedBody(BaseModel):
    """A credited payment that was not handed out, not touched, or has been taken after all."""

    instruction_id: BankText
    standing: Literal["undelivered", "untouched", "claimed"]
    since: date


class StatementBody(BaseModel):
    """A statement's lines. What the bank booked before `until` stands in it or in an earlier one.

    `unclaimed`: what the bank says of money that nobody has taken.
    """

    statement_id: BankText
    until: AwareDatetime
    lines: list[LineBody] = Field(max_length=LINES_MAX)
    unclaimed: list[UnclaimedBody] = Field([], max_length=LINES_MAX)


class BreakBody(BaseModel):
    """How a break ends, and why."""

    resolution: Literal["paid", "not-paid", "explained"]
    reason: Reason


class BreaksBody(BreakBody):
    """How all open breaks of one kind in a statement end, and why."""

    kind: Code


class CaseBody(BaseModel):
    """How a money case ends, and why."""

    resolution: Literal["offset", "recovery", "written-off", "paid", "retried", "ended"]
    reason: Reason
    percent_max: Annotated[int, Field(ge=1, le=50)] = claims.PERCENT_MAX
    """Of an offset: the share of each payment that may be taken at most."""
    notice_days: Annotated[int, Field(ge=0, le=365)] = claims.NOTICE_DAYS
    """Of an offset: how long the person has to object before the first payment is less."""


class ClaimBody(BaseModel):
    """How a part of a claim ends, and what shows it."""

    how: Literal["recovered", "set-off", "written-off"]
    amount_minor: Annotated[AmountMinor, Field(ge=1)]
    reason: Reason


class OwnerBody(BaseModel):
    """Who looks into it."""

    owner: Name


class OwnersBody(OwnerBody):
    """Who looks into all open breaks of one kind in a statement."""

    kind: Code


def money_routes(router: APIRouter, runtime: Runtime) -> None:
    """Reconciliation and what it finds."""

    propose = proposer(runtime)

    @router.post("/banks/{bank}/statements", tags=["reconciliation"])
    async def statement(
        bank: BankCode, body: StatementBody, _caller: Annotated[Caller, permit("statement:take", central=True)]
    ) -> dict[str, Any]:
        """Hold a bank's statement against what we say. What settled and is missing in it is no longer settled."""
        lines = tuple(Line(**line.model_dump()) for line in body.lines)
        unclaimed = [Unclaimed(**row.model_dump()) for row in body.unclaimed]
        async with runtime.unit_of_work() as unit:
            taken = Statement(bank, body.statement_id, body.until, lines)
            answer, drafts = await reconcile.take_statement(unit.conn, taken, unclaimed)
            unit.emit(*drafts)
        return answer

    @router.get("/breaks", tags=["reconciliation"])
    async def breaks(
        _caller: Annotated[Caller, permit("payment:read", central=True)],
        state: Code | None = "open",
        after: After = "",
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Differences between what is due, instructed and booked, with age and who must act."""
        async with runtime.db.connection() as conn:
            return await views.breaks_page(conn, state, after, limit)

    @router.post("/breaks/{break_id}/owner", tags=["reconciliation"])
    async def own(
        break_id: Id, body: OwnerBody, _caller: Annotated[Caller, permit("statement:take", central=True)]
    ) -> dict[str, Any]:
        """Name who looks into a break."""
        async with runtime.db.transaction() as conn:
            return await reconcile.own_break(conn, break_id, body.owner)

    @router.post("/breaks/{break_id}/resolve", tags=["reconciliation"], status_code=202)
    async def resolve(
        break_id: Id, body: BreakBody, caller: Annotated[Caller, permit("proposal:make", central=True)]
    ) -> dict[str, Any]:
        """Propose how a break ends; another person accepts."""
        content = {"resolution": body.resolution}
        return await propose(caller, Proposal(reconcile.BREAK_RESOLVE, break_id, body.reason, content))

    @router.post("/banks/{bank}/statements/{statement_id}/breaks/owner", tags=["reconciliation"])
    async def own_all(
        bank: BankCode, statement_id: StatementId, body: OwnersBody,
        _caller: Annotated[Caller, permit("statement:take", central=True)],
    ) -> dict[str, Any]:  # fmt: skip
        """Name who looks into all open breaks of one kind in a statement."""
        async with runtime.db.transaction() as conn:
            return await reconcile.own_breaks(conn, bank, statement_id, body.kind, body.owner)

    @router.post("/banks/{bank}/statements/{statement_id}/breaks/resolve", tags=["reconciliation"], status_code=202)
    async def resolve_all(
        bank: BankCode, statement_id: StatementId, body: BreaksBody,
        caller: Annotated[Caller, permit("proposal:make", central=True)],
    ) -> dict[str, Any]:  # fmt: skip
        """Propose how all open breaks of one kind in a statement end, at once; another person accepts."""
        async with runtime.db.connection() as conn:
            proposal = await reconcile.breaks_proposal(
                conn, bank, statement_id, body.kind, body.resolution, body.reason
            )
        return await propose(caller, proposal)

    @router.get("/cycles/{cycle_id}/banks/{bank}", tags=["reconciliation"])
    async def totals(
        cycle_id: Id, bank: BankCode, _caller: Annotated[Caller, permit("payment:read", central=True)]
    ) -> dict[str, Any]:
        """Control totals of a cycle at a bank."""
        async with runtime.db.connection() as conn:
            return await reconcile.totals(conn, cycle_id, bank)

    @router.post("/cycles/{cycle_id}/banks/{bank}/sign-off", tags=["reconciliation"])
    async def sign(
        cycle_id: Id, bank: BankCode, caller: Annotated[Caller, permit("list:approve", central=True)]
    ) -> dict[str, Any]:
        """Sign a cycle at a bank: nothing open, and what settled equals the statements."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await reconcile.sign_off(unit.conn, cycle_id, bank, person_of(caller))
            unit.emit(*drafts)
        return answer


def ending_routes(router: APIRouter, runtime: Runtime) -> None:
    """Money cases, the ends of failed payments, and where everybody stands."""
    propose = proposer(runtime)

    @router.get("/money-cases", tags=["payments"])
    async def cases(
        caller: Annotated[Caller, permit("payment:read")],
        state: Code | None = "open",
        after: After = "",
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Overpayments and supplements that late changes led to, within the caller's regions."""
        async with runtime.db.connection() as conn:
            return await views.cases_page(conn, caller, state, after, limit)

    @router.post("/money-cases/{case_id}/resolve", tags=["payments"], status_code=202)
    async def resolve_case(
        case_id: Id, body: CaseBody, caller: Annotated[Caller, permit("proposal:make")]
    ) -> dict[str, Any]:
        """Propose how a money case ends; another person accepts."""
        content: dict[str, Any] = {"resolution": body.resolution}
        if body.resolution == "offset":
            content |= {"percent_max": body.percent_max, "notice_days": body.notice_days}
        return await propose(caller, Proposal(money_cases.CASE_RESOLVE, case_id, body.reason, content))

    @router.get("/claims", tags=["payments"])
    async def all_claims(
        caller: Annotated[Caller, permit("payment:read")],
        only_open: bool = True,
        after: After = "",
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """What funds are to get back, or have written off, within the caller's regions."""
        async with runtime.db.connection() as conn:
            return await claims.page(conn, caller, only_open=only_open, after=after, most=limit)

    @router.post("/claims/{case_id}/reduce", tags=["payments"], status_code=202)
    async def reduce_claim(
        case_id: Id, body: ClaimBody, caller: Annotated[Caller, permit("proposal:make")]
    ) -> dict[str, Any]:
        """Propose that a part of a claim came back, was set off against a later payment, or never will."""
        content = {"how": body.how, "amount_minor": body.amount_minor}
        return await propose(caller, Proposal(claims.REDUCE, case_id, body.reason, content))

    @router.post("/payments/{payment_id}/to-treasury", tags=["payments"], status_code=202)
    async def to_treasury(
        payment_id: Id, body: ReasonBody, caller: Annotated[Caller, permit("proposal:make")]
    ) -> dict[str, Any]:
        """Propose to send a failed payment's money to the treasury; another person accepts."""
        return await propose(caller, Proposal(endings.TO_TREASURY, payment_id, body.reason))

    @router.post("/payments/{payment_id}/cancel", tags=["payments"], status_code=202)
    async def cancel(
        payment_id: Id, body: ReasonBody, caller: Annotated[Caller, permit("proposal:make")]
    ) -> dict[str, Any]:
        """Propose to end a failed payment for good; its money stays with its fund."""
        return await propose(caller, Proposal(endings.CANCEL_FAILED, payment_id, body.reason))

    @router.post("/cycles/{cycle_id}/end-failed", tags=["payments"], status_code=202)
    async def end_cycle(
        cycle_id: Id, body: ReasonBody, caller: Annotated[Caller, permit("proposal:make", central=True)]
    ) -> dict[str, Any]:
        """Propose to end every failed payment of a cycle: what came back to the treasury, the rest cancelled."""
        return await propose(caller, Proposal(endings.END_CYCLE, cycle_id, body.reason))

    @router.post("/lists/{list_id}/stop", tags=["lists"], status_code=202)
    async def stop_list(
        list_id: Id, body: ReasonBody, caller: Annotated[Caller, permit("proposal:make", central=True)]
    ) -> dict[str, Any]:
        """Propose to stop an approved list: unsent items are cancelled, sent ones end by their bank's word."""
        return await propose(caller, Proposal(stop.STOP, list_id, body.reason))

    @router.get("/cycles/{cycle_id}/standing", tags=["payments"])
    async def standing(cycle_id: Id, _caller: Annotated[Caller, permit("list:read")]) -> dict[str, Any]:
        """Every payment of a cycle in exactly one state: list = paid + in flight + returned + held + cancelled."""
        async with runtime.db.connection() as conn:
            return await views.cycle_standing(conn, cycle_id)

    @router.get("/beneficiaries/{beneficiary_id}/standing", tags=["payments"])
    async def beneficiary(beneficiary_id: Id, caller: Annotated[Caller, permit("payment:read")]) -> dict[str, Any]:
        """Why (not) paid: each entitlement in exactly one state, its age, and who must act."""
        async with runtime.db.connection() as conn:
            return await views.beneficiary_view(conn, caller, beneficiary_id)

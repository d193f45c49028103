"""HTTP: the daily close, what was put aside, and acts on a payment that a bank has been told about."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query

from salur.common.contracts.base import Id
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.payments.http_funds import Limit, ReasonBody, person_of, proposer
from salur.payments.usecases import closing, withdraw
from salur.payments.usecases.proposals import Proposal

LAST_DAY = date(9999, 12, 31)


def closing_routes(router: APIRouter, runtime: Runtime) -> None:
    """Days, suspense, withdrawals."""

    propose = proposer(runtime)

    @router.get("/closings", tags=["reconciliation"])
    async def closings(
        _caller: Annotated[Caller, permit("payment:read", central=True)],
        before: Annotated[date, Query()] = LAST_DAY,
        limit: Limit = 31,
    ) -> dict[str, Any]:
        """Closed days, the newest first."""
        async with runtime.db.connection() as conn:
            return await closing.closes_page(conn, before, limit)

    @router.get("/closings/{day}", tags=["reconciliation"])
    async def day_report(day: date, _caller: Annotated[Caller, permit("payment:read", central=True)]) -> dict[str, Any]:
        """A day's report as it was closed, or as it stands now."""
        async with runtime.db.transaction() as conn:
            return await closing.closing(conn, day)

    @router.post("/closings/{day}", tags=["reconciliation"])
    async def close_day(day: date, caller: Annotated[Caller, permit("list:approve", central=True)]) -> dict[str, Any]:
        """Close a day: control totals are zero and every open break has an owner."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await closing.close_day(unit.conn, day, person_of(caller))
            unit.emit(*drafts)
        return answer

    @router.post("/suspense/{suspense_id}/end", tags=["payments"])
    async def end_suspense(
        suspense_id: Id, body: ReasonBody, caller: Annotated[Caller, permit("payment:decide", central=True)]
    ) -> dict[str, Any]:
        """Write down what an answer put aside turned out to be; it moves no payment."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await closing.end_suspense(unit.conn, suspense_id, body.reason, person_of(caller))
            unit.emit(*drafts)
        return answer

    @router.post("/payments/{payment_id}/withdraw", tags=["payments"], status_code=202)
    async def withdraw_payment(
        payment_id: Id, body: ReasonBody, caller: Annotated[Caller, permit("proposal:make")]
    ) -> dict[str, Any]:
        """Propose to ask the bank to close an instruction; another person accepts, the bank's word decides."""
        return await propose(caller, Proposal(withdraw.WITHDRAW, payment_id, body.reason))

    @router.post("/payments/{payment_id}/re-route", tags=["payments"], status_code=202)
    async def reroute(
        payment_id: Id, body: ReasonBody, caller: Annotated[Caller, permit("proposal:make")]
    ) -> dict[str, Any]:
        """Propose to pay the beneficiary's other account instead, once the bank has closed this instruction."""
        return await propose(caller, Proposal(withdraw.REROUTE, payment_id, body.reason))

"""HTTP: the gate's rules and hits, decisions on single payments, follow-up lists, approval bands."""

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from salur.common.contracts.base import AmountMinor, BankCode, Code, Currency, Id, Sha256
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.common.values.region import RegionCode
from salur.payments.http_funds import After, Limit, Reason, ReasonBody, person_of, proposer
from salur.payments.usecases import decisions, gate, reissue, views
from salur.payments.usecases.proposals import Proposal

REPORTS_MAX = 5_000


class GateBody(BaseModel):
    """A programme's limits for the gate, and why they are set."""

    amount_min_minor: AmountMinor = 0
    amount_max_minor: AmountMinor | None = None
    shared_account_max: int = Field(5, ge=1, le=10_000)
    cool_off_s: int = Field(72 * 3600, ge=0, le=365 * 24 * 3600)
    excludes: list[Code] = Field([], max_length=50)
    excludes_within_s: int = Field(31 * 24 * 3600, ge=0, le=366 * 24 * 3600)
    reason: Reason


class BandBody(BaseModel):
    """From more than `over_minor` on, a list needs this many approvers."""

    currency: Currency
    over_minor: AmountMinor
    approvers: int = Field(ge=1, le=9)
    reason: Reason


class OrderBody(BaseModel):
    """Which failed payments are issued again by themselves, and why. `max_minor` 0 ends the order."""

    max_minor: AmountMinor
    attempts_max: int = Field(3, ge=2, le=9)
    retry_after_s: int = Field(24 * 3600, ge=0, le=31 * 24 * 3600)
    reason: Reason


class PayeeBody(BaseModel):
    """Whom a programme pays in its beneficiaries' stead (an insurer), and why; null: themselves."""

    payee_id: Id | None
    reason: Reason


class DecisionBody(BaseModel):
    """What to do with a payment, and why."""

    act: Literal["hold", "release", "cancel", "retry"]
    reason: Reason


class ReportRow(BaseModel):
    """What the bank says about one account."""

    account_token: Sha256
    standing: Literal["active", "dormant", "never-used"]
    last_used_on: date | None = None


class ReportsBody(BaseModel):
    """A bank's report about accounts."""

    bank: BankCode
    reports: list[ReportRow] = Field(min_length=1, max_length=REPORTS_MAX)


def gate_routes(router: APIRouter, runtime: Runtime) -> None:
    """Rules that two people set, hits, and decisions."""

    propose = proposer(runtime)

    @router.post("/programmes/{programme_id}/gate", tags=["gate"], status_code=202)
    async def set_gate(
        programme_id: Code, body: GateBody, caller: Annotated[Caller, permit("proposal:make", central=True)]
    ) -> dict[str, Any]:
        """Propose a programme's limits; they hold from the next list on when another person accepts."""
        content = body.model_dump(exclude={"reason"}) | {"excludes": ",".join(body.excludes)}
        return await propose(caller, Proposal(gate.SET_RULE, programme_id, body.reason, content))

    @router.post("/programmes/{programme_id}/payee", tags=["gate"], status_code=202)
    async def set_payee(
        programme_id: Code, body: PayeeBody, caller: Annotated[Caller, permit("proposal:make", central=True)]
    ) -> dict[str, Any]:
        """Propose whom a programme pays in its beneficiaries' stead; it holds from the next list on."""
        content = {"payee_id": body.payee_id or ""}
        return await propose(caller, Proposal(gate.SET_PAYEE, programme_id, body.reason, content))

    @router.post("/programmes/{programme_id}/re-issue", tags=["gate"], status_code=202)
    async def set_order(
        programme_id: Code, body: OrderBody, caller: Annotated[Caller, permit("proposal:make", central=True)]
    ) -> dict[str, Any]:
        """Propose a standing order: what failed is issued again once its cause is gone; another person accepts."""
        content = body.model_dump(exclude={"reason"})
        return await propose(caller, Proposal(reissue.SET_ORDER, programme_id, body.reason, content))

    @router.post("/regions/{region}/close", tags=["gate"], status_code=202)
    async def close_region(
        region: RegionCode, body: ReasonBody, caller: Annotated[Caller, permit("proposal:make", central=True)]
    ) -> dict[str, Any]:
        """Propose to hold every payment in a region."""
        return await propose(caller, Proposal(gate.CLOSE_REGION, region, body.reason))

    @router.post("/regions/{region}/reopen", tags=["gate"], status_code=202)
    async def reopen_region(
        region: RegionCode, body: ReasonBody, caller: Annotated[Caller, permit("proposal:make", central=True)]
    ) -> dict[str, Any]:
        """Propose to pay in a region again."""
        return await propose(caller, Proposal(gate.REOPEN_REGION, region, body.reason))

    @router.post("/approval-bands", tags=["lists"], status_code=202)
    async def set_band(
        body: BandBody, caller: Annotated[Caller, permit("proposal:make", central=True)]
    ) -> dict[str, Any]:
        """Propose how many approvers lists over an amount need."""
        content = body.model_dump(exclude={"reason"})
        subject = f"{body.currency}-{body.over_minor}"
        return await propose(caller, Proposal(gate.SET_BAND, subject, body.reason, content))

    @router.post("/account-reports", tags=["gate"])
    async def account_reports(
        body: ReportsBody, _caller: Annotated[Caller, permit("account-report:take", central=True)]
    ) -> dict[str, Any]:
        """Take what a bank says about accounts: dormant and never-used ones are held by the next list."""
        reports = [gate.AccountReport(bank=body.bank, **row.model_dump()) for row in body.reports]
        async with runtime.db.transaction() as conn:
            await gate.keep_reports(conn, reports)
        return {"taken": len(reports)}

    @router.get("/lists/{list_id}/gate", tags=["gate"])
    async def hits(
        list_id: Id, caller: Annotated[Caller, permit("payment:read")], after: After = "", limit: Limit = 100
    ) -> dict[str, Any]:
        """What the gate found in a list, with its evidence, within the caller's regions."""
        async with runtime.db.connection() as conn:
            return await views.gate_page(conn, caller, list_id, after, limit)

    @router.post("/payments/{payment_id}/decisions", tags=["payments"])
    async def decide(
        payment_id: Id, body: DecisionBody, caller: Annotated[Caller, permit("payment:decide")]
    ) -> dict[str, Any]:
        """Hold, release, cancel or retry one payment. A release pays by a follow-up list that others approve."""
        command = decisions.DecideItem(payment_id, body.act, body.reason)
        async with runtime.unit_of_work() as unit:
            answer, drafts = await decisions.decide_item(unit.conn, command, person_of(caller))
            unit.emit(*drafts)
        return answer

"""The HTTP API of payments."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, model_validator

from salur.common.asyncapi import partner_text
from salur.common.contracts.base import Code, Id, Name, Sha256
from salur.common.http import Caller, permit, public
from salur.common.routes import YAML
from salur.common.service import Runtime
from salur.common.values import derived_id
from salur.payments import errors
from salur.payments.http_banks import bank_routes
from salur.payments.http_closing import closing_routes
from salur.payments.http_funds import After, Limit, fund_routes, proposal_routes
from salur.payments.http_gate import gate_routes
from salur.payments.http_money import ending_routes, money_routes
from salur.payments.http_operations import operation_routes
from salur.payments.http_recalls import recall_routes
from salur.payments.settings import PaymentsSettings
from salur.payments.usecases import checks, lists, views
from salur.payments.usecases.checks import ListCommand


class Share(BaseModel):
    """How many parts of a list a fund bears."""

    fund_id: Code
    share: int = Field(ge=1, le=10_000)


class ListBody(BaseModel):
    """Which cycle to pay, from one fund (`fund_id`) or from several with their shares (`funds`)."""

    cycle_id: Id
    fund_id: Code | None = None
    funds: list[Share] = Field(default=[], max_length=50)

    @model_validator(mode="after")
    def _names_funds(self) -> Self:
        if (self.fund_id is None) == (not self.funds):
            raise ValueError("either fund_id or funds")
        return self

    @property
    def shares(self) -> tuple[tuple[str, int], ...]:
        return tuple((item.fund_id, item.share) for item in self.funds) or ((self.fund_id or "", 1),)


class ApproveBody(BaseModel):
    """The hash of the list as the approver read it."""

    content_hash: Sha256


class RefuseBody(BaseModel):
    """Why the list is refused."""

    reason: Name = Field(min_length=3)


def routes(runtime: Runtime) -> APIRouter:
    """Commands and views."""
    router = APIRouter()
    fund_routes(router, runtime)
    bank_routes(router, runtime)
    proposal_routes(router, runtime)
    gate_routes(router, runtime)
    money_routes(router, runtime)
    ending_routes(router, runtime)
    operation_routes(router, runtime)
    recall_routes(router, runtime)
    closing_routes(router, runtime)
    _list_commands(router, runtime)
    _views(router, runtime)

    @router.get("/partners/asyncapi.yaml", include_in_schema=False)
    async def partners(_caller: Annotated[Caller, public()]) -> Response:
        """The AsyncAPI document partner banks build on."""
        return Response(partner_text(), media_type=YAML)

    return router


def _list_commands(router: APIRouter, runtime: Runtime) -> None:
    settings = runtime.settings
    assert isinstance(settings, PaymentsSettings)
    banks = settings.partner_banks

    @router.post("/lists", tags=["lists"], status_code=201)
    async def build_list(
        body: ListBody, caller: Annotated[Caller, permit("list:build", central=True)]
    ) -> dict[str, Any]:
        """Lock the payment list of a complete cycle. 409 cycle-not-complete says when to ask again."""
        if len({fund_id for fund_id, _ in body.shares}) < len(body.shares):
            raise errors.funds_named_twice()
        command = lists.BuildList(body.cycle_id, body.shares, banks, caller.actor, caller.request_id)
        async with runtime.unit_of_work() as unit:
            answer, drafts = await lists.build_list(unit.conn, command)
            unit.emit(*drafts)
        return answer

    @router.post("/cycles/{cycle_id}/follow-up", tags=["lists"], status_code=201)
    async def build_follow_up(
        cycle_id: Id, caller: Annotated[Caller, permit("list:build", central=True)]
    ) -> dict[str, Any]:
        """Lock a list of what earlier lists of the cycle held or could not pay and what can be paid now."""
        command = lists.BuildList(cycle_id, (), banks, caller.actor, caller.request_id)
        async with runtime.unit_of_work() as unit:
            answer, drafts = await lists.build_follow_up(unit.conn, command)
            unit.emit(*drafts)
        return answer

    @router.get("/cycles/{cycle_id}/waiting", tags=["lists"])
    async def waiting(
        cycle_id: Id, caller: Annotated[Caller, permit("payment:read")], after: After = "", limit: Limit = 100
    ) -> dict[str, Any]:
        """What the cycle has not paid: held, failed or a supplement, with age and who must act first."""
        async with runtime.db.connection() as conn:
            return await views.waiting_page(conn, caller, cycle_id, after, limit)

    @router.post("/lists/{list_id}/submit", tags=["lists"])
    async def submit_list(
        list_id: Id, caller: Annotated[Caller, permit("list:submit", central=True)]
    ) -> dict[str, Any]:
        """Reserve the funds in rank order and ask for approval."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await checks.submit_list(unit.conn, _command(list_id, caller), settings.approve_within_s)
            unit.emit(*drafts)
        return answer

    @router.post("/lists/{list_id}/approve", tags=["lists"])
    async def approve_list(
        list_id: Id, body: ApproveBody, caller: Annotated[Caller, permit("list:approve")]
    ) -> dict[str, Any]:
        """Approve exactly what the content hash covers. Who built or submitted the list cannot.

        The list is approved when as many people as its amount asks have, one of each authority that funds it.
        """
        async with runtime.unit_of_work() as unit:
            answer, drafts = await checks.approve_list(unit.conn, _command(list_id, caller), body.content_hash)
            unit.emit(*drafts)
        return answer

    @router.post("/lists/{list_id}/refuse", tags=["lists"])
    async def refuse_list(
        list_id: Id, body: RefuseBody, caller: Annotated[Caller, permit("list:approve")]
    ) -> dict[str, Any]:
        """Refuse a submitted list; its funds are free again."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await checks.refuse_list(unit.conn, _command(list_id, caller), body.reason)
            unit.emit(*drafts)
        return answer


def _command(list_id: str, caller: Caller) -> ListCommand:
    device = derived_id("device", caller.device) if caller.device else ""
    return ListCommand(
        list_id, caller.actor, caller.request_id, caller.delegators, caller.regions, caller.roles, device
    )


def _views(router: APIRouter, runtime: Runtime) -> None:
    @router.get("/lists", tags=["lists"])
    async def all_lists(
        _caller: Annotated[Caller, permit("list:read")], after: After = "", limit: Limit = 100
    ) -> dict[str, Any]:
        """Payment lists by id."""
        async with runtime.db.connection() as conn:
            return await views.lists_page(conn, after, limit)

    @router.get("/lists/{list_id}", tags=["lists"])
    async def payment_list(list_id: Id, _caller: Annotated[Caller, permit("list:read")]) -> dict[str, Any]:
        """A list and the states of its payments."""
        async with runtime.db.transaction() as conn:
            return await views.list_view(conn, list_id)

    @router.get("/lists/{list_id}/payments", tags=["payments"])
    async def payments_of_list(
        list_id: Id,
        caller: Annotated[Caller, permit("payment:read")],
        state: Code | None = None,
        after: After = "",
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """A page of the list's payments, within the caller's regions."""
        async with runtime.db.connection() as conn:
            return await views.payments_page(conn, caller, list_id, state, after, limit)

    @router.get("/payments/{payment_id}", tags=["payments"])
    async def payment(payment_id: Id, caller: Annotated[Caller, permit("payment:read")]) -> dict[str, Any]:
        """One payment: its state, why, and who must act."""
        async with runtime.db.transaction() as conn:
            return await views.payment_view(conn, caller, payment_id)

    @router.get("/ledger", tags=["ledger"])
    async def ledger(_caller: Annotated[Caller, permit("ledger:read")], with_hash: bool = True) -> dict[str, Any]:
        """Sums per currency, balances, and the hash over balances and transfers."""
        async with runtime.db.transaction() as conn:
            return await views.ledger_view(conn, with_hash=with_hash)

    @router.get("/suspense", tags=["payments"])
    async def suspense(
        _caller: Annotated[Caller, permit("payment:read")], after: After = "", limit: Limit = 100
    ) -> dict[str, Any]:
        """Bank answers that contradict what we know and that nobody has looked into yet."""
        async with runtime.db.connection() as conn:
            return await views.suspense_page(conn, after, limit)

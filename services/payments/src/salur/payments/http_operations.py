"""HTTP: what waits and for whom, and what recipients say."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from salur.common.contracts.base import AmountMinor, Code, Id
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.payments.usecases import collection, confirmations, views

ANSWERS_MAX = 5_000


class AskBody(BaseModel):
    """Which share of the settled payments to ask about."""

    share_percent: int = Field(ge=1, le=100)


class AnswerBody(BaseModel):
    """What a recipient says arrived."""

    payment_id: Id
    channel: Literal["message", "agent", "upload"]
    received_minor: AmountMinor


class CodeBody(BaseModel):
    """Why a collection code is read: a word, for example hand-over or lost-letter."""

    reason: Code


class AnswersBody(BaseModel):
    """Answers of recipients."""

    answers: list[AnswerBody] = Field(min_length=1, max_length=ANSWERS_MAX)


def operation_routes(router: APIRouter, runtime: Runtime) -> None:
    """Backlog and confirmations."""

    @router.post("/payments/{payment_id}/collection-code", tags=["payments"])
    async def collection_code(
        payment_id: Id, body: CodeBody, caller: Annotated[Caller, permit("collection-code:read")]
    ) -> dict[str, str]:
        """The one-time code of cash that waits to be fetched, for whoever hands it to the recipient. It is recorded."""
        async with runtime.unit_of_work() as unit:
            told, drafts = await collection.read_code(unit.conn, runtime.secrets, payment_id, body.reason, caller)
            unit.emit(*drafts)
        return told

    @router.get("/backlog", tags=["operations"])
    async def backlog(_caller: Annotated[Caller, permit("payment:read", central=True)]) -> dict[str, Any]:
        """What waits, at which bank, and how long the oldest has waited."""
        async with runtime.db.connection() as conn:
            return await views.backlog(conn)

    @router.post("/cycles/{cycle_id}/confirmations", tags=["confirmations"])
    async def ask(
        cycle_id: Id, body: AskBody, _caller: Annotated[Caller, permit("payment:decide", central=True)]
    ) -> dict[str, Any]:
        """Ask a share of those who were paid whether and how much arrived."""
        async with runtime.db.transaction() as conn:
            return await confirmations.ask(conn, cycle_id, body.share_percent)

    @router.post("/confirmations", tags=["confirmations"])
    async def answers(
        body: AnswersBody, _caller: Annotated[Caller, permit("payment:decide", central=True)]
    ) -> dict[str, Any]:
        """Take what recipients say; a difference becomes a case."""
        told = [confirmations.Answer(**answer.model_dump()) for answer in body.answers]
        async with runtime.unit_of_work() as unit:
            answer, drafts = await confirmations.take(unit.conn, told)
            unit.emit(*drafts)
        return answer

    @router.get("/cycles/{cycle_id}/confirmations", tags=["confirmations"])
    async def rate(cycle_id: Id, _caller: Annotated[Caller, permit("list:read")]) -> dict[str, Any]:
        """How many were asked, answered, and confirmed the whole amount."""
        async with runtime.db.connection() as conn:
            return await confirmations.rate(conn, cycle_id)

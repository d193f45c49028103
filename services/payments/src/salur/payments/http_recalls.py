"""HTTP: money that nobody has taken, and calling it back."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from salur.common.contracts.base import Code, Id
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.payments.http_funds import After, Limit, ReasonBody, proposer
from salur.payments.usecases import recalls, views
from salur.payments.usecases.proposals import Proposal


class RecallBody(ReasonBody):
    """How long the money must have waited, in days, and why it is called back."""

    older_than_days: int = Field(ge=0, le=3_650)


def recall_routes(router: APIRouter, runtime: Runtime) -> None:
    """The ageing report, and acts of two people."""

    propose = proposer(runtime)

    @router.get("/unclaimed", tags=["payments"])
    async def unclaimed(_caller: Annotated[Caller, permit("payment:read", central=True)]) -> dict[str, Any]:
        """Settled money nobody has taken, by bank, age and recall, and what banks have given back."""
        async with runtime.db.connection() as conn:
            return await views.unclaimed(conn)

    @router.post("/cycles/{cycle_id}/recall-unclaimed", tags=["payments"], status_code=202)
    async def recall_unclaimed(
        cycle_id: Id, body: RecallBody, caller: Annotated[Caller, permit("proposal:make", central=True)]
    ) -> dict[str, Any]:
        """Propose to call back what nobody has taken for so long; what banks give back goes to the treasury."""
        content = {"older_than_days": body.older_than_days}
        return await propose(caller, Proposal(recalls.RECALL_UNCLAIMED, cycle_id, body.reason, content))

    @router.post("/payments/{payment_id}/recall", tags=["payments"], status_code=202)
    async def recall_payment(
        payment_id: Id, body: ReasonBody, caller: Annotated[Caller, permit("proposal:make")]
    ) -> dict[str, Any]:
        """Propose to call one settled payment back; what the bank gives back goes to the treasury."""
        return await propose(caller, Proposal(recalls.RECALL_PAYMENT, payment_id, body.reason))

    @router.get("/recalls", tags=["payments"])
    async def all_recalls(
        caller: Annotated[Caller, permit("payment:read")],
        state: Code | None = None,
        after: After = "",
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """What banks were asked to give back and what they said, within the caller's regions."""
        async with runtime.db.connection() as conn:
            return await views.recalls_page(conn, caller, state, after, limit)

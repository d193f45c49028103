"""The registry's HTTP API: requests to erase a family, one of its people or a group, and the decisions on them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import StringConstraints

from salur.common.contracts.base import Code, Id
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.registry.bodies import Body
from salur.registry.scope import scope_of
from salur.registry.store import queries
from salur.registry.usecases import erasures
from salur.registry.usecases.states import by_caller

PAGE_MAX = 500
Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9./-]{3,64}$")]


class ErasureBody(Body):
    """Who is to be erased, on which basis, and the office's own number of the letter or order.

    `household_id` alone: the whole family. With `member_id`: that person, the family stays. `group_id`: a group.
    """

    household_id: Id | None = None
    member_id: Id | None = None
    group_id: Id | None = None
    basis: erasures.Basis
    reference: Reference


class DecisionBody(Body):
    """Why, in one word: it stands in an event."""

    reason: Code


def erasure_routes(runtime: Runtime) -> APIRouter:
    """Ask, list, accept, refuse."""
    router = APIRouter(prefix="/erasures", tags=["erasure"])

    @router.post("", status_code=201)
    async def ask(
        body: ErasureBody, response: Response, caller: Annotated[Caller, permit("erasure:request")]
    ) -> dict[str, Any]:
        """Ask that somebody is erased. Another person decides; until then nothing is destroyed."""
        wanted = erasures.Erasure(body.household_id, body.basis, body.reference, body.member_id, body.group_id)
        async with runtime.unit_of_work() as unit:
            answer, new, drafts = await erasures.request_erasure(unit.conn, wanted, by_caller(caller))
            unit.emit(*drafts)
        response.status_code = 201 if new else 200
        return answer

    @router.get("")
    async def page(
        caller: Annotated[Caller, permit("erasure:request")],
        state: Literal["requested", "accepted", "refused"] | None = None,
        after: Annotated[str, Query(max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """Requests by id, in the caller's regions."""
        async with runtime.db.connection() as conn:
            rows = await queries.erasures_after(conn, after=after, state=state, most=limit, **scope_of(caller))
        return {"erasures": [dict(row) for row in rows]}

    @router.post("/{erasure_id}/accept")
    async def accept(
        erasure_id: Id, body: DecisionBody, caller: Annotated[Caller, permit("erasure:decide")]
    ) -> dict[str, Any]:
        """Destroy the key and the personal values of a family or group, or all that speaks of a person. For good."""
        return await _decide(runtime, erasure_id, True, body.reason, caller)

    @router.post("/{erasure_id}/refuse")
    async def refuse(
        erasure_id: Id, body: DecisionBody, caller: Annotated[Caller, permit("erasure:decide")]
    ) -> dict[str, Any]:
        """Destroy nothing, and say why."""
        return await _decide(runtime, erasure_id, False, body.reason, caller)

    return router


async def _decide(runtime: Runtime, erasure_id: str, accept: bool, reason: str, caller: Caller) -> dict[str, Any]:
    async with runtime.unit_of_work() as unit:
        answer, drafts = await erasures.decide_erasure(
            unit.conn, erasure_id, accept, reason, by_caller(caller), runtime.secrets
        )
        unit.emit(*drafts)
    return answer

"""The audit's HTTP API for red flags. They span regions, so the central auditors handle them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from salur.audit import store
from salur.audit.usecases.flags import Outcome, close_flag, take_flag
from salur.audit.usecases.search import asked
from salur.common.contracts.base import Code, Id
from salur.common.http import Caller, permit
from salur.common.service import Runtime

PAGE_MAX = 500
Handler = Annotated[Caller, permit("flag:handle", central=True)]


class CloseBody(BaseModel):
    """What a flag turned out to be, and why."""

    outcome: Outcome
    reason: str = Field(min_length=3, max_length=200)


def flag_routes(runtime: Runtime) -> APIRouter:
    """Pages of flags; take one, close one."""
    router = APIRouter(prefix="/flags", tags=["flags"])

    @router.get("")
    async def flags(
        caller: Annotated[Caller, permit("flag:read", central=True)],
        state: Literal["open", "taken", "closed"] | None = None,
        rule: Code | None = None,
        after: Annotated[str, Query(max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """Flags by id; their evidence are entries of the log."""
        question = {name: text for name, text in (("state", state), ("rule", rule)) if text}
        async with runtime.unit_of_work() as unit:
            rows = await store.queries.flags_page(unit.conn, state=state, rule=rule, after=after, most=limit)
            unit.emit(asked(caller, "flags", question, len(rows))[1])
        return {"flags": [dict(row) for row in rows]}

    @router.post("/{flag_id}/take")
    async def take(flag_id: Id, caller: Handler) -> dict[str, Any]:
        """Become the flag's owner."""
        async with runtime.unit_of_work() as unit:
            row, drafts = await take_flag(unit.conn, caller, flag_id)
            unit.emit(*drafts)
        return row

    @router.post("/{flag_id}/close")
    async def close(flag_id: Id, body: CloseBody, caller: Handler) -> dict[str, Any]:
        """Say what it turned out to be."""
        async with runtime.unit_of_work() as unit:
            row, drafts = await close_flag(unit.conn, caller, flag_id, body.outcome, body.reason)
            unit.emit(*drafts)
        return row

    return router

"""The registry's HTTP API: changes proposed by one person and decided by another."""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query

from salur.common.contracts.base import Id
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.registry.bodies_changes import PROPOSALS, DecisionBody, Proposal
from salur.registry.scope import scope_of
from salur.registry.store import queries
from salur.registry.usecases.proposals import Outcome, decide, make, propose, unknown_change
from salur.registry.usecases.states import by_caller

PAGE_MAX = 500
FIELDS = ("change_id", "kind", "household_id", "reason", "state", "proposed_by", "proposed_at")
DECIDED = ("decided_by", "decision", "decided_at")
State = Literal["open", "accepted", "refused", "withdrawn"]


def change_routes(runtime: Runtime) -> APIRouter:
    """Propose, look at, accept, refuse and withdraw changes."""
    router = APIRouter(prefix="/changes", tags=["changes"])
    _propose(router, runtime)
    _decide(router, runtime)
    return router


def _propose(router: APIRouter, runtime: Runtime) -> None:
    @router.post("", status_code=201)
    async def propose_change(body: Proposal, caller: Annotated[Caller, permit("change:propose")]) -> dict[str, str]:
        """Propose a change to identity, composition or payee. It holds nothing until another person accepts it."""
        by = by_caller(caller)
        body.command(by)  # what cannot be accepted ever is refused now
        content = orjson.dumps(body.model_dump(mode="json"))
        async with runtime.unit_of_work() as unit:
            change_id, drafts = await propose(
                unit.conn, body.kind, body.household_id, body.reason, content, by, runtime.secrets
            )
            unit.emit(*drafts)
        return {"change_id": change_id, "state": "open"}

    @router.get("")
    async def list_changes(
        caller: Annotated[Caller, permit("change:read")],
        state: State = "open",
        after: Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$")] = "",
        most: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, list[dict[str, Any]]]:
        """Changes in one state, the oldest first. What they would change is read one by one."""
        async with runtime.db.connection() as conn:
            rows = await queries.changes_after(conn, state=state, after=after, most=most, **scope_of(caller))
        return {"changes": [{name: row[name] for name in FIELDS} for row in rows]}

    @router.get("/{change_id}")
    async def read_change(change_id: Id, caller: Annotated[Caller, permit("change:read")]) -> dict[str, Any]:
        """A change with what it asks for. Numbers and names stand in it masked."""
        row = await _visible(runtime, change_id, caller)
        content = orjson.loads(runtime.secrets.open(row["sealed"], change_id.encode()))
        asked = {name: value for name, value in masked(content).items() if name not in FIELDS}
        return {name: row[name] for name in (*FIELDS, *DECIDED)} | {"asked": asked}


def _decide(router: APIRouter, runtime: Runtime) -> None:
    async def settle(change_id: str, outcome: Outcome, note: str | None, caller: Caller) -> dict[str, Any]:
        by = by_caller(caller)
        await _visible(runtime, change_id, caller)
        async with runtime.unit_of_work() as unit:
            row, drafts = await decide(unit.conn, change_id, outcome, note, by)
            answer: dict[str, Any] = {}
            if outcome == "accepted":
                content = runtime.secrets.open(row["sealed"], change_id.encode())
                command = PROPOSALS.validate_json(content).command(by)
                answer, made = await make(unit.conn, command, by, runtime.secrets, runtime.settings.banks)
                drafts += made
            unit.emit(*drafts)
        return {"change_id": change_id, "state": outcome} | answer

    @router.post("/{change_id}/accept")
    async def accept(
        change_id: Id, body: DecisionBody, caller: Annotated[Caller, permit("change:decide")]
    ) -> dict[str, Any]:
        """Make the change. Another person than who proposed it. When it cannot be made, it stays open."""
        return await settle(change_id, "accepted", body.note, caller)

    @router.post("/{change_id}/refuse")
    async def refuse(
        change_id: Id, body: DecisionBody, caller: Annotated[Caller, permit("change:decide")]
    ) -> dict[str, Any]:
        """Refuse the change. Another person than who proposed it."""
        return await settle(change_id, "refused", body.note, caller)

    @router.post("/{change_id}/withdraw")
    async def withdraw(
        change_id: Id, body: DecisionBody, caller: Annotated[Caller, permit("change:propose")]
    ) -> dict[str, Any]:
        """Take back what one proposed oneself."""
        return await settle(change_id, "withdrawn", body.note, caller)


async def _visible(runtime: Runtime, change_id: str, caller: Caller) -> Any:
    async with runtime.db.connection() as conn:
        row = await queries.change(conn, change_id=change_id)
    if row is None or not caller.sees(row["region"]):
        raise unknown_change()
    return row


MASKED = frozenset({"value", "number", "holder", "name", "birth_date", "phone"})


def masked(content: Any) -> Any:
    """The same structure with personal texts cut to their last two characters."""
    if isinstance(content, dict):
        return {
            key: "…" + item[-2:] if key in MASKED and isinstance(item, str) and item else masked(item)
            for key, item in content.items()
        }
    return [masked(item) for item in content] if isinstance(content, list) else content

"""The audit's HTTP API for the ledger made again from the log. It spans regions: central auditors alone."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from salur.audit.usecases.ledger import compared, movements_of, recomputed
from salur.audit.usecases.search import asked
from salur.common.contracts.base import Sha256
from salur.common.http import Caller, permit
from salur.common.service import Runtime

PAGE_MAX = 1_000
ACCOUNTS_MAX = 100_000
Account = Annotated[str, Path(pattern=r"^[A-Za-z0-9._:-]{1,200}$")]
Auditor = Annotated[Caller, permit("trail:read", central=True)]


class StatedAccount(BaseModel):
    """An account as the payments service states it; what else it says is left aside."""

    model_config = ConfigDict(extra="ignore")

    account: str = Field(min_length=1, max_length=200)
    posted_minor: int


class StatedLedger(BaseModel):
    """The answer of `GET /ledger` of the payments service."""

    model_config = ConfigDict(extra="ignore")

    accounts: list[StatedAccount] = Field(max_length=ACCOUNTS_MAX)
    moved_hash: Sha256


def ledger_routes(runtime: Runtime) -> APIRouter:
    """Accounts, movements, comparison."""
    router = APIRouter(prefix="/trail/ledger", tags=["ledger"])

    @router.get("")
    async def ledger(caller: Auditor) -> dict[str, Any]:
        """Balances and hash of the ledger that the log alone leads to. Reserves move nothing and are left out."""
        async with runtime.unit_of_work() as unit:
            view = await recomputed(unit.conn)
            unit.emit(asked(caller, "ledger", {}, len(view["accounts"]))[1])
        return view

    @router.post("/compare")
    async def compare(stated: StatedLedger, caller: Auditor) -> dict[str, Any]:
        """Whether the ledger of the payments service (the answer of its `GET /ledger`) is that of the log."""
        async with runtime.unit_of_work() as unit:
            view = await compared(
                unit.conn, {row.account: row.posted_minor for row in stated.accounts}, stated.moved_hash
            )
            unit.emit(asked(caller, "ledger-compare", {"moved_hash": stated.moved_hash}, len(view["differences"]))[1])
        return view

    @router.get("/{account}")
    async def movements(
        account: Account,
        caller: Auditor,
        after: Annotated[int, Query(ge=-1, lt=2**62)] = -1,
        after_id: Annotated[str, Query(max_length=100)] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """What moved an account, each with the index of the entry that announced it."""
        async with runtime.unit_of_work() as unit:
            rows = await movements_of(unit.conn, account, after, after_id, limit)
            unit.emit(asked(caller, "ledger-account", {"account": account}, len(rows))[1])
        return {"account": account, "movements": rows}

    return router

"""The HTTP API of simulations: what other rules would change, over the registry as it stands."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from salur.common.contracts.base import Id
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.eligibility.usecases.simulations import ask, simulation_view

RULES_MAX = 100_000


class SimulationBody(BaseModel):
    """Rules as YAML, against other rules or, without these, against what is in force.

    `reference`: who ought to be reached, an expression over the household inputs; without it the programme's own.
    """

    model_config = ConfigDict(extra="forbid")

    rules: str = Field(min_length=1, max_length=RULES_MAX)
    against: str | None = Field(default=None, min_length=1, max_length=RULES_MAX)
    reference: str | None = Field(default=None, min_length=1, max_length=2_000)


def simulation_routes(runtime: Runtime) -> APIRouter:
    """Ask and read."""
    router = APIRouter()

    @router.post("/simulations", status_code=202, tags=["simulations"])
    async def simulate(
        body: SimulationBody, caller: Annotated[Caller, permit("simulation:run", central=True)]
    ) -> dict[str, str | None]:
        """Who would gain and lose, the cost per fund, whom it would reach. Nothing in the registry is touched."""
        async with runtime.unit_of_work() as unit:
            return await ask(
                unit.conn, body.rules, body.against, body.reference, actor=caller.actor, cause=caller.request_id
            )

    @router.get("/simulations/{simulation_id}", tags=["simulations"])
    async def read(
        simulation_id: Id, _caller: Annotated[Caller, permit("simulation:read", central=True)]
    ) -> dict[str, Any]:
        """The question, and the answer when it is done."""
        async with runtime.db.connection() as conn:
            return await simulation_view(conn, simulation_id)

    return router

"""Wiring of eligibility."""

from collections.abc import Sequence
from pathlib import Path

from salur.common.database import Connection
from salur.common.events import Consumer, Draft, Received
from salur.common.service import Runtime, Service, Worker, run
from salur.eligibility.http import routes
from salur.eligibility.store import HOUSEHOLDS_CONSUMER
from salur.eligibility.usecases.cycles import grant_batch
from salur.eligibility.usecases.decide import decide_undecided, take_households
from salur.eligibility.usecases.programmes import Rules

POLL_S = 0.2
RECORDS_PER_BATCH = 1_000


def build(runtime: Runtime) -> Service:
    """Eligibility: takes households, decides, grants."""
    rules = Rules()

    async def take(conn: Connection, batch: Sequence[Received]) -> Sequence[Draft]:
        return await take_households(conn, batch, rules)

    async def decide_step() -> bool:
        async with runtime.unit_of_work() as unit:
            drafts = await decide_undecided(unit.conn, rules)
            unit.emit(*drafts)
        return bool(drafts)

    async def grant_step() -> bool:
        async with runtime.unit_of_work() as unit:
            more, drafts = await grant_batch(unit.conn)
            unit.emit(*drafts)
        return more

    return Service(
        description="Who is owed what, and why: programmes, decisions, cycles, entitlements.",
        migrations=Path(__file__).parent / "migrations",
        consumers=[Consumer(HOUSEHOLDS_CONSUMER, ["registry.households"], take, RECORDS_PER_BATCH)],
        workers=[Worker("decide", decide_step, POLL_S), Worker("grant", grant_step, POLL_S)],
        routers=[routes(runtime)],
    )


def main() -> None:
    """`python -m salur.eligibility`"""
    run(build, name="eligibility")

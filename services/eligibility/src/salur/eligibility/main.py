"""Wiring of eligibility."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from salur.common.database import Connection
from salur.common.events import Consumer, Draft, Received
from salur.common.service import Runtime, Service, Worker, run
from salur.eligibility.http import routes
from salur.eligibility.settings import EligibilitySettings
from salur.eligibility.store import HOUSEHOLDS_CONSUMER
from salur.eligibility.usecases.cycles import Granting
from salur.eligibility.usecases.decide import Backfill
from salur.eligibility.usecases.households import take_households
from salur.eligibility.usecases.programmes import Rules


def build(runtime: Runtime) -> Service:
    """Eligibility: takes households, decides, opens cycles, grants."""
    settings = runtime.settings
    assert isinstance(settings, EligibilitySettings)
    rules = Rules()

    async def take(conn: Connection, batch: Sequence[Received]) -> Sequence[Draft]:
        return await take_households(conn, batch, rules)

    async def step(worker: Backfill | Granting) -> bool:
        async with runtime.unit_of_work() as unit:
            more, drafts = await worker.step(unit.conn)
            unit.emit(*drafts)
        worker.committed()
        return more

    return Service(
        description="Who is owed what, and why: programmes, decisions, cycles, entitlements.",
        migrations=Path(__file__).parent / "migrations",
        consumers=[Consumer(HOUSEHOLDS_CONSUMER, ["registry.households"], take, settings.household_records)],
        workers=[
            Worker("decide", partial(step, Backfill(rules, settings.decide_batch)), settings.worker_interval_s),
            Worker("grant", partial(step, Granting(settings.grant_batch)), settings.worker_interval_s),
        ],
        routers=[routes(runtime, rules)],
    )


def main() -> None:
    """`python -m salur.eligibility`"""
    run(build, name="eligibility", settings_class=EligibilitySettings)

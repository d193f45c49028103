"""Wiring of eligibility."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from salur.common.database import TRANSIENT, Connection
from salur.common.events import Consumer, Draft, Received
from salur.common.logs import get_logger
from salur.common.reseal import Place
from salur.common.retention import counted, load_retention
from salur.common.service import Runtime, Service, Worker, run
from salur.common.traces import describe
from salur.eligibility.http import routes
from salur.eligibility.http_cycles import cycle_routes
from salur.eligibility.http_rights import appeal_routes, emergency_routes
from salur.eligibility.http_simulations import simulation_routes
from salur.eligibility.settings import EligibilitySettings
from salur.eligibility.simulating import simulate
from salur.eligibility.store import HOUSEHOLDS_CONSUMER, queries
from salur.eligibility.usecases.cycles import CycleWork
from salur.eligibility.usecases.decide import Backfill
from salur.eligibility.usecases.households import take_households
from salur.eligibility.usecases.late import LateWork
from salur.eligibility.usecases.programmes import Rules
from salur.eligibility.usecases.simulations import answer, next_question, question_of

log = get_logger("simulation")


def build(runtime: Runtime) -> Service:
    """Eligibility: takes households, decides, opens cycles, grants."""
    settings = runtime.settings
    assert isinstance(settings, EligibilitySettings)
    rules = Rules()

    async def take(conn: Connection, batch: Sequence[Received]) -> Sequence[Draft]:
        return await take_households(conn, batch, rules, runtime.secrets)

    async def step(worker: Backfill | CycleWork | LateWork) -> bool:
        async with runtime.unit_of_work() as unit:
            more, drafts = await worker.step(unit.conn)
            unit.emit(*drafts)
        worker.committed()
        return more

    async def simulate_next() -> bool:
        async with runtime.db.connection() as conn:
            question = await next_question(conn)
        if question is None:
            return False
        began = time.monotonic()
        try:
            whole = await simulate(settings.database_url, question_of(question), settings.simulation_processes)
        except TRANSIENT:
            raise
        except Exception as error:  # what is wrong with one question must not keep the next from being answered
            log.error("simulation-failed", simulation=question["simulation_id"], error=describe(error))
            result = None
        else:
            seconds = time.monotonic() - began
            result = whole.result() | {
                "seconds": round(seconds, 3), "families_per_second": round(whole.families / max(seconds, 0.001)),
            }  # fmt: skip
        async with runtime.unit_of_work() as unit:
            unit.emit(*await answer(unit.conn, question, result))
        return True

    endings = {"appeal-statements": counted(queries, "appeal-statements")}
    return Service(
        retention=load_retention(Path(__file__).parent / "retention.yaml", endings),
        description="Who is owed what, and why: programmes, decisions, cycles, entitlements.",
        migrations=Path(__file__).parent / "migrations",
        region_of=queries.region_of,
        sealed=(Place("appeal", "appeal_id", "statement"),),
        consumers=[Consumer(HOUSEHOLDS_CONSUMER, ["registry.households"], take, settings.household_records)],
        workers=[
            Worker("decide", partial(step, Backfill(rules, settings.decide_batch)), settings.worker_interval_s),
            Worker("simulate", simulate_next, settings.worker_interval_s),
            Worker(
                "late-changes",
                partial(step, LateWork(rules, settings.late_batch, settings.late_change_days)),
                settings.worker_interval_s,
            ),
            Worker("cycles", partial(step, CycleWork(rules, settings.grant_batch)), settings.worker_interval_s),
        ],
        routers=[
            routes(runtime, rules),
            cycle_routes(runtime, rules),
            simulation_routes(runtime),
            emergency_routes(runtime, rules),
            appeal_routes(runtime, rules),
        ],
    )


def main() -> None:
    """`python -m salur.eligibility`"""
    run(build, name="eligibility", settings_class=EligibilitySettings)

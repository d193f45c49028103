"""Wiring of the registry."""

import gc
from pathlib import Path

from salur.common.service import Runtime, Service, Worker, run
from salur.registry.http import household_routes
from salur.registry.http_cases import case_routes
from salur.registry.http_changes import change_routes
from salur.registry.http_imports import import_routes
from salur.registry.http_principals import principal_routes
from salur.registry.usecases.cases import mark_overdue
from salur.registry.worker import ImportWorker

IMPORT_POLL_S = 0.2
OVERDUE_POLL_S = 60.0
COLLECT_AFTER = (20_000, 20, 50)
"""A batch makes tens of thousands of objects without cycles: collecting more often costs a fifth of the import."""


def build(runtime: Runtime) -> Service:
    """The registry: HTTP, the import worker, and the watch over deadlines."""

    async def overdue() -> bool:
        async with runtime.unit_of_work() as unit:
            more, drafts = await mark_overdue(unit.conn)
            unit.emit(*drafts)
        return more

    return Service(
        description="Who people are: households, identifiers, payee accounts, imports.",
        migrations=Path(__file__).parent / "migrations",
        workers=[
            Worker("imports", ImportWorker(runtime).step, IMPORT_POLL_S),
            Worker("overdue-cases", overdue, OVERDUE_POLL_S),
        ],
        routers=[
            household_routes(runtime),
            import_routes(runtime),
            change_routes(runtime),
            principal_routes(runtime),
            case_routes(runtime),
        ],
    )


def main() -> None:
    """`python -m salur.registry`"""
    gc.set_threshold(*COLLECT_AFTER)
    run(build, name="registry")

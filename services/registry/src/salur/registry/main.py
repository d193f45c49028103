"""Wiring of the registry."""

from pathlib import Path

from salur.common.service import Runtime, Service, Worker, run
from salur.registry.http import routes
from salur.registry.usecases.import_file import import_batch

IMPORT_POLL_S = 0.2


def build(runtime: Runtime) -> Service:
    """The registry: HTTP and the import worker."""

    async def step() -> bool:
        async with runtime.unit_of_work() as unit:
            more, drafts = await import_batch(unit.conn, runtime.settings.state_dir, runtime.secrets)
            unit.emit(*drafts)
        return more

    return Service(
        description="Who people are: households, identifiers, payee accounts, imports.",
        migrations=Path(__file__).parent / "migrations",
        workers=[Worker("imports", step, IMPORT_POLL_S)],
        routers=[routes(runtime)],
    )


def main() -> None:
    """`python -m salur.registry`"""
    run(build, name="registry")

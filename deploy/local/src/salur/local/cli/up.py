"""`salur up`: the platform until Ctrl-C. `salur token`: a token of its local issuer."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from salur.common.auth import PERMISSIONS, mint
from salur.local.platform import Options, Platform
from salur.local.services import built_services

STATE = Path("var/up")
CACHE = Path("var/cache/kafka")
TEND_S = 0.5

StateDir = Annotated[Path, typer.Option(help="Folder of the run's state.")]


def up(
    state_dir: StateDir = STATE, quiet: Annotated[bool, typer.Option(help="No logs on the terminal.")] = False
) -> None:
    """Start PostgreSQL, Kafka and the services; print every address; stop on Ctrl-C."""
    console = Console()
    services, banks = built_services()
    platform = Platform(state_dir, CACHE, Options(services=services, banks=banks, echo=not quiet))
    try:
        platform.start()
        run_until_stopped(console, platform)
    finally:
        console.print("stopping")
        platform.stop()


def run_until_stopped(console: Console, platform: Platform) -> None:
    """Show every address and keep the platform running until Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    table = Table(title=f"Salur is ready after {platform.seconds_start:.1f} s", show_header=False)
    for name, address in platform.endpoints().items():
        table.add_row(name, address)
    table.add_row("a token", f"salur token --role registrar --state-dir {platform.state_dir}")
    console.print(table)
    while not stop.wait(TEND_S):
        for name in platform.tend():
            console.print(f"[yellow]{name} had ended and was started again[/]")


def token(
    role: Annotated[list[str], typer.Option(help="Role; may be given more than once.")],
    sub: Annotated[str, typer.Option(help="Who: a pseudonym, never a name.")] = "person:local",
    region: Annotated[list[str] | None, typer.Option(help="Region scope; none = central.")] = None,
    state_dir: StateDir = STATE,
) -> None:
    """Print a token of the local issuer, good for an hour."""
    unknown = sorted(set(role) - PERMISSIONS.keys())
    if unknown:
        raise typer.BadParameter(f"no such role: {', '.join(unknown)}; roles are {', '.join(sorted(PERMISSIONS))}")
    issuer = state_dir / "issuer"
    if not (issuer / "issuer.json").exists():
        raise typer.BadParameter(f"no issuer in {issuer}: run `salur up` first")
    typer.echo(mint(issuer, sub, role, region))

"""`salur up`: the platform until Ctrl-C. `salur token`: a token of its local issuer."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from salur.common.auth import PERMISSIONS, mint
from salur.local.platform import Options, Platform, running
from salur.local.services import built_services

STATE = Path("var/up")
CACHE = Path("var/cache/kafka")
TEND_S = 0.5
FILE_BANK = "bank-files"
NOTICES = {"registry": {"SALUR_NOTICES": "true"}}
"""A platform people work with tells families what concerns them, and has accounts checked; a measured run does not."""

StateDir = Annotated[Path, typer.Option(help="Folder of the run's state.")]


def up(
    state_dir: StateDir = STATE,
    quiet: Annotated[bool, typer.Option(help="No logs on the terminal.")] = False,
    cache_dir: Annotated[Path, typer.Option(help="Folder of Kafka's jars.")] = CACHE,
) -> None:
    """Start PostgreSQL, Kafka, the services and the banks; print every address; run until Ctrl-C or SIGTERM."""
    console = Console()
    services, banks = built_services()
    try:
        platform = Platform(state_dir, cache_dir, options_for_people(services, banks, echo=not quiet))
        with running(platform):
            _show(console, platform)
            while True:
                time.sleep(TEND_S)
                for name in platform.tend():
                    console.print(f"{name} {platform.started_again(name)}", style="yellow", markup=False)
    except KeyboardInterrupt:
        console.print("stopped")
    except (RuntimeError, OSError) as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None


def options_for_people(services: Sequence[str], banks: Sequence[str], *, echo: bool) -> Options:
    """What a platform for people does beyond a measured one: banks check accounts, one bank works with files alone."""
    env = NOTICES | {"payments": {"SALUR_CHECKED_BANKS": ",".join(banks), "SALUR_CASH_BANKS": ",".join(banks)}}
    file_banks = (FILE_BANK,) if banks else ()
    return Options(services=services, banks=(*banks, *file_banks), file_banks=file_banks, echo=echo, env=env)


def _show(console: Console, platform: Platform) -> None:
    table = Table(title=f"Salur is ready after {platform.seconds_start:.1f} s", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")  # an address is never cut
    for name, address in platform.endpoints().items():
        table.add_row(name, address)
    table.add_row("logs", str(platform.state_dir / "logs"))
    table.add_row("a token", f"salur token --role registrar --state-dir {platform.state_dir}")
    console.print(table)


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

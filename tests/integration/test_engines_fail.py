"""The whole platform under load while an engine stops, goes away or has no disk left, or a service has no memory.

The callers keep count of what was acknowledged: in the end exactly that is there, and all of it stands in the trail.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from salur.common.contracts.topics import SERVICES
from salur.common.memory import EXIT_CODE
from salur.local.crash.plan import Fault, Moment
from salur.local.crash.strikes import OutOfMemory
from salur.local.demo.pipeline import Pipeline
from salur.local.platform import Options, Platform
from salur.local.supervisor import Child
from support.callers import DIED, TAKEN, Callers
from support.pair import CACHE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(280)]

AWAY_S = 30.0
DISK_SIZE = {"postgres": "160m", "kafka": "64m"}
TIMEOUT_S = 60.0
IN_FLIGHT = 8
"""Commands that may have been committed and sent before Kafka went, and acknowledged to their callers after."""
REGISTERED, FUNDED = "salur.household.registered.v1", "salur.fund.opened.v1"
OUT_OF_MEMORY = {f"exit code {EXIT_CODE}", "killed by SIGABRT"}
"""Ours, and that of a library which cannot tell us of its failed allocation."""
OUTAGE = {("unavailable", "operations")}


@contextmanager
def running(folder: Path) -> Iterator[Platform]:
    platform = Platform(folder, CACHE, Options(banks=("bank-a",)))
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own folder, which other users may not pass: PostgreSQL never runs as root."""
    path = Path(tempfile.mkdtemp(prefix="salur-engines-"))
    path.chmod(0o755)
    yield path / "state"
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with tempfile.TemporaryDirectory(prefix="salur-engines-") as path:
        Path(path).chmod(0o755)
        with running(Path(path) / "state") as started:
            yield started


def until(platform: Platform, holds: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        platform.tend()
        assert time.monotonic() < deadline, f"{what} did not hold within {timeout_s:.0f} s"
        time.sleep(0.02)


def count(platform: Platform, service: str, sql: str) -> int:
    url = platform.postgres.url(service)
    with psycopg.connect(url) as conn:
        row = conn.execute(sql.encode()).fetchone()
    assert row is not None
    return int(row[0])


def unsent(platform: Platform) -> int:
    """Events the registry has committed and Kafka has not acknowledged."""
    return count(
        platform, "registry", "SELECT sum(sequence - published) FROM stream JOIN relay ON relay.stream = stream.name"
    )


@pytest.fixture
def whole(platform: Platform) -> Iterator[None]:
    """After the test the platform comes to rest by itself."""
    yield
    check_trail(platform)


def check_trail(platform: Platform) -> None:
    """Everything that was committed reached the consumers and the trail, in every stream without a gap."""
    pipeline = Pipeline(platform, timeout_s=TIMEOUT_S)
    try:
        pipeline.close_log()
        size = pipeline.rest()
        completeness = pipeline.auditor.call("audit", "GET", "/completeness")
    finally:
        pipeline.close()
    assert size == count(platform, "audit", "SELECT count(*) FROM entry")
    assert completeness["gaps"] == 0
    for service in SERVICES:
        assert count(platform, service, "SELECT count(*) FROM dead_letter") == 0
    households = count(platform, "registry", "SELECT count(*) FROM household")
    assert count(platform, "eligibility", "SELECT count(*) FROM household") == households


@contextmanager
def acknowledged(platform: Platform) -> Iterator[Callers]:
    """Callers for the block; at its end the services hold each command they have acknowledged, once and whole."""
    before = {sql: count(platform, service, sql) for service, sql, _ in EFFECTS}
    with Callers(platform) as callers:
        yield callers
    for service, sql, kind in EFFECTS:
        assert count(platform, service, sql) - before[sql] == callers.taken[kind], sql


EFFECTS = [
    ("registry", "SELECT count(*) FROM household", "households"),
    ("registry", "SELECT count(*) FROM payee", "households"),
    ("registry", f"SELECT count(*) FROM event WHERE type = '{REGISTERED}'", "households"),
    ("registry", "SELECT count(*) FROM event WHERE type = 'salur.payee.registered.v1'", "households"),
    ("payments", "SELECT count(*) FROM fund", "funds"),
    ("payments", f"SELECT count(*) FROM event WHERE type = '{FUNDED}'", "funds"),
]


def more(platform: Platform, callers: Callers, households: int = 100, funds: int = 20) -> None:
    """Wait until that many more commands of each kind were taken."""
    goal = {"households": callers.taken["households"] + households, "funds": callers.taken["funds"] + funds}
    until(platform, lambda: all(callers.taken[kind] >= goal[kind] for kind in goal), f"{goal} taken")


@pytest.mark.usefixtures("whole")
def test_postgresql_stopped_at_once_under_load_is_a_503_and_nothing_half_done(platform: Platform) -> None:
    with acknowledged(platform) as callers:
        for _ in range(3):
            more(platform, callers)
            platform.postgres.stop_immediately()
            refused = callers.answers[503]
            until(platform, lambda: callers.answers[503] > refused, "a caller is told of the outage")  # noqa: B023
        more(platform, callers)
    assert set(callers.answers) <= TAKEN | {503}
    assert callers.problems == OUTAGE


@contextmanager
def away(child: Child) -> Iterator[None]:
    """Killed, and not started again before the end of the block."""
    child.wanted = False
    child.kill()
    try:
        yield
    finally:
        child.start()


@pytest.mark.usefixtures("whole")
def test_kafka_away_holds_nobody_up_and_what_waited_follows_in_order(platform: Platform) -> None:
    with acknowledged(platform) as callers:
        more(platform, callers)
        with away(platform.kafka.child):
            left, before = time.monotonic(), callers.taken["households"]
            until(platform, lambda: time.monotonic() - left > AWAY_S, "Kafka away", AWAY_S + 5)
            told = callers.taken["households"] - before
            assert told > 100
            assert unsent(platform) >= 2 * (told - IN_FLIGHT)
            assert b'"event":"relay-waits"' in (platform.state_dir / "logs" / "registry.log").read_bytes()
    assert set(callers.answers) <= TAKEN, "nobody notices"
    until(platform, lambda: unsent(platform) == 0, "everything sent")


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_without_memory_ends_and_goes_on_where_it_was(platform: Platform, service: str) -> None:
    with acknowledged(platform) as callers:
        more(platform, callers, 20, 5)
        strike = OutOfMemory(Fault("out-of-memory", service, Moment(0, 0.0)), platform)
        strike.begin()
        try:
            until(platform, strike.step, "the blow")
        finally:
            strike.undo()
        until(platform, lambda: strike.is_back, "another process")
        more(platform, callers, 20, 5)
    assert not strike.failed, strike.effect
    assert platform.supervisor.children[service].ended in OUT_OF_MEMORY, strike.effect
    assert set(callers.answers) <= TAKEN | {503, DIED}
    assert callers.problems <= OUTAGE | {("not-ready", "caller")}


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own at `folder`; gives a file that fills it. Skips where one may not be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "salur-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder / "filler"
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Take what is left of the disk."""
    with file.open("ab", buffering=0) as filler:
        for size in (1 << 20, 4096):
            try:
                while True:
                    filler.write(b"\0" * size)
            except OSError:
                continue


def test_a_full_disk_of_kafka_holds_nobody_up_and_says_who_must_act(folder: Path) -> None:
    with small_disk(folder / "kafka", DISK_SIZE["kafka"]) as filler, running(folder) as platform:
        with acknowledged(platform) as callers:
            more(platform, callers)
            fill(filler)
            kafka, logs = platform.kafka.child, folder / "logs"
            until(platform, lambda: f"no room left on the disk of {folder / 'kafka'}" in kafka.ended, "its end is told")
            until(platform, lambda: b"has its disk room" in (logs / "registry.log").read_bytes(), "an alarm")
            more(platform, callers)
            assert unsent(platform) > 0
            filler.unlink()
        assert set(callers.answers) <= TAKEN, "nobody notices"
        until(platform, lambda: unsent(platform) == 0, "what waited is sent")
        check_trail(platform)


def test_a_full_disk_of_postgresql_loses_nothing_that_was_acknowledged(folder: Path) -> None:
    with small_disk(folder / "postgres", DISK_SIZE["postgres"]) as filler, running(folder) as platform:
        log = folder / "logs" / "registry.log"
        with acknowledged(platform) as callers:
            more(platform, callers)
            fill(filler)
            until(platform, lambda: callers.answers[503] > 20, "commands refused")
            until(platform, lambda: b"DiskFullError" in log.read_bytes(), "the log names the cause")
            filler.unlink()
            more(platform, callers)
        assert callers.problems == OUTAGE
        check_trail(platform)

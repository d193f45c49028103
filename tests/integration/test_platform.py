"""The platform's engines as real processes: users, crashes, stops, orphans, second starts."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from salur.common.contracts.topics import Topic
from salur.local.kafka import create_topics, run_blocking
from salur.local.platform import Options, Platform
from salur.local.ports import free_ports
from salur.local.postgres import BIN, Postgres
from salur.local.supervisor import Supervisor
from support.pair import CACHE, Pair

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parents[1] / "support" / "run_platform.py"
TOPIC = Topic("test.kept", "registry", partitions=1)
READY_TIMEOUT_S = 90.0
END_TIMEOUT_S = 45.0


def until(condition: Callable[[], bool], what: str, timeout_s: float = END_TIMEOUT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not hold within {timeout_s:.0f} s"
        time.sleep(0.05)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may reach, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="salur-platform-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def postgres(folder: Path) -> Iterator[Postgres]:
    """PostgreSQL alone, which the test may break."""
    server = Postgres(folder / "postgres" / "data", folder / "postgres.log", free_ports(1)[0])
    try:
        server.start()
        yield server
    finally:
        server.stop()


class Run:
    """A platform in a process of its own."""

    def __init__(self, state_dir: Path, prefix: Sequence[str] = (), env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, str(SCRIPT), str(state_dir), str(CACHE)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", env={**os.environ, **(env or {})},
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("{"), line + self.process.stdout.read()
        self.ready: dict[str, Any] = json.loads(line)
        self.tree = psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: int) -> str:
        """Send a signal; returns what it printed at its end, once the whole tree is gone."""
        assert self.process.stdout is not None
        self.process.send_signal(number)
        self.process.wait(END_TIMEOUT_S)
        gone, alive = psutil.wait_procs(self.tree, timeout=END_TIMEOUT_S)
        assert not alive, f"orphans: {alive}"
        assert len(gone) == len(self.tree)
        said = self.process.stdout.read()
        self.process.stdout.close()
        return said


def rows(url: str) -> list[int]:
    with psycopg.connect(url) as conn:
        return [row[0] for row in conn.execute("SELECT n FROM kept ORDER BY n").fetchall()]


def keep_row(url: str, number: int) -> None:
    with psycopg.connect(url) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS kept (n integer)")
        conn.execute("INSERT INTO kept VALUES (%s)", (number,))


async def produce(bootstrap: str, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True) as producer:
        for value in values:
            await producer.send_and_wait(TOPIC.name, value, partition=0)


async def consume(bootstrap: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(TOPIC.name, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    async with consumer:
        return [(await consumer.getone()).value for _ in range(count)]


def test_both_engines_come_back_on_their_port_with_their_data_after_sigkill(fresh_pair: Pair) -> None:
    keep_row(fresh_pair.postgres.url(), 1)
    run_blocking(create_topics(fresh_pair.kafka.bootstrap, [TOPIC]))
    run_blocking(produce(fresh_pair.kafka.bootstrap, b"one"))
    supervisor = Supervisor()
    for child in (fresh_pair.postgres.child, fresh_pair.kafka.child):
        supervisor.add(child)
    before = supervisor.pids()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    restarted: set[str] = set()

    def both_restarted() -> bool:
        restarted.update(supervisor.tend())
        return restarted == before.keys()

    until(both_restarted, "both were restarted")
    fresh_pair.postgres.wait_ready()
    fresh_pair.kafka.wait_ready()
    assert all(supervisor.pids()[name] != pid for name, pid in before.items())
    run_blocking(produce(fresh_pair.kafka.bootstrap, b"two"))
    keep_row(fresh_pair.postgres.url(), 2)
    assert rows(fresh_pair.postgres.url()) == [1, 2]
    assert run_blocking(consume(fresh_pair.kafka.bootstrap, 2)) == [b"one", b"two"]


def test_postgres_stopped_at_once_recovers_what_was_committed(postgres: Postgres) -> None:
    keep_row(postgres.url(), 7)
    postgres.stop_immediately()
    until(lambda: not postgres.child.running, "PostgreSQL ended")
    postgres.restart()
    assert rows(postgres.url()) == [7]


def test_a_service_cannot_open_the_database_of_another(postgres: Postgres) -> None:
    own = postgres.create_database("payments", "secret-1")
    postgres.create_database("audit", "secret-2")
    with psycopg.connect(own) as conn:
        conn.execute("CREATE TABLE mine (n integer)")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(postgres.url("audit", "payments", "secret-1"))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url("payments", "payments", "wrong"))


def test_signals_stop_everything_cleanly_and_a_second_start_needs_no_registry(folder: Path) -> None:
    first = Run(folder / "state")
    keep_row(first.ready["url"], 1)
    assert first.end(signal.SIGINT).endswith("stopped\n")
    assert first.process.returncode == 0
    assert _cluster_state(folder / "state") == "shut down"
    # The same state, ports and passwords again; resolving jars would fail.
    second = Run(folder / "state", env={"SALUR_TEST_NO_REGISTRY": "1"})
    assert second.ready["url"] == first.ready["url"]
    assert second.ready["kafka"] == first.ready["kafka"]
    assert rows(second.ready["url"]) == [1]
    _refuses_another_platform(folder / "state", second.process.pid)
    assert second.end(signal.SIGTERM).endswith("stopped\n")
    assert _cluster_state(folder / "state") == "shut down"


def _refuses_another_platform(state_dir: Path, pid: int) -> None:
    another = Platform(state_dir, CACHE, Options(services=(), banks=()))
    with pytest.raises(RuntimeError, match=rf"already runs in .*process {pid}\)"):
        another.start()
    with pytest.raises(RuntimeError, match="already runs"):
        another.fresh()


def _cluster_state(state_dir: Path) -> str:
    """How PostgreSQL ended, by its control file."""
    done = subprocess.run(
        [str(BIN / "pg_controldata"), str(state_dir / "postgres" / "data")], capture_output=True, text=True, check=True
    )
    state = next(line for line in done.stdout.splitlines() if line.startswith("Database cluster state"))
    return state.split(":")[1].strip()


def test_no_orphan_survives_the_sigkill_of_the_supervisor_and_the_next_start_recovers(folder: Path) -> None:
    first = Run(folder / "state")
    keep_row(first.ready["url"], 3)
    first.end(signal.SIGKILL)
    second = Run(folder / "state")
    assert rows(second.ready["url"]) == [3]
    second.end(signal.SIGTERM)


def test_an_ordinary_user_can_run_it(folder: Path) -> None:
    """As root this drops to `nobody`, who may only pass folders (Python itself may lie below /root)."""
    prefix: list[str] = []
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        prefix = [
            "setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups",
            "--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search",
            "--bounding-set=-all,+dac_read_search",
        ]  # fmt: skip
    run = Run(folder / "state", prefix, env={"HOME": str(folder)})
    assert run.ready["euid"] != 0
    keep_row(run.ready["url"], 5)
    assert rows(run.ready["url"]) == [5]
    assert {process.uids().real for process in run.tree} == {run.ready["euid"]}
    assert run.end(signal.SIGINT).endswith("stopped\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must give up its privileges")
def test_as_root_postgres_runs_without_privileges_and_groups(postgres: Postgres) -> None:
    server = psutil.Process(postgres.child.pid)
    assert server.uids().effective != 0
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    groups = next(line for line in status.splitlines() if line.startswith("Groups:")).split()[1:]
    assert "0" not in groups

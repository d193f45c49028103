"""Children: logs, restarts with back-off, stops that end, and no start from another thread."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from salur.local.kafka import new_cluster_id
from salur.local.keys import secret_file
from salur.local.ports import free_ports, is_free
from salur.local.supervisor import Child, Supervisor

WAIT_S = 20.0


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not hold within {WAIT_S:.0f} s"
        time.sleep(0.01)


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    made = Supervisor()
    yield made
    made.stop_all(timeout_s=1)


def child(folder: Path, code: str, name: str = "service") -> Child:
    return Child(name, [sys.executable, "-u", "-c", code], dict(os.environ), folder / f"{name}.log")


def test_a_dead_child_is_started_again_and_its_log_is_kept(tmp_path: Path, supervisor: Supervisor) -> None:
    crashing = supervisor.add(child(tmp_path, "import os; print('at', os.getpid()); raise SystemExit(3)"))
    crashing.start()
    until(lambda: bool(supervisor.tend()) and crashing.restarts >= 3, "three restarts")
    until(lambda: not crashing.running, "its end")
    lines = crashing.tail().splitlines()
    assert len(lines) == len(set(lines)) == crashing.restarts + 1
    assert all(line.startswith("at ") for line in lines)


def test_a_full_disk_costs_log_lines_and_never_the_service(tmp_path: Path, supervisor: Supervisor) -> None:
    """More than a pipe holds is said; a reader that gave up would hold the process in its next line for ever."""
    code = "for number in range(20_000): print('a line of the log', number)"
    talking = supervisor.add(Child("talking", [sys.executable, "-u", "-c", code], dict(os.environ), Path("/dev/full")))
    talking.start()
    until(lambda: not talking.running, "its end")
    assert talking.process is not None
    assert talking.process.returncode == 0


def test_the_back_off_grows(tmp_path: Path, supervisor: Supervisor) -> None:
    crashing = supervisor.add(child(tmp_path, "raise SystemExit(1)"))
    crashing.start()
    starts = [crashing.started_at]
    while len(starts) < 4:
        if supervisor.tend():
            starts.append(crashing.started_at)
        time.sleep(0.005)
    gaps = [after - before for before, after in pairwise(starts)]
    assert [gap >= least for gap, least in zip(gaps, (0.2, 0.5, 1.0), strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("code", "words"),
    [("raise SystemExit(71)", "exit code 71"), ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL")],
)
def test_how_a_child_ended_is_told_once_it_is_started_again(
    tmp_path: Path, supervisor: Supervisor, code: str, words: str
) -> None:
    crashing = supervisor.add(child(tmp_path, code))
    crashing.data_dir = tmp_path
    crashing.start()
    assert crashing.ended == ""
    until(lambda: bool(supervisor.tend()), "a restart")
    assert crashing.ended == words


def test_a_child_that_ignores_the_stop_signal_is_killed(tmp_path: Path, supervisor: Supervisor) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)"
    deaf = supervisor.add(child(tmp_path, code))
    deaf.start()
    until(lambda: "deaf" in deaf.tail(), "its handler")
    deaf.stop(timeout_s=0.3)
    assert deaf.process is not None
    assert deaf.process.returncode == -signal.SIGKILL
    assert supervisor.tend() == []


def test_a_paused_child_still_stops_cleanly(tmp_path: Path, supervisor: Supervisor) -> None:
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print('up'); time.sleep(600)"
    )
    paused = supervisor.add(child(tmp_path, code))
    paused.start()
    until(lambda: "up" in paused.tail(), "its handler")
    paused.signal(signal.SIGSTOP)
    paused.stop()
    assert paused.process is not None
    assert paused.process.returncode == 0


def test_stages_stop_from_services_down_to_the_store(tmp_path: Path, supervisor: Supervisor) -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    print(f'ended {time.monotonic()}')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('up'); time.sleep(600)"
    )
    for name, stage in (("store", 0), ("log", 1), ("service-1", 2), ("service-2", 2)):
        supervisor.add(child(tmp_path, code, name)).stage = stage
    for member in supervisor.children.values():
        member.start()
    for member in supervisor.children.values():
        until(lambda member=member: "up" in member.tail(), f"{member.name} up")  # type: ignore[misc]
    supervisor.stop_all()
    ended = {name: float(member.tail().split("ended ")[1]) for name, member in supervisor.children.items()}
    assert max(ended["service-1"], ended["service-2"]) < ended["log"] < ended["store"]


def test_a_child_may_not_start_from_another_thread(tmp_path: Path) -> None:
    with ThreadPoolExecutor(max_workers=1) as pool, pytest.raises(RuntimeError, match="main thread"):
        pool.submit(child(tmp_path, "pass").start).result()


def test_ports_are_different_free_and_outside_the_range_of_outgoing_connections() -> None:
    ports = free_ports(20)
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    assert len(set(ports)) == 20
    assert all(is_free(port) and port < first_outgoing for port in ports)


def test_no_cluster_id_looks_like_an_option() -> None:
    ids = {new_cluster_id() for _ in range(2_000)}
    assert len(ids) == 2_000
    assert all(len(cluster_id) == 22 and cluster_id[0].isalpha() for cluster_id in ids)


def test_a_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "service.key"
    first = secret_file(path, 32)
    assert len(bytes.fromhex(first)) == 32
    assert secret_file(path, 32) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret_file(tmp_path / "secrets" / "other.key", 32) != first

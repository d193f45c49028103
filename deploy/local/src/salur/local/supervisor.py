"""Child processes: own sessions, prefixed logs, restarts with back-off, and no orphan.

Every child asks the kernel to be killed when its parent dies (PR_SET_PDEATHSIG), so that even a SIGKILL of the
supervisor leaves nothing behind. The kernel binds the request to the parent's thread, not to its process: a child
spawned from a helper thread would die with that thread, so `Child.start` refuses any thread but the main one.
"""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

PR_SET_PDEATHSIG = 1
RESTART_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
STABLE_S = 20.0
STOP_TIMEOUT_S = 15.0
LOG_TAIL_BYTES = 6_000
LOG_LINE_BYTES = 64 * 1024
DISK_FULL_SIZE = 16 * 1024 * 1024
"""An engine that ended with less room than this on its disk ended for want of it."""
_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ProcessDied(RuntimeError):
    """A child ended when it should run; the message holds the end of its log."""


def child_setup(death_signal: int) -> Callable[[], None]:
    """What a child runs between fork and exec: ask for `death_signal` when the parent dies.

    Python calls it after it has switched user, which matters: a change of user clears the request.
    """
    parent = os.getpid()

    def setup() -> None:
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:
            os._exit(1)

    return setup


@dataclass
class Child:
    """One supervised process."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log_path: Path
    user: str | None = None
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGKILL
    echo: bool = False
    colour: int = 36
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    started_at: float = 0.0
    wanted: bool = False
    data_dir: Path | None = None
    """Where it keeps its data, when it keeps any."""
    ended: str = ""
    """How its last life ended before it was started again, and who must act where that will not mend it."""
    before_start: Callable[[], None] | None = None
    stage: int = 2
    """Stopped from the highest stage to the lowest, a stage together: 0 the engines' store, 1 the log, 2 services."""
    _readers: list[threading.Thread] = field(default_factory=list)

    @property
    def pid(self) -> int:
        """The process id. Raises RuntimeError when it never ran."""
        if self.process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def how_it_ended(self) -> str:
        """In words, with who must act where starting it again mends nothing."""
        code = self.process.poll() if self.process else None
        if code is None:
            return ""
        words = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if self.data_dir and self.data_dir.exists() and shutil.disk_usage(self.data_dir).free < DISK_FULL_SIZE:
            return f"{words}; no room left on the disk of {self.data_dir}: operations must make room"
        return words

    def start(self) -> None:
        """Spawn the process in a session of its own. Raises RuntimeError outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(f"{self.name} must be started from the main thread: the kernel binds its life to it")
        if self.before_start is not None:
            self.before_start()
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        extra = run_as(self.user)
        self.process = subprocess.Popen(  # noqa: S603 - commands are ours
            list(self.command),
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=child_setup(self.death_signal),  # noqa: PLW1509 - spawned from the main thread only
            **extra,
        )
        self.started_at = time.monotonic()
        self.wanted = True
        assert self.process.stdout is not None
        reader = threading.Thread(target=self._pump, args=(self.process.stdout,), daemon=True, name=f"log-{self.name}")
        reader.start()
        self._readers.append(reader)

    def _pump(self, stream: IO[bytes]) -> None:
        prefix = f"{self.name} | "
        if sys.stderr.isatty():
            prefix = f"\x1b[{self.colour}m{prefix}\x1b[0m"
        with self.log_path.open("ab", buffering=0) as log:
            while line := stream.readline(LOG_LINE_BYTES):
                # A line that cannot be kept is lost: a pipe nobody reads would hold up the process behind it for ever.
                with contextlib.suppress(OSError):
                    log.write(line)
                with contextlib.suppress(OSError, ValueError):
                    if self.echo:
                        sys.stderr.write(prefix + line.decode(errors="replace"))
        stream.close()

    def signal(self, number: int) -> None:
        """Send a signal if the process runs."""
        if self.running:
            assert self.process is not None
            self.process.send_signal(number)

    def ask_to_stop(self) -> None:
        """Send the stop signal (to a paused process too) and forget about restarts; does not wait."""
        self.wanted = False
        self.signal(signal.SIGCONT)
        self.signal(self.stop_signal)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Ask, wait, then kill the whole session."""
        self.ask_to_stop()
        self.join(timeout_s)

    def join(self, timeout_s: float) -> None:
        """Wait until it has ended; after `timeout_s` kill the whole session."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            self.kill()
        for reader in self._readers:
            reader.join(timeout=5)
        self._readers.clear()

    def kill(self) -> None:
        """SIGKILL the process's session and wait for it."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def tail(self) -> str:
        """The end of the log, complete when the process has ended."""
        if not self.running:
            for reader in self._readers:
                reader.join(timeout=2)
        if not self.log_path.exists():
            return "(no output)"
        with self.log_path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace")


def run_as(user: str | None) -> dict[str, Any]:
    """Arguments of Popen to run as `user` with its own group and none of ours; empty for None."""
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


class Supervisor:
    """Keeps children running. Call `tend` often from the main thread: it restarts what died."""

    def __init__(self) -> None:
        self.children: dict[str, Child] = {}

    def add(self, child: Child) -> Child:
        child.colour = _COLOURS[len(self.children) % len(_COLOURS)]
        self.children[child.name] = child
        return child

    def tend(self) -> list[str]:
        """Restart dead children whose back-off has passed. Returns the names restarted."""
        restarted = []
        for child in self.children.values():
            if not child.wanted or child.running:
                continue
            ran_s = time.monotonic() - child.started_at
            if ran_s > STABLE_S:
                child.restarts = 0
            if ran_s < RESTART_BACKOFF_S[min(child.restarts, len(RESTART_BACKOFF_S) - 1)]:
                continue
            child.restarts += 1
            child.ended = child.how_it_ended()
            child.start()
            restarted.append(child.name)
        return restarted

    def pids(self) -> dict[str, int]:
        """Process ids of what runs now, by name; they change when something is restarted."""
        return {name: child.pid for name, child in self.children.items() if child.running}

    def stop_all(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop stage by stage, those who depend first; within a stage together, each stage within `timeout_s`."""
        for stage in sorted({child.stage for child in self.children.values()}, reverse=True):
            members = [child for child in self.children.values() if child.stage == stage]
            for child in members:
                child.ask_to_stop()
            deadline = time.monotonic() + timeout_s
            for child in members:
                child.join(deadline - time.monotonic())

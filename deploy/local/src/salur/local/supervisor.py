"""Child processes: own sessions, prefixed logs, restarts with back-off, and no orphan.

Every child asks the kernel to be killed when its parent dies (PR_SET_PDEATHSIG), so that even a SIGKILL of the
supervisor leaves nothing behind. The request is bound to the parent's thread: spawn from the main thread.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
RESTART_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
STABLE_S = 20.0
STOP_TIMEOUT_S = 15.0
LOG_TAIL_BYTES = 6_000
_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ProcessDied(RuntimeError):
    """A child ended when it should run; the message holds the end of its log."""


def _child_setup(death_signal: int) -> Callable[[], None]:
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
    before_start: Callable[[], None] | None = None
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

    def start(self) -> None:
        """Spawn the process in a session of its own."""
        if self.before_start is not None:
            self.before_start()
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        extra = {"user": self.user, "group": _group_of(self.user)} if self.user else {}
        self.process = subprocess.Popen(  # noqa: S603 - commands are ours
            list(self.command),
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_child_setup(self.death_signal),  # noqa: PLW1509 - spawned from the main thread only
            **extra,  # type: ignore[call-overload]
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
            for line in stream:
                log.write(line)
                if self.echo:
                    sys.stderr.write(prefix + line.decode(errors="replace"))
        stream.close()

    def signal(self, number: int) -> None:
        """Send a signal if the process runs."""
        if self.running:
            assert self.process is not None
            self.process.send_signal(number)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Ask, wait, then kill the whole session."""
        self.wanted = False
        if self.process is None:
            return
        self.signal(signal.SIGCONT)
        self.signal(self.stop_signal)
        try:
            self.process.wait(timeout_s)
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


def _group_of(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


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
            child.start()
            restarted.append(child.name)
        return restarted

    def stop_all(self) -> None:
        """Stop in reverse order of their adding: those who depend go first."""
        for child in reversed(list(self.children.values())):
            child.stop()

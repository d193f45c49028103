"""The blows themselves: signals, limits and stops that a strike gives to a process and takes away again.

A strike begins, is stepped from the main thread, and is over once what it hit may run again. Restarting what died is
the supervisor's work.
"""

import resource
import signal
import threading
import time
import uuid
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

from salur.common.http import MAX_BODY_SIZE
from salur.local.crash.plan import Fault
from salur.local.platform import Platform
from salur.local.supervisor import STOP_TIMEOUT_S, Child

STAND_IN_STAYS_S = 2.0
"""How long zombie and stand-in live side by side."""
MEMORY_PATIENCE_S = 8.0
"""A process without memory that neither dies nor complains within this time was not struck."""
LIMP_S = 5.0
CROWD = 40
CROWD_TIMEOUT_S = 5.0
CROWD_PAUSE_S = 0.1
LAST_WORDS_S = 2.0
"""How long the last line of a dead process may take into its log."""
MEMORY_SIGNS = (
    b"MemoryError", b"out-of-memory", b"memory allocation of", b"bad_alloc", b"Cannot allocate memory",
)  # fmt: skip


class Strike:
    """A blow under way."""

    def __init__(self, fault: Fault, platform: Platform) -> None:
        self.fault = fault
        self.effect = ""
        self.failed = False
        self.spares_the_process = False
        """Whether the same process goes on afterwards."""
        self._platform = platform
        self._child = platform.supervisor.children[fault.target]
        self._began = 0.0
        self._pid = 0

    def begin(self) -> None:
        """Give the blow."""
        self._began = time.monotonic()
        self._pid = self._child.pid

    def step(self) -> bool:
        """Do what is due. True once what was hit may run again."""
        return True

    def undo(self) -> None:
        """Take the blow away at once, whatever its state."""

    @property
    def is_back(self) -> bool:
        """Whether the process runs: another one where the blow ended it."""
        return self._child.running and (self.spares_the_process or self._child.pid != self._pid)

    @property
    def _age_s(self) -> float:
        return time.monotonic() - self._began


class Kill(Strike):
    """SIGKILL of the process by its id."""

    def begin(self) -> None:
        super().begin()
        self._child.signal(signal.SIGKILL)
        self.effect = f"process {self._pid} killed"


class Immediate(Strike):
    """PostgreSQL's immediate shutdown: as after a power cut."""

    def begin(self) -> None:
        super().begin()
        self._platform.postgres.stop_immediately()
        self.effect = "immediate shutdown"


class Away(Strike):
    """The process is killed and stays away."""

    def begin(self) -> None:
        super().begin()
        self._child.wanted = False
        self._child.kill()

    def step(self) -> bool:
        if self._age_s < self.fault.duration_s:
            return False
        self.effect = f"away for {self._age_s:.1f} s"
        self.undo()
        return True

    def undo(self) -> None:
        if not self._child.running:
            self._child.start()


class Pause(Strike):
    """SIGSTOP, then SIGCONT; with a stand-in another instance takes the work over meanwhile."""

    def __init__(self, fault: Fault, platform: Platform) -> None:
        super().__init__(fault, platform)
        self._stopped: list[psutil.Process] = []
        self.spares_the_process = True
        self._stand_in: Child | None = None
        self._resumed = 0.0

    def begin(self) -> None:
        super().begin()
        # The parent first: PostgreSQL's postmaster must not fork meanwhile.
        process = psutil.Process(self._child.pid)
        process.suspend()
        self._stopped = [process, *process.children(recursive=True)]
        for child in self._stopped[1:]:
            with suppress(psutil.NoSuchProcess):
                child.suspend()
        if self.fault.stand_in:
            self._stand_in = self._platform.stand_in(self.fault.target)
            self._stand_in.start()

    def step(self) -> bool:
        if not self._resumed:
            if self._age_s < self.fault.duration_s:
                return False
            self.effect = f"paused for {self._age_s:.1f} s" + (", with a stand-in" if self._stand_in else "")
            self._resume()
        if self._stand_in is None:
            return True
        side_by_side_s = time.monotonic() - self._resumed
        if side_by_side_s < STAND_IN_STAYS_S:
            return False
        self._stand_in.ask_to_stop()
        if self._stand_in.running and side_by_side_s < STAND_IN_STAYS_S + STOP_TIMEOUT_S:
            return False
        self._retire()
        return True

    def _retire(self) -> None:
        if self._stand_in is not None:
            self._platform.retire(self._stand_in)
            self._stand_in = None

    def _resume(self) -> None:
        self._resumed = time.monotonic()
        for process in reversed(self._stopped):
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def undo(self) -> None:
        self._resume()
        self._retire()


class OutOfMemory(Strike):
    """The address space of the live process is limited to what it holds, then a crowd of large requests comes: one of
    its next allocations fails, in a request or in its own work.
    """

    def begin(self) -> None:
        super().begin()
        self._log = _Log(self._child.log_path)
        self._complained_at = self._died_at = 0.0
        limit = psutil.Process(self._pid).memory_info().vms
        _, hard = resource.prlimit(self._pid, resource.RLIMIT_AS)
        resource.prlimit(self._pid, resource.RLIMIT_AS, (limit, hard))
        self.effect = f"limited to {limit / 2**20:.0f} MiB"
        token = self._platform.token("person:operations", "operator")
        self._crowd = _Crowd(self._platform.url(self.fault.target), token)

    def step(self) -> bool:
        over = self._look()
        if over:
            self._crowd.leave()
        return over

    def _look(self) -> bool:
        complained = self._log.new_lines_with(MEMORY_SIGNS)
        if complained and not self._complained_at:
            self._complained_at = time.monotonic()
        if not self._child.running or self._child.pid != self._pid:
            self._died_at = self._died_at or time.monotonic()
            if not self._complained_at and time.monotonic() - self._died_at < LAST_WORDS_S:
                return False
            self.failed = not self._complained_at
            self.effect += ", died" + (" without a word" if self.failed else f" of it: {self._log.found}")
            return True
        if self._complained_at and time.monotonic() - self._complained_at > LIMP_S:
            self.effect += f", went on: {self._log.found}"
            self.spares_the_process = True
            self.undo()
            return True
        if not self._complained_at and self._age_s > MEMORY_PATIENCE_S:
            self.effect += ", did not need more"
            self.failed = True
            self.undo()
            return True
        return False

    def undo(self) -> None:
        self._crowd.leave()
        with suppress(ProcessLookupError):
            _, hard = resource.prlimit(self._pid, resource.RLIMIT_AS)
            resource.prlimit(self._pid, resource.RLIMIT_AS, (hard, hard))


class _Crowd:
    """Many callers at once, each with the largest body a service takes; until they leave."""

    def __init__(self, url: str, token: str) -> None:
        self._address = url.removeprefix("http://")
        self._path = f"/dead-letters/{uuid.UUID(int=0)}/replay"
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self._body = b'{"reason":"%s"}' % (b"x" * (MAX_BODY_SIZE - 100))
        self._gone = threading.Event()
        for _ in range(CROWD):
            threading.Thread(target=self._ask, name="crowd", daemon=True).start()

    def leave(self) -> None:
        self._gone.set()

    def _ask(self) -> None:
        while not self._gone.is_set():
            connection = HTTPConnection(self._address, timeout=CROWD_TIMEOUT_S)
            with suppress(OSError, HTTPException):
                connection.request("POST", self._path, self._body, self._headers)
                connection.getresponse().read()
            connection.close()
            self._gone.wait(CROWD_PAUSE_S)


class _Log:
    """The end of a process's log from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0
        self.found = ""

    def new_lines_with(self, signs: tuple[bytes, ...]) -> bool:
        """Whether a sign stands in what was written since the start."""
        with self._path.open("rb") as log:
            log.seek(self._at)
            for line in log.read().split(b"\n"):
                sign = next((sign for sign in signs if sign in line), None)
                if sign is not None:
                    self.found = sign.decode()
                    return True
        return False


STRIKES: dict[str, type[Strike]] = {
    "kill": Kill,
    "pause": Pause,
    "away": Away,
    "immediate": Immediate,
    "out-of-memory": OutOfMemory,
}

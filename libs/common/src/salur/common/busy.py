"""Whether the machine has CPU to spare: work that can wait leaves it to work that cannot."""

from pathlib import Path

STAT = Path("/proc/stat")
BUSY = 0.9
"""Share of all CPUs at work from which the machine is busy."""
RESTS = 4.0
"""Times as long as it worked that work rests then: it takes a fifth of one CPU at most."""
REST_MAX_S = 2.0


class Busy:
    """The share of CPU used between two looks. Where the kernel does not tell, nothing is ever busy."""

    def __init__(self, stat: Path = STAT) -> None:
        self._stat = stat
        self._before = self._look()

    def rest_s(self, worked_s: float) -> float:
        """How long to rest after a piece of work; 0 when the machine has been idle enough since the last call."""
        before, self._before = self._before, self._look()
        idle, total = self._before[0] - before[0], self._before[1] - before[1]
        if total <= 0 or 1 - idle / total < BUSY:
            return 0.0
        return min(worked_s * RESTS, REST_MAX_S)

    def _look(self) -> tuple[int, int]:
        """(idle, all) ticks since the machine started: of `cpu user nice system idle iowait …`."""
        try:
            line = self._stat.read_text(encoding="ascii").split("\n", 1)[0]
        except OSError:
            return 0, 0
        ticks = [int(value) for value in line.split()[1:9]]
        return ticks[3] + ticks[4], sum(ticks)

"""What a stage took of the machine, and what others took: promises of speed are for a machine of one's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

import psutil

from salur.local.bench.usage import cpu_seconds, spent
from salur.local.platform import Platform

QUIET = 0.1
"""Up to this share of the CPU taken by others a stage is judged by the clock."""


@dataclass(slots=True)
class Taken:
    """Seconds by the clock, CPU seconds of the platform, the share of all CPUs that others took."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    others: float = 0.0

    def judged_s(self, seconds: float, processes: int) -> float:
        """How long `seconds` of this stage would have been on a quiet machine, at most.

        By the clock where others took little; else by the CPU the platform used, as if `processes` of it at most had
        ever worked at once. Never longer than by the clock.
        """
        if self.others <= QUIET or self.seconds <= 0:
            return seconds
        return min(seconds, seconds / self.seconds * self.cpu_seconds / processes)

    def shown(self) -> dict[str, float]:
        """What a report tells."""
        return {
            "seconds": round(self.seconds, 2), "cpu_seconds": round(self.cpu_seconds, 2),
            "others_share": round(self.others, 3),
        }  # fmt: skip


@contextmanager
def taking(platform: Platform) -> Iterator[Taken]:
    """Measure the block; the figures are there at its end."""
    taken, began, before, busy = Taken(), monotonic(), cpu_seconds(platform), _busy_s()
    own = psutil.Process()
    mine = sum(own.cpu_times()[:2])
    yield taken
    taken.seconds = monotonic() - began
    taken.cpu_seconds = sum(spent(before, cpu_seconds(platform)).values())
    ours = taken.cpu_seconds + sum(own.cpu_times()[:2]) - mine
    whole = taken.seconds * (psutil.cpu_count() or 1)
    taken.others = max(0.0, (_busy_s() - busy - ours) / whole) if whole else 0.0


def _busy_s() -> float:
    """CPU seconds of all processes of the machine since it started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))

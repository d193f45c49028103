"""CPU seconds per process of a running platform, those of ended children included."""

from collections.abc import Mapping

import psutil

from salur.local.platform import Platform


def cpu_seconds(platform: Platform) -> dict[str, float]:
    """User and system seconds so far by process name; PostgreSQL's backends count for `postgres`."""
    return {name: _tree(pid) for name, pid in platform.supervisor.pids().items()}


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was used in between."""
    return {name: max(0.0, seconds - before.get(name, 0.0)) for name, seconds in after.items()}


def _tree(pid: int) -> float:
    """A process, its living descendants, and what ended descendants left to their parents."""
    total = 0.0
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return total
    for process in family:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total

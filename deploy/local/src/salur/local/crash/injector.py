"""Strikes a running platform by its plan, at the moments of progress the plan names, and times every recovery.

A fault strikes once its moment has come, in a phase in which its process has work and while work is in flight: one that
finds none waits for the next round. One that does not overlap waits until the earlier ones are overcome. Everything
runs in the main thread: `step` is called often and never blocks for long.
"""

import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from salur.local.crash.observer import Observer, Snapshot
from salur.local.crash.plan import REGISTER, Fault, Moment, phase_kind, phase_name
from salur.local.crash.strikes import STRIKES, Strike
from salur.local.platform import Platform

READY_TIMEOUT_S = 0.5
WAVES_KEPT = 2
"""Files of households kept back per fault that is still to strike registration."""
SHARE_KEPT = 0.35
"""Share of the files kept back while a demanded fault is to strike it: files on the way are registered meanwhile."""
LEAST_IN_FLIGHT = 0.02
LEAST_DEMANDED = 0.2
"""Share of the phase's work that must still be in flight when a fault strikes."""
MOST_TRIES = 3
"""A service that did not need more memory when it was limited is struck again this many times."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the work stands: phase number, what of it is done, and its whole."""

    phase: int
    done: int
    total: int

    @property
    def in_flight(self) -> int:
        return max(0, self.total - self.done)

    @property
    def moment(self) -> Moment:
        return Moment(self.phase, self.done / self.total if self.total else 0.0)


@dataclass(slots=True)
class Blow:
    """What became of a fault. Times in seconds of the monotonic clock, 0 = not yet.

    `since` is when the process could begin to recover: when it was hit, when a pause or absence ended, or when a later
    blow that struck meanwhile was over. `back_at` is when the process itself ran again (Kafka: had opened its port).
    """

    fault: Fault
    progress: Progress
    pending: int
    hit_at: float
    strike: Strike = field(repr=False)
    baseline: int | None = None
    over_at: float = 0.0
    back_at: float = 0.0
    since: float = 0.0
    recovered_at: float = 0.0
    shown_by: str = ""

    def facts(self, began: float) -> dict[str, Any]:
        """As the report holds it, times in seconds since `began` of the run."""
        return {
            "kind": self.fault.kind,
            "target": self.fault.target,
            "planned": str(self.fault.moment),
            "phase": phase_name(self.progress.phase),
            "done": self.progress.done,
            "of": self.progress.total,
            "in_flight": self.progress.in_flight,
            "waiting_for_target": self.pending,
            "hit_at_s": round(self.hit_at - began, 2),
            "over_at_s": round(self.over_at - began, 2) if self.over_at else None,
            "process_back_s": round(max(0.0, self.back_at - self.since), 2) if self.back_at else None,
            "recovery_s": round(self.recovered_at - self.since, 2) if self.recovered_at else None,
            "standstill_s": round(self.recovered_at - self.hit_at, 2) if self.recovered_at else None,
            "shown_by": self.shown_by,
            "effect": self.strike.effect,
        }


class Injector:
    """`progress` tells where the work stands; `say` takes a line for people."""

    def __init__(
        self,
        plan: Sequence[Fault],
        platform: Platform,
        observer: Observer,
        progress: Callable[[], Progress],
        say: Callable[[str], None],
    ) -> None:
        self._waiting = list(plan)
        self._platform = platform
        self._observer = observer
        self._progress = progress
        self._say = say
        self._tries = 0
        self.blows: list[Blow] = []
        self.missed: list[Fault] = []
        """Faults that were given and had no effect: they do not count as blows."""

    @property
    def unfinished(self) -> bool:
        """Whether faults are still to come, under way, or not overcome."""
        return bool(self._waiting) or any(not blow.recovered_at for blow in self.blows)

    @property
    def calm(self) -> bool:
        """Whether every blow so far is overcome."""
        return all(blow.recovered_at for blow in tuple(self.blows))

    @property
    def still_to_strike(self) -> int:
        return len(self._waiting)

    def keeps_back(self, waves_left: int, waves: int) -> bool:
        """Whether the next file must wait: faults are due that must strike work, and little of it is left.

        Called from the thread of the work.
        """
        to_come = [fault for fault in tuple(self._waiting) if phase_name(fault.moment.phase) == REGISTER]
        kept = WAVES_KEPT * len(to_come)
        if any(fault.demanded for fault in to_come):
            kept = max(kept, int(SHARE_KEPT * waves))
        moment = self._progress().moment
        return waves_left <= kept and any(fault.moment <= moment for fault in to_come)

    def step(self) -> None:
        """Strike what is due, end what is over, notice what has recovered."""
        now = time.monotonic()
        snapshot = self._observer.latest
        for blow in tuple(self.blows):
            if not blow.over_at and blow.strike.step():
                self._over(blow, now)
        for blow in self.blows:
            if not blow.recovered_at and snapshot is not None:
                self._notice(blow, snapshot, now)
        due = next((fault for fault in self._waiting if self._is_due(fault)), None)
        if due is not None:
            self._waiting.remove(due)
            self._strike(due, now)

    def undo(self) -> None:
        """Take away every blow that is under way."""
        self._waiting.clear()
        for blow in self.blows:
            if not blow.over_at:
                blow.strike.undo()

    def _is_due(self, fault: Fault) -> bool:
        progress = self._progress()
        if fault.moment > progress.moment or phase_kind(progress.phase) not in fault.places:
            return False
        if progress.in_flight < progress.total * (LEAST_DEMANDED if fault.demanded else LEAST_IN_FLIGHT):
            return False
        if not self._platform.supervisor.children[fault.target].running:
            return False
        if any(not blow.over_at and blow.fault.target == fault.target for blow in self.blows):
            return False
        meanwhile = [blow for blow in self.blows if blow.fault.target == fault.during and blow.fault.stand_in]
        if fault.during and not any(blow.over_at for blow in meanwhile):
            return bool(meanwhile)
        return fault.overlaps or self.calm

    def _strike(self, fault: Fault, now: float) -> None:
        snapshot = self._observer.latest
        pending = snapshot.pending(fault.target) if snapshot else 0
        blow = Blow(fault, self._progress(), pending, now, STRIKES[fault.kind](fault, self._platform))
        blow.strike.begin()
        self.blows.append(blow)
        self._say(f"{blow.progress.moment!s:14} {fault.kind} {fault.target}")

    def _over(self, blow: Blow, now: float) -> None:
        blow.over_at = now
        for other in self.blows:
            if not other.recovered_at:
                other.since = now
        if not blow.strike.failed:
            return
        self.blows.remove(blow)
        self.missed.append(blow.fault)
        self._tries += 1
        if self._tries < MOST_TRIES:
            self._waiting.insert(0, blow.fault)

    def _notice(self, blow: Blow, snapshot: Snapshot, now: float) -> None:
        target = blow.fault.target
        if snapshot.began <= blow.hit_at:
            return
        if not blow.back_at and blow.over_at and self._is_back(blow):
            blow.back_at = now
        if blow.baseline is None or not blow.back_at:
            # What is struck may still finish what it held; what counts is what it does once it is back.
            blow.baseline = snapshot.work(target)
            return
        if snapshot.began < blow.back_at:
            return
        if snapshot.work(target) > blow.baseline:
            blow.shown_by = "progress"
        elif snapshot.pending(target) == 0 and self._is_well(target, snapshot):
            blow.shown_by = "nothing left to do"
        else:
            return
        blow.recovered_at = now
        self._say(f"{'':14} {target} works again after {now - blow.since:.1f} s ({blow.shown_by})")

    def _is_back(self, blow: Blow) -> bool:
        if not blow.strike.is_back:
            return False
        if blow.fault.target != "kafka":
            return True
        # A broker opens its port only once it has recovered its log; until then others live on what they fetched.
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._platform.kafka.port), READY_TIMEOUT_S):
            return True
        return False

    def _is_well(self, target: str, snapshot: Snapshot) -> bool:
        if target.endswith("-relay"):
            return snapshot.relay_held[target.removesuffix("-relay")]
        if target not in self._platform.options.services:
            return True
        try:
            return httpx.get(f"{self._platform.url(target)}/ready", timeout=READY_TIMEOUT_S).status_code == 200
        except httpx.TransportError:
            return False

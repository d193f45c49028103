"""Which faults a run meets and when: drawn from its seed alone, so that a seed can be run again.

A moment is a place in the work, never a time: a phase and the share of its work that is done. Every process is hit once
by a kill or a pause; on top of that Kafka goes away, PostgreSQL stops at once and one service runs out of memory.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["kill", "pause", "away", "immediate", "out-of-memory"]

DEMANDED: frozenset[Kind] = frozenset({"away", "immediate", "out-of-memory"})
SERVICES = ("registry", "eligibility", "payments", "audit")
CONSUMING = ("eligibility", "payments", "audit")
REGISTER, ENTITLE, SETTLE = "register", "entitle", "settle"
PAUSE_S = (1.0, 4.0)
ZOMBIE_S = (8.0, 10.0)
"""Longer than the session timeout of a consumer (6 s): its partitions go to another member meanwhile."""
STOPPED_FOR_GOOD_S = 60.0
OVERLAPPING = 0.4
"""Share of faults that strike while an earlier one is not overcome yet."""

_PHASES: dict[str, tuple[str, ...]] = {
    "registry": (REGISTER,),
    "registry-relay": (REGISTER,),
    "eligibility": (REGISTER, ENTITLE),
    "eligibility-relay": (REGISTER, ENTITLE),
    "payments": (REGISTER, SETTLE, SETTLE),
    "payments-relay": (SETTLE,),
    "audit": (REGISTER, SETTLE),
    "audit-relay": (REGISTER, SETTLE),
    "bank": (SETTLE,),
    "postgres": (REGISTER, ENTITLE, SETTLE),
    "kafka": (REGISTER, SETTLE),
}
"""Where each process has work that a fault can strike."""

_LATEST_SHARE = 0.8
_LATEST_SHARE_DEMANDED = 0.5


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """Due once `share` of the work of `phase` is done; `phase` counts from 0 (register), then entitle and settle of
    every round."""

    phase: int
    share: float

    def __str__(self) -> str:
        return f"{phase_name(self.phase)} {self.share:.0%}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One blow. `target` is a process's name; `duration_s` how long it is paused or away.

    `stand_in`: a second instance takes over during the pause, so that the first comes back as a zombie. `overlaps`: it
    does not wait until earlier faults are overcome. `during`: it strikes while the fault of that process is under way.
    """

    kind: Kind
    target: str
    moment: Moment
    duration_s: float = 0.0
    stand_in: bool = False
    overlaps: bool = False
    during: str = ""

    @property
    def places(self) -> tuple[str, ...]:
        """The kinds of phases in which the process has work that this fault can strike."""
        return _PHASES.get(self.target, _PHASES["bank"])

    @property
    def demanded(self) -> bool:
        """Whether every run must have it strike work in flight."""
        return self.kind in DEMANDED


def phase_name(number: int) -> str:
    """`register`, `entitle-1`, `settle-1`, `entitle-2` …"""
    if number == 0:
        return REGISTER
    return f"{(SETTLE, ENTITLE)[number % 2]}-{(number + 1) // 2}"


def phase_kind(number: int) -> str:
    """`register`, `entitle` or `settle`."""
    return phase_name(number).partition("-")[0]


def phase_number(kind: str, turn: int) -> int:
    """The number of a phase; `turn` counts rounds from 1 and means nothing for register."""
    return 0 if kind == REGISTER else 2 * turn - (1 if kind == ENTITLE else 0)


def make_plan(seed: int, *, banks: Sequence[str], rounds: int, away_s: float) -> list[Fault]:
    """Every fault of a run in order of its moment."""
    draw = random.Random(f"plan/{seed}")  # noqa: S311 - a run is repeated by its seed
    bank = draw.choice(list(banks))
    zombie = draw.choice(CONSUMING)
    late_relay = draw.choice(["eligibility-relay", "payments-relay"])
    targets = [*SERVICES, *(f"{service}-relay" for service in SERVICES), bank, "postgres", "kafka"]
    faults = [_strike(draw, target, rounds, zombie=zombie, late_relay=late_relay) for target in targets]
    faults += [
        _fault(draw, "away", "kafka", rounds, away_s),
        _fault(draw, "out-of-memory", draw.choice(SERVICES), rounds),
        _stopped_at_once(draw, faults, late_relay, rounds),
    ]
    return sorted(faults, key=lambda fault: fault.moment)


def _strike(draw: random.Random, target: str, rounds: int, *, zombie: str, late_relay: str) -> Fault:
    if target in {zombie, late_relay}:
        return _fault(draw, "pause", target, rounds, draw.uniform(*ZOMBIE_S), stand_in=True)
    if draw.random() < 0.5:
        return _fault(draw, "kill", target, rounds)
    return _fault(draw, "pause", target, rounds, draw.uniform(*PAUSE_S))


def _fault(
    draw: random.Random, kind: Kind, target: str, rounds: int, duration_s: float = 0.0, *, stand_in: bool = False
) -> Fault:
    place = draw.choice(Fault(kind, target, Moment(0, 0.0)).places)
    latest = _LATEST_SHARE_DEMANDED if kind in DEMANDED else _LATEST_SHARE
    moment = Moment(phase_number(place, draw.randint(1, rounds)), round(draw.uniform(0.0, latest), 3))
    overlaps = draw.random() < OVERLAPPING
    return Fault(kind, target, moment, round(duration_s, 2), stand_in, overlaps)


def _stopped_at_once(draw: random.Random, faults: Sequence[Fault], late_relay: str, rounds: int) -> Fault:
    """PostgreSQL stops at any moment; in half of the runs while a relay is paused: it loses its lock to its stand-in
    and comes back as a zombie."""
    anywhere = _fault(draw, "immediate", "postgres", rounds)
    if draw.random() < 0.5:
        return anywhere
    paused = next(fault for fault in faults if fault.target == late_relay)
    return Fault("immediate", "postgres", paused.moment, overlaps=True, during=late_relay)

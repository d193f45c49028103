"""Tables to draw from: a share becomes a number of equal slots, a draw is one index."""

from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import TypeVar

Value = TypeVar("Value")
Random = Callable[[], float]
"""Uniform in [0, 1)."""
SLOTS = 10_000


def table(shares: Mapping[Value, float]) -> list[Value]:
    """SLOTS slots in proportion. Raises ValueError when the shares do not sum to 1."""
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise ValueError(f"shares sum to {sum(shares.values()):.6f} instead of 1: {list(shares)}")
    return slots(shares, SLOTS)


def slots(weights: Mapping[Value, float], size: int) -> list[Value]:
    """`size` slots in proportion to weights of any sum."""
    total = sum(weights.values())
    drawn: list[Value] = []
    reached = 0.0
    for value, weight in weights.items():
        reached += weight / total
        drawn += [value] * (round(reached * size) - len(drawn))
    return drawn


def partial(shares: Mapping[Value, float], other: Value) -> list[Value]:
    """A table in which `other` has what the shares leave."""
    return table({**shares, other: 1 - sum(shares.values())})


def normal_table(size: int = 4_096) -> list[float]:
    """Quantiles of the standard normal distribution: one drawn at random is a normal number."""
    normal = NormalDist()
    return [normal.inv_cdf((place + 0.5) / size) for place in range(size)]

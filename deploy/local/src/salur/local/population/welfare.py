"""What a family owns and the score that follows: everything in the score stands in the file."""

from bisect import bisect_right
from collections.abc import Sequence
from math import exp, log
from typing import Any

from salur.local.population.draws import Random
from salur.local.population.marginals import Marginals
from salur.local.population.model import Welfare

_EDUCATION = ([-0.95, 0.1, 0.55, 1.45], ["none", "primary", "lower-secondary", "upper-secondary", "tertiary"])
_FLOOR = ([-1.9, 0.1], ["soil", "cement", "tile"])
_ELECTRICITY = ([-2.8, -0.3, 1.0, 2.1], [0, 450, 900, 1300, 2200])
_AREA_MEDIAN_LOG = 3.95
CITY_REGENCY = "71"
"""Cities are numbered from 71 within their province."""


def is_city(region: str) -> bool:
    """Whether a region lies in a city (kota)."""
    return region[3:5] >= CITY_REGENCY


class Wealth:
    """Draws what families own."""

    def __init__(self, m: Marginals) -> None:
        self._m = m
        self._normal = m.normal
        self._count = len(m.normal)

    def of(self, draw: Random, region: str, ages: Sequence[int]) -> Welfare:
        """The family's possessions, its score and decile. `ages`: the head's first."""
        normal, count = self._normal, self._count
        hidden = normal[int(draw() * count)] + self._m.wealth.get(region[:2], 0.0)
        if is_city(region):
            hidden += self._m.wealth_city
        learnt = 0.7 * hidden + 0.7 * normal[int(draw() * count)] - 0.015 * (ages[0] - 45)
        education = _EDUCATION[1][bisect_right(_EDUCATION[0], learnt)]
        floor = _FLOOR[1][bisect_right(_FLOOR[0], hidden + normal[int(draw() * count)])]
        electricity = _ELECTRICITY[1][bisect_right(_ELECTRICITY[0], hidden + normal[int(draw() * count)])]
        motorcycle = hidden + normal[int(draw() * count)] > -1.2
        fridge = hidden + normal[int(draw() * count)] > -0.4
        area = int(exp(_AREA_MEDIAN_LOG + 0.3 * hidden + 0.3 * normal[int(draw() * count)]))
        area = min(max(area, 8), 400)
        owned = Welfare(floor, area, electricity, motorcycle, fridge, education, 0.0, 0)
        return self.again(owned, region, ages)

    def again(self, owned: Welfare, region: str, ages: Sequence[int]) -> Welfare:
        """The same possessions with the score and decile of these persons."""
        owned.score = score_of(self._m.score, owned, ages, is_city(region))
        owned.decile = bisect_right(self._m.decile_cut_offs, owned.score) + 1
        return owned


def score_of(weights: dict[str, Any], owned: Welfare, ages: Sequence[int], city: bool) -> float:
    """The stated sum, to two decimals."""
    size = len(ages)
    dependants = sum(1 for age in ages if age < 15 or age > 64)
    score: float = (
        weights["base"]
        + weights["log_size"] * log(size)
        + weights["dependants"] * dependants / size
        + weights["log_area"] * log(owned.floor_area_m2 / size)
        + weights["floor"][owned.floor]
        + weights["electricity"][owned.electricity_va]
        + weights["head_education"][owned.head_education]
    )
    if city:
        score += weights["city"]
    if ages[0] >= 60:
        score += weights["old_head"]
    if owned.motorcycle:
        score += weights["motorcycle"]
    if owned.fridge:
        score += weights["fridge"]
    return round(score, 2)

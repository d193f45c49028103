"""Who is reached: coverage and error by region, decile, sex, disability, age and obstacle. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from salur.eligibility.domain.programme import Fairness
from salur.eligibility.domain.rules import Scalar

Attributes = Mapping[str, Scalar]
Cell = list[int]
"""known, reached, of whom the reference says they ought to be, and those of them reached"""
KNOWN, REACHED, OUGHT, OUGHT_REACHED = range(4)
AGE_BANDS = ((5, "0-5"), (14, "6-14"), (24, "15-24"), (59, "25-59"))
OLDEST_BAND = "60+"
NOT_REPORTED = "not-reported"
SMALLEST_GROUP = 100
"""A group with fewer known is told but raises no alarm: a handful moves its percentage by tens."""


def age_band(age: Scalar) -> str:
    """The band of a whole number of years."""
    if not isinstance(age, int | float) or isinstance(age, bool):
        return NOT_REPORTED
    return next((band for most, band in AGE_BANDS if age <= most), OLDEST_BAND)


def told(value: Scalar) -> str:
    """A group's name."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NOT_REPORTED if value is None else str(value)[:60]


@dataclass(slots=True)
class Tally:
    """Counts as households pass; tallies of parts add up. Families for region and decile, persons for the rest."""

    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)

    def add(
        self,
        region: str,
        attributes: Attributes,
        members: Sequence[Attributes],
        *,
        reached: bool,
        reached_places: Collection[int] | None,
        ought: bool | None,
        decile: Scalar = None,
    ) -> None:
        """One household. `reached_places`: members reached one by one; None = the family is reached as a whole."""
        poor = ought is True
        families = (
            ("all", "families"), ("province", region[:2]), ("obstacle", told(attributes.get("obstacle"))),
            ("decile", told(attributes.get("decile") if decile is None else decile)),
        )  # fmt: skip
        for key in families:
            self._count(key, reached, poor)
        for place, member in enumerate(members):
            has = reached if reached_places is None else place in reached_places
            self._count(("all", "persons"), has, poor)
            self._count(("sex", told(member.get("sex"))), has, poor)
            self._count(("disability", told(member.get("disability"))), has, poor)
            self._count(("age", age_band(member.get("age"))), has, poor)

    def _count(self, key: tuple[str, str], reached: bool, ought: bool) -> None:
        cell = self.cells.get(key)
        if cell is None:
            cell = self.cells[key] = [0, 0, 0, 0]
        cell[KNOWN] += 1
        if reached:
            cell[REACHED] += 1
            if ought:
                cell[OUGHT_REACHED] += 1
        if ought:
            cell[OUGHT] += 1

    def merge(self, other: "Tally") -> None:
        """Add another part's counts."""
        for key, cell in other.cells.items():
            own = self.cells.setdefault(key, [0, 0, 0, 0])
            for place, count in enumerate(cell):
                own[place] += count

    def result(self) -> dict[str, dict[str, dict[str, Any]]]:
        """By dimension and group: counts, coverage, exclusion error and inclusion error, as shares."""
        by: dict[str, dict[str, dict[str, Any]]] = {}
        for (dimension, group), (known, reached, ought, both) in sorted(self.cells.items()):
            by.setdefault(dimension, {})[group] = {
                "known": known, "reached": reached, "coverage": _share(reached, known),
                "ought": ought, "exclusion_error": _share(ought - both, ought),
                "inclusion_error": _share(reached - both, reached),
            }  # fmt: skip
        return by


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def alarms(limits: Fairness, result: Mapping[str, Any], last: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """What is beyond the programme's limits, worst first; each holds the cycle until a person has looked."""
    found: list[dict[str, Any]] = []
    whole = result.get("all", {}).get("families", {})
    for code, most in (
        ("exclusion_error", limits.most_exclusion_percent), ("inclusion_error", limits.most_inclusion_percent),
    ):  # fmt: skip
        share = whole.get(code)
        if share is not None and share * 100 > most:
            found.append(_alarm(code.replace("_", "-"), "all", "families", share * 100, most))
    for dimension, groups in result.items():
        for group, now in groups.items():
            before = (last or {}).get(dimension, {}).get(group)
            if not before or min(now["known"], before["known"]) < SMALLEST_GROUP:
                continue
            points = abs(now["coverage"] - before["coverage"]) * 100
            if points > limits.most_change_points:
                found.append(_alarm("coverage-change", dimension, group, points, limits.most_change_points))
    return sorted(found, key=lambda alarm: alarm["limit"] - alarm["found"])


def _alarm(code: str, dimension: str, group: str, value: float, limit: int) -> dict[str, Any]:
    return {"code": code, "dimension": dimension, "group": group, "found": round(value, 1), "limit": limit}

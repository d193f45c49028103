"""Who is reached: coverage and error by region, decile, sex, disability, age and obstacle. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
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


Kind = tuple[str, str, str]
OF_FAMILIES = ("families", "province", "obstacle", "decile")
OF_PERSONS = ("persons", "sex", "disability", "age")


def told(value: Scalar) -> str:
    """A group's name."""
    if type(value) is str:
        return value[:60]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NOT_REPORTED if value is None else str(value)[:60]


def kind_of_family(region: str, attributes: Attributes, decile: Scalar = None) -> Kind:
    """What is told apart of families: province, obstacle, decile."""
    return region[:2], told(attributes.get("obstacle")), told(attributes.get("decile") if decile is None else decile)


def kind_of_person(member: Attributes) -> Kind:
    """What is told apart of persons: sex, disability, age."""
    return _kind_of_person(member.get("sex"), member.get("disability"), member.get("age"))


@lru_cache(maxsize=10_000, typed=True)
def _kind_of_person(sex: Scalar, disability: Scalar, age: Scalar) -> Kind:
    return told(sex), told(disability), age_band(age)


@dataclass(slots=True)
class Tally:
    """Counts as households pass; tallies of parts add up. Families for region and decile, persons for the rest.

    Those alike in everything told are counted once, together: a million families are some thousand kinds.
    """

    families: Counter[tuple[str, str, str, bool, bool]] = field(default_factory=Counter)
    """(province, obstacle, decile, reached, ought to be)"""
    persons: Counter[tuple[str, str, str, bool, bool]] = field(default_factory=Counter)
    """(sex, disability, age, reached, ought to be)"""

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
        family = kind_of_family(region, attributes, decile)
        self.count(family, [kind_of_person(member) for member in members], reached, reached_places, ought)

    def count(
        self,
        family: Kind,
        members: Sequence[Kind],
        reached: bool,
        reached_places: Collection[int] | None,
        ought: bool | None,
    ) -> None:
        """One household whose kinds are known."""
        poor = ought is True
        self.families[(*family, reached, poor)] += 1
        for place, person in enumerate(members):
            has = reached if reached_places is None else place in reached_places
            self.persons[(*person, has, poor)] += 1

    def merge(self, other: "Tally") -> None:
        """Add another part's counts."""
        self.families.update(other.families)
        self.persons.update(other.persons)

    @property
    def cells(self) -> dict[tuple[str, str], Cell]:
        """By dimension and group."""
        cells: dict[tuple[str, str], Cell] = {}
        for dimensions, counted in ((OF_FAMILIES, self.families), (OF_PERSONS, self.persons)):
            for (*groups, reached, ought), count in counted.items():
                for key in zip(dimensions, (dimensions[0], *groups), strict=True):
                    name = ("all", key[1]) if key[0] == dimensions[0] else key
                    cell = cells.setdefault(name, [0, 0, 0, 0])
                    cell[KNOWN] += count
                    cell[REACHED] += count * reached
                    cell[OUGHT] += count * ought
                    cell[OUGHT_REACHED] += count * (reached and ought)
        return cells

    def result(self, *, reference: bool) -> dict[str, dict[str, dict[str, Any]]]:
        """By dimension and group: counts, coverage, exclusion error and inclusion error, as shares.

        Without a `reference` nothing says who ought to be reached, so there are no errors.
        """
        by: dict[str, dict[str, dict[str, Any]]] = {}
        for (dimension, group), (known, reached, ought, both) in sorted(self.cells.items()):
            by.setdefault(dimension, {})[group] = {
                "known": known, "reached": reached, "coverage": _share(reached, known),
                "ought": ought if reference else None,
                "exclusion_error": _share(ought - both, ought) if reference else None,
                "inclusion_error": _share(reached - both, reached) if reference else None,
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

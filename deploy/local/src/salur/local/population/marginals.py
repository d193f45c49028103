"""The stated marginals, read from `marginals.yaml` and laid out as tables to draw from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from salur.common.regions import regions
from salur.local.population.draws import normal_table, partial, slots, table

MAX_AGE = 130
LEVELS = ("primary", "lower-secondary", "upper-secondary", "tertiary")


def stated() -> dict[str, Any]:
    """The document as it stands."""
    document: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("marginals.yaml").read_text("utf-8"))
    return document


@dataclass(frozen=True, slots=True)
class Schooling:
    """The level of an age, the share of the richest decile that goes, and the part of it the poorest loses."""

    level: str
    share: float
    poorest_lose: float


class Marginals:
    """Tables; the names are those of the document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.as_of: date = document["as_of"]
        self.provinces: list[str] = slots(document["provinces"], 65_536)
        self.districts = _districts()
        self.size: list[int] = table(document["family_size"])
        self.two: list[str] = table(document["kinds"]["two"])
        self.more: list[str] = table(document["kinds"]["more"])
        self.female_head: dict[str, float] = document["female_head"]
        self.head_age = {kind: _ages(bands) for kind, bands in document["head_age"].items()}
        self.disability = _by_age(document["disability"], lambda shares: partial(shares, "none"))
        self.schooling = _schooling(document["schooling"])
        self.pregnant = _by_age(document["pregnant"], float)
        self.dead = _by_age(document["dead"], float)
        self.orphan: float = document["orphan"]
        self.twins: float = document["twins"]
        self.wealth_city: float = document["wealth"]["city"]
        self.wealth: dict[str, float] = document["wealth"]["provinces"]
        self.normal = normal_table()
        self.score: dict[str, Any] = document["score"]
        self.decile_cut_offs: list[float] = document["decile_cut_offs"]
        geographic = document["obstacle"]["geographic"]
        others = document["obstacle"]["others"]
        self.geographic = frozenset(geographic["provinces"])
        self.obstacle_there = partial({**others, "geographic": geographic["share"]}, "none")
        self.obstacle_elsewhere = partial({**others, "geographic": geographic["elsewhere"]}, "none")
        self.phone: float = document["phone"]
        self.planted: list[str] = partial(document["planted"], "")
        differs = document["differs"]
        self.differs_name: list[str] = table(differs["name"])
        self.differs_birth_date: list[str] = table(differs["birth_date"])
        self.differs_region: list[str] = table(differs["region"])
        self.differs_nik: list[str] = table(differs["nik"])
        self.same_phone: float = differs["phone"]
        self.same_account: float = differs["account"]

    def bank_table(self, banks: tuple[str, ...], shares: list[float]) -> list[str]:
        """The banks of an installation in the stated shares, as far as there are banks."""
        return slots(dict(zip(banks, shares + [shares[-1]] * len(banks), strict=False)), 1_000)


def _districts() -> dict[str, list[str]]:
    by_province: dict[str, list[str]] = {}
    for code in regions().districts():
        by_province.setdefault(code[:2], []).append(code)
    return by_province


def _ages(bands: list[tuple[int, int, float]]) -> list[int]:
    return table({age: share / (last - first + 1) for first, last, share in bands for age in range(first, last + 1)})


def _by_age(bands: Mapping[str, Any], value: Any) -> list[Any]:
    """One entry per age; None where no band reaches."""
    ages: list[Any] = [None] * MAX_AGE
    for band, stated_value in bands.items():
        first, last = limits(band)
        ages[first : last + 1] = [value(stated_value)] * (last - first + 1)
    return ages


def limits(band: str) -> tuple[int, int]:
    """`5-14` or `60+` as first and last age."""
    first, _, last = band.rstrip("+").partition("-")
    return int(first), int(last) if last else MAX_AGE - 1


def _schooling(levels: Mapping[str, Any]) -> list[Schooling | None]:
    ages: list[Schooling | None] = [None] * MAX_AGE
    for level in LEVELS:
        first, last = levels[level]["ages"]
        lose: float = levels[level]["poorest_lose"]
        # The stated share is that of all deciles together: the middle loses half of what the poorest does.
        entry = Schooling(level, min(levels[level]["share"] / (1 - lose / 2), 1.0), lose)
        ages[first : last + 1] = [entry] * (last - first + 1)
    return ages


@lru_cache(maxsize=1)
def marginals() -> Marginals:
    """The tables, read once."""
    return Marginals(stated())

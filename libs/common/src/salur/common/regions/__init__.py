"""Indonesia's regions to district level: names, parents, children, and what became of old codes.

The data and its licence stand beside this file. It is read once, at the first call (about 10 ms, 3 MB), and never
changes.
"""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Literal

from salur.common.values.region import REGION_PATTERN, region_within

Level = Literal["province", "regency", "district"]
_CODE = re.compile(REGION_PATTERN.removesuffix("$") + r"\Z")
_LEVELS: dict[int, Level] = {2: "province", 5: "regency", 8: "district"}


@dataclass(frozen=True, slots=True)
class Region:
    """A region as it is numbered today; cities are regencies here, as in the numbering."""

    code: str
    name: str
    level: Level


@dataclass(frozen=True, slots=True)
class Split:
    """`new` was made from `old` on `since` by `law`. `replaced`: `old` is no code any more."""

    old: str
    new: str
    since: date
    law: str
    replaced: bool


class Regions:
    """Look-ups over a sorted list of codes. Every code may also be a village's: it is answered by its district."""

    def __init__(self, rows: list[tuple[str, str]], splits: list[Split]) -> None:
        self._codes = [code for code, _ in rows]
        self._names = dict(rows)
        if any(first >= second for first, second in pairwise(self._codes)):
            raise ValueError("regions are not sorted by code, or one stands there twice")
        self.splits = tuple(splits)
        self._replaced = {split.old: split for split in splits if split.replaced}
        self._came_from = {split.new: split for split in splits}

    def find(self, code: str) -> Region | None:
        """The region of a code in use today or of an old one; None when it is neither."""
        if not _CODE.match(code):
            return None
        current = self.current(code)[:8]
        name = self._names.get(current)
        return None if name is None else Region(current, name, _LEVELS[len(current)])

    def __contains__(self, code: object) -> bool:
        return isinstance(code, str) and _CODE.match(code) is not None and code[:8] in self._names

    def __len__(self) -> int:
        return len(self._codes)

    def name(self, code: str) -> str | None:
        """`Bakongan, Kabupaten Aceh Selatan, Aceh`: the name with those above it, nearest first."""
        region = self.find(code)
        if region is None:
            return None
        above = [region.code[:size] for size in (8, 5, 2) if size <= len(region.code)]
        return ", ".join(self._names[part] for part in above)

    def parent(self, code: str) -> str | None:
        """The code one level up; None above a province and for an unknown code."""
        region = self.find(code)
        return region.code[:-3] or None if region is not None else None

    def children(self, code: str = "") -> list[Region]:
        """The regions one level below, sorted by code; the provinces for no code; none below a district."""
        if not code:
            return [Region(code, name, "province") for code, name in self._names.items() if len(code) == 2]
        region = self.find(code)
        if region is None or region.level == "district":
            return []
        size = len(region.code) + 3
        first = bisect_right(self._codes, region.code)
        last = bisect_left(self._codes, region.code + "/")  # '/' follows '.' in ASCII
        below = (child for child in self._codes[first:last] if len(child) == size)
        return [Region(child, self._names[child], _LEVELS[size]) for child in below]

    def districts(self) -> list[str]:
        """Every district's code, sorted."""
        return [code for code in self._codes if len(code) == 8]

    def current(self, code: str, on: date | None = None) -> str:
        """The code that stands for `code` today or on a day: `91.27.01` is `94.07.01` since 2022-07-25.

        Codes that never changed and unknown codes come back as they are.
        """
        split = self._replaced.get(code[:5])
        if split is None or (on is not None and on < split.since):
            return code
        return split.new + code[5:]

    def former(self, code: str) -> str | None:
        """The code it had before a split, or for a new province the province it was part of; None without one."""
        split = self._came_from.get(code[:5] if len(code) > 2 else code)
        if split is None:
            return None
        return split.old + code[5:]

    def scope(self, code: str) -> tuple[str, ...]:
        """Every code whose records belong to a region: itself and the old codes of what lies in it today."""
        found = self.find(code)
        if found is None:
            return (code,)
        old = [split.old for split in self._replaced.values() if region_within(split.new, found.code)]
        if len(found.code) > 5 and (former := self.former(found.code)) is not None:
            old.append(former)
        return (found.code, *sorted(old))


def _rows(name: str) -> list[list[str]]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()[1:]]


@lru_cache(maxsize=1)
def regions() -> Regions:
    """The regions of the country, read at the first call."""
    rows = [(code, name) for code, name in _rows("regions.tsv")]
    known = {code for code, _ in rows}
    splits = [
        Split(old, new, date.fromisoformat(since), law, replaced=old not in known)
        for old, new, since, law in _rows("splits.tsv")
    ]
    return Regions(rows, splits)


@lru_cache(maxsize=1)
def known_prefixes() -> frozenset[str]:
    """The six digits with which numbers issued in a district begin, of old codes too: `317101`."""
    known = regions()
    old = [split.old + code[5:] for split in known.splits if split.replaced
           for code in known.districts() if code.startswith(split.new + ".")]  # fmt: skip
    return frozenset(code.replace(".", "") for code in (*known.districts(), *old))

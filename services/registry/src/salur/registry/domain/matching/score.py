"""Compare two records: evidence in bits, a score, a verdict. Pure; all numbers stand in `weights.toml`."""

import tomllib
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from importlib.resources import files
from math import inf, log2
from typing import Any

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from salur.registry.domain.matching.records import Evidence, Match, Record, Verdict

Share = Callable[[str], float | None]
"""The share of people whose name has this `name_key`; None when it is not known."""
_ALMOST_TWO_YEARS_DAYS = 700
_ALIKE = 60
"""Likeness in per cent that names with the same sounds must have: short ones share theirs with many."""
_SURE = 0.75
"""Part of a name's weight from which likeness says more than an initial or a missing word."""


@lru_cache(maxsize=1)
def default_weights() -> dict[str, Any]:
    """The weights of this version."""
    return tomllib.loads(files(__package__).joinpath("weights.toml").read_text(encoding="utf-8"))


class Matcher:
    """Compares records under one set of weights."""

    def __init__(self, records: int, weights: dict[str, Any] | None = None, share: Share | None = None) -> None:
        """`records`: how many people the register holds."""
        self._w = weights or default_weights()
        self._prior = self._w["thresholds"]["prior"] + log2(max(records, 2))
        self._share = share or (lambda _: None)
        possible = self._w["thresholds"]["possible"]
        self._least = self._prior + log2(possible / (1 - possible)) if possible < 1 else inf

    def match(self, first: Record, second: Record) -> Match | None:
        """None = different people. Nearly all pairs are, and most show it before their names are compared."""
        rest = self._without_name(first, second)
        if sum(item.bits for item in rest) + self._w["name"]["most"] < self._least:
            return None
        match = self._judge(first, second, [self._name(first, second), *rest])
        return None if match.verdict == "different" else match

    def compare(self, first: Record, second: Record) -> Match:
        """Both records with all evidence, the strongest first."""
        return self._judge(first, second, [self._name(first, second), *self._without_name(first, second)])

    def _without_name(self, first: Record, second: Record) -> list[Evidence]:
        return [
            self._birth_date(first.birth_date, second.birth_date),
            self._sex(first.sex, second.sex),
            *self._contact(first, second),
            self._nik(first.nik, second.nik),
        ]

    def _judge(self, first: Record, second: Record, evidence: list[Evidence]) -> Match:
        found = sorted((item for item in evidence if item.bits), key=lambda item: -abs(item.bits))
        bits = sum(item.bits for item in found) - self._prior
        score = 1 / (1 + 2 ** -max(min(bits, 60.0), -60.0))
        return Match(first.person_id, second.person_id, round(score, 4), self._verdict(score), tuple(found))

    def _verdict(self, score: float) -> Verdict:
        if score >= self._w["thresholds"]["probable"]:
            return "probable"
        return "possible" if score >= self._w["thresholds"]["possible"] else "different"

    def _name(self, first: Record, second: Record) -> Evidence:
        w = self._w["name"]
        finding, part = _compare_names(first, second, w["similar"])
        if finding == "different":
            return Evidence("name", finding, w["different"])
        if not isinstance(part, float):
            part = w[finding]
        return Evidence("name", finding, round(part * self._weight(first, second), 2))

    def _weight(self, first: Record, second: Record) -> float:
        """How much the name says: that of the more common of both, since a slip makes any name rare."""
        w = self._w["name"]
        shares = [share for share in (self._share(first.name_key), self._share(second.name_key)) if share]
        if not shares:
            return float(w["unknown"])
        return float(min(max(log2(1 / max(shares)), w["least"]), w["most"]))

    def _birth_date(self, first: date | None, second: date | None) -> Evidence:
        finding = _compare_dates(first, second)
        return Evidence("birth_date", finding, self._w["birth_date"][finding])

    def _sex(self, first: str, second: str) -> Evidence:
        finding = "same" if first == second else "differs"
        return Evidence("sex", finding, self._w["sex"][finding])

    def _contact(self, first: Record, second: Record) -> list[Evidence]:
        w = self._w["contact"]
        level = _same_region(first.region, second.region)
        found = [Evidence("region", level, self._w["region"][level])]
        if first.phone is not None and first.phone == second.phone:
            found.append(Evidence("phone", "same", w["phone"]))
        if first.account is not None and first.account == second.account:
            found.append(Evidence("account", "same", w["account"]))
        total = sum(item.bits for item in found)
        if total <= w["most"]:
            return found
        return [Evidence(item.field, item.finding, round(item.bits * w["most"] / total, 2)) for item in found]

    def _nik(self, first: str | None, second: str | None) -> Evidence:
        w = self._w["nik"]
        if not first or not second:
            return Evidence("nik", "missing", 0.0)
        if first == second:
            return Evidence("nik", "same", w["same"])
        close = OSA.distance(first, second, score_cutoff=1) <= 1
        return Evidence("nik", "one_digit" if close else "differs", w["one_digit" if close else "differs"])


def _compare_names(first: Record, second: Record, steps: list[list[float]]) -> tuple[str, float | None]:
    """The finding, and for similar names the part of the weight that counts."""
    one, other = first.words, second.words
    if not one or not other:
        return "different", None
    if sorted(one) == sorted(other):
        return "same", None
    joined = fuzz.ratio("".join(one), "".join(other))
    if first.name_key == second.name_key and joined > _ALIKE:
        return "spelling", None
    likeness = max(fuzz.token_sort_ratio(" ".join(one), " ".join(other)), joined) / 100
    part = next((part for least, part in steps if likeness >= least), None)
    if part is None or part < _SURE:
        if _initials(one, other):
            return "initials", None
        if set(one) <= set(other) or set(other) <= set(one):
            return "part", None
    return ("different", None) if part is None else ("similar", part)


def _initials(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether word for word one is the other or its first letter, and at least one whole word agrees."""
    if len(one) != len(other):
        return False
    whole = 0
    for left, right in zip(one, other, strict=True):
        if left == right:
            whole += len(left) > 1
        elif not (left[0] == right[0] and 1 in (len(left), len(right))):
            return False
    return whole > 0


def _compare_dates(first: date | None, second: date | None) -> str:
    if first is None or second is None:
        return "missing"
    if first == second:
        return "same"
    one, other = (first.day, first.month), (second.day, second.month)
    years = abs(first.year - second.year)
    written = zip(first.isoformat(), second.isoformat(), strict=True)
    findings = {
        "swapped": years == 0 and one == other[::-1],
        "one_digit": sum(left != right for left, right in written) == 1,
        "other_year": one == other and years <= 2,
        "first_of_january": years == 0 and (1, 1) in (one, other),
        "same_year": years == 0,
        "near": abs((first - second).days) <= _ALMOST_TWO_YEARS_DAYS,
    }
    return next((finding for finding, found in findings.items() if found), "differs")


def _same_region(first: str, second: str) -> str:
    for length, level in ((8, "district"), (5, "regency"), (2, "province")):
        if first[:length] == second[:length] and len(first) >= length:
            return level
    return "elsewhere"

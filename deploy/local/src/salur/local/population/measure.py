"""How well matching finds what was planted: precision and recall of pairs against the truth file."""

import csv
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from salur.local.population.files import POPULATION, TRUTH
from salur.registry.domain.matching import MAX_BLOCK, Matcher, Record, blocking_keys, pairs

PAIR_KINDS = ("family-twice", "person-twice", "same-nik")
Pair = tuple[int, int]


@dataclass(slots=True)
class Measured:
    """Counts of pairs of records. `by_kind` and `by_difference`: [found, planted]."""

    records: int = 0
    planted: int = 0
    compared: int = 0
    possible: int = 0
    true: int = 0
    never_compared: int = 0
    large_blocks: int = 0
    false_by_namesake: int = 0
    probable: int = 0
    probable_true: int = 0
    seconds: float = 0.0
    by_kind: dict[str, list[int]] = field(default_factory=dict)
    by_difference: dict[str, list[int]] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def precision(self) -> float:
        """Of the pairs shown, the share that are one person."""
        return self.true / self.possible if self.possible else 0.0

    @property
    def recall(self) -> float:
        """Of the planted pairs, the share shown."""
        return self.true / self.planted if self.planted else 0.0


def measure(folder: Path, use_nik: bool = True) -> Measured:
    """Match the population of a folder. Holds all its records in memory: about 3 KB each.

    `use_nik` False leaves the NIK out, as if no two records of a person ever had similar ones.
    """
    started = time.perf_counter()
    records = list(_records(folder / POPULATION, use_nik))
    places = _places(folder)
    planted, namesakes, details = _truth(folder / TRUTH, places)
    result = Measured(records=len(records), planted=len(planted))
    names = Counter(record.name_key for record in records)
    matcher = Matcher(len(records), share=lambda key: names[key] / len(records))
    candidates = _candidates(records, result)
    shown: set[Pair] = set()
    for pair in candidates:
        match = matcher.match(records[pair[0]], records[pair[1]])
        if match is None:
            continue
        shown.add(pair)
        if match.verdict == "probable":
            result.probable += 1
            result.probable_true += pair in planted
        if pair not in planted:
            result.reasons[
                " ".join(f"{e.field}:{e.finding}" for e in sorted(match.evidence, key=lambda e: e.field))
            ] += 1
    result.compared = len(candidates)
    result.possible = len(shown)
    result.true = len(shown & planted.keys())
    result.never_compared = len(planted.keys() - candidates)
    result.false_by_namesake = len(shown & namesakes)
    for pair, kind in planted.items():
        _count(result.by_kind, kind, pair in shown)
        for difference in details[pair].split():
            _count(result.by_difference, difference, pair in shown)
    result.seconds = time.perf_counter() - started
    return result


def _count(counts: dict[str, list[int]], name: str, found: bool) -> None:
    entry = counts.setdefault(name, [0, 0])
    entry[0] += found
    entry[1] += 1


def _records(path: Path, use_nik: bool) -> Iterator[Record]:
    with path.open(encoding="utf-8", newline="") as file:
        for place, row in enumerate(csv.DictReader(file)):
            yield Record(
                str(place), row["kk"], row["name"], date.fromisoformat(row["birth_date"]), row["sex"], row["region"],
                row["nik"] if use_nik else None, row["phone"] or None, f"{row['bank']}/{row['account']}",
            )  # fmt: skip


def _places(folder: Path) -> dict[tuple[str, str], int]:
    with (folder / POPULATION).open(encoding="utf-8", newline="") as file:
        return {(row["kk"], row["nik"]): place for place, row in enumerate(csv.DictReader(file))}


def _truth(path: Path, places: dict[tuple[str, str], int]) -> tuple[dict[Pair, str], set[Pair], dict[Pair, str]]:
    """Planted pairs with their kind, pairs of namesakes, and how the planted differ."""
    planted: dict[Pair, str] = {}
    namesakes: set[Pair] = set()
    details: dict[Pair, str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["kind"] not in (*PAIR_KINDS, "namesake"):
                continue
            one, other = sorted((places[row["kk"], row["nik"]], places[row["other_kk"], row["other_nik"]]))
            if row["kind"] == "namesake":
                namesakes.add((one, other))
            else:
                planted[one, other] = row["kind"]
                details[one, other] = row["detail"]
    return planted, namesakes, details


def _candidates(records: list[Record], result: Measured) -> set[Pair]:
    blocks: dict[int, list[int]] = {}
    for place, record in enumerate(records):
        for key in blocking_keys(record):
            blocks.setdefault(hash(key), []).append(place)
    result.large_blocks = sum(len(block) > MAX_BLOCK for block in blocks.values())
    meeting = pairs((block, block) for block in blocks.values() if len(block) > 1)
    return {(one, other) for one, other in meeting if records[one].household_id != records[other].household_id}

"""How well the registry itself found what was planted in a population: its open pairs against the truth."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from salur.local.client import Client
from salur.local.population.files import TRUTH
from salur.local.population.measure import PAIR_KINDS

PAGE = 500
Pair = frozenset[str]
Members = Mapping[str, str | None]
"""Member id of each NIK; None where the registry holds nobody under it."""


@dataclass(slots=True)
class Found:
    """Pairs shown to people against pairs planted. `exact`: the same NIK again, refused at the door."""

    shown: int = 0
    planted: int = 0
    true: int = 0
    exact: int = 0
    by_kind: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def precision(self) -> float:
        """Of the pairs shown, the share that are one person."""
        return self.true / self.shown if self.shown else 0.0

    @property
    def recall(self) -> float:
        """Of the planted pairs, the share that was shown or refused at the door."""
        return (self.true + self.exact) / self.planted if self.planted else 0.0


def truth_pairs(folder: Path) -> list[tuple[str, str, str]]:
    """(kind, NIK, other NIK) of every planted second record."""
    with (folder / TRUTH).open(encoding="utf-8", newline="") as file:
        return [
            (row["kind"], row["nik"], row["other_nik"]) for row in csv.DictReader(file) if row["kind"] in PAIR_KINDS
        ]


def judge(shown: set[Pair], members: Members, truth: Sequence[tuple[str, str, str]]) -> Found:
    """Compare. Planted people whom the import had to refuse for another reason cannot be found and count as missed."""
    found = Found(shown=len(shown), planted=len(truth))
    for kind, nik, other in truth:
        counts = found.by_kind.setdefault(kind, Counter())
        counts["planted"] += 1
        if nik == other:
            found.exact += members[nik] is not None
            counts["found"] += members[nik] is not None
        elif frozenset((members[nik], members[other])) in shown:
            found.true += 1
            counts["found"] += 1
    return found


def measure_registered(client: Client, folder: Path) -> Found:
    """Ask the registry of a running platform for its open pairs. Raises CallFailed."""
    truth = truth_pairs(folder)
    members = _members(client, sorted({nik for _, one, other in truth for nik in (one, other)}))
    return judge(set(_shown(lambda query: client.call("registry", "GET", "/duplicates", params=query))), members, truth)


def _shown(ask: Callable[[dict[str, Any]], Any]) -> Iterator[Pair]:
    query: dict[str, Any] = {"most": PAGE}
    while True:
        pairs = ask(query)["pairs"]
        yield from (frozenset((pair["first"]["member_id"], pair["second"]["member_id"])) for pair in pairs)
        if len(pairs) < PAGE:
            return
        query |= {"score": pairs[-1]["score"], "after": pairs[-1]["pair_id"]}


def _members(client: Client, niks: Sequence[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for start in range(0, len(niks), PAGE):
        page = niks[start : start + PAGE]
        body = {"scheme": "nik", "values": page}
        answer = client.call("registry", "POST", "/households/find-many", json=body)
        found.update(zip(page, answer["member_ids"], strict=True))
    return found

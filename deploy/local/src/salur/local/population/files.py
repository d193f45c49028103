"""The files of a population: population.csv, truth.csv and mapping.yaml; and a family as the registry's HTTP body."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from salur.local.population.generate import BLOCK, DEFAULT_BANKS, households
from salur.local.population.model import Family

COLUMNS = (
    "kk", "region", "phone", "welfare_score", "decile", "obstacle", "floor", "floor_area_m2", "electricity_va",
    "motorcycle", "fridge", "head_education", "bank", "account", "holder",
    "nik", "name", "birth_date", "sex", "age", "relation", "disability", "school", "pregnant", "orphan",
)  # fmt: skip
TRUTH_COLUMNS = ("kind", "kk", "nik", "other_kk", "other_nik", "detail")
POPULATION, TRUTH, MAPPING = "population.csv", "truth.csv", "mapping.yaml"


@dataclass(slots=True)
class Written:
    """What was written. `planted` counts the rows of truth.csv by kind."""

    families: int = 0
    persons: int = 0
    planted: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def families_per_second(self) -> float:
        """Files included."""
        return self.families / self.seconds if self.seconds else 0.0


def write_population(folder: Path, families: int, seed: int, banks: Sequence[str] = DEFAULT_BANKS) -> Written:
    """Write the three files into `folder`, replacing them. Memory does not grow with `families`."""
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    written = Written()
    with (
        (folder / POPULATION).open("w", encoding="utf-8", newline="") as people,
        (folder / TRUTH).open("w", encoding="utf-8", newline="") as truth,
    ):
        people.write(",".join(COLUMNS) + "\n")
        truth.write(",".join(TRUTH_COLUMNS) + "\n")
        lines: list[str] = []
        for family in households(families, seed, banks):
            lines += rows(family)
            written.families += 1
            written.persons += len(family.members)
            for planted in family.truths:
                written.planted[planted.kind] += 1
                fields = (planted.kind, planted.kk, planted.nik, planted.other_kk, planted.other_nik, planted.detail)
                truth.write(",".join(fields) + "\n")
            if written.families % BLOCK == 0:
                people.write("".join(lines))
                lines.clear()
        people.write("".join(lines))
    (folder / MAPPING).write_text(mapping_text(), encoding="utf-8")
    written.seconds = time.perf_counter() - started
    return written


def mapping_text() -> str:
    """The mapping that the registry's import takes with population.csv."""
    return files(__package__).joinpath(MAPPING).read_text(encoding="utf-8")


def rows(family: Family) -> list[str]:
    """One line of population.csv per member, the line break included. No value holds a comma or a quote."""
    owned, account = family.welfare, family.account
    shared = (
        f"{family.kk},{family.region},{family.phone},{owned.score:.2f},{owned.decile},{family.obstacle},{owned.floor},"
        f"{owned.floor_area_m2},{owned.electricity_va},{owned.motorcycle:d},{owned.fridge:d},{owned.head_education},"
        f"{account.bank},{account.number},{account.holder},"
    )
    return [
        f"{shared}{p.nik},{p.name},{p.birth_date},{p.sex},{p.age},{p.relation},{p.disability},{p.school},"
        f"{p.pregnant:d},{p.orphan:d}\n"
        for p in family.members
    ]


def body(family: Family) -> dict[str, Any]:
    """The family as the registry's `POST /households` takes it: what the mapping makes of its rows."""
    owned, account = family.welfare, family.account
    return {
        "identifiers": [{"scheme": "kk", "value": family.kk}],
        "region": family.region,
        "attributes": {
            "welfare_score": owned.score, "decile": owned.decile, "obstacle": family.obstacle, "floor": owned.floor,
            "floor_area_m2": owned.floor_area_m2, "electricity_va": owned.electricity_va,
            "motorcycle": owned.motorcycle, "fridge": owned.fridge, "head_education": owned.head_education,
        },
        "contact": {"phone": family.phone} if family.phone else None,
        "members": [
            {
                "identifiers": [{"scheme": "nik", "value": person.nik}],
                "person": {"name": person.name, "birth_date": person.birth_date, "sex": person.sex},
                "attributes": {
                    "age": person.age, "sex": person.sex, "relation": person.relation,
                    "disability": person.disability, "school": person.school, "pregnant": person.pregnant,
                    "orphan": person.orphan,
                },
            }
            for person in family.members
        ],
        "payee": {"bank": account.bank, "number": account.number, "holder": account.holder},
    }  # fmt: skip

"""The households of a run, sampled from a file by the seed, and what must become of them without any fault."""

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Expected:
    """Counted from the rows and the programme's amounts alone, never by the product's rules.

    `due_minor`: what each household that meets every criterion is owed in a cycle, by its survey number.
    """

    households: tuple[str, ...]
    eligible: int
    due_minor: Mapping[str, int]


def sample(file: Path, count: int, seed: int) -> tuple[list[str], list[list[Row]]]:
    """The file's columns and `count` of its households, each with all its rows. Raises ValueError when it has fewer."""
    families: dict[str, list[Row]] = {}
    with file.open(encoding="utf-8-sig", newline="") as rows:
        reader = csv.DictReader(rows)
        columns = list(reader.fieldnames or [])
        for row in reader:
            families.setdefault(row["household_id"], []).append(row)
    if len(families) < count:
        raise ValueError(f"{file} holds {len(families)} households, {count} are wanted: give a larger file or --data")
    draw = random.Random(f"households/{seed}")  # noqa: S311 - a run is repeated by its seed
    drawn = draw.sample(sorted(families), count)
    return columns, [families[number] for number in drawn]


def write_waves(folder: Path, columns: Sequence[str], families: Sequence[Sequence[Row]], waves: int) -> list[Path]:
    """Spread the households over `waves` files of the same shape; returns them in order."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number in range(waves):
        first, last = len(families) * number // waves, len(families) * (number + 1) // waves
        path = folder / f"wave-{number + 1:03d}.csv"
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, columns)
            writer.writeheader()
            for family in families[first:last]:
                writer.writerows(family)
        files.append(path)
    return files


def expected(families: Sequence[Sequence[Row]], programme: Path) -> Expected:
    """What a run without faults comes to. The file's columns decide; the programme gives the amounts."""
    document = yaml.safe_load(programme.read_text(encoding="utf-8"))
    unit_minor = {item["code"]: int(item["unit_minor"]) for item in document["benefit"]}
    poor = [family for family in families if _is_poor(family[0])]
    due = {
        family[0]["household_id"]: unit_minor["food-support"]
        + unit_minor["scholarship"] * sum(1 for child in family if child["child_enrolled"] == "1")
        for family in poor
        if family[0]["village_treated"] == "1"
    }
    return Expected(tuple(family[0]["household_id"] for family in families), len(poor), due)


def _is_poor(row: Mapping[str, Any]) -> bool:
    return float(row["poverty_index"]) <= float(row["state_cutoff"])

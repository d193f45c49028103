"""Families of the benchmark: made up, over real region codes, the same for the same number and seed."""

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = (
    "family_no", "district", "decile", "member_no", "age", "sex", "enrolled", "bank", "account", "holder",
)  # fmt: skip
SIZES = (1, 2, 3, 4, 5, 6)
SIZE_WEIGHTS = (8, 16, 25, 27, 15, 9)
"""Household sizes near those of the 2020 census: 3.9 persons on average for families with children."""
SCHOOL_AGES = range(6, 19)


@dataclass(frozen=True, slots=True)
class Kind:
    """What families are made of. They stand evenly in welfare deciles 1 to `deciles`."""

    seed: int
    deciles: int
    districts: Sequence[str]
    banks: Sequence[str]


def families(count: int, kind: Kind) -> Iterator[list[list[str]]]:
    """`count` families as rows of `COLUMNS`, one row per member."""
    draw = random.Random(kind.seed)  # noqa: S311 - nothing secret
    for number in range(count):
        district = draw.choice(kind.districts)
        decile = str(draw.randint(1, kind.deciles))
        bank = kind.banks[number % len(kind.banks)]
        account, holder = f"9{kind.seed % 1000:03d}{number:012d}", f"Example holder {number:07d}"
        rows = []
        for member in range(draw.choices(SIZES, SIZE_WEIGHTS)[0]):
            age = draw.randrange(18, 80) if member == 0 else draw.randrange(0, 60)
            enrolled = str(int(draw.random() < 0.93)) if age in SCHOOL_AGES else ""
            rows.append([
                f"F{number:08d}", district, decile, f"P{number:08d}{member}", str(age), draw.choice("LP"), enrolled,
                bank, account, holder,
            ])  # fmt: skip
        yield rows


def write_families(file: Path, count: int, kind: Kind) -> int:
    """Write the families as CSV; returns the number of rows."""
    rows = 0
    with file.open("w", encoding="utf-8", newline="") as content:
        writer = csv.writer(content, lineterminator="\n")
        writer.writerow(COLUMNS)
        for family in families(count, kind):
            writer.writerows(family)
            rows += len(family)
    return rows

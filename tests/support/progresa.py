"""Slices of the file of real households."""

import csv
from pathlib import Path


def slice_of(file: Path, target: Path, households: int) -> list[list[dict[str, str]]]:
    """Write the first households of a file; returns their rows by household."""
    with file.open(encoding="utf-8", newline="") as rows, target.open("w", encoding="utf-8", newline="") as out:
        reader = csv.DictReader(rows)
        assert reader.fieldnames is not None
        writer = csv.DictWriter(out, reader.fieldnames)
        writer.writeheader()
        families: dict[str, list[dict[str, str]]] = {}
        for row in reader:
            if row["household_id"] not in families and len(families) == households:
                break
            families.setdefault(row["household_id"], []).append(row)
            writer.writerow(row)
    return list(families.values())

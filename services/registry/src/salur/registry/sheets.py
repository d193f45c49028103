"""A spreadsheet as the CSV file an import reads: first sheet, one line per row, so that row numbers stay the same."""

import csv
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

MAX_ROWS = 100_000
MAX_UNPACKED_SIZE = 1024**3
MAX_EXACT = 10**15
"""A spreadsheet keeps fifteen digits of a number: a longer one has lost its last digits."""
MAGIC = b"PK\x03\x04"
TOO_LONG = "number-too-long-for-a-spreadsheet"
"""Stands where a cell held a number whose last digits are lost; no identifier and no number looks like it."""


class SheetInvalid(ValueError):
    """The spreadsheet cannot be read; the message says why and who must act."""


def is_sheet(path: Path) -> bool:
    """Whether a file is a spreadsheet and not a CSV file."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def to_csv(source: Path, target: Path) -> None:
    """Write the first sheet as CSV. Raises SheetInvalid."""
    try:
        with zipfile.ZipFile(source) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > MAX_UNPACKED_SIZE:
                raise SheetInvalid(f"the spreadsheet unpacks to over {MAX_UNPACKED_SIZE} bytes: send it as CSV")
        sheet = CalamineWorkbook.from_path(str(source)).get_sheet_by_index(0)
    except (zipfile.BadZipFile, CalamineError, IndexError) as error:
        raise SheetInvalid(f"no spreadsheet that can be read ({type(error).__name__}): save it again as XLSX") from None
    if sheet.end is not None and sheet.end[0] > MAX_ROWS:  # the place of the last row: the header's is 0
        raise SheetInvalid(f"the spreadsheet has over {MAX_ROWS} rows: send it as CSV")
    with target.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(_rows(sheet))


def _rows(sheet: Any) -> Iterator[list[str]]:
    first = sheet.start[0] if sheet.start else 0
    yield from ([] for _ in range(first))
    for row in sheet.iter_rows():
        yield [_text(cell) for cell in row]


def _text(cell: Any) -> str:
    """A cell as text: days in ISO 8601, whole numbers without a point, one line."""
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, float | int):
        if abs(cell) >= MAX_EXACT:
            return TOO_LONG
        return str(int(cell)) if float(cell).is_integer() else repr(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    return " ".join(str(cell).splitlines()) if "\n" in str(cell) or "\r" in str(cell) else str(cell)

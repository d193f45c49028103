"""A spreadsheet as the CSV file an import reads: first sheet, one line per row, so that row numbers stay the same."""

import csv
import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

MAX_ROWS = 100_000
MAX_COLUMNS = 500
MAX_CELLS = 5_000_000
"""Of the rectangle around all cells: a reader fills it whole, however few cells there are."""
MAX_UNPACKED_SIZE = 512 * 1024**2
MAX_TEXT_SIZE = 1024**3
"""Of all texts as cells repeat them: one text may stand in every cell."""
MAX_EXACT = 10**15
"""A spreadsheet keeps fifteen digits of a number: a longer one has lost its last digits."""
MAGIC = b"PK\x03\x04"
_TOKENS = re.compile(
    rb"""<(?:[\w.-]+:)?(?:(?P<row>row)|(?P<cell>c)|(?P<text>si))(?=[\s/>])|\sr\s*=\s*["'](?P<column>[A-Za-z]*)(?P<line>[0-9]+)"""
)
"""Where rows, cells and shared texts begin, and the places they name (`r="B7"`), whichever part they stand in."""
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
            _check(packed)
        sheet = CalamineWorkbook.from_path(str(source)).get_sheet_by_index(0)
    except (zipfile.BadZipFile, CalamineError, IndexError) as error:
        raise SheetInvalid(f"no spreadsheet that can be read ({type(error).__name__}): save it again as XLSX") from None
    if sheet.end is not None and sheet.end[0] > MAX_ROWS:  # the place of the last row: the header's is 0
        raise SheetInvalid(f"the spreadsheet has over {MAX_ROWS} rows: send it as CSV")
    with target.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(_rows(sheet))


def _check(packed: zipfile.ZipFile) -> None:
    """Refuse what would fill the memory of a reader, before one opens it. Raises SheetInvalid."""
    if sum(entry.file_size for entry in packed.infolist()) > MAX_UNPACKED_SIZE:
        raise SheetInvalid(f"the spreadsheet unpacks to over {MAX_UNPACKED_SIZE} bytes: send it as CSV")
    names = set(packed.namelist())
    if "xl/workbook.xml" not in names or names & {"xl/workbook.bin", "content.xml"}:
        raise SheetInvalid("no XLSX workbook: save it again as XLSX")
    cells = longest = 0
    for entry in packed.infolist():
        found, text = _measure(packed.read(entry))
        cells, longest = cells + found, max(longest, text)
    if cells * longest > MAX_TEXT_SIZE:
        raise SheetInvalid(f"its texts could come to over {MAX_TEXT_SIZE} bytes: send it as CSV")


def _measure(part: bytes) -> tuple[int, int]:
    """(cells, bytes of the longest shared text) of a part of a workbook. Raises SheetInvalid beyond the limits."""
    rows = columns = row = column = cells = longest = began = 0
    for token in _TOKENS.finditer(part):
        match token.lastgroup:
            case "row":
                row, column = row + 1, 0
            case "cell":
                cells, column = cells + 1, column + 1
            case "text":
                longest, began = max(longest, token.start() - began if began else 0), token.start()
            case _:
                row = int(token["line"][:9])
                column = _number(token["column"]) or column
        rows, columns = max(rows, row), max(columns, column)
    if rows > MAX_ROWS + 1:
        raise SheetInvalid(f"the spreadsheet has over {MAX_ROWS} rows: send it as CSV")
    if columns > MAX_COLUMNS or rows * columns > MAX_CELLS:
        raise SheetInvalid(
            f"the spreadsheet reaches to row {rows}, column {columns}, over {MAX_COLUMNS} columns or {MAX_CELLS} "
            "cells: remove what stands beside the list, or send it as CSV"
        )
    return cells, max(longest, len(part) - began if began else 0)


def _number(letters: bytes) -> int:
    """The number of a column by its letters, A = 1."""
    number = 0
    for letter in letters[:6].upper():
        number = number * 26 + letter - 64
    return number


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

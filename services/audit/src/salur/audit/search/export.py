"""A filtered view as a file: CSV, JSON lines or a spreadsheet, of exactly the entries the question finds."""

import csv
import hashlib
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
import xlsxwriter

Format = Literal["csv", "jsonl", "xlsx"]
MEDIA: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
COLUMNS = (
    "leaf_index", "leaf_hash", "time", "type", "event_id", "subject", "actor", "cause", "stream", "sequence", "topic",
    "partition", "kafka_offset", "data",
)  # fmt: skip
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def guarded(value: Any) -> str:
    """A cell no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def file_of(format_: Format, entries: Sequence[dict[str, Any]]) -> bytes:
    """The entries as one file."""
    if format_ == "jsonl":
        return b"".join(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in entries)
    if format_ == "xlsx":
        return _sheet(entries)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for entry in entries:
        writer.writerow([guarded(cell) for cell in _cells(entry)])
    return out.getvalue().encode()


def _cells(entry: dict[str, Any]) -> list[Any]:
    cells = {**entry, "data": orjson.dumps(entry["data"]).decode()}
    return [cells[name] for name in COLUMNS]


def _sheet(entries: Sequence[dict[str, Any]]) -> bytes:
    """A workbook of texts: no cell is a formula, whatever it begins with. The same view gives the same bytes."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"constant_memory": True}) as book:
        book.set_properties({"created": _EPOCH})
        sheet = book.add_worksheet("trail")
        for number, row in enumerate([COLUMNS, *map(_cells, entries)]):
            for column, cell in enumerate(row):
                if sheet.write_string(number, column, "" if cell is None else str(cell)):
                    raise ValueError(f"row {number} of the view does not fit a spreadsheet")
    return out.getvalue()


def digest_of(content: bytes) -> str:
    """SHA-256 (hex) of a file: what the trail keeps of an export."""
    return hashlib.sha256(content).hexdigest()


async def collected(pages: AsyncIterator[Sequence[dict[str, Any]]], most: int) -> tuple[list[dict[str, Any]], bool]:
    """(entries, whether there are more than `most`)."""
    entries: list[dict[str, Any]] = []
    async for page in pages:
        entries += page
        if len(entries) > most:
            return entries[:most], True
    return entries, False

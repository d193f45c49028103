"""A filtered view as a file: CSV or JSON lines, of exactly the entries the question finds."""

import csv
import hashlib
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import orjson

Format = Literal["csv", "jsonl"]
MEDIA: dict[Format, str] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
COLUMNS = (
    "leaf_index", "leaf_hash", "time", "type", "event_id", "subject", "actor", "cause", "stream", "sequence", "topic",
    "partition", "kafka_offset", "data",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def guarded(value: Any) -> str:
    """A cell no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def file_of(format_: Format, entries: Sequence[dict[str, Any]]) -> bytes:
    """The entries as one file."""
    if format_ == "jsonl":
        return b"".join(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in entries)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for entry in entries:
        cells = {**entry, "data": orjson.dumps(entry["data"]).decode()}
        writer.writerow([guarded(cells[name]) for name in COLUMNS])
    return out.getvalue().encode()


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

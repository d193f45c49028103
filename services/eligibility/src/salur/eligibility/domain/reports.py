"""A file of reports on conditions: rows read one by one, each refusal with its line. Pure."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

COLUMNS = ("household_id", "member_id", "code", "value")
REQUIRED = ("household_id", "code", "value")
VALUE_MAX = 1_000_000
_ID = re.compile(r"[0-9a-f]{32}")
_CODE = re.compile(r"[a-z][a-z0-9-]{0,59}")


class FileInvalid(ValueError):
    """The file cannot be read as a table of reports; the message says what its sender must change."""


@dataclass(frozen=True, slots=True)
class Report:
    """One value of one condition, of a household or of one of its members."""

    household_id: str
    code: str
    value: int
    member_id: str | None = None

    @property
    def subject_id(self) -> str:
        return self.member_id or self.household_id


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that was not taken, by its line in the file. No value of the row is told again."""

    line: int
    code: str
    message: str


def read_reports(text: str) -> Iterator[tuple[int, Report | RowError]]:
    """(line, report or what is wrong with it) of each row. Raises FileInvalid for a header that does not fit."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        names = reader.fieldnames or []
        if not set(REQUIRED) <= set(names) or not set(names) <= set(COLUMNS) or len(set(names)) < len(names):
            raise FileInvalid(f"the header must be {','.join(COLUMNS)} (member_id may be left out)")
        for row in reader:
            yield reader.line_num, _report(row, reader.line_num)
    except csv.Error:
        raise FileInvalid(f"line {reader.line_num} is not CSV: check its quotes") from None


def _report(row: dict[str | None, str | None], line: int) -> Report | RowError:
    if None in row or None in row.values():
        return RowError(line, "row-invalid", "the row has more or fewer columns than the header")
    household_id, code, value = (row[name] or "" for name in REQUIRED)
    member_id = row.get("member_id") or None
    if not _ID.fullmatch(household_id) or not (member_id is None or _ID.fullmatch(member_id)):
        return RowError(line, "row-invalid", "household_id and member_id are 32 hexadecimal digits")
    if not _CODE.fullmatch(code):
        return RowError(line, "row-invalid", "code is not the code of a condition")
    if not (value.isascii() and value.isdecimal() and len(value) <= 7 and int(value) <= VALUE_MAX):
        return RowError(line, "row-invalid", f"value is a whole number from 0 to {VALUE_MAX}")
    return Report(household_id, code, int(value), member_id)

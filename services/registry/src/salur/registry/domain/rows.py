"""Rows to households: every line is one row; a bad row is reported and never stops the good ones.

A field cannot hold a line break: an open quote spoils its own line only.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from salur.common.values.region import REGION_PATTERN
from salur.registry.domain.household import Household, Identifier, Member, Payee, Scalar
from salur.registry.domain.mapping import AttributeColumn, Mapping, synthetic_account

MAX_LINE_SIZE = 64 * 1024
MAX_FIELD_LENGTH = 1_000
_REGION = re.compile(REGION_PATTERN)
_INT = re.compile(r"[+-]?[0-9]{1,15}\Z")
_FLOAT = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,10})?\Z")
_BOOL = {"1": True, "0": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Issue:
    """Something a person must look at: where and why, never the value."""

    row: int
    column: str
    severity: str
    reason: str


@dataclass(slots=True)
class Family:
    """Consecutive rows of one household. `household` is None when nothing of it could be taken."""

    household: Household | None
    last_row: int
    end_offset: int
    issues: list[Issue] = field(default_factory=list)
    refused_rows: int = 0


class RowRefused(ValueError):
    """A row that cannot be taken: (column, reason)."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


class HeaderInvalid(ValueError):
    """The file cannot be read with this mapping at all."""


def split_line(line: bytes) -> list[str]:
    """The fields of one line. Raises RowRefused."""
    if len(line) > MAX_LINE_SIZE:
        raise RowRefused("", f"the line has {len(line)} bytes, over {MAX_LINE_SIZE}")
    try:
        text = line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise RowRefused("", f"not UTF-8 at byte {error.start} of the line: save the file as UTF-8") from None
    if "\x00" in text:
        raise RowRefused("", "the line holds a NUL character")
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration):
        raise RowRefused("", "broken quoting: a quote is not closed or stands inside a field") from None


def read_header(line: bytes, mapping: Mapping) -> list[str]:
    """The column names. Raises HeaderInvalid naming the missing columns."""
    try:
        names = split_line(line.removeprefix(b"\xef\xbb\xbf"))
    except RowRefused as error:
        raise HeaderInvalid(f"the first line is no header: {error.reason}") from None
    missing = sorted(mapping.columns() - set(names))
    if missing:
        raise HeaderInvalid(f"columns missing from the file: {', '.join(missing)}: mend the file or the mapping")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise HeaderInvalid(f"columns named twice: {', '.join(twice)}: mend the file")
    return names


def read_families(
    lines: Iterable[bytes], header: list[str], mapping: Mapping, first_row: int, offset: int
) -> Iterator[Family]:
    """Group rows into families. `first_row` and `offset` are those of the first line given."""
    builder: _Builder | None = None
    trouble: list[Issue] = []
    row = first_row - 1
    for line in lines:
        row += 1
        if not line.strip():
            offset += len(line)
            continue
        try:
            cells = _cells(line, header)
            key = _text(cells, mapping.household.column)
        except RowRefused as error:
            trouble.append(Issue(row, error.column, "error", error.reason))
            offset += len(line)
            continue
        if builder is not None and builder.key != key:
            yield builder.finish(row - 1, offset, trouble)
            builder, trouble = None, []
        if builder is None:
            builder = _Builder(key, mapping)
        builder.add(row, cells)
        offset += len(line)
    if builder is not None:
        yield builder.finish(row, offset, trouble)
    elif trouble or row >= first_row:
        yield Family(None, row, offset, trouble, len(trouble))


def _cells(line: bytes, header: list[str]) -> dict[str, str]:
    fields = split_line(line)
    if len(fields) != len(header):
        raise RowRefused("", f"{len(fields)} fields where the header has {len(header)}")
    return dict(zip(header, fields, strict=True))


def _text(cells: dict[str, str], column: str) -> str:
    value = cells[column].strip()
    if not value:
        raise RowRefused(column, "empty where a value is needed")
    if len(value) > MAX_FIELD_LENGTH:
        raise RowRefused(column, f"{len(value)} characters, over {MAX_FIELD_LENGTH}")
    return value


def _scalar(cells: dict[str, str], spec: AttributeColumn) -> Scalar:
    value = cells[spec.column].strip()
    if not value:
        if spec.required:
            raise RowRefused(spec.column, "empty where a value is needed")
        return None
    if len(value) > MAX_FIELD_LENGTH:
        raise RowRefused(spec.column, f"{len(value)} characters, over {MAX_FIELD_LENGTH}")
    if spec.type == "string":
        return value
    if spec.type == "bool":
        if value.lower() not in _BOOL:
            raise RowRefused(spec.column, "not a yes-or-no value (1, 0, true, false)")
        return _BOOL[value.lower()]
    if spec.type == "int":
        if not _INT.match(value):
            raise RowRefused(spec.column, "not a whole number")
        return int(value)
    if not _FLOAT.match(value):
        raise RowRefused(spec.column, "not a number")
    return float(value)


class _Builder:
    """Collects the rows of one household."""

    def __init__(self, key: str, mapping: Mapping) -> None:
        self.key = key
        self._mapping = mapping
        self._region: str | None = None
        self._attributes: dict[str, Scalar] = {}
        self._payee: Payee | None = None
        self._members: list[Member] = []
        self._member_ids: set[str] = set()
        self._issues: list[Issue] = []
        self._refused = 0
        self._good = 0

    def add(self, row: int, cells: dict[str, str]) -> None:
        try:
            shared = self._household_level(cells)
            member = self._member(cells)
        except RowRefused as error:
            self._refused += 1
            self._issues.append(Issue(row, error.column, "error", error.reason))
            return
        if self._good == 0:
            self._region, self._attributes, self._payee = shared
        else:
            self._compare(row, shared)
        self._good += 1
        if member is not None:
            self._members.append(member)

    def _household_level(self, cells: dict[str, str]) -> tuple[str, dict[str, Scalar], Payee | None]:
        mapping = self._mapping
        region = _text(cells, mapping.region)
        if not _REGION.match(region):
            raise RowRefused(mapping.region, "not a region code (two digits, or dotted: 31.71.01.1001)")
        attributes = {name: _scalar(cells, spec) for name, spec in mapping.attributes.items()}
        return region, attributes, self._payee_of(cells)

    def _payee_of(self, cells: dict[str, str]) -> Payee | None:
        payee = self._mapping.payee
        if payee is None:
            return None
        if payee.synthetic is not None:
            return Payee(*synthetic_account(f"{self._mapping.household.scheme}/{self.key}", payee.synthetic.banks))
        assert payee.columns is not None
        columns = payee.columns
        return Payee(_text(cells, columns.bank), _text(cells, columns.number), _text(cells, columns.holder))

    def _member(self, cells: dict[str, str]) -> Member | None:
        spec = self._mapping.member
        if spec is None:
            return None
        identifier = None
        if spec.identifier is not None:
            value = _text(cells, spec.identifier.column)
            if value in self._member_ids:
                raise RowRefused(spec.identifier.column, "the same member twice in one household")
            identifier = Identifier(spec.identifier.scheme, value)
        attributes = {name: _scalar(cells, attribute) for name, attribute in spec.attributes.items()}
        if identifier is not None:
            self._member_ids.add(identifier.value)
        return Member(attributes, identifier)

    def _compare(self, row: int, shared: tuple[str, dict[str, Scalar], Payee | None]) -> None:
        region, attributes, payee = shared
        differing = [
            self._mapping.attributes[n].column for n, value in attributes.items() if self._attributes[n] != value
        ]
        if region != self._region:
            differing.append(self._mapping.region)
        if payee != self._payee:
            differing.append("payee")
        self._issues += [
            Issue(row, column, "warning", "differs from an earlier row of the household: the first value is kept")
            for column in differing
        ]

    def finish(self, last_row: int, end_offset: int, trouble: list[Issue]) -> Family:
        household = None
        if self._good:
            assert self._region is not None
            household = Household(
                (Identifier(self._mapping.household.scheme, self.key),),
                self._region, self._attributes, tuple(self._members), self._payee,
            )  # fmt: skip
        return Family(household, last_row, end_offset, [*trouble, *self._issues], self._refused + len(trouble))

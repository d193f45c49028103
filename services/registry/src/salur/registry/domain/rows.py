"""Rows to families: every line is one row; a bad row is reported and never stops the good ones.

A field cannot hold a line break: an open quote spoils its own line only, so no good row can vanish inside a field.
A row's number is its line in the file; the header is line 1.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from salur.common.values.region import REGION_PATTERN
from salur.registry.domain.household import (
    MAX_IDENTIFIER_LENGTH,
    MAX_MEMBERS,
    MAX_TEXT_LENGTH,
    Household,
    HouseholdInvalid,
    Identifier,
    Member,
    Payee,
    Scalar,
    check_payee,
)
from salur.registry.domain.mapping import AttributeColumn, Mapping, synthetic_account

MAX_LINE_SIZE = 64 * 1024
MAX_FAMILY_ROWS = 200
"""A family is handed on after so many rows, whatever follows: memory stays bounded whatever the file holds."""
UTF8_MARK = b"\xef\xbb\xbf"

_REGION = re.compile(REGION_PATTERN.removesuffix("$") + r"\Z")
_INT = re.compile(r"[+-]?[0-9]{1,15}\Z")
_FLOAT = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?\Z")
_BOOL = {"1": True, "0": False, "true": True, "false": False}

ReadLine = Callable[[int], bytes]
"""`file.readline`: at most so many bytes; empty at the end."""
Shared = tuple[str, dict[str, Scalar], Payee | None]
"""What all rows of a family state together: region, attributes, payee."""


@dataclass(frozen=True, slots=True)
class Issue:
    """Something a person must look at: where and why, never the value."""

    row: int
    column: str
    severity: str
    reason: str


@dataclass(slots=True)
class Family:
    """Consecutive rows of one household. `household` is None when nothing of it could be taken.

    `rows` are the lines it was taken from, one per member where the mapping has members. `refused` are issues of
    severity error, one per refused row; `warnings` refuse nothing.
    """

    household: Household | None
    rows: list[int]
    last_row: int
    end_offset: int
    refused: list[Issue] = field(default_factory=list)
    warnings: list[Issue] = field(default_factory=list)


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
        raise RowRefused("", f"the line has over {MAX_LINE_SIZE} bytes")
    try:
        text = line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise RowRefused("", f"not UTF-8 at byte {error.start} of the line: save the file as UTF-8") from None
    if "\x00" in text:
        raise RowRefused("", "the line holds a NUL character")
    if "\r" in text:
        raise RowRefused("", "a carriage return inside the line: save the file with LF or CR LF at the end of lines")
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration):
        raise RowRefused("", "broken quoting: a quote is not closed or stands inside a field") from None


def read_header(line: bytes, mapping: Mapping) -> list[str]:
    """The column names. Raises HeaderInvalid; it repeats names of the mapping only: the line may be no header at all,
    and its fields somebody's data."""
    try:
        names = split_line(line.removeprefix(UTF8_MARK))
    except RowRefused as error:
        raise HeaderInvalid(f"the first line is no header: {error.reason}") from None
    missing = sorted(mapping.columns() - set(names))
    if missing:
        raise HeaderInvalid(f"columns missing from the file: {', '.join(missing)}: mend the file or the mapping")
    times = Counter(names)
    if twice := sorted(name for name in mapping.columns() if times[name] > 1):
        raise HeaderInvalid(f"columns named twice: {', '.join(twice)}: mend the file")
    return names


def read_families(
    readline: ReadLine, header: list[str], mapping: Mapping, first_row: int, offset: int
) -> Iterator[Family]:
    """Group rows into families. `first_row` and `offset` are those of the first line `readline` will give."""
    layout = _Layout(header, mapping)
    builder = _Builder(layout)
    row, start = first_row, offset
    while line := readline(MAX_LINE_SIZE + 1):
        size = len(line)
        if size > MAX_LINE_SIZE:
            size += skip_rest(readline, line)
        if line.strip():
            try:
                fields = split_line(line)
                key = layout.key_of(fields)
            except RowRefused as error:
                builder.refuse(row, error)
            else:
                if not builder.takes(key):
                    yield builder.finish(row - 1, start)
                    builder = _Builder(layout)
                builder.add(row, key, fields)
            if builder.count >= MAX_FAMILY_ROWS:
                yield builder.finish(row, start + size)
                builder = _Builder(layout)
        row += 1
        start += size
    if builder.count:
        yield builder.finish(row - 1, start)


def skip_rest(readline: ReadLine, line: bytes) -> int:
    """Read on to the end of a line of which only the beginning was read; returns the bytes skipped."""
    skipped = 0
    while line and not line.endswith(b"\n"):
        line = readline(MAX_LINE_SIZE)
        skipped += len(line)
    return skipped


def _text(fields: list[str], at: int, column: str, most: int = MAX_IDENTIFIER_LENGTH) -> str:
    value = fields[at].strip()
    if not value:
        raise RowRefused(column, "empty where a value is needed")
    if len(value) > most:
        raise RowRefused(column, f"{len(value)} characters, over {most}")
    return value


def _scalar(value: str, spec: AttributeColumn) -> Scalar:
    value = value.strip()
    if not value or value in spec.missing:
        if spec.required:
            raise RowRefused(spec.column, "empty where a value is needed")
        return None
    if spec.type == "float":
        if not _FLOAT.match(value):
            raise RowRefused(spec.column, "not a number")
        return float(value)
    if spec.type == "int":
        if not _INT.match(value):
            raise RowRefused(spec.column, "not a whole number")
        return int(value)
    if spec.type == "bool":
        if value.lower() not in _BOOL:
            raise RowRefused(spec.column, "not a yes-or-no value (1, 0, true, false)")
        return _BOOL[value.lower()]
    if len(value) > MAX_TEXT_LENGTH:
        raise RowRefused(spec.column, f"{len(value)} characters, over {MAX_TEXT_LENGTH}")
    return value


class _Layout:
    """A mapping laid over a header: positions instead of names."""

    def __init__(self, header: list[str], mapping: Mapping) -> None:
        at = {name: position for position, name in enumerate(header)}
        self.mapping = mapping
        self._width = len(header)
        self._key_at = at[mapping.household.column]
        self._region_at = at[mapping.region]
        self._attributes = [(name, at[spec.column], spec) for name, spec in mapping.attributes.items()]
        columns = mapping.payee.columns if mapping.payee else None
        self._payee = [(at[c], c) for c in (columns.bank, columns.number, columns.holder)] if columns else []
        member = mapping.member
        self._member = [(name, at[spec.column], spec) for name, spec in member.attributes.items()] if member else []
        self._identifier_at = at[member.identifier.column] if member and member.identifier else -1
        shared = {self._region_at, *(p for _, p, _ in self._attributes), *(p for p, _ in self._payee)}
        # With the key: itemgetter gives a tuple only for two positions and more.
        self.raw_shared: Callable[[list[str]], Any] = itemgetter(self._key_at, *sorted(shared))

    def key_of(self, fields: list[str]) -> str:
        """The value that groups rows. Raises RowRefused, also when the row has not the header's width."""
        if len(fields) != self._width:
            raise RowRefused("", f"{len(fields)} fields where the header has {self._width}")
        return _text(fields, self._key_at, self.mapping.household.column)

    def shared(self, key: str, fields: list[str]) -> Shared:
        """What the row states of the household. Raises RowRefused."""
        region = _text(fields, self._region_at, self.mapping.region)
        if not _REGION.match(region):
            raise RowRefused(self.mapping.region, "not a region code (two digits, or dotted: 31.71.01.1001)")
        attributes = {name: _scalar(fields[at], spec) for name, at, spec in self._attributes}
        return region, attributes, self._payee_of(key, fields)

    def _payee_of(self, key: str, fields: list[str]) -> Payee | None:
        mapping = self.mapping.payee
        if mapping is None:
            return None
        if mapping.synthetic is not None:
            return Payee(*synthetic_account(f"{self.mapping.household.scheme}/{key}", mapping.synthetic.banks))
        payee = Payee(*(_text(fields, at, column) for at, column in self._payee))
        try:
            check_payee(payee)
        except HouseholdInvalid as error:
            column = dict(zip(("payee.bank", "payee.number", "payee.holder"), self._payee, strict=True))[error.place][1]
            raise RowRefused(column, error.reason) from None
        return payee

    def member(self, fields: list[str]) -> Member | None:
        """The row's member. Raises RowRefused."""
        spec = self.mapping.member
        if spec is None:
            return None
        identifiers: tuple[Identifier, ...] = ()
        if spec.identifier is not None:
            value = _text(fields, self._identifier_at, spec.identifier.column)
            identifiers = (Identifier(spec.identifier.scheme, value),)
        return Member({name: _scalar(fields[at], column) for name, at, column in self._member}, identifiers)

    def differing(self, first: Shared, other: Shared) -> list[str]:
        """Columns in which two rows of a household contradict each other."""
        columns = [spec.column for name, _, spec in self._attributes if first[1][name] != other[1][name]]
        columns += [self.mapping.region] if first[0] != other[0] else []
        return columns + ([self._payee[1][1]] if first[2] != other[2] else [])


class _Builder:
    """Collects the rows of one household."""

    def __init__(self, layout: _Layout) -> None:
        self.count = 0
        self._layout = layout
        self._key: str | None = None
        self._raw: Any = None
        self._shared: Shared | None = None
        self._members: list[Member] = []
        self._identifiers: set[Identifier] = set()
        self._rows: list[int] = []
        self._refused: list[Issue] = []
        self._warnings: list[Issue] = []

    def takes(self, key: str) -> bool:
        return self._key is None or self._key == key

    def refuse(self, row: int, error: RowRefused) -> None:
        self.count += 1
        self._refused.append(Issue(row, error.column, "error", error.reason))

    def add(self, row: int, key: str, fields: list[str]) -> None:
        self._key = key
        raw = self._layout.raw_shared(fields)
        try:
            # Most rows of a family repeat the same text: it is read once.
            repeats = self._shared is not None and raw == self._raw
            shared = self._shared if repeats else self._layout.shared(key, fields)
            member = self._layout.member(fields)
            self._admit(member)
        except RowRefused as error:
            self.refuse(row, error)
            return
        assert shared is not None
        if self._shared is None:
            self._shared, self._raw = shared, raw
        elif not repeats:
            self._warnings += [
                Issue(row, column, "warning", "differs from an earlier row of the household: the first value is kept")
                for column in self._layout.differing(self._shared, shared)
            ]
        self.count += 1
        self._rows.append(row)

    def _admit(self, member: Member | None) -> None:
        if member is None:
            return
        if len(self._members) >= MAX_MEMBERS:
            raise RowRefused("", f"the household has more than {MAX_MEMBERS} members")
        for identifier in member.identifiers:
            if identifier in self._identifiers:
                spec = self._layout.mapping.member
                column = spec.identifier.column if spec and spec.identifier else ""
                raise RowRefused(column, "the same member twice in one household")
        self._identifiers.update(member.identifiers)
        self._members.append(member)

    def finish(self, last_row: int, end_offset: int) -> Family:
        household = None
        if self._shared is not None and self._key is not None:
            region, attributes, payee = self._shared
            identifier = Identifier(self._layout.mapping.household.scheme, self._key)
            household = Household((identifier,), region, attributes, tuple(self._members), payee)
        return Family(household, self._rows, last_row, end_offset, self._refused, self._warnings)

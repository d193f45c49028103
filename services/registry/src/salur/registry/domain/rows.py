"""Rows to families: every line is one row; a bad row is reported and never stops the good ones.

A field cannot hold a line break: an open quote spoils its own line only, so no good row can vanish inside a field.
A row's number is its line in the file; the header is line 1.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
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
from salur.registry.domain.identity import (
    Contact,
    IdentityInvalid,
    Person,
    check_number,
    clean_contact,
    clean_person,
)
from salur.registry.domain.mapping import AttributeColumn, Attributes, Mapping, MoreIdentifier, synthetic_account

MAX_LINE_SIZE = 64 * 1024
MAX_FAMILY_ROWS = 200
"""A family is handed on after so many rows, whatever follows: memory stays bounded whatever the file holds."""
MAX_KNOWN_TEXTS = 1_000
MAX_KNOWN_LENGTH = 40
"""Of each attribute's column so many texts, of so many characters, are remembered with their value."""
UTF8_MARK = b"\xef\xbb\xbf"

_REGION = re.compile(REGION_PATTERN.removesuffix("$") + r"\Z")
_INT = re.compile(r"[+-]?[0-9]{1,15}\Z")
_FLOAT = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?\Z")
_BOOL = {"1": True, "0": False, "true": True, "false": False}

ReadLine = Callable[[int], bytes]
"""`file.readline`: at most so many bytes; empty at the end."""
Shared = tuple[str, dict[str, Scalar], Payee | None, Contact | None, tuple[Identifier, ...]]
"""What all rows of a family state together: region, attributes, payee, contact, further identifiers."""


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


OTHER_SEPARATORS = {b";": "semicolons", b"\t": "tabs"}
"""What spreadsheets of some languages write for a comma."""


def read_header(line: bytes, mapping: Mapping) -> list[str]:
    """The column names. Raises HeaderInvalid; it repeats names of the mapping only: the line may be no header at all,
    and its fields somebody's data."""
    for sign, told in OTHER_SEPARATORS.items():
        if line.count(sign) and not line.count(b","):
            raise HeaderInvalid(f"the columns are separated by {told}: save the file with commas between them")
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
    readline: ReadLine, header: list[str], mapping: Mapping, first_row: int, offset: int, today: date
) -> Iterator[Family]:
    """Group rows into families. `first_row` and `offset` are those of the first line `readline` will give.

    `today`: no birth date lies behind it.
    """
    layout = _Layout(header, mapping, today)
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


class _Values(dict[str, Scalar]):
    """The values of an attribute by its cells' texts. A list repeats few: each is read once. Raises RowRefused."""

    def __init__(self, spec: AttributeColumn) -> None:
        super().__init__()
        self._spec = spec

    def __missing__(self, text: str) -> Scalar:
        value = _scalar(text.strip(), self._spec)
        if len(self) < MAX_KNOWN_TEXTS and len(text) <= MAX_KNOWN_LENGTH:
            self[text] = value
        return value


def _scalar(value: str, spec: AttributeColumn) -> Scalar:
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


def _places(attributes: Attributes, at: dict[str, int]) -> list[tuple[str, int, _Values]]:
    return [(name, at[spec.column], _Values(spec)) for name, spec in attributes.items()]


class _Layout:
    """A mapping laid over a header: positions instead of names."""

    def __init__(self, header: list[str], mapping: Mapping, today: date) -> None:
        at = {name: position for position, name in enumerate(header)}
        self.mapping = mapping
        self._today = today
        self._width = len(header)
        self._key_at = at[mapping.household.column]
        self._region_at = at.get(mapping.region_column, -1)
        self._attributes = _places(mapping.attributes, at)
        self._identifiers = [(at[spec.column], spec) for spec in mapping.identifiers]
        self._phone_at = at[mapping.contact.phone] if mapping.contact else -1
        columns = mapping.payee.columns if mapping.payee else None
        self._payee = [(at[c], c) for c in (columns.bank, columns.number, columns.holder)] if columns else []
        self._holder_nik_at = at[columns.holder_nik] if columns and columns.holder_nik else -1
        self._payee_optional = columns is not None and columns.optional
        member = mapping.member
        self._member = _places(member.attributes, at) if member else []
        self._member_identifiers = [(at[spec.column], spec) for spec in member.all_identifiers()] if member else []
        person = member.person if member else None
        self._person = [at.get(c or "", -1) for c in (person.name, person.birth_date, person.sex)] if person else []
        shared = {p for _, p, _ in self._attributes} | {p for p, _ in self._payee} | {p for p, _ in self._identifiers}
        shared |= {self._region_at, self._phone_at, self._holder_nik_at} - {-1}
        # With the key: itemgetter gives a tuple only for two positions and more.
        self.raw_shared: Callable[[list[str]], Any] = itemgetter(self._key_at, *sorted(shared))

    def key_of(self, fields: list[str]) -> str:
        """The value that groups rows. Raises RowRefused, also when the row has not the header's width."""
        if len(fields) != self._width:
            raise RowRefused("", f"{len(fields)} fields where the header has {self._width}")
        return _text(fields, self._key_at, self.mapping.household.column)

    def shared(self, key: str, fields: list[str]) -> Shared:
        """What the row states of the household. Raises RowRefused."""
        self._check(self.mapping.household.scheme, key, self.mapping.household.column)
        if self._region_at < 0:
            assert not isinstance(self.mapping.region, str)
            region = self.mapping.region.value
        else:
            region = _text(fields, self._region_at, self.mapping.region_column)
            if not _REGION.match(region):
                raise RowRefused(self.mapping.region_column, "not a region code (two digits, or dotted: 31.71.01.1001)")
        attributes = {name: values[fields[at]] for name, at, values in self._attributes}
        identifiers = self._numbers(fields, self._identifiers)
        return region, attributes, self._payee_of(key, fields), self._contact(fields), identifiers

    def _contact(self, fields: list[str]) -> Contact | None:
        phone = fields[self._phone_at].strip() if self._phone_at >= 0 else ""
        if not phone or self.mapping.contact is None:
            return None
        try:
            return clean_contact(phone)
        except IdentityInvalid as error:
            raise RowRefused(self.mapping.contact.phone, error.reason) from None

    def _payee_of(self, key: str, fields: list[str]) -> Payee | None:
        mapping = self.mapping.payee
        if mapping is None:
            return None
        if mapping.synthetic is not None:
            return Payee(*synthetic_account(f"{self.mapping.household.scheme}/{key}", mapping.synthetic.banks))
        if self._payee_optional and not any(fields[at].strip() for at, _ in self._payee):
            return None
        bank, number, holder = (_text(fields, at, column) for at, column in self._payee)
        holder_nik = fields[self._holder_nik_at].strip() if self._holder_nik_at >= 0 else ""
        method = mapping.columns.method if mapping.columns else "account"
        payee = Payee(bank, number, holder, method, holder_nik or None)
        try:
            check_payee(payee)
        except HouseholdInvalid as error:
            raise RowRefused(self._payee_column(error.place), error.reason) from None
        return payee

    def _payee_column(self, place: str) -> str:
        """Where what is wrong with an account stands in the list."""
        columns = self.mapping.payee.columns if self.mapping.payee else None
        assert columns is not None
        return {"payee.bank": columns.bank, "payee.number": columns.number, "payee.holder": columns.holder,
                "payee.holder_nik": columns.holder_nik or ""}[place]  # fmt: skip

    def _check(self, scheme: str, value: str, column: str) -> None:
        try:
            check_number(scheme, value)
        except IdentityInvalid as error:
            raise RowRefused(column, error.reason) from None

    def _numbers(self, fields: list[str], places: list[tuple[int, MoreIdentifier]]) -> tuple[Identifier, ...]:
        found: list[Identifier] = []
        for at, spec in places:
            if spec.optional and not fields[at].strip():
                continue
            value = _text(fields, at, spec.column)
            self._check(spec.scheme, value, spec.column)
            found.append(Identifier(spec.scheme, value))
        return tuple(found)

    def member(self, fields: list[str]) -> Member | None:
        """The row's member. Raises RowRefused."""
        if self.mapping.member is None:
            return None
        identifiers = self._numbers(fields, self._member_identifiers)
        attributes = {name: values[fields[at]] for name, at, values in self._member}
        return Member(attributes, identifiers, None, self._person_of(fields) if self._person else None)

    def _person_of(self, fields: list[str]) -> Person:
        spec = self.mapping.member.person if self.mapping.member else None
        assert spec is not None
        name, birth_date, sex = (fields[at].strip() if at >= 0 else "" for at in self._person)
        try:
            return clean_person(name, birth_date, sex, self._today)
        except IdentityInvalid as error:
            column = {"name": spec.name, "birth_date": spec.birth_date, "sex": spec.sex}[error.place]
            raise RowRefused(column or "", error.reason) from None

    def column_of(self, identifier: Identifier) -> str:
        """Where a member's identifier stands in the list."""
        member = self.mapping.member
        specs = member.all_identifiers() if member else []
        return next((spec.column for spec in specs if spec.scheme == identifier.scheme), "")

    def differing(self, first: Shared, other: Shared) -> list[str]:
        """Columns in which two rows of a household contradict each other."""
        columns = [spec.column for name, spec in self.mapping.attributes.items() if first[1][name] != other[1][name]]
        columns += [self.mapping.region_column] if first[0] != other[0] else []
        columns += [self._payee[1][1]] if first[2] != other[2] else []
        columns += [self.mapping.contact.phone] if self.mapping.contact and first[3] != other[3] else []
        return columns + ([self.mapping.identifiers[0].column] if first[4] != other[4] else [])


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
                raise RowRefused(self._layout.column_of(identifier), "the same member twice in one household")
        self._identifiers.update(member.identifiers)
        self._members.append(member)

    def finish(self, last_row: int, end_offset: int) -> Family:
        household = None
        if self._shared is not None and self._key is not None:
            region, attributes, payee, contact, more = self._shared
            identifier = Identifier(self._layout.mapping.household.scheme, self._key)
            members = tuple(self._members)
            household = Household((identifier, *more), region, attributes, members, payee, contact)
        return Family(household, self._rows, last_row, end_offset, self._refused, self._warnings)

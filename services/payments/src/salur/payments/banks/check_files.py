"""CSV files of banks that read no Kafka: account checks each way (no acmt.023 or .024), and what nobody has taken."""

import csv
import io
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import IO

from salur.payments.banks.iso20022 import DocumentRefused, Overview

KIND = "account-checks.csv"
UNCLAIMED_KIND = "unclaimed.csv"
ASKED = ("check_id", "account_number", "account_holder")
ANSWERED = ("check_id", "account_number", "result")
REPORTED = ("instruction_id", "standing", "since")
STANDINGS = ("undelivered", "untouched", "claimed")
ROW_LENGTH = 3
LINE_MAX_SIZE = 1_000
ROWS_MAX = 1_000_000
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Question:
    """An account the bank is asked about."""

    check_id: str
    account_number: str
    account_holder: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a bank found about an account, as the file says it. `ordinal` counts from 1."""

    ordinal: int
    check_id: str
    account: str
    result: str


@dataclass(frozen=True, slots=True)
class Aged:
    """What a bank says of money it credited: not handed out, not touched or taken after all, and since when.

    `ordinal` counts from 1.
    """

    ordinal: int
    instruction_id: str
    standing: str
    since: date


def write_questions(file: IO[bytes], questions: Sequence[Question]) -> None:
    """Write the file for the bank."""
    text = io.TextIOWrapper(file, "utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow(ASKED)
    writer.writerows((one.check_id, one.account_number, one.account_holder) for one in questions)
    text.detach()


def is_findings(file: IO[bytes]) -> bool:
    """Whether the file begins as one about accounts; it is at its start again."""
    file.seek(0)
    head = file.read(64).removeprefix(BOM)
    file.seek(0)
    return head.startswith(b"check_id,")


def is_unclaimed(file: IO[bytes]) -> bool:
    """Whether the file begins as a report of money nobody has taken; it is at its start again."""
    file.seek(0)
    head = file.read(64).removeprefix(BOM)
    file.seek(0)
    return head.startswith(b"instruction_id,")


def inspect_findings(file: IO[bytes], sha256: str) -> Overview:
    """Read the whole file. It has no id of its own: its hash stands for one. Raises DocumentRefused."""
    return Overview(KIND, sha256[:32], sum(1 for _ in read_findings(file)))


def inspect_unclaimed(file: IO[bytes], sha256: str) -> Overview:
    """As `inspect_findings`, of a report of money nobody has taken."""
    return Overview(UNCLAIMED_KIND, sha256[:32], sum(1 for _ in read_unclaimed(file)))


def read_unclaimed(file: IO[bytes]) -> Generator[Aged, None, None]:
    """What the report says, row by row. Raises DocumentRefused at the first row that is none."""
    for number, (instruction_id, standing, since) in _rows(file, REPORTED):
        if standing not in STANDINGS:
            raise DocumentRefused("csv", f"line {number + 1}: the standing must be one of {', '.join(STANDINGS)}")
        try:
            yield Aged(number, instruction_id, standing, date.fromisoformat(since))
        except ValueError:
            raise DocumentRefused("csv", f"line {number + 1}: `since` must be a day as 2026-01-31") from None


def read_findings(file: IO[bytes]) -> Generator[Found, None, None]:
    """What the file says, row by row. Raises DocumentRefused at the first row that is none."""
    for number, row in _rows(file, ANSWERED):
        yield Found(number, *row)


def _rows(file: IO[bytes], header: tuple[str, ...]) -> Generator[tuple[int, list[str]], None, None]:
    """(number from 1, values) of each row behind the header. Raises DocumentRefused."""
    file.seek(0)
    number = 0
    while line := file.readline(LINE_MAX_SIZE + 1):
        row = _row(line.removeprefix(BOM) if number == 0 else line, number + 1)
        if number == 0 and tuple(row) != header:
            raise DocumentRefused("csv", f"the first line must be {','.join(header)}")
        if number:
            yield number, row
        number += 1
        if number > ROWS_MAX:
            raise DocumentRefused("too-many", f"more than {ROWS_MAX} rows: send several files")


def _row(line: bytes, number: int) -> list[str]:
    if not line.endswith(b"\n"):
        raise DocumentRefused("cut-off", f"line {number} has no end, or is over {LINE_MAX_SIZE} bytes")
    if b"\x00" in line:
        raise DocumentRefused("csv", f"line {number} holds a NUL character")
    try:
        (row,) = csv.reader([line.decode()], strict=True)
    except (UnicodeDecodeError, ValueError, csv.Error):
        raise DocumentRefused("csv", f"line {number} is no row of UTF-8 text with commas") from None
    if len(row) != ROW_LENGTH:
        raise DocumentRefused("csv", f"line {number} must hold {ROW_LENGTH} values")
    return [value.strip() for value in row]

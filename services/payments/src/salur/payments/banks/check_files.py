"""Account checks over files: a CSV file each way, for banks that read no Kafka. No acmt.023 or acmt.024."""

import csv
import io
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import IO

from salur.payments.banks.iso20022 import DocumentRefused, Overview

KIND = "account-checks.csv"
ASKED = ("check_id", "account_number", "account_holder")
ANSWERED = ("check_id", "account_number", "result")
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


def inspect_findings(file: IO[bytes], sha256: str) -> Overview:
    """Read the whole file. It has no id of its own: its hash stands for one. Raises DocumentRefused."""
    return Overview(KIND, sha256[:32], sum(1 for _ in read_findings(file)))


def read_findings(file: IO[bytes]) -> Generator[Found, None, None]:
    """What the file says, row by row. Raises DocumentRefused at the first row that is none."""
    file.seek(0)
    number = 0
    while line := file.readline(LINE_MAX_SIZE + 1):
        row = _row(line.removeprefix(BOM) if number == 0 else line, number + 1)
        if number == 0 and tuple(row) != ANSWERED:
            raise DocumentRefused("csv", f"the first line must be {','.join(ANSWERED)}")
        if number:
            yield Found(number, *row)
        number += 1
        if number > ROWS_MAX:
            raise DocumentRefused("too-many", f"more than {ROWS_MAX} rows: send several files")


def _row(line: bytes, number: int) -> list[str]:
    if not line.endswith(b"\n"):
        raise DocumentRefused("cut-off", f"line {number} has no end, or is over {LINE_MAX_SIZE} bytes")
    try:
        (row,) = csv.reader([line.decode()], strict=True)
    except (UnicodeDecodeError, ValueError, csv.Error):
        raise DocumentRefused("csv", f"line {number} is no row of UTF-8 text with commas") from None
    if len(row) != len(ANSWERED):
        raise DocumentRefused("csv", f"line {number} must hold {len(ANSWERED)} values")
    return [value.strip() for value in row]

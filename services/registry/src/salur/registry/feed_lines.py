"""A list of any length as CSV, line by line as it arrives: what is held at once does not grow with it."""

import csv
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field

from pydantic import ValidationError

from salur.common.errors import Invalid
from salur.registry.bodies_feeds import RecordBody
from salur.registry.usecases.feeds import Record

LINES_PER_BATCH = 2_000
MAX_LINE_SIZE = 64 * 1024
HEADER_LINE = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that was not taken: never a value of it."""

    row: int
    field: str
    reason: str


@dataclass(slots=True)
class Batch:
    """Some lines of a list, in order."""

    records: list[Record] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records) + len(self.problems)


async def batches(chunks: AsyncIterable[bytes]) -> AsyncIterator[Batch]:
    """The lines behind the header. Raises Invalid for a header that cannot be used, before the first line."""
    header: list[str] | None = None
    batch, row = Batch(), HEADER_LINE
    async for line in _lines(chunks):
        if header is None:
            header = _header(line)
            continue
        row += 1
        if line != b"":
            _take(line, row, header, batch)
        if len(batch) >= LINES_PER_BATCH:
            yield batch
            batch = Batch()
    if header is None:
        raise _unusable("it is empty")
    if len(batch):
        yield batch


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes | None]:
    """Each line without its end; None for one that is too long."""
    rest, too_long = b"", False
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield None if too_long or len(line) > MAX_LINE_SIZE else line.removesuffix(b"\r")
            too_long = False
        if len(rest) > MAX_LINE_SIZE:
            rest, too_long = b"", True
    if rest or too_long:
        yield None if too_long else rest.removesuffix(b"\r")


def _header(line: bytes | None) -> list[str]:
    try:
        names = next(csv.reader([(line or b"").decode("utf-8-sig")], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        names = []
    if "value" not in names or len(set(names)) < len(names) or not set(names) <= RecordBody.model_fields.keys():
        known = ", ".join(RecordBody.model_fields)
        raise _unusable(f"its first line must name columns, `value` among them, each once, of: {known}")
    return names


def _unusable(why: str) -> Invalid:
    return Invalid(f"the list cannot be used: {why}; nothing was taken", code="rows-invalid", who="caller")


def _take(line: bytes | None, row: int, header: list[str], batch: Batch) -> None:
    if line is None:
        batch.problems.append(Problem(row, "", "line-too-long"))
        return
    try:
        cells = next(csv.reader([line.decode()], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        batch.problems.append(Problem(row, "", "not-utf-8" if isinstance(error, UnicodeDecodeError) else "not-csv"))
        return
    if len(cells) != len(header):
        batch.problems.append(Problem(row, "", "wrong-number-of-fields"))
        return
    try:
        body = RecordBody.model_validate({name: cell for name, cell in zip(header, cells, strict=True) if cell})
    except ValidationError as error:
        wrong = error.errors(include_input=False)[0]
        batch.problems.append(Problem(row, str(wrong["loc"][0]) if wrong["loc"] else "", wrong["type"]))
        return
    batch.records.append(body.to_domain())

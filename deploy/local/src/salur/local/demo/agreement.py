"""Compare what became of the households with the file itself: nobody lost, decisions on poverty as published."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from salur.local.announce import read_mapping
from salur.local.client import Client
from salur.registry.domain.rows import MAX_LINE_SIZE, UTF8_MARK, RowRefused, skip_rest, split_line

PUBLISHED_COLUMN = "published_eligible"
CRITERION = "poverty"
PAGE = 1_000


@dataclass(slots=True)
class InFile:
    """A household as the file has it: its lines (header = 1), and its published answer, if any (first one kept)."""

    rows: list[int] = field(default_factory=list)
    answer: bool | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """`share` of the registered households decided as published, None when the file publishes no answer of any.

    `lost`: households of the file that are neither registered nor refused row by row. There must be none.
    """

    share: float | None
    lost: int


def households_of(file: Path, id_column: str) -> dict[str, InFile]:
    """Households by identifier. Rows are read as the import reads them: what it cannot read belongs to nobody."""
    households: dict[str, InFile] = {}
    with file.open("rb") as lines:
        header = _fields(lines.readline(MAX_LINE_SIZE + 1).removeprefix(UTF8_MARK))
        if id_column not in header:
            return households
        id_at = header.index(id_column)
        answer_at = header.index(PUBLISHED_COLUMN) if PUBLISHED_COLUMN in header else None
        number = 1
        while line := lines.readline(MAX_LINE_SIZE + 1):
            number += 1
            skip_rest(lines.readline, line)
            fields = _fields(line)
            if len(fields) != len(header) or not fields[id_at].strip():
                continue
            household = households.setdefault(fields[id_at].strip(), InFile())
            household.rows.append(number)
            if answer_at is not None and household.answer is None and fields[answer_at] in {"0", "1"}:
                household.answer = fields[answer_at] == "1"
    return households


def _fields(line: bytes) -> list[str]:
    try:
        return split_line(line)
    except RowRefused:
        return []


def refused_rows(import_report: Path) -> set[int]:
    """Lines of the file that the import's report refuses."""
    with import_report.open(encoding="utf-8", newline="") as rows:
        return {int(row["row"]) for row in csv.DictReader(rows) if row["severity"] == "error"}


def agreement(
    registrar: Client, officer: Client, file: Path, mapping: Path, programme_id: str, refused: set[int]
) -> Agreement:
    """Look up every household of the file and compare the decisions of those with a published answer."""
    household = read_mapping(mapping)["household"]
    households = households_of(file, household["column"])
    ids = _household_ids(registrar, household["scheme"], list(households))
    lost = sum(1 for value, known in households.items() if value not in ids and not refused.issuperset(known.rows))
    answers = {ids[value]: known.answer for value, known in households.items() if value in ids}
    published = {household_id: answer for household_id, answer in answers.items() if answer is not None}
    if not published:
        return Agreement(None, lost)
    decided = _decisions(officer, programme_id)
    same = sum(1 for household_id, answer in published.items() if decided.get(household_id) is answer)
    return Agreement(same / len(published), lost)


def _household_ids(registrar: Client, scheme: str, values: Sequence[str]) -> Mapping[str, str]:
    """Ids by survey number. The registry alone knows them: an identifier is looked up by a keyed hash."""
    found: dict[str, str] = {}
    for first in range(0, len(values), PAGE):
        page = values[first : first + PAGE]
        body = {"scheme": scheme, "values": page}
        ids = registrar.call("registry", "POST", "/households/find-many", json=body)["household_ids"]
        found |= {value: household_id for value, household_id in zip(page, ids, strict=True) if household_id}
    return found


def _decisions(officer: Client, programme_id: str) -> dict[str, bool]:
    """Whether the poverty criterion holds, by household id."""
    decided: dict[str, bool] = {}
    after = ""
    while True:
        params: dict[str, Any] = {"programme_id": programme_id, "after": after, "limit": PAGE}
        page = officer.call("eligibility", "GET", "/decisions", params=params)
        for row in page["decisions"]:
            outcomes = {item["code"]: item["outcome"] for item in row["criteria"]}
            decided[row["household_id"]] = outcomes.get(CRITERION) == "met"
        if page["next"] is None:
            return decided
        after = page["next"]

"""Compare each decision on poverty with the answer the file itself publishes."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from salur.local.client import Client

PUBLISHED_COLUMN = "published_eligible"
CRITERION = "poverty"
PAGE = 1_000


def published_answers(file: Path, id_column: str) -> dict[str, bool] | None:
    """Per household of the file its published answer (first row kept), or None when the file publishes none."""
    with file.open(encoding="utf-8-sig", newline="") as rows:
        reader = csv.DictReader(rows)
        if not {PUBLISHED_COLUMN, id_column} <= set(reader.fieldnames or ()):
            return None
        answers: dict[str, bool] = {}
        for row in reader:
            if row[PUBLISHED_COLUMN] in {"0", "1"}:
                answers.setdefault(row[id_column], row[PUBLISHED_COLUMN] == "1")
        return answers


def agreement(registrar: Client, officer: Client, file: Path, mapping: Path, programme_id: str) -> float | None:
    """Share of the file's households decided as published. None when the file publishes no answer."""
    household = yaml.safe_load(mapping.read_text(encoding="utf-8"))["household"]
    answers = published_answers(file, household["column"])
    if not answers:
        return None
    ids = _household_ids(registrar, household["scheme"], list(answers))
    decided = _decisions(officer, programme_id)
    same = sum(1 for value, answer in answers.items() if decided.get(ids.get(value, "")) is answer)
    return same / len(answers)


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

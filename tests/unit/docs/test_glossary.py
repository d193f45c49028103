"""The glossary has every term of contracts, topics, states and roles, in English and Indonesian."""

import re
from pathlib import Path

import pytest

from salur.common.auth import PERMISSIONS
from salur.common.contracts import CONTRACTS
from salur.common.contracts.banks import OUTSIDE
from salur.payments.domain.machine import MOVES

ROOT = Path(__file__).parents[3]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "GLOSSARY.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| English")
]
ENGLISH = " ".join(row[0].lower() for row in ROWS)
ENTITIES = {name.split(".")[1].replace("-", " ") for name in (*CONTRACTS, *(model.event_type for model in OUTSIDE))}
OWN_WORDS = {"registry", "service"}
"""Names of parts, not terms of the field."""


def test_every_row_has_both_languages_and_a_meaning() -> None:
    assert len(ROWS) > 60
    for row in ROWS:
        assert len(row) == 3, row
        assert all(re.search(r"[a-z]{3}|NIK", cell) for cell in row), row


def test_no_term_stands_twice() -> None:
    terms = [term.strip() for row in ROWS for term in row[0].split(",")]
    assert sorted({term for term in terms if terms.count(term) > 1}) == []


@pytest.mark.parametrize("term", sorted((ENTITIES - OWN_WORDS) | {role.replace("-", " ") for role in PERMISSIONS}))
def test_what_contracts_and_roles_speak_of_is_explained(term: str) -> None:
    assert re.search(rf"\b{term}\b", ENGLISH)


@pytest.mark.parametrize("state", sorted(MOVES.keys() - {"approved", "instructed"}))
def test_what_becomes_of_a_payment_is_explained(state: str) -> None:
    assert re.search(rf"\b{'return' if state == 'returned' else state}\b", ENGLISH)

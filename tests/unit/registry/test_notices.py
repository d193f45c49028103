"""The words people are told: every kind in both languages, and values that stay values."""

from pathlib import Path
from typing import get_args

import pytest

from salur.common.contracts.registry import Method
from salur.registry import main
from salur.registry.domain.notices import check_templates, reasons_text, render
from salur.registry.usecases.notices import PAID, PAYMENT_KINDS, TO_FORMER, criteria_of, load_templates

TEMPLATES = load_templates(Path(main.__file__).parent / "notices.toml")
KINDS = {
    "registered", "enrolled", "not-enrolled", "cash-ready", "offset-agreed", *PAYMENT_KINDS.values(), *TO_FORMER,
    *(PAID + method for method in get_args(Method)), "deducted", "nothing-deducted",
}  # fmt: skip
"""The last two are sentences within the words about what was paid."""
EVERYTHING = {
    name: name for name in ("reference", "programme", "reasons", "amount", "bank", "date", "percent", "deducted")
}


def test_every_kind_of_notice_has_words_in_both_languages() -> None:
    assert TEMPLATES.keys() == KINDS
    for kind in KINDS:
        texts = [render(TEMPLATES, kind, language, EVERYTHING) for language in ("id", "en")]
        assert len(set(texts)) == 2
        assert not any("{" in text or len(text) > 300 for text in texts)


def test_an_unknown_language_gets_indonesian() -> None:
    assert render(TEMPLATES, "registered", "fr", EVERYTHING) == render(TEMPLATES, "registered", "id", EVERYTHING)


def test_a_value_cannot_fill_other_places_or_break_lines_or_flood() -> None:
    text = render(TEMPLATES, "enrolled", "en", EVERYTHING | {"programme": "a\n{reasons}", "reasons": "x" * 5_000})
    assert "a {reasons}" in text
    assert len(text) < 300


@pytest.mark.parametrize(
    "words", [{"id": "a"}, {"id": "a {x}", "en": "a"}, {"id": "a", "en": "a", "fr": "a"}, {"id": "{x}", "en": "{y}"}]
)
def test_words_that_lack_a_language_or_a_place_are_refused_at_start(words: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="kind-a"):
        check_templates({"kind-a": words})


def test_the_first_reasons_are_told_and_how_many_more_there_are() -> None:
    assert reasons_text(["a", "b"]) == "a; b"
    assert reasons_text(["a", "b", "c", "d", "e"]) == "a; b; c (+2)"
    assert reasons_text([]) == "-"


@pytest.mark.parametrize(
    "rules", ["{", "- 1", "criteria: 5", "criteria: [{code: a}]", "criteria: [{code: a, text: b}]"]
)
def test_rules_of_another_form_give_no_sentences(rules: str) -> None:
    assert criteria_of(rules) == {}

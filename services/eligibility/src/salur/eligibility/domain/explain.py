"""A decision in sentences, in English and Indonesian. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from salur.eligibility.domain.benefit import COMMON_REASONS
from salur.eligibility.domain.compiling import Compiled
from salur.eligibility.domain.scoring import CompiledModel, Score

LANGUAGES = ("en", "id")
_VERDICT = {
    "met": {"en": "Met", "id": "Terpenuhi"},
    "not-met": {"en": "Not met", "id": "Tidak terpenuhi"},
    "not-reported": {"en": "Not known yet", "id": "Belum diketahui"},
}
_OUTCOME = {
    True: {"en": "The {who} qualifies for {name}.", "id": "{who} memenuhi syarat {name}."},
    False: {"en": "The {who} does not qualify for {name}.", "id": "{who} tidak memenuhi syarat {name}."},
}
_WHO = {
    "household": {"en": "family", "id": "Keluarga"},
    "person": {"en": "person", "id": "Penerima"},
    "group": {"en": "group", "id": "Kelompok"},
    "community": {"en": "community", "id": "Masyarakat"},
    "institution": {"en": "institution", "id": "Lembaga"},
}
_VALUE = {"en": "{name} is {value}", "id": "{name} adalah {value}"}
_NO_VALUE = {"en": "{name} is not reported", "id": "{name} belum dilaporkan"}
_TRUTH = {"en": {True: "true", False: "false"}, "id": {True: "ya", False: "tidak"}}


def criteria_told(compiled: Compiled, outcomes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each criterion as evaluated with its text, legal basis, expression and a sentence."""
    specs = {item.spec.code: item.spec for item in compiled.criteria}
    return [
        {
            **item, "text": specs[item["code"]].text.model_dump(), "legal": specs[item["code"]].legal,
            "expression": specs[item["code"]].when, "sentence": _sentence(specs[item["code"]].text, item),
        }
        for item in outcomes
    ]  # fmt: skip


def outcome_told(compiled: Compiled, enrolled: bool) -> dict[str, str]:
    """The outcome in the programme's own words where it has some."""
    document = compiled.document
    if document.messages is not None:
        words = document.messages.enrolled if enrolled else document.messages.not_enrolled
        return words.model_dump()
    return {
        language: _OUTCOME[enrolled][language].format(
            who=_WHO[document.kind][language], name=getattr(document.name, language)
        )
        for language in LANGUAGES
    }


def benefit_told(compiled: Compiled, row: Mapping[str, Any]) -> dict[str, Any]:
    """What is due and what is not, with texts and reasons."""
    specs = {item.code: item for item in compiled.document.benefit}
    reasons = {reason.en: reason for item in specs.values() for reason in (item.not_met, item.not_reported)}
    reasons |= {reason.en: reason for reason in COMMON_REASONS}
    return {
        "amount_minor": row["amount_minor"],
        "currency": compiled.document.currency,
        "components": [{**item, "text": specs[item["code"]].text.model_dump()} for item in row["components"]],
        "not_due": [
            {**item, "text": specs[item["code"]].text.model_dump(), "reason": reasons[item["reason"]].model_dump()}
            for item in row["not_due"]
        ],
    }


def score_told(model: CompiledModel, said: Score) -> dict[str, Any]:
    """How a scoring model came to its score: what it begins with and what each term adds; null = a value is missing."""
    document = model.document
    return {
        "model_id": document.id, "model_version": model.version, "name": document.name.model_dump(),
        "legal": document.legal, "score": said.score, "decile": said.decile, "base": document.base,
        "terms": [
            {"code": term.code, "text": term.text.model_dump(), "adds": said.parts[term.code]}
            for term in document.terms
        ],
    }  # fmt: skip


def _sentence(text: Any, item: Mapping[str, Any]) -> dict[str, str]:
    """For example: `Not met: The family stands in deciles 1 to 4 (decile is 7).`"""
    told = {}
    for language in LANGUAGES:
        values = ", ".join(_value(name, value, language) for name, value in sorted(item["values"].items()))
        told[language] = f"{_VERDICT[item['outcome']][language]}: {getattr(text, language)}" + (
            f" ({values})." if values else "."
        )
    return told


def _value(name: str, value: Any, language: str) -> str:
    spoken = name.replace("_", " ")
    if value is None:
        return _NO_VALUE[language].format(name=spoken)
    return _VALUE[language].format(name=spoken, value=_TRUTH[language][value] if isinstance(value, bool) else value)

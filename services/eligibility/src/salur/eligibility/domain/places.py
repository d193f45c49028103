"""Why somebody has a place in a cycle or none, in two languages. Pure."""

from collections.abc import Mapping
from typing import Any

from salur.eligibility.domain.explain import LANGUAGES
from salur.eligibility.domain.programme import Programme

_TOLD = {
    "selected": {"en": "You have a place in this cycle.", "id": "Anda mendapat tempat pada tahap ini."},
    "waiting": {
        "en": "You qualify; there is no place yet and you are on the waiting list.",
        "id": "Anda memenuhi syarat; tempat belum tersedia dan Anda masuk daftar tunggu.",
    },
    "suspended": {
        "en": "Nothing is paid in this cycle because a condition was not kept.",
        "id": "Bantuan tahap ini ditunda karena kewajiban tidak dipenuhi.",
    },
    "left": {
        "en": "You left the programme because conditions were not kept for long.",
        "id": "Kepesertaan berakhir karena kewajiban lama tidak dipenuhi.",
    },
    "had-already": {
        "en": "This help is given once and you have had it.", "id": "Bantuan ini hanya diberikan satu kali.",
    },
    "excluded": {
        "en": "You receive another programme that rules this one out.",
        "id": "Anda menerima program lain yang tidak dapat digabung.",
    },
    "renewal-due": {
        "en": "Your data are too old: have them renewed.", "id": "Data Anda perlu diperbarui: silakan perbarui.",
    },
    "not-accredited": {
        "en": "The accreditation has expired or is not known: have it renewed.",
        "id": "Akreditasi telah berakhir atau belum ada: silakan perbarui.",
    },
    "graduated": {"en": "You have graduated from the programme.", "id": "Anda telah lulus (graduasi) dari program."},
    "no-longer": {"en": "You no longer qualify.", "id": "Anda tidak lagi memenuhi syarat."},
}  # fmt: skip
_RANK = {
    "en": " You stand {rank} of {candidates} in {area}; there are {places} places.",
    "id": " Anda berada pada urutan {rank} dari {candidates} di {area}; tersedia {places} tempat.",
}
_ORDER = {
    "en": " First comes the lowest score, then the highest vulnerability, then the longest wait, then a draw.",
    "id": " Urutan: nilai terendah, kerentanan tertinggi, terlama menunggu, lalu undian.",
}
_COUNTRY = {"en": "the country", "id": "seluruh Indonesia"}


def place_told(document: Programme, row: Mapping[str, Any]) -> dict[str, str]:
    """The outcome as sentences for the person."""
    graduated, messages = document.graduation, document.messages
    told = {}
    outcome = "not-accredited" if row["outcome"] == "renewal-due" and document.accredited else row["outcome"]
    for language in LANGUAGES:
        text = _TOLD[outcome][language]
        if row["outcome"] == "graduated" and graduated is not None:
            text = f"{text} {getattr(graduated.text, language)}."
        if row["outcome"] == "excluded":
            text = " ".join([text, *(f"{getattr(item.text, language)}." for item in document.exclusions)])
        if row["outcome"] == "waiting" and messages is not None and messages.waiting is not None:
            text = getattr(messages.waiting, language)
        if row["rank"] is not None and row["places"] is not None:
            area = row["area"] or _COUNTRY[language]
            numbers = {name: row[name] for name in ("rank", "candidates", "places")}
            text += _RANK[language].format(area=area, **numbers) + _ORDER[language]
        told[language] = text
    return told

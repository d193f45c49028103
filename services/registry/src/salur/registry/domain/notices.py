"""What people are told: words by kind and language, filled with values, always in a language we have."""

import re
from collections.abc import Mapping

LANGUAGES = ("id", "en")
DEFAULT_LANGUAGE = "id"
REASONS_MAX = 3
VALUE_MAX_LENGTH = 120
_PLACE = re.compile(r"\{([a-z]+)\}")

Templates = Mapping[str, Mapping[str, str]]


def check_templates(templates: Templates) -> None:
    """Every kind in every language, with the same places to fill. Raises ValueError."""
    for kind, words in templates.items():
        if set(words) != set(LANGUAGES):
            raise ValueError(f"notice {kind}: needs exactly the languages {', '.join(LANGUAGES)}")
        if len({frozenset(_PLACE.findall(text)) for text in words.values()}) > 1:
            raise ValueError(f"notice {kind}: its languages fill in different values")


def language_of(wanted: str) -> str:
    """The wanted language, or the default where we have none of it."""
    return wanted if wanted in LANGUAGES else DEFAULT_LANGUAGE


def render(templates: Templates, kind: str, language: str, values: Mapping[str, str]) -> str:
    """The text. A value is data: nothing in it is a place to fill, a line break or longer than it may be."""
    text = templates[kind][language_of(language)]
    return _PLACE.sub(lambda place: " ".join(values[place[1]].split())[:VALUE_MAX_LENGTH], text)


def reasons_text(sentences: list[str]) -> str:
    """The first reasons as one value; how many more there are is said."""
    shown = "; ".join(sentences[:REASONS_MAX])
    more = len(sentences) - REASONS_MAX
    return f"{shown} (+{more})" if more > 0 else shown or "-"

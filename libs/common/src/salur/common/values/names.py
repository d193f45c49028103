"""A person's name as it may enter: letters of any script and the marks registers use, nothing that hides or acts."""

import unicodedata

MAX_NAME_LENGTH = 200
_MARKS = frozenset(" .,'\u2019`-/()")
_KINDS = {
    "Nd": "a digit",
    "Zl": "a line break",
    "Zp": "a line break",
    "Cs": "half a character",
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Co": "a private character",
    "Cn": "an unknown character",
}


class NameInvalid(ValueError):
    """Not a name. The message says what is wrong and where, never the name."""


def person_name(text: str) -> str:
    """The name in composed form (NFC), spaces made one. Raises NameInvalid.

    Refused: nothing in it, over MAX_NAME_LENGTH characters, a first character that is no letter (`=cmd` is a formula
    to a spreadsheet), controls, line breaks, invisible and direction-changing characters, digits, symbols, emoji.
    """
    if len(text) > MAX_NAME_LENGTH:
        raise NameInvalid(f"the name has {len(text)} characters, the limit is {MAX_NAME_LENGTH}")
    for place, character in enumerate(text, 1):
        _check(place, character)
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name:
        raise NameInvalid("the name is empty")
    if not name[0].isalpha():
        raise NameInvalid("the name begins with something other than a letter")
    return name


def _check(place: int, character: str) -> None:
    if character in _MARKS:
        return
    category = unicodedata.category(character)
    if category[0] in "LM":
        return
    kind = _KINDS.get(category, "a symbol")
    raise NameInvalid(f"the name holds {kind} at character {place}: write it as on the card")

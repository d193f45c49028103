"""Who somebody is: numbers of a scheme, name and birth date, where they can be reached. All of it is personal."""

import re
from collections.abc import Collection
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from salur.common.values import (
    DateInvalid,
    Kk,
    NameInvalid,
    Nik,
    NumberInvalid,
    parse_birth_date,
    person_name,
)

NIK, KK = "nik", "kk"
PREFIX_SIZE = 6
"""Digits of a NIK or family card number that say where it was issued."""
UNKNOWN_PREFIX = "begins with a region code nobody has used: compare it with the card"

_SEXES = frozenset({"male", "female", ""})
_LANGUAGES = frozenset({"id", "en"})
_PHONE = re.compile(r"\+?[0-9]{6,15}\Z")
# Most numbers and names pass here; what does not is looked at closely, for the reason.
_PLAIN_NIK = re.compile(r"[0-9]{6}(0[1-9]|1[0-9]|2[0-8]|4[1-9]|5[0-9]|6[0-8])(0[1-9]|1[0-2])[0-9]{6}\Z")
_PLAIN = {NIK: _PLAIN_NIK, KK: re.compile(r"(?!0{16})[0-9]{16}\Z")}
_PLAIN_NAME = re.compile(r"[A-Za-z]+( [A-Za-z]+)*\Z")


class IdentityInvalid(ValueError):
    """What cannot be an identity: (place, reason). Neither holds a value."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class Person(NamedTuple):
    """A person's identity. `birth_date` is ISO 8601 or empty; `sex` is male, female or empty."""

    name: str
    birth_date: str = ""
    sex: str = ""

    def __repr__(self) -> str:
        return "Person(hidden)"


class Contact(NamedTuple):
    """Where a household is reached, in which language."""

    phone: str = ""
    language: str = "id"

    def __repr__(self) -> str:
        return "Contact(hidden)"


def check_number(scheme: str, value: str) -> None:
    """A NIK or family card number must be one; numbers of other schemes are free. Raises IdentityInvalid."""
    plain = _PLAIN.get(scheme)
    if plain is None or plain.match(value):
        return
    try:
        Nik(value) if scheme == NIK else Kk(value)
    except NumberInvalid as error:
        raise IdentityInvalid(f"identifiers.{scheme}", str(error)) from None


def doubtful(scheme: str, value: str, known_prefixes: Collection[str]) -> bool:
    """Whether a number begins with no region's code. Made-up numbers begin with 0 and are none's concern here."""
    return scheme in (NIK, KK) and value[0] != "0" and value[:PREFIX_SIZE] not in known_prefixes


def clean_person(name: str, birth_date: str, sex: str, today: date) -> Person:
    """A person as stored. Raises IdentityInvalid."""
    try:
        if not (_PLAIN_NAME.match(name) and len(name) <= 200):
            name = person_name(name)
    except NameInvalid as error:
        raise IdentityInvalid("name", str(error)) from None
    if birth_date:
        _check_birth_date(birth_date, today)
    if sex not in _SEXES:
        raise IdentityInvalid("sex", "not male or female")
    return Person(name, birth_date, sex)


@lru_cache(maxsize=50_000)
def _born(birth_date: str, today: date) -> str | None:
    try:
        parse_birth_date(birth_date, today)
    except DateInvalid as error:
        return str(error)
    return None


def _check_birth_date(birth_date: str, today: date) -> None:
    if reason := _born(birth_date, today):
        raise IdentityInvalid("birth_date", reason)


def clean_contact(phone: str, language: str = "id") -> Contact:
    """A contact as stored. Raises IdentityInvalid."""
    if phone and not _PHONE.match(phone):
        raise IdentityInvalid("phone", "not a telephone number (6 to 15 digits, a + before them if need be)")
    if language not in _LANGUAGES:
        raise IdentityInvalid("language", f"not one of {', '.join(sorted(_LANGUAGES))}")
    return Contact(phone, language)

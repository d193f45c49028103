"""A household as it is registered: identifiers, attributes, members, payee; and the limits it must keep."""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple

import orjson

from salur.registry.domain.identity import NIK, Contact, IdentityInvalid, Person, check_number

Scalar = bool | int | float | str | None

HEAD = "head"
"""Value of a member's attribute `relation` that names the head of the family."""

MAX_ATTRIBUTES = 120
MAX_MEMBERS = 50
MAX_IDENTIFIERS = 10
MAX_TEXT_LENGTH = 1_000
MAX_IDENTIFIER_LENGTH = 200
MAX_INTEGER = 2**53 - 1
"""Beyond it JSON readers lose digits (RFC 8259 §6)."""
MAX_HOUSEHOLD_SIZE = 64 * 1024
"""Bytes of a household as JSON: its event with all values must stay far below Kafka's limit for a record."""

_BANK = re.compile(r"[a-z][a-z0-9-]{1,19}\Z")
_ACCOUNT_NUMBER = re.compile(r"[0-9A-Za-z]{4,34}\Z")


class HouseholdInvalid(ValueError):
    """A household that cannot be registered: (place, reason). Neither holds a value of it."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class Identifier(NamedTuple):
    """A value of some scheme (NIK, KK number, survey id). The value is personal."""

    scheme: str
    value: str


class Member(NamedTuple):
    """A person of the household. The first identifier makes the person's id; `member_id` names one known already."""

    attributes: dict[str, Scalar]
    identifiers: tuple[Identifier, ...] = ()
    member_id: str | None = None
    person: Person | None = None


Method = Literal["account", "card", "cash", "group-account", "contribution"]
"""How money reaches who is paid: an account of their own or of their group, a card, cash, an insurer."""


class Payee(NamedTuple):
    """Where the household is paid. `holder_nik`: the number the bank knows its holder by, when it was stated."""

    bank: str
    number: str
    holder: str
    method: Method = "account"
    holder_nik: str | None = None

    def content(self) -> list[str]:
        """What is sealed and hashed of it. What is not stated, or usual, at the end stands there not at all."""
        told = [self.bank, self.number, self.holder]
        if self.holder_nik is not None:
            return [*told, self.method, self.holder_nik]
        return told if self.method == "account" else [*told, self.method]


class Household(NamedTuple):
    """What a registration states. The first identifier makes the household's id."""

    identifiers: tuple[Identifier, ...]
    region: str
    attributes: dict[str, Scalar]
    members: tuple[Member, ...] = ()
    payee: Payee | None = None
    contact: Contact | None = None

    def canonical(self) -> str:
        """The whole statement as canonical JSON: equal content, equal text. It holds identity: hash it with a key."""
        payee = self.payee
        content: list[object] = [
            [[i.scheme, i.value] for i in self.identifiers],
            self.region,
            self.attributes,
            [[m.attributes, [[i.scheme, i.value] for i in m.identifiers]] for m in self.members],
            payee.content() if payee else None,
        ]
        people = [m.person and [m.person.name, m.person.birth_date, m.person.sex] for m in self.members]
        if self.contact is not None or any(people):
            content.append([self.contact and [self.contact.phone, self.contact.language], people])
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()

    def head_place(self) -> int | None:
        """Place among the members of the head, else of the only one."""
        heads = [place for place, member in enumerate(self.members) if member.attributes.get("relation") == HEAD]
        return heads[0] if heads else 0 if len(self.members) == 1 else None

    def all_identifiers(self) -> Iterator[Identifier]:
        """The household's own and its members'."""
        yield from self.identifiers
        for member in self.members:
            yield from member.identifiers


def check_household(household: Household, banks: Collection[str] = ()) -> None:
    """Refuse what must not enter. `banks` empty = any bank. Raises HouseholdInvalid."""
    if not household.identifiers:
        raise HouseholdInvalid("identifiers", "a household needs at least one identifier")
    check_attributes("attributes", household.attributes)
    check_members(household.members)
    identifiers = list(household.all_identifiers())
    for identifier in identifiers:
        check_identifier(identifier)
    if len(set(identifiers)) < len(identifiers):
        raise HouseholdInvalid("identifiers", "the same identifier twice in one household")
    if household.payee is not None:
        check_payee(household.payee, banks)
    check_size(household.attributes, household.members)


def check_identifier(identifier: Identifier) -> None:
    """Text that can be kept, and a number of its scheme. Raises HouseholdInvalid."""
    check_text("identifiers", identifier.value, MAX_IDENTIFIER_LENGTH)
    try:
        check_number(identifier.scheme, identifier.value)
    except IdentityInvalid as error:
        raise HouseholdInvalid(error.place, error.reason) from None


def check_members(members: Collection[Member]) -> None:
    """At most MAX_MEMBERS, each with sound attributes, one head at most. Raises HouseholdInvalid."""
    if len(members) > MAX_MEMBERS:
        raise HouseholdInvalid("members", f"{len(members)} members, the limit is {MAX_MEMBERS}")
    for member in members:
        check_attributes("members", member.attributes)
    if sum(member.attributes.get("relation") == HEAD for member in members) > 1:
        raise HouseholdInvalid("members", "two heads in one family: one is the head")


def check_attributes(place: str, attributes: Mapping[str, Scalar]) -> None:
    """At most MAX_ATTRIBUTES finite numbers, whole numbers JSON can carry, and sound text. Raises HouseholdInvalid."""
    if len(attributes) > MAX_ATTRIBUTES:
        raise HouseholdInvalid(place, f"{len(attributes)} attributes, the limit is {MAX_ATTRIBUTES}")
    for name, value in attributes.items():
        if isinstance(value, str):
            check_text(f"{place}.{name}", value, MAX_TEXT_LENGTH)
        elif isinstance(value, float) and not math.isfinite(value):
            raise HouseholdInvalid(f"{place}.{name}", "not a finite number")
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise HouseholdInvalid(f"{place}.{name}", f"a whole number beyond {MAX_INTEGER}")


def check_text(place: str, text: str, most: int) -> None:
    """Text of at most `most` characters that every database and JSON reader can hold. Raises HouseholdInvalid."""
    if len(text) > most:
        raise HouseholdInvalid(place, f"{len(text)} characters, the limit is {most}")
    if "\x00" in text or (not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)):
        raise HouseholdInvalid(place, "holds a NUL or half a character")


def check_payee(payee: Payee, banks: Collection[str] = ()) -> None:
    """A bank we know and an account number of its form. Raises HouseholdInvalid."""
    if not _BANK.match(payee.bank):
        raise HouseholdInvalid("payee.bank", "not a bank code (lower-case letters, digits, hyphens)")
    if banks and payee.bank not in banks:
        raise HouseholdInvalid("payee.bank", f"no partner bank of that code: known are {', '.join(banks)}")
    if not _ACCOUNT_NUMBER.match(payee.number):
        raise HouseholdInvalid("payee.number", "not an account number (4 to 34 letters or digits)")
    if not payee.holder:
        raise HouseholdInvalid("payee.holder", "empty where a value is needed")
    check_text("payee.holder", payee.holder, MAX_IDENTIFIER_LENGTH)
    if payee.holder_nik is not None:
        try:
            check_number(NIK, payee.holder_nik)
        except IdentityInvalid as error:
            raise HouseholdInvalid("payee.holder_nik", error.reason) from None


def check_size(attributes: Mapping[str, Scalar], members: Collection[Member]) -> None:
    """The values of one household fit one event. Raises HouseholdInvalid."""
    size = len(orjson.dumps([attributes, [member.attributes for member in members]]))
    if size > MAX_HOUSEHOLD_SIZE:
        raise HouseholdInvalid("household", f"{size} bytes of attributes, the limit is {MAX_HOUSEHOLD_SIZE}")

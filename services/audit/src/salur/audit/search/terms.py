"""What an entry can be found by, and what one such term says about others. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import orjson

FIELDS = {
    "beneficiary_id": "household",
    "household_id": "household",
    "payment_id": "payment",
    "entitlement_id": "entitlement",
    "cycle_id": "cycle",
    "programme_id": "programme",
    "list_id": "list",
    "fund_id": "fund",
    "decision_id": "decision",
    "case_id": "case",
    "proposal_id": "proposal",
    "account_token": "account",
    "identity_token": "identity",
    "bank": "bank",
}
IMPLIES: Mapping[str, Sequence[str]] = {
    "payment": ("entitlement", "household", "cycle", "bank", "list"),
    "entitlement": ("household", "cycle", "programme"),
    "list": ("cycle", "fund"),
    "cycle": ("programme", "fund"),
    "household": ("region",),
}
"""A value of the first dimension belongs to one of each of the others: said once, it holds for every entry."""
_TEACHING = IMPLIES.keys() | {name for names in IMPLIES.values() for name in names}
_IMPLYING = tuple(f"{name}=" for name in IMPLIES)
_REGION = "region="
REGION_SIZES = (2, 5, 8, 13)
VALUE_MAX = 200
_BANK_TOPIC = re.compile(r"(?:banks\.results|payments\.instructions)\.(.+)")


class Read(NamedTuple):
    """An entry as the index reads it."""

    leaf: bytes
    topic: str
    partition: int
    kafka_offset: int
    stream: str | None
    type: str | None
    subject: str | None


def dimension(term: str) -> str:
    """`household` of `household=1f…`."""
    return term.partition("=")[0]


def terms_of(entry: Read) -> list[str]:
    """The terms an entry says itself, its regions last. An event's id is no term: the log's rows are found by it."""
    document = _document(entry)
    said = [("topic", entry.topic), ("type", entry.type), ("subject", entry.subject)]
    if entry.stream is None:
        # What a record of an outside topic led to names its position as the cause.
        said.append(("event", f"{entry.topic}/{entry.partition}/{entry.kafka_offset}"))
    said += (("actor", document.get("actor")), ("cause", document.get("cause")))
    data = document.get("data")
    data = data if isinstance(data, dict) else {}
    said += [(name, data[field]) for field, name in FIELDS.items() if field in data]
    if "." in entry.topic and not data.get("bank") and (bank := _BANK_TOPIC.fullmatch(entry.topic)):
        said.append(("bank", bank[1]))
    terms = [
        f"{name}={value}" for name, value in said
        if isinstance(value, str) and 0 < len(value) <= VALUE_MAX and "\x00" not in value
    ]  # fmt: skip
    region = data.get("region")
    if isinstance(region, str):
        terms += [f"{_REGION}{region[:size]}" for size in REGION_SIZES if len(region) >= size]
    return terms


def _document(entry: Read) -> dict[str, Any]:
    if entry.stream is None:
        return {}
    try:
        document = orjson.loads(entry.leaf)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def implies(term: str) -> bool:
    """Whether something may follow from a term."""
    return term.startswith(_IMPLYING)


def learnt(terms: Iterable[str]) -> list[tuple[str, str]]:
    """(term, what it implies): all that the terms of one entry teach."""
    # Of its regions the last is the smallest: what lies above follows from it.
    said = {name: term for term in terms if (name := dimension(term)) in _TEACHING}
    return [
        (said[known], said[other])
        for known, others in IMPLIES.items() if known in said
        for other in others if other in said
    ]  # fmt: skip


class Implied:
    """What terms imply: each with everything that follows from it, however many steps away."""

    def __init__(self) -> None:
        self._direct: dict[str, set[str]] = {}
        self._reached: dict[str, AbstractSet[str]] = {}

    def add(self, pairs: Iterable[tuple[str, str]]) -> set[str]:
        """Take in (term, implied); returns what is implied."""
        said, direct = set(), self._direct
        for term, implied in pairs:
            said.add(implied)
            if (known := direct.get(term)) is None:
                direct[term] = {implied}
            else:
                known.add(implied)
        self._reached.clear()
        return said

    def of(self, term: str) -> AbstractSet[str]:
        """All that follows from a term."""
        if (known := self._reached.get(term)) is not None:
            return known
        # The dimensions form no circle, so neither do their terms.
        found = set(direct := self._direct.get(term, ()))
        for implied in direct:
            found |= self.of(implied)
        if term.startswith(_REGION):
            found.update(term[: len(_REGION) + size] for size in REGION_SIZES if len(_REGION) + size < len(term))
        self._reached[term] = found
        return found

    def of_all(self, terms: Iterable[str]) -> set[str]:
        """All that follows from terms which name their own regions in full."""
        direct = self._direct
        return set().union(*[self.of(term) for term in terms if term in direct])

    def is_needless(self, term: str, implied: str) -> bool:
        """Whether a pair follows from the others."""
        return any(implied in self.of(other) for other in self._direct.get(term, ()) if other != implied)


def with_implied(terms: Sequence[str], implied: Implied) -> set[str]:
    """An entry's terms and all that follows. Its own region holds against those of its household."""
    found = implied.of_all(terms)
    if names_region(terms):
        found = {term for term in found if not term.startswith(_REGION)}
    found.update(terms)
    return found


def names_region(terms: Sequence[str]) -> bool:
    """Whether an entry says its region itself: it stands last."""
    return bool(terms) and terms[-1].startswith(_REGION)

"""What matching works on and what it answers."""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from salur.registry.domain.matching.spelling import name_key, words

Verdict = Literal["probable", "possible", "different"]


@dataclass(frozen=True, slots=True)
class Record:
    """A registered person, opened in memory only while compared.

    `phone` and `account` are keyed hashes, never clear values: equal or not is all that counts. Never logged, so it has
    no `repr` of its values.
    """

    person_id: str
    household_id: str
    name: str
    birth_date: date | None
    sex: str
    region: str
    nik: str | None = None
    phone: str | None = None
    account: str | None = None
    words: tuple[str, ...] = field(init=False)
    """The name in today's spelling."""
    name_key: str = field(init=False)
    """The name's sounds."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", words(self.name))
        object.__setattr__(self, "name_key", name_key(self.words))

    def __repr__(self) -> str:
        return f"Record({self.person_id})"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One finding and its weight in bits: above 0 speaks for the same person. It holds no value of a record."""

    field: str
    finding: str
    bits: float


@dataclass(frozen=True, slots=True)
class Match:
    """Two records compared. `score` 0 to 1 is the bits as a probability; a person decides, never the score."""

    first_id: str
    second_id: str
    score: float
    verdict: Verdict
    evidence: tuple[Evidence, ...]

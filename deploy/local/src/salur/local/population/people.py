"""Who lives in a family: relations, ages, sexes, schooling. Numbers and wealth come from elsewhere."""

from dataclasses import dataclass
from itertools import pairwise

from salur.local.population.days import days_of
from salur.local.population.draws import SLOTS, Random
from salur.local.population.marginals import Marginals
from salur.local.population.model import Person
from salur.local.population.names import Culture
from salur.local.population.numbers import Numbers

_YOUNGEST_MOTHER, _OLDEST_MOTHER = 18, 42
_OLDEST_CHILD = 34
BOY = 0.512


@dataclass(slots=True)
class Seat:
    """A place in a family before it has a name. `twin`: born on the day of the one before."""

    relation: str
    sex: str
    age: int
    orphan: bool = False
    twin: bool = False


def seats(m: Marginals, draw: Random) -> list[Seat]:
    """The family's members, the head first."""
    size = m.size[int(draw() * SLOTS)]
    if size == 1:
        return [_head(m, draw, "alone")]
    kind = (m.two if size == 2 else m.more)[int(draw() * SLOTS)]
    if kind == "couple" and size == 2:
        return _couple(m, draw, "couple-alone")
    if kind == "grandparent":
        age = m.head_age["alone"][int(draw() * SLOTS)]
        head = Seat("head", "female" if draw() < 0.6 else "male", max(age, 48))
        return [head, Seat("grandchild", _sex(draw), int(draw() * 16), orphan=draw() < m.orphan * 8)]
    if kind == "one-parent":
        head = _head(m, draw, "one-parent")
        return [head, *_children(m, draw, head.age, size - 1)]
    couple = _couple(m, draw, "parents")
    if kind == "couple-grandparent":
        old = min(couple[0].age + 20 + int(draw() * 12), 99)
        grandparent = Seat("parent", "female" if draw() < 0.65 else "male", old)
        return [*couple, *_children(m, draw, couple[1].age, size - 3), grandparent]
    return [*couple, *_children(m, draw, couple[1].age, size - 2)]


def _head(m: Marginals, draw: Random, kind: str) -> Seat:
    ages = m.head_age["parents" if kind == "one-parent" else kind]
    return Seat("head", "female" if draw() < m.female_head[kind] else "male", ages[int(draw() * SLOTS)])


def _couple(m: Marginals, draw: Random, ages: str) -> list[Seat]:
    age = m.head_age[ages][int(draw() * SLOTS)]
    wife = max(age + 2 - int(draw() * 9), 19)
    return [Seat("head", "male", age), Seat("spouse", "female", wife)]


def _children(m: Marginals, draw: Random, mother: int, count: int) -> list[Seat]:
    youngest = max(mother - _OLDEST_MOTHER, 0)
    oldest = max(min(mother - _YOUNGEST_MOTHER, _OLDEST_CHILD), youngest)
    ages = sorted((youngest + int(draw() ** 0.8 * (oldest - youngest + 1)) for _ in range(count)), reverse=True)
    children = [Seat("child", _sex(draw), age) for age in ages]
    for first, second in pairwise(children):
        if draw() < m.twins:
            second.age, second.twin = first.age, True
    for child in children:
        child.orphan = child.age < 18 and draw() < m.orphan
    return children


def _sex(draw: Random) -> str:
    return "male" if draw() < BOY else "female"


class Namer:
    """Turns seats into persons of one family."""

    def __init__(self, m: Marginals, numbers: Numbers, culture: Culture, decile: int) -> None:
        self._m = m
        self._numbers = numbers
        self._culture = culture
        self._poverty = (10 - decile) / 9

    def persons(self, draw: Random, family: int, places: list[Seat]) -> list[Person]:
        """A person for each seat; children bear their family's clan name."""
        clan = self._culture.clan(draw)
        persons: list[Person] = []
        year = self._m.as_of.year
        day = 0
        for position, seat in enumerate(places):
            days = days_of(year - seat.age)
            if not (seat.twin and position):
                day = int(draw() * 365)
            iso, male, female = days[day]
            own_clan = clan if seat.relation != "spouse" else self._culture.clan(draw)
            persons.append(
                Person(
                    self._numbers.nik(family, position, male if seat.sex == "male" else female),
                    self._culture.name(draw, seat.sex, own_clan),
                    iso, seat.sex, seat.age, seat.relation,
                    self._m.disability[seat.age][int(draw() * SLOTS)],
                    self._school(draw, seat.age),
                    seat.relation == "spouse" and self._pregnant(draw, seat.age),
                    seat.orphan,
                )
            )  # fmt: skip
        return persons

    def _school(self, draw: Random, age: int) -> str:
        schooling = self._m.schooling[age]
        if schooling is None:
            return "none"
        lost = 1 - schooling.poorest_lose * self._poverty
        return schooling.level if draw() < schooling.share * lost else "none"

    def _pregnant(self, draw: Random, age: int) -> bool:
        share = self._m.pregnant[age]
        return share is not None and draw() < share

"""Families one after another, block by block: each block depends on seed and block number alone.

So the first families of a large population are those of a small one, and memory stays constant.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from salur.local.population.days import days_of, forms
from salur.local.population.draws import SLOTS
from salur.local.population.marginals import Marginals, marginals, stated
from salur.local.population.model import Account, Family, Person, Truth, Welfare
from salur.local.population.names import cultures
from salur.local.population.numbers import MAX_FAMILIES, Numbers
from salur.local.population.people import Namer, Seat, seats
from salur.local.population.variants import impossible_nik, other_date, other_name, other_nik
from salur.local.population.welfare import Wealth

BLOCK = 1_000
DEFAULT_BANKS = ("bank-a", "bank-b", "bank-c")
_ADULT = 17


def households(families: int, seed: int, banks: Sequence[str] = DEFAULT_BANKS, first: int = 0) -> Iterator[Family]:
    """Families number `first` (a multiple of BLOCK) to `families` - 1 of the population of a seed.

    Raises ValueError beyond MAX_FAMILIES and for a `first` within a block.
    """
    if not 0 <= families <= MAX_FAMILIES:
        raise ValueError(f"families must be 0 to {MAX_FAMILIES}, got {families}")
    if first % BLOCK:
        raise ValueError(f"first must be a multiple of {BLOCK}, got {first}")
    tables = _Tables(marginals(), Numbers(seed), tuple(banks))
    for start in range(first, families, BLOCK):
        block = _Block(tables, random.Random(f"{seed}/{start}"))  # noqa: S311 - a stated seed, no secret
        for number in range(start, min(start + BLOCK, families)):
            yield block.family(number)


class _Tables:
    """What all blocks share."""

    def __init__(self, m: Marginals, numbers: Numbers, banks: tuple[str, ...]) -> None:
        self.m = m
        self.numbers = numbers
        self.wealth = Wealth(m)
        self.cultures = cultures()
        self.banks = m.bank_table(banks, stated()["banks"])
        self.namers = {
            (province, decile): Namer(m, numbers, culture, decile)
            for province, culture in self.cultures.items()
            for decile in range(1, 11)
        }


@dataclass(slots=True)
class _Group:
    """Families that share an account."""

    name: str
    account: Account
    region: str
    left: int


class _Block:
    """One block's families in order. `_known` are those a later one may be a second record of, each once."""

    def __init__(self, tables: _Tables, generator: random.Random) -> None:
        self._tables = tables
        self._m = tables.m
        self._numbers = tables.numbers
        self._draw = generator.random
        self._known: list[Family] = []
        self._ghosts: _Group | None = None
        self._sharers: _Group | None = None

    def family(self, number: int) -> Family:
        """The next family."""
        kind = self._m.planted[int(self._draw() * SLOTS)]
        if kind == "ghost":
            return self._ghost(number)
        if kind in ("family-twice", "person-twice", "same-nik", "namesake"):
            source = self._source()
            if source is not None:
                return self._second(kind, number, source)
        family = self._plain(number, self._region(), seats(self._m, self._draw))
        if kind == "invalid-nik":
            self._spoil_nik(family)
        elif kind == "shared-account":
            self._share_account(family)
        else:
            self._known.append(family)
        return family

    def _source(self) -> Family | None:
        """An earlier family of the block that nothing else points at."""
        if not self._known:
            return None
        place = int(self._draw() * len(self._known))
        self._known[place], self._known[-1] = self._known[-1], self._known[place]
        return self._known.pop()

    def _region(self) -> str:
        province = self._m.provinces[int(self._draw() * len(self._m.provinces))]
        districts = self._m.districts[province]
        return districts[int(self._draw() * len(districts))]

    def _plain(self, number: int, region: str, places: list[Seat]) -> Family:
        draw = self._draw
        welfare = self._tables.wealth.of(draw, region, [seat.age for seat in places])
        persons = self._tables.namers[region[:2], welfare.decile].persons(draw, number, places)
        family = self._bare(number, region, persons, welfare)
        self._let_die(family)
        return family

    def _bare(self, number: int, region: str, persons: list[Person], welfare: Welfare) -> Family:
        draw = self._draw
        issued = days_of(2013 + int(draw() * 13))[int(draw() * 365)][1]
        there = region[:2] in self._m.geographic
        obstacles = self._m.obstacle_there if there else self._m.obstacle_elsewhere
        bank = self._tables.banks[int(draw() * len(self._tables.banks))]
        holder = next((person.name for person in persons if person.relation == "spouse"), persons[0].name)
        return Family(
            number,
            self._numbers.kk(number, issued),
            region,
            self._numbers.phone(number) if draw() < self._m.phone else "",
            obstacles[int(draw() * SLOTS)],
            persons,
            Account(bank, self._numbers.account(number), holder),
            welfare,
        )

    def _let_die(self, family: Family) -> None:
        for person in family.members:
            if self._draw() < self._m.dead[person.age]:
                died = self._m.as_of - timedelta(days=int(self._draw() * 365))
                if died.isoformat() > person.birth_date:
                    family.truths.append(Truth("dead", family.kk, person.nik, detail=died.isoformat()))

    def _spoil_nik(self, family: Family) -> None:
        person = family.members[int(self._draw() * len(family.members))]
        right = person.nik
        person.nik, detail = impossible_nik(self._draw, right)
        family.truths = [truth for truth in family.truths if truth.nik != right]
        family.truths.append(Truth("invalid-nik", family.kk, person.nik, detail=detail))

    def _ghost(self, number: int) -> Family:
        """One or two adults nobody ever met; their group's account is the same."""
        draw = self._draw
        region = self._ghosts.region if self._ghosts else self._region()
        places = [Seat("head", "male" if draw() < 0.5 else "female", 25 + int(draw() * 45))]
        if draw() < 0.3:
            places.append(Seat("child", "male" if draw() < 0.5 else "female", int(draw() * 12)))
        welfare = self._tables.wealth.of(draw, region, [seat.age for seat in places])
        persons = self._tables.namers[region[:2], welfare.decile].persons(draw, number, places)
        family = self._bare(number, region, persons, welfare)
        self._ghosts = group = _joined(self._ghosts, family, 3 + int(draw() * 4))
        family.truths += [
            Truth("ghost", family.kk, person.nik, detail=f"account of {group.name}") for person in persons
        ]
        return family

    def _share_account(self, family: Family) -> None:
        self._sharers = group = _joined(self._sharers, family, 3 + int(self._draw() * 4))
        family.truths.append(Truth("shared-account", family.kk, "", other_kk=group.name))

    def _second(self, kind: str, number: int, source: Family) -> Family:
        if kind == "family-twice":
            return self._family_twice(number, source)
        if kind == "namesake":
            return self._namesake(number, source)
        adults = [person for person in source.members if person.age >= _ADULT]
        person = adults[int(self._draw() * len(adults))]
        region = self._other_region(source.region)
        if kind == "person-twice" and self._draw() < 0.5:
            return self._alone(number, source, person, region)
        family = self._plain(number, region, seats(self._m, self._draw))
        if kind == "same-nik":
            again = replace(person, relation="other", pregnant=False)
            family.truths.append(Truth(kind, family.kk, person.nik, source.kk, person.nik, "same"))
        else:
            again, detail = self._again(person, number, len(family.members))
            again.relation, again.pregnant = "other", False
            family.truths.append(Truth(kind, family.kk, again.nik, source.kk, person.nik, detail))
            self._keep_contacts(family, source)
        family.members.append(again)
        self._score(family)
        return family

    def _alone(self, number: int, source: Family, person: Person, region: str) -> Family:
        """The person again as the only one of another card."""
        again, detail = self._again(person, number, 0)
        again.relation, again.pregnant = "head", False
        welfare = self._tables.wealth.of(self._draw, region, [again.age])
        family = self._bare(number, region, [again], welfare)
        family.truths.append(Truth("person-twice", family.kk, again.nik, source.kk, person.nik, detail))
        self._keep_contacts(family, source)
        return family

    def _family_twice(self, number: int, source: Family) -> Family:
        """All of the source again under another card."""
        members: list[Person] = []
        truths: list[tuple[str, str, str]] = []
        for position, person in enumerate(source.members):
            again, detail = self._again(person, number, position)
            members.append(again)
            truths.append((again.nik, person.nik, detail))
        region = self._other_region(source.region)
        family = self._bare(number, region, members, replace(source.welfare))
        family.truths = [
            Truth("family-twice", family.kk, nik, source.kk, first, detail) for nik, first, detail in truths
        ]
        self._keep_contacts(family, source)
        self._score(family)
        return family

    def _namesake(self, number: int, source: Family) -> Family:
        """Somebody else of the same name in the same district."""
        family = self._plain(number, source.region, seats(self._m, self._draw))
        head = family.members[0]
        other = next((person for person in source.members if person.sex == head.sex), None)
        if other is not None and other.birth_date != head.birth_date:
            head.name = other.name
            family.truths.append(Truth("namesake", family.kk, head.nik, source.kk, other.nik))
        return family

    def _again(self, person: Person, number: int, position: int) -> tuple[Person, str]:
        """A second record of a person and how it differs."""
        draw = self._draw
        name, name_differs = other_name(self._m, draw, person.name, person.sex)
        birth_date, date_differs = other_date(self._m, draw, person.birth_date)
        if self._m.differs_nik[int(draw() * SLOTS)] == "typo":
            nik, nik_differs = other_nik(draw, person.nik), "typo"
        else:
            _, male, female = forms(date.fromisoformat(birth_date))
            nik, nik_differs = self._numbers.nik(number, position, male if person.sex == "male" else female), "other"
        age = self._m.as_of.year - int(birth_date[:4])
        again = replace(person, nik=nik, name=name, birth_date=birth_date, age=age)
        return again, f"name:{name_differs} birth_date:{date_differs} nik:{nik_differs}"

    def _other_region(self, region: str) -> str:
        kind = self._m.differs_region[int(self._draw() * SLOTS)]
        if kind == "same":
            return region
        if kind == "elsewhere":
            return self._region()
        near = [code for code in self._m.districts[region[:2]] if code[:5] == region[:5]]
        return near[int(self._draw() * len(near))]

    def _keep_contacts(self, family: Family, source: Family) -> None:
        if self._draw() < self._m.same_phone:
            family.phone = source.phone
        if self._draw() < self._m.same_account:
            family.account = replace(source.account)

    def _score(self, family: Family) -> None:
        """Score and decile again after the members changed."""
        family.welfare = self._tables.wealth.again(family.welfare, family.region, [p.age for p in family.members])


def _joined(group: _Group | None, family: Family, size: int) -> _Group:
    """The group the family joins: its account becomes the family's. A new group begins when the last is full."""
    if group is None or group.left == 0:
        return _Group(family.kk, family.account, family.region, size - 1)
    family.account = replace(group.account)
    group.left -= 1
    return group

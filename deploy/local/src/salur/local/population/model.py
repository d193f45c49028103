"""What a generated population consists of."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Person:
    """One row of the file. `birth_date` is ISO 8601; `school` is the level attended now or `none`."""

    nik: str
    name: str
    birth_date: str
    sex: str
    age: int
    relation: str
    disability: str
    school: str
    pregnant: bool
    orphan: bool


@dataclass(slots=True)
class Account:
    """Where the family is paid."""

    bank: str
    number: str
    holder: str


@dataclass(slots=True)
class Welfare:
    """What the score is made of, and what comes out of it. `decile` 1 is the poorest."""

    floor: str
    floor_area_m2: int
    electricity_va: int
    motorcycle: bool
    fridge: bool
    head_education: str
    score: float
    decile: int


@dataclass(slots=True)
class Truth:
    """What is wrong with a record, or who it is once more. `other` is the first record of the same person."""

    kind: str
    kk: str
    nik: str
    other_kk: str = ""
    other_nik: str = ""
    detail: str = ""


@dataclass(slots=True)
class Family:
    """The rows of one family card."""

    number: int
    kk: str
    region: str
    phone: str
    obstacle: str
    members: list[Person]
    account: Account
    welfare: Welfare
    truths: list[Truth] = field(default_factory=list)

"""The rules for red flags, as data."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from salur.common.contracts.base import Code, Name

RULES = Path(__file__).with_name("rules.yaml")
Severity = Literal["low", "medium", "high"]


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Code
    severity: Severity


class _OfOneType(_Rule):
    type: Name

    @property
    def types(self) -> tuple[str, ...]:
        """The types of the entries it reads."""
        return (self.type,)


class Many(_OfOneType):
    """More than `more_than` different values of dimension `of` share a value of dimension `same`."""

    kind: Literal["many"]
    same: Code
    of: Code
    more_than: int = Field(ge=1)


class Within(_Rule):
    """An entry follows another in less than a time, both with a value of dimension `same` in common.

    `before_says`: what the earlier one says in its data. `equal`, `differ`: fields that both have, alike or not.
    """

    kind: Literal["within"]
    before: Name
    before_version: int = Field(1, ge=1)
    before_says: dict[Name, str] = {}
    after: Name
    same: Code
    equal: Name | None = None
    differ: Name | None = None
    less_than_s: float = Field(gt=0)

    @property
    def types(self) -> tuple[str, ...]:
        return self.before, self.after


class Alike(_OfOneType):
    """Two fields of one entry name one person."""

    kind: Literal["alike"]
    left: Name
    right: Name


class Bounds(BaseModel):
    """The least and the most an amount may be, in minor units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_minor: int = Field(ge=0)
    most_minor: int = Field(ge=0)


class Outside(_OfOneType):
    """An amount outside the bounds of its programme. A programme without bounds is not judged."""

    kind: Literal["outside"]
    amount: Name
    programmes: dict[Code, Bounds]


class Rate(_OfOneType):
    """More than a share of the entries of type `of` in a village have one of `type` in the same `per`.

    Villages with fewer than `at_least` entries of type `of` are not judged: anything is possible there.
    """

    kind: Literal["rate"]
    of: Name
    per: Code
    more_than: float = Field(gt=0)
    at_least: int = Field(ge=1)


class Missing(_OfOneType):
    """An entry that says `when` and does not say `lacks`."""

    kind: Literal["missing"]
    when: dict[Name, str] = {}
    lacks: Name


Rule = Annotated[Many | Within | Alike | Outside | Rate | Missing, Field(discriminator="kind")]


def load_rules(path: Path = RULES) -> tuple[Rule, ...]:
    """The rules of a file. Raises ValidationError when one breaks its form."""
    return tuple(TypeAdapter(list[Rule]).validate_python(yaml.safe_load(path.read_text("utf-8"))))

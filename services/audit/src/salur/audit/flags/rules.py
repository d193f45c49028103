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


class Many(_Rule):
    """More than `more_than` different values of dimension `of` share a value of dimension `same`."""

    kind: Literal["many"]
    type: Name
    same: Code
    of: Code
    more_than: int = Field(ge=1)


class Within(_Rule):
    """An entry follows another in less than a time, both with a value of dimension `same` in common."""

    kind: Literal["within"]
    before: Name
    before_version: int = Field(1, ge=1)
    after: Name
    same: Code
    less_than_s: float = Field(gt=0)

    @property
    def type(self) -> str:
        """The entries it reads on with."""
        return self.after


class Alike(_Rule):
    """Two fields of one entry name one person."""

    kind: Literal["alike"]
    type: Name
    left: Name
    right: Name


Rule = Annotated[Many | Within | Alike, Field(discriminator="kind")]


def load_rules(path: Path = RULES) -> tuple[Rule, ...]:
    """The rules of a file. Raises ValidationError when one breaks its form."""
    return tuple(TypeAdapter(list[Rule]).validate_python(yaml.safe_load(path.read_text("utf-8"))))

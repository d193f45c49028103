"""A programme as data: YAML with CEL rules, checked when published, evaluated the same way for ever. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from salur.common.values import CURRENCY_PATTERN
from salur.eligibility.domain.document import DocumentInvalid, Lines, Path, read_document
from salur.eligibility.domain.rules import ExpressionInvalid, Kind, Rule, check_names, compile_rule

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,59}$")]
InputName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
MAX_UNIT_MINOR = 10**12
UnitMinor = Annotated[int, Field(ge=0, le=MAX_UNIT_MINOR)]
MAX_RULES_SIZE = 24 * 1024
"""Bytes of the rules as a JSON string: they travel whole in an event of at most 32 KiB."""
AUTHOR = "author of the programme"


class ProgrammeInvalid(ValueError):
    """The rules cannot be published; the message names line, place and expression for their author."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Words(_Strict):
    """A text for people in English and Indonesian."""

    en: Text
    id: Text


class Reasons(_Strict):
    """Why something is not due, in English (stands in events) and Indonesian."""

    en: Reason
    id: Reason


class Inputs(_Strict):
    """What the rules may read, with types: of the household, and of each member."""

    household: dict[InputName, Kind] = Field(default_factory=dict, max_length=100)
    member: dict[InputName, Kind] = Field(default_factory=dict, max_length=100)


class Criterion(_Strict):
    """A condition every enrolled household meets; `when` reads household inputs and gives true or false."""

    code: Code
    text: Words
    legal: Text
    when: Expression


class Component(_Strict):
    """A line of the benefit. `unit_minor`: minor units of the programme's currency, or an expression giving them.

    `per: member` counts the members for whom `when` holds; its expressions may read member inputs too.
    """

    code: Code
    text: Words
    legal: Text | None = None
    per: Literal["household", "member"]
    when: Expression = "true"
    unit_minor: UnitMinor | Expression
    not_reported: Reasons = Reasons(en="a value it depends on is not reported", id="nilai yang diperlukan belum ada")
    not_met: Reasons = Reasons(en="its condition is not met", id="syarat tidak terpenuhi")


class Programme(_Strict):
    """The document. `function` and `approach` use the terms of Indonesia's social welfare law (UU 11/2009)."""

    id: Code
    name: Words
    kind: Literal["household"]
    function: Literal["prevention", "rehabilitation", "empowerment", "protection", "assistance", "guarantee"]
    approach: Literal["targeted", "categorical", "universal", "emergency"]
    legal: Text
    currency: Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)]
    cycle_months: int = Field(ge=1, le=12)
    note: Text | None = None
    inputs: Inputs
    criteria: list[Criterion] = Field(min_length=1, max_length=50)
    benefit: list[Component] = Field(min_length=1, max_length=20)


@dataclass(frozen=True, slots=True)
class BenefitRule:
    """A component ready to evaluate; `unit` is the fixed amount or the rule that gives it (minor units)."""

    spec: Component
    when: Rule
    unit: int | Rule


@dataclass(frozen=True, slots=True)
class Compiled:
    """A programme ready to decide. `version` = SHA-256 of its exact text."""

    document: Programme
    version: str
    criteria: tuple[tuple[str, Rule], ...]
    benefit: tuple[BenefitRule, ...]


def compile_programme(text: str) -> Compiled:
    """Parse and type-check. Raises ProgrammeInvalid."""
    if len(json.dumps(text, ensure_ascii=False).encode()) > MAX_RULES_SIZE:
        raise ProgrammeInvalid(f"the rules take more than {MAX_RULES_SIZE} bytes: shorten texts or split the programme")
    try:
        plain, lines = read_document(text)
        document = Programme.model_validate(plain)
    except DocumentInvalid as error:
        raise ProgrammeInvalid(str(error)) from None
    except ValidationError as error:
        raise ProgrammeInvalid("; ".join(_form_error(item, lines) for item in error.errors()[:5])) from None
    checker = _Checker(lines)
    checker.names(document)
    household = document.inputs.household
    everything = household | document.inputs.member
    criteria = tuple(
        (item.code, checker.rule(("criteria", number, "when"), item.code, item.when, household, "bool"))
        for number, item in enumerate(document.criteria)
    )
    benefit = tuple(
        checker.component(number, item, everything if item.per == "member" else household)
        for number, item in enumerate(document.benefit)
    )
    return Compiled(document, hashlib.sha256(text.encode()).hexdigest(), criteria, benefit)


@dataclass(frozen=True, slots=True)
class _Checker:
    """Compiles what the document says and knows on which line it says it."""

    lines: Lines

    def names(self, document: Programme) -> None:
        inputs = document.inputs
        if clash := sorted(inputs.household.keys() & inputs.member.keys()):
            self._refuse(("inputs", "member", clash[0]), f"input {clash[0]!r} is a household input too: rename one")
        for group, names in (("household", inputs.household), ("member", inputs.member)):
            for name, kind in names.items():
                try:
                    check_names({name: kind})
                except ExpressionInvalid as error:
                    self._refuse(("inputs", group, name), f"input {error}")
        seen: set[str] = set()
        parts = [("criteria", n, c.code) for n, c in enumerate(document.criteria)]
        parts += [("benefit", n, c.code) for n, c in enumerate(document.benefit)]
        for part, number, code in parts:
            if code in seen:
                self._refuse((part, number, "code"), f"code {code!r} is used twice: give each its own")
            seen.add(code)

    def component(self, number: int, item: Component, inputs: Mapping[str, Kind]) -> BenefitRule:
        place: Path = ("benefit", number)
        when = self.rule((*place, "when"), item.code, item.when, inputs, "bool")
        if isinstance(item.unit_minor, int):
            return BenefitRule(item, when, item.unit_minor)
        unit = self.rule((*place, "unit_minor"), item.code, item.unit_minor, inputs, "int")
        return BenefitRule(item, when, unit)

    def rule(
        self, path: Path, code: str, source: str, inputs: Mapping[str, Kind], answer: Literal["bool", "int"]
    ) -> Rule:
        try:
            return compile_rule(source, inputs, answer)
        except ExpressionInvalid as error:
            line = _line_of(path, self.lines) + error.line - 1
            shown = " ".join(source.split())
            raise ProgrammeInvalid(f"line {line}, {code}, {path[-1]}: `{shown[:200]}` {error}") from None

    def _refuse(self, path: Path, message: str) -> None:
        raise ProgrammeInvalid(f"line {_line_of(path, self.lines)}: {message}")


def _line_of(path: Path, lines: Lines) -> int:
    """The line of the value at `path`, or of the nearest thing around it (a missing key has no line of its own)."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _form_error(item: Any, lines: Lines) -> str:
    path: Path = tuple(item["loc"])
    place = ".".join(str(part) for part in path) or "document"
    return f"line {_line_of(path, lines)}, {place}: {item['msg']}"

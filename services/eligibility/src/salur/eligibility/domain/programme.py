"""A programme as data: YAML with CEL criteria, checked when published, evaluated the same way for ever."""

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import yaml
from cel_expr_python import cel
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,59}$")]
InputName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Kind = Literal["int", "float", "bool", "string"]
MAX_RULES_SIZE = 24 * 1024
_TYPES = {"int": cel.Type.INT, "float": cel.Type.DOUBLE, "bool": cel.Type.BOOL, "string": cel.Type.STRING}
_WORD = re.compile(r"\b[a-z][a-z0-9_]*\b")


class ProgrammeInvalid(ValueError):
    """The rules cannot be published; the message names line and expression for their author."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Inputs(_Strict):
    """What the rules may read, with types: of the household, and of each member."""

    household: dict[InputName, Kind] = Field(default_factory=dict)
    member: dict[InputName, Kind] = Field(default_factory=dict)


class Criterion(_Strict):
    code: Code
    text: dict[str, Text]
    legal: Text
    when: Expression


class ComponentRule(_Strict):
    """A line of the benefit: per household or per member, `unit_minor` in the programme's currency."""

    code: Code
    text: dict[str, Text]
    per: Literal["household", "member"]
    when: Expression = "true"
    unit_minor: int = Field(ge=0, le=10**12)
    not_reported: Text = "not reported"
    not_met: Text = "condition not met"


class Programme(_Strict):
    """The document."""

    id: Code
    name: dict[str, Text]
    kind: Literal["household"]
    function: Literal["prevention", "rehabilitation", "empowerment", "protection", "assistance", "guarantee"]
    approach: Literal["targeted", "categorical", "universal", "emergency"]
    legal: Text
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    cycle_months: int = Field(ge=1, le=12)
    inputs: Inputs
    criteria: list[Criterion] = Field(min_length=1, max_length=50)
    benefit: list[ComponentRule] = Field(min_length=1, max_length=20)
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled expression and the inputs it reads."""

    code: str
    expression: Any
    reads: tuple[tuple[str, Kind], ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A programme ready to decide. `version` = SHA-256 of its exact text."""

    document: Programme
    version: str
    criteria: tuple[Rule, ...]
    components: tuple[Rule, ...]


def compile_programme(text: str) -> Compiled:
    """Parse and type-check. Raises ProgrammeInvalid naming line and expression."""
    if len(text.encode()) > MAX_RULES_SIZE:
        raise ProgrammeInvalid(f"the rules take over {MAX_RULES_SIZE} bytes: split the programme")
    try:
        document = Programme.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "the document"
        raise ProgrammeInvalid(f"{where} is no YAML: {getattr(error, 'problem', error)}") from None
    except ValidationError as error:
        places = "; ".join(
            f"{'.'.join(str(p) for p in item['loc']) or 'document'}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)[:5]
        )
        raise ProgrammeInvalid(f"the programme breaks its form at {places}") from None
    inputs = document.inputs
    clash = sorted(inputs.household.keys() & inputs.member.keys())
    if clash:
        raise ProgrammeInvalid(f"inputs named for household and member: {', '.join(clash)}: give them different names")
    both = {**inputs.household, **inputs.member}
    criteria = tuple(_compile(text, c.code, c.when, inputs.household) for c in document.criteria)
    components = tuple(
        _compile(text, c.code, c.when, both if c.per == "member" else inputs.household) for c in document.benefit
    )
    codes = [rule.code for rule in (*criteria, *components)]
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise ProgrammeInvalid(f"codes used twice: {', '.join(twice)}")
    return Compiled(document, hashlib.sha256(text.encode()).hexdigest(), criteria, components)


def _compile(text: str, code: str, expression: str, inputs: dict[str, Kind]) -> Rule:
    environment = cel.NewEnv(variables={name: _TYPES[kind] for name, kind in inputs.items()})
    where = f"line {_line_of(text, expression)}, {code}: `{expression}`"
    try:
        compiled = environment.compile(expression)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ProgrammeInvalid(f"{where} does not compile: {reason}") from None
    if compiled.return_type() != cel.Type.BOOL:
        raise ProgrammeInvalid(f"{where} must be true or false, it is {compiled.return_type().name()}")
    words = set(_WORD.findall(expression))
    return Rule(code, compiled, tuple((name, kind) for name, kind in sorted(inputs.items()) if name in words))


def _line_of(text: str, expression: str) -> int:
    first = expression.split("\n", maxsplit=1)[0].strip()
    return next((number for number, line in enumerate(text.split("\n"), 1) if first in line), 0)

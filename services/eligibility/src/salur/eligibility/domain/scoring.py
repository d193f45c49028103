"""A scoring model (proxy means test) as data: terms, coefficients, transformations, cut-offs of the deciles. Pure."""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from salur.eligibility.domain.checking import Checker, ProgrammeInvalid, parse
from salur.eligibility.domain.document import Path
from salur.eligibility.domain.programme import Code, Expression, InputName, Inputs, Strict, Text, Words
from salur.eligibility.domain.rules import Present, Rule

MAX_MODEL_SIZE = 24 * 1024
DECILES = 10
Finite = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Transformation = Literal["none", "log", "sqrt", "square"]

_TRANSFORMED: dict[str, Callable[[float], float]] = {
    "none": float,
    "log": math.log,
    "sqrt": math.sqrt,
    "square": lambda value: value * value,
}


class Term(Strict):
    """A summand: `coefficient` times the transformed value, or what `table` says of a text.

    `value` is an expression that gives a decimal number; with `table`, a text; `when` adds the coefficient where it
    holds. `missing`: what the term adds when it cannot be worked out; without it there is no score at all.
    """

    code: Code
    text: Words
    value: Expression | None = None
    when: Expression | None = None
    transformation: Transformation = "none"
    coefficient: Finite = 1.0
    table: dict[str, Finite] = Field(default_factory=dict, max_length=100)
    missing: Finite | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "Term":
        if (self.value is None) == (self.when is None):
            raise ValueError("a term has either `value` or `when`")
        if self.table and (self.when is not None or self.transformation != "none" or self.coefficient != 1.0):
            raise ValueError("a table says what each text adds: leave out coefficient, transformation and `when`")
        return self


class ScoreModel(Strict):
    """The document. `cut_offs`: the eight or nine scores where a new decile begins, ascending; decile 1 is poorest."""

    id: Code
    name: Words
    legal: Text
    note: Text | None = None
    inputs: Inputs
    counts: dict[InputName, Expression] = Field(default_factory=dict, max_length=20)
    base: Finite
    terms: list[Term] = Field(min_length=1, max_length=100)
    decimals: Annotated[int, Field(ge=0, le=6)] = 2
    cut_offs: list[Finite] = Field(min_length=DECILES - 1, max_length=DECILES - 1)

    @model_validator(mode="after")
    def _ascending(self) -> "ScoreModel":
        if sorted(set(self.cut_offs)) != self.cut_offs:
            raise ValueError("cut_offs must ascend")
        return self


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """A model ready to score. `version` = SHA-256 of its exact text."""

    document: ScoreModel
    version: str
    counts: tuple[tuple[str, Rule], ...]
    terms: tuple[tuple[Term, Rule], ...]


@dataclass(frozen=True, slots=True)
class Score:
    """What a model says of a household. `parts`: what each term added; None = it lacked a value."""

    score: float | None
    decile: int | None
    parts: dict[str, float | None]


def compile_model(text: str) -> CompiledModel:
    """Parse and type-check. Raises ProgrammeInvalid."""
    document, lines = parse(text, ScoreModel, MAX_MODEL_SIZE)
    checker = Checker(lines)
    checker.names(document.inputs, document.counts)
    household, member = document.inputs.household, document.inputs.member
    counts = tuple(
        (name, checker.rule(("counts", name), name, source, household | member))
        for name, source in document.counts.items()
    )
    known = household | dict.fromkeys(document.counts, "int")
    terms = []
    for number, term in enumerate(document.terms):
        place: Path = ("terms", number)
        if term.when is not None:
            rule = checker.rule((*place, "when"), term.code, term.when, known)
        else:
            answer: Literal["string", "float"] = "string" if term.table else "float"
            rule = checker.rule((*place, "value"), term.code, term.value or "", known, answer)
        terms.append((term, rule))
    codes = [term.code for term, _ in terms]
    if twice := sorted({code for code in codes if codes.count(code) > 1}):
        raise ProgrammeInvalid(f"code {twice[0]!r} is used twice: give each term its own")
    return CompiledModel(document, hashlib.sha256(text.encode()).hexdigest(), counts, tuple(terms))


def score_of(model: CompiledModel, facts: Present, members: Sequence[Present]) -> Score:
    """Score and decile of a household as declared. Never raises on data."""
    known: dict[str, bool | int | float | str] = dict(facts)
    for name, rule in model.counts:
        known[name] = sum(1 for member in members if rule.value({**facts, **member}))
    parts = {term.code: _part(term, rule, known) for term, rule in model.terms}
    total = model.document.base
    for part in parts.values():
        if part is None:
            return Score(None, None, parts)
        total += part
    score = round(total, model.document.decimals)
    return Score(score, bisect_right(model.document.cut_offs, score) + 1, parts)


def _part(term: Term, rule: Rule, known: Mapping[str, bool | int | float | str]) -> float | None:
    value = rule.value(known)
    if value is None:
        return term.missing
    if term.when is not None:
        return term.coefficient if value else 0.0
    if term.table:
        return term.table.get(value, term.missing)
    try:
        return term.coefficient * _TRANSFORMED[term.transformation](value)
    except (ValueError, OverflowError):
        return term.missing

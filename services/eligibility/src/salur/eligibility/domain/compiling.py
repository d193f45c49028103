"""Compile a programme: checked when published, evaluated the same way for ever. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from salur.eligibility.domain.document import DocumentInvalid, Lines, Path, read_document
from salur.eligibility.domain.programme import Component, Criterion, Programme
from salur.eligibility.domain.rules import ExpressionInvalid, Kind, Rule, check_names, compile_rule

MAX_RULES_SIZE = 24 * 1024
"""Bytes of the rules as a JSON string: they travel whole in an event of at most 32 KiB."""
AUTHOR = "author of the programme"
SCORED: Mapping[str, Kind] = {"score": "float", "decile": "int"}
"""What a scoring model gives; a programme that names one may read both."""

Answer = Literal["bool", "int", "float"]
M = TypeVar("M", bound=BaseModel)


class ProgrammeInvalid(ValueError):
    """The rules cannot be published; the message names line, place and expression for their author."""


@dataclass(frozen=True, slots=True)
class CriterionRule:
    """A criterion ready to evaluate. `of_member`: it reads member inputs, so each person has an answer."""

    spec: Criterion
    rule: Rule
    of_member: bool


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
    counts: tuple[tuple[str, Rule], ...]
    criteria: tuple[CriterionRule, ...]
    benefit: tuple[BenefitRule, ...]
    rank_score: Rule | None
    rank_vulnerability: Rule | None
    reference: Rule | None


def parse(text: str, model: type[M], most_size: int) -> tuple[M, Lines]:
    """A YAML text as a checked document, and the line of each of its values. Raises ProgrammeInvalid."""
    if len(json.dumps(text, ensure_ascii=False).encode()) > most_size:
        raise ProgrammeInvalid(f"the rules take more than {most_size} bytes: shorten texts or split the programme")
    try:
        plain, lines = read_document(text)
        return model.model_validate(plain), lines
    except DocumentInvalid as error:
        raise ProgrammeInvalid(str(error)) from None
    except ValidationError as error:
        raise ProgrammeInvalid("; ".join(_form_error(item, lines) for item in error.errors()[:5])) from None


def compile_programme(text: str) -> Compiled:
    """Parse and type-check. Raises ProgrammeInvalid."""
    document, lines = parse(text, Programme, MAX_RULES_SIZE)
    checker = Checker(lines)
    checker.names(document)
    household = dict(document.inputs.household) | (dict(SCORED) if document.score_model else {})
    everything = household | document.inputs.member
    counts = tuple(
        (name, checker.rule(("counts", name), name, source, everything)) for name, source in document.counts.items()
    )
    household |= dict.fromkeys(document.counts, "int")
    everything |= household
    of_person = document.kind == "person"
    criteria = tuple(
        checker.criterion(number, item, everything if of_person else household, document.inputs.member)
        for number, item in enumerate(document.criteria)
    )
    benefit = tuple(
        checker.component(number, item, everything if item.per == "member" else household)
        for number, item in enumerate(document.benefit)
    )
    score = vulnerability = reference = None
    if ranking := document.ranking:
        score = checker.rule(("ranking", "score"), "ranking", ranking.score, household, "float")
        vulnerability = checker.rule(("ranking", "vulnerability"), "ranking", ranking.vulnerability, household, "int")
    if fairness := document.fairness:
        reference = checker.rule(("fairness", "reference"), "fairness", fairness.reference, household)
    version = hashlib.sha256(text.encode()).hexdigest()
    return Compiled(document, version, counts, criteria, benefit, score, vulnerability, reference)


@dataclass(frozen=True, slots=True)
class Checker:
    """Compiles what the document says and knows on which line it says it."""

    lines: Lines

    def names(self, document: Programme) -> None:
        inputs = document.inputs
        taken = {**inputs.household, **document.counts}
        if clash := sorted(taken.keys() & inputs.member.keys()):
            self.refuse(("inputs", "member", clash[0]), f"input {clash[0]!r} is a household input too: rename one")
        if clash := sorted(inputs.household.keys() & document.counts.keys()):
            self.refuse(("counts", clash[0]), f"count {clash[0]!r} is a household input too: rename one")
        if document.score_model and (clash := sorted(SCORED.keys() & (taken.keys() | inputs.member.keys()))):
            self.refuse(("score_model",), f"the scoring model gives {clash[0]!r}: do not declare it")
        kinds: dict[Path, Kind] = {("counts", name): "int" for name in document.counts}
        for group, names in (("household", inputs.household), ("member", inputs.member)):
            kinds |= {("inputs", group, name): kind for name, kind in names.items()}
        for path, kind in kinds.items():
            try:
                check_names({str(path[-1]): kind})
            except ExpressionInvalid as error:
                self.refuse(path, f"input {error}")
        seen: set[str] = set()
        parts = [("criteria", n, c.code) for n, c in enumerate(document.criteria)]
        parts += [("benefit", n, c.code) for n, c in enumerate(document.benefit)]
        parts += [("conditions", n, c.code) for n, c in enumerate(document.conditions)]
        for part, number, code in parts:
            if code in seen:
                self.refuse((part, number, "code"), f"code {code!r} is used twice: give each its own")
            seen.add(code)

    def criterion(
        self, number: int, item: Criterion, inputs: Mapping[str, Kind], member: Mapping[str, Kind]
    ) -> CriterionRule:
        rule = self.rule(("criteria", number, "when"), item.code, item.when, inputs)
        return CriterionRule(item, rule, not member.keys().isdisjoint(rule.reads))

    def component(self, number: int, item: Component, inputs: Mapping[str, Kind]) -> BenefitRule:
        place: Path = ("benefit", number)
        when = self.rule((*place, "when"), item.code, item.when, inputs)
        if isinstance(item.unit_minor, int):
            return BenefitRule(item, when, item.unit_minor)
        return BenefitRule(item, when, self.rule((*place, "unit_minor"), item.code, item.unit_minor, inputs, "int"))

    def rule(self, path: Path, code: str, source: str, inputs: Mapping[str, Kind], answer: Answer = "bool") -> Rule:
        try:
            return compile_rule(source, inputs, answer)
        except ExpressionInvalid as error:
            line = _line_of(path, self.lines) + error.line - 1
            shown = " ".join(source.split())
            raise ProgrammeInvalid(f"line {line}, {code}, {path[-1]}: `{shown[:200]}` {error}") from None

    def refuse(self, path: Path, message: str) -> None:
        raise ProgrammeInvalid(f"line {_line_of(path, self.lines)}: {message}")


def _line_of(path: Path, lines: Lines) -> int:
    """The line of the value at `path`, or of the nearest thing around it (a missing key has no line of its own)."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _form_error(item: Any, lines: Lines) -> str:
    path: Path = tuple(item["loc"])
    place = ".".join(str(part) for part in path) or "document"
    return f"line {_line_of(path, lines)}, {place}: {item['msg'].removeprefix('Value error, ')}"

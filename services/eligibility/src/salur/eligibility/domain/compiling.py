"""Compile a programme: checked when published, evaluated the same way for ever. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from salur.eligibility.domain.checking import Checker, ProgrammeInvalid, parse
from salur.eligibility.domain.document import Path
from salur.eligibility.domain.programme import Component, Criterion, ModelName, Programme
from salur.eligibility.domain.rules import Kind, Rule
from salur.eligibility.domain.scoring import CompiledModel

MAX_RULES_SIZE = 24 * 1024
"""Bytes of the rules as a JSON string: they travel whole in an event of at most 32 KiB."""
SCORED: Mapping[str, Kind] = {"score": "float", "decile": "int"}
"""What a scoring model gives; a programme that names one may read both."""

__all__ = ["SCORED", "BenefitRule", "Compiled", "CriterionRule", "ProgrammeInvalid", "compile_programme", "model_named"]


@dataclass(frozen=True, slots=True)
class CriterionRule:
    """A criterion ready to evaluate. `of_member`: it reads member inputs, so each person has an answer."""

    spec: Criterion
    rule: Rule
    of_member: bool
    outcomes: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False, compare=False)
    """Of households, by what it reads."""


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
    model: CompiledModel | None = None
    unit_reads: tuple[str, ...] = ()
    """What the components per member read."""
    units: dict[tuple[Any, ...], tuple[int | str, ...]] = field(default_factory=dict, repr=False, compare=False)
    """What each component gives a member, by what they read: most members are like others."""
    lines: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False, compare=False)
    """What is due and what is not, by what each component gives: so are most families."""


def model_named(text: str) -> ModelName | None:
    """The scoring model a programme's text names, to be given to `compile_programme`. Raises ProgrammeInvalid."""
    return parse(text, Programme, MAX_RULES_SIZE)[0].score_model


def compile_programme(text: str, model: CompiledModel | None = None) -> Compiled:
    """Parse and type-check; `model` is the one the text names. Raises ProgrammeInvalid."""
    document, lines = parse(text, Programme, MAX_RULES_SIZE)
    checker = Checker(lines)
    checker.names(document.inputs, document.counts)
    _check_codes(document, checker)
    _check_model(document, model, checker)
    household = dict(document.inputs.household) | (dict(SCORED) if document.score_model else {})
    everything = household | document.inputs.member
    counts = tuple(
        (name, checker.rule(("counts", name), name, source, everything)) for name, source in document.counts.items()
    )
    household |= dict.fromkeys(document.counts, "int")
    everything |= household
    of_person = document.kind == "person"
    criteria = tuple(
        _criterion(checker, number, item, everything if of_person else household, document.inputs.member)
        for number, item in enumerate(document.criteria)
    )
    benefit = tuple(
        _component(checker, number, item, everything if item.per == "member" else household)
        for number, item in enumerate(document.benefit)
    )
    score = vulnerability = reference = None
    if ranking := document.ranking:
        score = checker.rule(("ranking", "score"), "ranking", ranking.score, household, "float")
        vulnerability = checker.rule(("ranking", "vulnerability"), "ranking", ranking.vulnerability, household, "int")
    if fairness := document.fairness:
        reference = checker.rule(("fairness", "reference"), "fairness", fairness.reference, household)
    version = hashlib.sha256(text.encode()).hexdigest()
    reads: set[str] = set()
    for item in benefit:
        if item.spec.per == "member":
            reads.update(item.when.reads, () if isinstance(item.unit, int) else item.unit.reads)
    return Compiled(
        document, version, counts, criteria, benefit, score, vulnerability, reference, model, tuple(sorted(reads))
    )


def _check_codes(document: Programme, checker: Checker) -> None:
    seen: set[str] = set()
    parts = [("criteria", n, c.code) for n, c in enumerate(document.criteria)]
    parts += [("benefit", n, c.code) for n, c in enumerate(document.benefit)]
    parts += [("conditions", n, c.code) for n, c in enumerate(document.conditions)]
    for part, number, code in parts:
        if code in seen:
            checker.refuse((part, number, "code"), f"code {code!r} is used twice: give each its own")
        seen.add(code)


def _check_model(document: Programme, model: CompiledModel | None, checker: Checker) -> None:
    named, inputs = document.score_model, document.inputs
    if named is None:
        return
    if model is None or (model.document.id, model.version) != (named.id, named.version):
        checker.refuse(("score_model",), f"scoring model {named.id!r} is not published in this version: publish it")
    taken = inputs.household.keys() | inputs.member.keys() | document.counts.keys()
    if clash := sorted(SCORED.keys() & taken):
        checker.refuse(("score_model",), f"the scoring model gives {clash[0]!r}: do not declare it")


def _criterion(
    checker: Checker, number: int, item: Criterion, inputs: Mapping[str, Kind], member: Mapping[str, Kind]
) -> CriterionRule:
    rule = checker.rule(("criteria", number, "when"), item.code, item.when, inputs)
    return CriterionRule(item, rule, not member.keys().isdisjoint(rule.reads))


def _component(checker: Checker, number: int, item: Component, inputs: Mapping[str, Kind]) -> BenefitRule:
    place: Path = ("benefit", number)
    when = checker.rule((*place, "when"), item.code, item.when, inputs)
    if isinstance(item.unit_minor, int):
        return BenefitRule(item, when, item.unit_minor)
    return BenefitRule(item, when, checker.rule((*place, "unit_minor"), item.code, item.unit_minor, inputs, "int"))

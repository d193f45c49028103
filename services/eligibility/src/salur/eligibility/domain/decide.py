"""Decide: rules and a household give a decision that explains itself and can be made again. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

from salur.eligibility.domain.programme import MAX_UNIT_MINOR, BenefitRule, Compiled
from salur.eligibility.domain.rules import Kind, Present, Scalar, as_declared

CriterionState = Literal["met", "not-met", "not-reported"]
Outcome = Literal["enrolled", "not-enrolled"]
Attributes = Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class HouseholdFacts:
    """What rules may see of a household at one version: its attributes and those of each member."""

    household_id: str
    version: int
    attributes: Attributes
    members: Sequence[Attributes]


@dataclass(frozen=True, slots=True)
class CriterionOutcome:
    """One criterion as evaluated. `values`: what it read, by name; None = not reported, or not of the declared type."""

    code: str
    outcome: CriterionState
    values: dict[str, Scalar]


@dataclass(frozen=True, slots=True)
class DueComponent:
    """quantity x unit_minor = amount_minor, in minor units of the programme's currency."""

    code: str
    quantity: int
    unit_minor: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class NotDueComponent:
    """A component not granted, why (in English, as the programme words it), and for how many."""

    code: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Outcome, every criterion, what is due per cycle when enrolled, the SHA-256 of the inputs declared."""

    outcome: Outcome
    unmet: list[str]
    criteria: list[CriterionOutcome]
    components: list[DueComponent]
    not_due: list[NotDueComponent]
    amount_minor: int
    input_hash: str


def decide(programme: Compiled, household: HouseholdFacts) -> Decision:
    """The same rules and inputs give the same decision years later. Never raises on data."""
    inputs = programme.document.inputs
    facts = _declared(household.attributes, inputs.household)
    members = [_declared(member, inputs.member) for member in household.members]
    criteria: list[CriterionOutcome] = []
    unmet: list[str] = []
    for code, rule in programme.criteria:
        outcome = _state(rule.value(facts))
        if outcome != "met":
            unmet.append(code)
        criteria.append(CriterionOutcome(code, outcome, {name: facts.get(name) for name in rule.reads}))
    components: list[DueComponent] = []
    not_due: list[NotDueComponent] = []
    if not unmet:
        for component in programme.benefit:
            _grant(component, facts, members, components, not_due)
    return Decision(
        "not-enrolled" if unmet else "enrolled",
        unmet,
        criteria,
        components,
        not_due,
        sum(component.amount_minor for component in components),
        input_hash(facts, members),
    )


def input_hash(facts: Present, members: Sequence[Present]) -> str:
    """SHA-256 (hex) of the declared inputs as JSON with sorted keys, typed as declared, without what is missing."""
    canonical = orjson.dumps({"household": facts, "members": members}, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()


def _declared(attributes: Attributes, kinds: Mapping[str, Kind]) -> dict[str, bool | int | float | str]:
    """Only what the rules declare and the household reports, each in its declared type."""
    facts = {}
    for name, kind in kinds.items():
        value = as_declared(attributes.get(name), kind)
        if value is not None:
            facts[name] = value
    return facts


def _state(value: bool | None) -> CriterionState:
    if value is None:
        return "not-reported"
    return "met" if value else "not-met"


def _grant(
    rule: BenefitRule,
    facts: Present,
    members: Sequence[Present],
    components: list[DueComponent],
    not_due: list[NotDueComponent],
) -> None:
    """Evaluate one component for the household or each member; equal units are one line."""
    subjects = [facts] if rule.spec.per == "household" else [{**facts, **member} for member in members]
    units: dict[int, int] = {}
    reasons: dict[str, int] = {}
    for subject in subjects:
        due = rule.when.value(subject)
        if due:
            unit = rule.unit if isinstance(rule.unit, int) else rule.unit.value(subject)
            if unit is not None and 0 <= unit <= MAX_UNIT_MINOR:
                units[unit] = units.get(unit, 0) + 1
                continue
        reason = rule.spec.not_met.en if due is False else rule.spec.not_reported.en
        reasons[reason] = reasons.get(reason, 0) + 1
    code = rule.spec.code
    components += [DueComponent(code, count, unit, count * unit) for unit, count in sorted(units.items())]
    not_due += [NotDueComponent(code, reason, count) for reason, count in sorted(reasons.items())]

"""Decide: rules and a household give a decision that explains itself and can be made again."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from salur.eligibility.domain.programme import Compiled, Kind, Rule

Scalar = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class HouseholdFacts:
    """What rules may see of a household."""

    household_id: str
    version: int
    attributes: dict[str, Scalar]
    members: list[dict[str, Scalar]]


@dataclass(frozen=True, slots=True)
class Decision:
    """Outcome, every criterion with its values, what is owed per cycle, and the hash of the inputs."""

    outcome: str
    unmet: list[str]
    criteria: list[dict[str, Any]]
    components: list[dict[str, Any]]
    not_due: list[dict[str, Any]]
    amount_minor: int
    input_hash: str


def decide(programme: Compiled, household: HouseholdFacts) -> Decision:
    """Pure: the same rules and inputs give the same decision years later."""
    inputs = programme.document.inputs
    facts = {name: _typed(household.attributes.get(name), kind) for name, kind in inputs.household.items()}
    members = [
        {name: _typed(member.get(name), kind) for name, kind in inputs.member.items()} for member in household.members
    ]
    criteria = [_criterion(rule, facts) for rule in programme.criteria]
    unmet = [item["code"] for item in criteria if item["outcome"] != "met"]
    components, not_due = ([], []) if unmet else _benefit(programme, facts, members)
    return Decision(
        "not-enrolled" if unmet else "enrolled",
        unmet,
        criteria,
        components,
        not_due,
        sum(item["amount_minor"] for item in components),
        _hash([facts, members]),
    )


def _typed(value: Scalar, kind: Kind) -> Scalar:
    """The value as its declared type; a value of another type counts as not reported."""
    if value is None or isinstance(value, bool):
        return value if kind == "bool" else None
    if kind == "float":
        return float(value) if isinstance(value, int | float) else None
    if kind == "int":
        return int(value) if isinstance(value, int) or (isinstance(value, float) and value.is_integer()) else None
    return value if kind == "string" and isinstance(value, str) else None


def _evaluate(rule: Rule, facts: dict[str, Scalar]) -> str:
    if any(facts[name] is None for name, _ in rule.reads):
        return "not-reported"
    try:
        value = rule.expression.eval(data={name: facts[name] for name, _ in rule.reads}).plain_value()
    except Exception:  # division by zero and the like: the inputs do not allow an answer
        return "not-reported"
    return "met" if value is True else "not-met"


def _criterion(rule: Rule, facts: dict[str, Scalar]) -> dict[str, Any]:
    return {
        "code": rule.code,
        "outcome": _evaluate(rule, facts),
        "values": {name: facts[name] for name, _ in rule.reads},
    }


def _benefit(
    programme: Compiled, facts: dict[str, Scalar], members: list[dict[str, Scalar]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    components: list[dict[str, Any]] = []
    not_due: list[dict[str, Any]] = []
    for spec, rule in zip(programme.document.benefit, programme.components, strict=True):
        subjects = [facts] if spec.per == "household" else [{**facts, **member} for member in members]
        outcomes = [_evaluate(rule, subject) for subject in subjects]
        if quantity := outcomes.count("met"):
            amount = quantity * spec.unit_minor
            components.append(
                {"code": spec.code, "quantity": quantity, "unit_minor": spec.unit_minor, "amount_minor": amount}
            )
        for outcome, reason in (("not-reported", spec.not_reported), ("not-met", spec.not_met)):
            if count := outcomes.count(outcome):
                not_due.append({"code": spec.code, "reason": reason, "count": count})
    return components, not_due


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

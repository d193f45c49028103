"""Decide: rules and a household give a decision that explains itself and can be made again. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from salur.eligibility.domain.benefit import DueComponent, Members, NotDueComponent, Region, benefit_of, in_regions
from salur.eligibility.domain.compiling import SCORED, Compiled, CriterionRule
from salur.eligibility.domain.programme import Inputs
from salur.eligibility.domain.rules import INT64_MAX, MEMO_MAX, Kind, Present, Scalar, as_declared
from salur.eligibility.domain.scoring import CompiledModel, Score, score_of

CriterionState = Literal["met", "not-met", "not-reported"]
Outcome = Literal["enrolled", "not-enrolled"]
Attributes = Mapping[str, Scalar]
PLAIN: Mapping[Kind, type | None] = {"bool": bool, "string": str, "int": int, "float": None}
"""Types whose values are as declared (whole numbers up to their limit): most of what families report."""


@dataclass(frozen=True, slots=True)
class HouseholdFacts:
    """What rules may see of a household at one version: its attributes, its region, and those of each member."""

    household_id: str
    version: int
    attributes: Attributes
    members: Sequence[Attributes]
    region: Region = ""
    member_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CriterionOutcome:
    """One criterion as evaluated. `values`: what it read, by name; None = not reported, or not of the declared type.

    `member_id`: the person it was evaluated for, in a programme for persons.
    """

    code: str
    outcome: CriterionState
    values: dict[str, Scalar]
    member_id: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Outcome, every criterion, what is due per cycle when enrolled, the SHA-256 of the inputs declared.

    `enrolled_members`: the persons who qualify, in a programme for persons. `score` and `vulnerability` rank those who
    qualify where places are few.
    """

    outcome: Outcome
    unmet: list[str]
    criteria: list[CriterionOutcome]
    components: list[DueComponent]
    not_due: list[NotDueComponent]
    amount_minor: int
    input_hash: str
    enrolled_members: list[str]
    score: float | None
    vulnerability: int | None


@dataclass(frozen=True, slots=True)
class Known:
    """What a programme's rules see: household inputs as declared, scored and counted; members with theirs added."""

    facts: dict[str, bool | int | float | str]
    members: Members


def decide(programme: Compiled, household: HouseholdFacts) -> Decision:
    """The same rules and inputs give the same decision years later. Never raises on data."""
    facts, own = _given(programme, household)
    hashed = input_hash(facts, own, _seen_by(programme.model, household) if programme.model else None)
    return decide_on(programme, household.region, _known(programme, household, facts, own), hashed)


def known_of(programme: Compiled, household: HouseholdFacts) -> Known:
    """The inputs a programme's rules see."""
    return _known(programme, household, *_given(programme, household))


def decide_on(programme: Compiled, region: Region, known: Known, hashed: str = "") -> Decision:
    """Decide on inputs worked out already: where nobody keeps the decision, without their hash."""
    facts = known.facts
    criteria, unmet, qualified = _judged(programme, region, facts, known.members)
    components: list[DueComponent] = []
    not_due: list[NotDueComponent] = []
    if not unmet:
        components, not_due = benefit_of(programme, region, facts, qualified)
    of_person = programme.document.kind == "person" and not unmet
    enrolled_members = [member_id for member_id, _ in qualified if member_id] if of_person else []
    ranked = programme.rank_score is not None and not unmet
    return Decision(
        "not-enrolled" if unmet else "enrolled",
        unmet,
        criteria,
        components,
        not_due,
        sum(component.amount_minor for component in components),
        hashed,
        enrolled_members,
        programme.rank_score.value(facts) if ranked and programme.rank_score else None,
        programme.rank_vulnerability.value(facts) if ranked and programme.rank_vulnerability else None,
    )


def scored(model: CompiledModel, household: HouseholdFacts) -> Score:
    """What a scoring model says of the household."""
    return score_of(model, *_seen_by(model, household))


Facts = dict[str, bool | int | float | str]


def _seen_by(model: CompiledModel, household: HouseholdFacts) -> tuple[Facts, list[Facts]]:
    """Exactly what a scoring model declares: of the household, and of each member."""
    inputs = model.document.inputs
    return _household_facts(household, inputs), [_declared(member, inputs.member) for member in household.members]


def _given(programme: Compiled, household: HouseholdFacts) -> tuple[Facts, list[Facts]]:
    """Exactly what the rules declare: of the household, and of each member."""
    inputs = programme.document.inputs
    kinds = inputs.member
    return _household_facts(household, inputs), [_declared(member, kinds) for member in household.members]


def _known(programme: Compiled, household: HouseholdFacts, facts: Facts, own: Sequence[Facts]) -> Known:
    """What is given, scored and counted. Takes `facts` over."""
    if programme.model is not None:
        said = scored(programme.model, household)
        facts |= _declared({"score": said.score, "decile": said.decile}, SCORED)
    everyone = [{**facts, **member} for member in own]
    if programme.counts:
        counts = {
            name: [rule.value(member) for member in everyone].count(True) for name, rule in programme.counts
        }  # a count never reads another
        facts |= counts
        for member in everyone:
            member.update(counts)
    ids: Sequence[str | None] = household.member_ids or [None] * len(own)
    return Known(facts, list(zip(ids, everyone, strict=True)))


def _household_facts(household: HouseholdFacts, inputs: Inputs) -> dict[str, bool | int | float | str]:
    facts = _declared(household.attributes, inputs.household)
    if "region" in inputs.household:
        facts["region"] = household.region
    return facts


def input_hash(
    facts: Present, members: Sequence[Present], scored: tuple[Present, Sequence[Present]] | None = None
) -> str:
    """SHA-256 (hex) of the declared inputs as JSON with sorted keys, typed as declared, without what is missing.

    `scored`: what the programme's scoring model declares, where it names one.
    """
    given: dict[str, Any] = {"household": facts, "members": members}
    if scored is not None:
        given["score"] = {"household": scored[0], "members": scored[1]}
    return hashlib.sha256(orjson.dumps(given, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _declared(attributes: Attributes, kinds: Mapping[str, Kind]) -> dict[str, bool | int | float | str]:
    """Only what the rules declare and the household reports, each in its declared type."""
    facts = {}
    for name, kind in kinds.items():
        value = attributes.get(name)
        if value is None:
            continue
        if type(value) is not PLAIN[kind] or (type(value) is int and not -INT64_MAX <= value <= INT64_MAX):
            value = as_declared(value, kind)
            if value is None:
                continue
        facts[name] = value
    return facts


def _judged(
    programme: Compiled, region: Region, facts: Present, members: Members
) -> tuple[list[CriterionOutcome], list[str], Members]:
    """(every outcome, what stands against enrolment in rule order, the members to whom the benefit belongs)."""
    rules = [item for item in programme.criteria if in_regions(region, item.spec.regions)]
    outcomes = [_outcome_of_household(item, facts) for item in rules if not item.of_member]
    unmet = {item.code for item in outcomes if item.outcome != "met"}
    qualified = members
    if programme.document.kind == "person":
        personal = [item for item in rules if item.of_member]
        failed: set[str] = set()
        qualified = []
        for member_id, member in members:
            answers = [_outcome(item, member, member_id) for item in personal]
            outcomes += answers
            missing = {answer.code for answer in answers if answer.outcome != "met"}
            failed |= missing
            if not missing:
                qualified.append((member_id, member))
        if not qualified:
            unmet |= failed or {item.spec.code for item in personal or rules[:1]}
    return outcomes, [item.spec.code for item in rules if item.spec.code in unmet], qualified


def _outcome_of_household(item: CriterionRule, facts: Present) -> CriterionOutcome:
    """Remembered: households share most of what criteria read."""
    key = tuple(map(facts.get, item.rule.reads))
    known: CriterionOutcome | None = item.outcomes.get(key)
    if known is None:
        if len(item.outcomes) >= MEMO_MAX:
            item.outcomes.clear()
        known = item.outcomes[key] = _outcome(item, facts)
    return known


def _outcome(item: CriterionRule, facts: Present, member_id: str | None = None) -> CriterionOutcome:
    rule = item.rule
    value = rule.value(facts)
    state: CriterionState = "not-reported" if value is None else "met" if value else "not-met"
    return CriterionOutcome(item.spec.code, state, {name: facts.get(name) for name in rule.reads}, member_id)

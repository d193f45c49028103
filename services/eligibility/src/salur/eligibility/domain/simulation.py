"""What other rules would change: who gains and loses, what it costs per fund, whom it reaches. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from salur.eligibility.domain.compiling import Compiled, compile_programme
from salur.eligibility.domain.decide import Decision, HouseholdFacts, decide_on, known_of
from salur.eligibility.domain.indicators import Kind as Group
from salur.eligibility.domain.indicators import Tally, kind_of_family, kind_of_person
from salur.eligibility.domain.rules import Kind, Rule, compile_rule
from salur.eligibility.domain.scoring import compile_model

NO_FUND = "no-fund-named"
Kinds = tuple[Group, list[Group]]
"""A family's kind and those of its members, as indicators tell them apart."""


@dataclass(frozen=True, slots=True)
class Version:
    """Rules as text, with the scoring model they name."""

    rules: str
    model: str | None = None

    def compiled(self) -> Compiled:
        return compile_programme(self.rules, None if self.model is None else compile_model(self.model))


@dataclass(frozen=True, slots=True)
class Question:
    """What is simulated. `reference`: an expression over the proposed rules' household inputs, or None."""

    current: Version | None
    proposed: Version
    reference: str | None = None


def reference_rule(compiled: Compiled, reference: str | None) -> Rule | None:
    """Who ought to be reached: as asked, else as the programme says. Raises ExpressionInvalid."""
    if reference is None:
        return compiled.reference
    document = compiled.document
    kinds: dict[str, Kind] = {**document.inputs.household, **dict.fromkeys(document.counts, "int")}
    if document.score_model:
        kinds |= {"score": "float", "decile": "int"}
    return compile_rule(reference, kinds, "bool")


@dataclass(slots=True)
class Side:
    """What one version of the rules gives."""

    tally: Tally = field(default_factory=Tally)
    beneficiaries: int = 0
    amount_minor: int = 0
    funds: Counter[str] = field(default_factory=Counter)

    def add(
        self, compiled: Compiled, household: HouseholdFacts, kinds: Kinds, decision: Decision, ought: bool | None
    ) -> None:
        """Count one household."""
        persons = reached_persons(compiled, household, decision)
        self.tally.count(*kinds, decision.outcome == "enrolled", persons, ought)
        if decision.outcome == "enrolled":
            self.beneficiaries += 1 if persons is None else len(persons)
            self.amount_minor += decision.amount_minor
            for fund, amount_minor in cost_of(compiled, decision).items():
                self.funds[fund] += amount_minor

    def merge(self, other: "Side") -> None:
        """Add another part."""
        self.tally.merge(other.tally)
        self.beneficiaries += other.beneficiaries
        self.amount_minor += other.amount_minor
        self.funds.update(other.funds)

    def result(self, *, reference: bool) -> dict[str, Any]:
        """Beneficiaries, cost of one cycle per fund in minor units, indicators."""
        return {
            "beneficiaries": self.beneficiaries, "amount_minor": self.amount_minor,
            "funds_minor": dict(sorted(self.funds.items())), "indicators": self.tally.result(reference=reference),
        }  # fmt: skip


@dataclass(slots=True)
class Comparison:
    """Two versions over the same households; parts add up."""

    current: Side = field(default_factory=Side)
    proposed: Side = field(default_factory=Side)
    families: int = 0
    persons: int = 0
    reference: bool = False
    """Whether something said who ought to be reached."""
    changes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(gain or lose, dimension, group): families for region and decile, persons for the rest."""

    def run(
        self, current: Compiled | None, proposed: Compiled, reference: Rule | None, households: Iterable[HouseholdFacts]
    ) -> None:
        """Decide each household by both (`current` None: nobody is helped today)."""
        self.reference = reference is not None
        shared = current is not None and same_inputs(current, proposed)
        for household in households:
            self.families += 1
            self.persons += len(household.members)
            known = known_of(proposed, household)
            ought = reference.value(known.facts) if reference else None
            kinds = (
                kind_of_family(household.region, household.attributes),
                [kind_of_person(member) for member in household.members],
            )
            after = decide_on(proposed, household.region, known)
            self.proposed.add(proposed, household, kinds, after, ought)
            before = None
            if current is not None:
                before = decide_on(current, household.region, known if shared else known_of(current, household))
                self.current.add(current, household, kinds, before, ought)
            self._compare(household, kinds, current, before, proposed, after)

    def _compare(
        self, household: HouseholdFacts, kinds: Kinds, current: Compiled | None, before: Decision | None,
        proposed: Compiled, after: Decision,
    ) -> None:  # fmt: skip
        family, persons = kinds
        had = before is not None and before.outcome == "enrolled"
        has = after.outcome == "enrolled"
        if had != has:
            kind = "gain" if has else "lose"
            for key in (("all", "families"), ("province", family[0]), ("decile", family[2])):
                self.changes[kind, *key] += 1
        elif not has or (current is not None and current.document.kind == proposed.document.kind == "household"):
            return
        everybody = range(len(household.members))
        old = _persons(current, household, before, everybody)
        new = _persons(proposed, household, after, everybody)
        for place in old ^ new:
            kind = "gain" if place in new else "lose"
            self.changes[kind, "all", "persons"] += 1
            for dimension, group in zip(("sex", "disability", "age"), persons[place], strict=True):
                self.changes[kind, dimension, group] += 1

    def merge(self, other: "Comparison") -> None:
        """Add another part."""
        self.current.merge(other.current)
        self.proposed.merge(other.proposed)
        self.families += other.families
        self.persons += other.persons
        self.reference |= other.reference
        self.changes.update(other.changes)

    def result(self) -> dict[str, Any]:
        """Everything as plain values."""
        changes: dict[str, Any] = {"gain": {}, "lose": {}}
        for (kind, dimension, group), count in sorted(self.changes.items()):
            changes[kind].setdefault(dimension, {})[group] = count
        return {
            "families": self.families, "persons": self.persons, **changes,
            "current": self.current.result(reference=self.reference),
            "proposed": self.proposed.result(reference=self.reference),
        }  # fmt: skip


def same_inputs(one: Compiled, other: Compiled) -> bool:
    """Whether both see a household alike: the same inputs, counts and scoring model."""
    return (one.document.inputs, one.document.counts, one.document.score_model) == (
        other.document.inputs, other.document.counts, other.document.score_model,
    )  # fmt: skip


def reached_persons(compiled: Compiled, household: HouseholdFacts, decision: Decision) -> set[int] | None:
    """Places of the members reached one by one; None when the programme reaches families."""
    if compiled.document.kind != "person":
        return None
    enrolled = set(decision.enrolled_members)
    return {place for place, member_id in enumerate(household.member_ids) if member_id in enrolled}


def _persons(
    compiled: Compiled | None, household: HouseholdFacts, decision: Decision | None, everybody: Iterable[int]
) -> set[int]:
    if compiled is None or decision is None or decision.outcome != "enrolled":
        return set()
    one_by_one = reached_persons(compiled, household, decision)
    return set(everybody) if one_by_one is None else one_by_one


def cost_of(compiled: Compiled, decision: Decision) -> dict[str, int]:
    """What each fund pays of a decision, in minor units: a component's own fund, else the programme's shares."""
    own = {item.code: item.fund for item in compiled.document.benefit}
    costs: dict[str, int] = {}
    shared = 0
    for line in decision.components:
        fund = own[line.code]
        if fund is None:
            shared += line.amount_minor
        else:
            costs[fund] = costs.get(fund, 0) + line.amount_minor
    left = shared
    shares = compiled.document.funding
    for share in shares:
        part = left if share is shares[-1] else shared * share.percent // 100
        costs[share.fund] = costs.get(share.fund, 0) + part
        left -= part
    if left:
        costs[NO_FUND] = costs.get(NO_FUND, 0) + left
    return costs

"""Events eligibility writes: programmes, decisions, cycles, entitlements."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, Field

from salur.common.contracts.base import (
    AmountMinor,
    Code,
    Currency,
    Fact,
    Id,
    Name,
    Personal,
    Scalar,
    Sha256,
    contract,
    strict_model,
)


@contract("salur.programme.proposed.v1", "eligibility.programmes")
class ProgrammeProposed(Fact):
    """A version of a programme's rules waits for another person's approval. Key: programme_id."""

    programme_id: Code
    version: Sha256
    name: dict[str, str] = Field(description="by language: en, id")


@contract("salur.programme.published.v1", "eligibility.programmes")
class ProgrammePublished(Fact):
    """A version of a programme's rules is in force. Key: programme_id. `version` = SHA-256 of the rules text."""

    programme_id: Code
    version: Sha256
    name: dict[str, str] = Field(description="by language: en, id")
    kind: Code
    function: Code
    rules: str = Field(description="the YAML as published, byte for byte")
    approach: Code | None = None
    proposed_by: str | None = Field(default=None, description="who proposed it; the event's actor approved it")


@contract("salur.score-model.proposed.v1", "eligibility.programmes")
class ScoreModelProposed(Fact):
    """A version of a scoring model waits for another person. Key: model_id."""

    model_id: Code
    version: Sha256
    name: dict[str, str] = Field(description="by language: en, id")


@contract("salur.score-model.published.v1", "eligibility.programmes")
class ScoreModelPublished(Fact):
    """Programmes may use a version of a scoring model. Key: model_id. `version` = SHA-256 of the rules text."""

    model_id: Code
    version: Sha256
    name: dict[str, str] = Field(description="by language: en, id")
    rules: str = Field(description="the YAML as published, byte for byte")
    proposed_by: str = Field(description="who proposed it; the event's actor published it")


@contract("salur.simulation.done.v1", "eligibility.programmes")
class SimulationDone(Fact):
    """What other rules would change, counted over the whole registry. Key: simulation_id. Amounts are of one cycle."""

    simulation_id: Id
    programme_id: Code
    proposed: Sha256
    current: Sha256 | None = Field(default=None, description="absent: nobody is helped today")
    families: int
    families_gain: int
    families_lose: int
    current_minor: int
    proposed_minor: int
    asked_by: str


class CriterionResult(BaseModel):
    """One criterion as evaluated."""

    model_config = strict_model()

    code: Code
    outcome: Literal["met", "not-met", "not-reported"]
    values: dict[str, Scalar] = Field(description="the inputs the expression read, by name")
    member_id: Id | None = Field(
        default=None,
        # What a commitment covers must not grow with the contract.
        exclude_if=lambda member_id: member_id is None,
        description="the person it was evaluated for, in programmes for persons",
    )


@contract("salur.decision.made.v1", "eligibility.decisions")
class DecisionMade(Fact):
    """Whether a family qualifies for a programme, and why. Key: household_id.

    `input_hash` = SHA-256 of the canonical inputs, `programme_version` = hash of the rules: with both the decision
    can be made again and must come out the same.
    """

    decision_id: Id
    programme_id: Code
    programme_version: Sha256
    household_id: Id
    household_version: int
    outcome: Literal["enrolled", "not-enrolled"]
    unmet: list[Code] = Field(description="codes of the criteria not met or not reported, in rule order")
    criteria: Personal[list[CriterionResult]]
    input_hash: Sha256
    enrolled_members: list[Id] = Field(default=[], description="the persons who qualify, in programmes for persons")


@contract("salur.condition.reported.v1", "eligibility.decisions")
class ConditionReported(Fact):
    """What was reported of a programme's condition for a period. Key: household_id."""

    programme_id: Code
    household_id: Id
    member_id: Id | None = Field(default=None, description="absent: the household as a whole")
    period: Name
    code: Code
    value: Personal[int]


@contract("salur.cycle.opened.v1", "eligibility.cycles")
class CycleOpened(Fact):
    """A payment cycle of a programme began on a registry cut. Key: cycle_id."""

    cycle_id: Id
    programme_id: Code
    programme_version: Sha256
    name: Name
    cut_id: Id
    decided: int
    enrolled: int
    starts_on: date | None = Field(None, description="first day of the months it pays for")
    ends_on: date | None = Field(None, description="first day after them")
    early_reason: Name | None = Field(None, description="why it was opened before they began")


class Component(BaseModel):
    """One line of an entitlement: quantity times unit."""

    model_config = strict_model()

    code: Code
    quantity: int = Field(ge=0)
    unit_minor: AmountMinor
    amount_minor: AmountMinor


class NotDue(BaseModel):
    """A component that was considered and not granted, with its reason."""

    model_config = strict_model()

    code: Code
    reason: Name
    count: int = Field(ge=1)


@contract("salur.entitlement.granted.v1", "eligibility.entitlements")
class EntitlementGranted(Fact):
    """What a beneficiary is owed for a cycle. Key: beneficiary_id. Unique per programme, cycle, beneficiary, kind."""

    entitlement_id: Id
    programme_id: Code
    cycle_id: Id
    beneficiary_id: Id
    kind: Code
    amount_minor: AmountMinor
    currency: Currency
    components: list[Component]
    not_due: list[NotDue]
    decision_id: Id
    region: str
    payee_id: Id | None = Field(default=None, description="whose account is paid, when not the beneficiary's own")


@contract("salur.entitlement.not-due.v1", "eligibility.entitlements")
class EntitlementNotDue(Fact):
    """An enrolled beneficiary to whom nothing is owed this cycle, and why. Key: beneficiary_id."""

    programme_id: Code
    cycle_id: Id
    beneficiary_id: Id
    not_due: list[NotDue]
    decision_id: Id


EnrolmentState = Literal[
    "selected", "waiting", "suspended", "left", "had-already", "excluded", "renewal-due", "graduated", "no-longer"
]


@contract("salur.enrolment.changed.v1", "eligibility.entitlements")
class EnrolmentChanged(Fact):
    """Somebody who has no place in a cycle, and why: no place left, a condition, other help. Key: beneficiary_id.

    Whoever has a place gets an entitlement instead.
    """

    programme_id: Code
    cycle_id: Id
    beneficiary_id: Id
    household_id: Id
    state: EnrolmentState
    decision_id: Id | None = None
    rank: int | None = Field(default=None, description="among the candidates of the area; 1 comes first")
    candidates: int | None = None
    places: int | None = None


class FairnessAlarm(BaseModel):
    """A limit of the programme that a cycle would break."""

    model_config = strict_model()

    code: Literal["exclusion-error", "inclusion-error", "coverage-change"]
    dimension: Code
    group: Name
    found: float = Field(description="percent, or percentage points of change")
    limit: int


@contract("salur.cycle.held.v1", "eligibility.cycles")
class CycleHeld(Fact):
    """Nothing of a cycle is granted until a person has looked: it would break limits of fairness. Key: cycle_id."""

    cycle_id: Id
    programme_id: Code
    alarms: list[FairnessAlarm]


@contract("salur.cycle.released.v1", "eligibility.cycles")
class CycleReleased(Fact):
    """Another person than who opened a held cycle has let it go on, with a reason. Key: cycle_id."""

    cycle_id: Id
    programme_id: Code
    opened_by: str
    reason: Name


@contract("salur.emergency.declared.v1", "eligibility.cycles")
class EmergencyDeclared(Fact):
    """A disaster was declared and waits for another person's approval. Key: declaration_id."""

    declaration_id: Id
    programme_id: Code
    programme_version: Sha256
    name: Name
    regions: list[str]
    started_on: date
    cut_id: Id = Field(description="who lives there at this cut is helped")
    reason: Name


@contract("salur.emergency.approved.v1", "eligibility.cycles")
class EmergencyApproved(Fact):
    """Everyone who lives in the declared regions is being helped. Key: declaration_id. The actor approved."""

    declaration_id: Id
    programme_id: Code
    cycle_id: Id
    declared_by: str


@contract("salur.appeal.opened.v1", "eligibility.decisions")
class AppealOpened(Fact):
    """Somebody objects to a decision. Key: household_id. The person's words stay in the service, sealed."""

    appeal_id: Id
    decision_id: Id
    programme_id: Code
    household_id: Id
    grounds: Code
    evidence: list[Sha256] = Field(description="hashes of documents kept elsewhere")
    due_at: datetime


@contract("salur.appeal.decided.v1", "eligibility.decisions")
class AppealDecided(Fact):
    """Another person upheld or dismissed an objection. Key: household_id. Upheld: `new_decision_id` took its place."""

    appeal_id: Id
    decision_id: Id
    programme_id: Code
    household_id: Id
    outcome: Literal["upheld", "dismissed"]
    reason: Name
    opened_by: str
    new_decision_id: Id | None = None
    back_pay_minor: AmountMinor = 0
    currency: Currency | None = None


@contract("salur.cycle.granted.v1", "eligibility.entitlements")
class CycleGranted(Fact):
    """Every entitlement of the cycle stands before this mark in its partition. Key: cycle_id; one per partition."""

    cycle_id: Id
    programme_id: Code
    cut_id: Id
    partition: int
    entitlements: int = Field(description="of all partitions together")
    amount_minor: int = Field(description="of all partitions together")
    currency: Currency


class _EntitlementChange(Fact):
    change_id: Id
    entitlement_id: Id
    cycle_id: Id
    beneficiary_id: Id
    reason: Code
    retroactive: bool = Field(
        default=True, description="it was wrong when granted: it counts even if paid; else only as long as it is not"
    )


@contract("salur.entitlement.amended.v1", "eligibility.entitlements")
class EntitlementAmended(_EntitlementChange):
    """An entitlement is worth another amount from now on. Key: beneficiary_id."""

    amount_minor: AmountMinor
    currency: Currency
    payee_id: Id | None = Field(default=None, description="whose account is paid from now on, when that changed too")


@contract("salur.entitlement.cancelled.v1", "eligibility.entitlements")
class EntitlementCancelled(_EntitlementChange):
    """Nothing of an entitlement is due any more. Key: beneficiary_id."""

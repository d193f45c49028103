"""Events the registry writes. Identity never leaves it: people are spoken of by id."""

from typing import Literal

from pydantic import BaseModel, Field

from salur.common.contracts.base import (
    BankCode,
    Code,
    Fact,
    Id,
    Name,
    Personal,
    Scalar,
    Sha256,
    contract,
    strict_model,
)
from salur.common.values.region import RegionCode


class Member(BaseModel):
    """A household member as decisions see one: an id and the attributes rules use."""

    model_config = strict_model()

    member_id: Id
    attributes: dict[str, Scalar]


class _Household(Fact):
    household_id: Id
    version: int = Field(ge=1)
    region: RegionCode
    member_count: int = Field(ge=0)
    attributes: Personal[dict[str, Scalar]]
    members: Personal[list[Member]]


@contract("salur.household.registered.v1", "registry.households")
class HouseholdRegistered(_Household):
    """A family entered the registry. Key: household_id. `version` is 1."""


@contract("salur.household.changed.v1", "registry.households")
class HouseholdChanged(_Household):
    """The family's whole snapshot after a change; `version` grows by one. Key: household_id."""

    changed: list[str]


@contract("salur.household.confirmed.v1", "registry.households")
class HouseholdConfirmed(Fact):
    """A later list stated the family as it is known: unchanged, its data are as new as this. Key: household_id."""

    household_id: Id
    version: int = Field(ge=1, description="that was stated again")


@contract("salur.registry.cut.v1", "registry.households", "registry.payees")
class RegistryCut(Fact):
    """An intake is closed: written into every partition of both topics. Key: cut_id.

    Everything of the intake stands before the cut in its partition.
    """

    cut_id: Id
    name: Name
    partition: int
    households: int = Field(ge=0, description="families in the registry at the cut, all partitions together")


Method = Literal["account", "card", "cash", "group-account", "contribution"]
"""How money reaches a beneficiary: own account or their group's, card, cash against a code, payment to an insurer."""


Living = Literal["alive", "deceased"]


@contract("salur.payee.registered.v1", "registry.payees")
class PayeeRegistered(Fact):
    """The account that receives money for a beneficiary, and its standing in the registry. Key: beneficiary_id."""

    beneficiary_id: Id
    version: int = Field(ge=1)
    status: Literal["active", "suspended", "closed"]
    bank: BankCode
    account_number: Personal[str]
    account_holder: Personal[str]
    account_token: Sha256 = Field(description="keyed hash of bank and number: equal for a shared account")
    identity_token: Sha256 | None = Field(
        default=None,
        description="keyed hash of the NIK of the account's holder as stated, else of the head of the family: equal "
        "when somebody would be paid twice; none for a ward, a group, a closed account",
    )
    living: Living = Field("alive", description="whether the beneficiary lives")
    usable_from: str | None = Field(
        default=None,
        description="RFC 3339; a changed account rests before its first use, so that the family can object",
    )
    method: Method = Field("account", description="how the money is paid out; `bank` pays, `account_number` names whom")


@contract("salur.payee.checked.v1", "registry.payees")
class PayeeChecked(Fact):
    """What the bank answered about a version of an account. Key: beneficiary_id."""

    beneficiary_id: Id
    version: int = Field(ge=1)
    bank: BankCode
    result: Literal["matches", "name-differs", "closed", "unknown-account"]
    name_match: Literal["exact", "close", "none"] | None = Field(None, description="how the holder's name compares")
    checked_at: str | None = Field(None, description="RFC 3339; when the bank answered, or a person recorded it")
    evidence: Name | None = Field(None, description="the bank's message, or the document a person names")


@contract("salur.account.shared.v1", "registry.activity")
class AccountShared(Fact):
    """An account just given serves more families than usual: somebody should look. Key: household_id."""

    household_id: Id
    families: int = Field(ge=2)


@contract("salur.consent.given.v1", "registry.activity")
class ConsentGiven(Fact):
    """Somebody agreed to a use of their data (ISO/IEC TS 27560). Key: consent_id."""

    consent_id: Id
    household_id: Id
    purpose: Code
    lawful_basis: Code


@contract("salur.consent.withdrawn.v1", "registry.activity")
class ConsentWithdrawn(Fact):
    """A consent was taken back. Key: consent_id."""

    consent_id: Id
    household_id: Id
    purpose: Code


class SamePerson(BaseModel):
    """Two records that turned out to be one person."""

    model_config = strict_model()

    member_id: Id
    same_as: Id


@contract("salur.household.merged.v1", "registry.households")
class HouseholdMerged(Fact):
    """A family turned out to be another one and ends; that one's snapshot follows as a change. Key: household_id."""

    household_id: Id
    version: int = Field(ge=1)
    into: Id
    merge_id: Id
    same: list[SamePerson] = Field(description="its members who were members of the other family already")


@contract("salur.household.restored.v1", "registry.households")
class HouseholdRestored(_Household):
    """A merge was undone: the family stands again, with its whole snapshot. Key: household_id."""

    merge_id: Id


@contract("salur.household.split.v1", "registry.households")
class HouseholdSplit(Fact):
    """Some members are a family of their own now, registered by its own event. Key: household_id of the old family."""

    household_id: Id
    version: int = Field(ge=1)
    new_household_id: Id
    member_ids: list[Id]


@contract("salur.change.proposed.v1", "registry.activity")
class ChangeProposed(Fact):
    """Somebody asks for a change to identity, composition or payee; another person must decide. Key: change_id."""

    change_id: Id
    household_id: Id
    kind: Code


@contract("salur.change.decided.v1", "registry.activity")
class ChangeDecided(Fact):
    """A proposed change was accepted and made, refused, or withdrawn by who proposed it. Key: change_id."""

    change_id: Id
    household_id: Id
    kind: Code
    outcome: Literal["accepted", "refused", "withdrawn"]
    proposed_by: Name


@contract("salur.indicators.counted.v1", "registry.activity")
class IndicatorsCounted(Fact):
    """Who is registered was counted, by region of a level and by what sets people apart. Key: run_id."""

    run_id: Id
    name: Name
    level: Literal["province", "regency", "district"]
    persons: int = Field(ge=0)


@contract("salur.person.merged.v1", "registry.households")
class PersonMerged(Fact):
    """Members of a family turned out to be members of another; both snapshots stand beside it as changes.

    Key: household_id of the family they were taken from.
    """

    household_id: Id
    version: int = Field(ge=1)
    into: Id
    merge_id: Id
    same: list[SamePerson]


@contract("salur.duplicate.dismissed.v1", "registry.activity")
class DuplicateDismissed(Fact):
    """A person found that two records are two people. Key: pair_id."""

    pair_id: Id
    first_id: Id
    second_id: Id


@contract("salur.guardian.changed.v1", "registry.households")
class GuardianChanged(Fact):
    """Who acts for a member from now on, and whether they receive for them; nobody any more without a `guardian_id`.

    What they receive for is told as a payee of the member's own. Key: household_id of the ward's family.
    """

    household_id: Id
    member_id: Id
    guardianship_id: Id
    guardian_kind: Literal["person", "institution"] | None
    guardian_id: Id | None
    receives: bool
    since: str = Field(description="ISO 8601 date")
    until: str | None = Field(description="ISO 8601 date; the last day, when one is known")


class GroupMember(BaseModel):
    """A person of a group and their role in it."""

    model_config = strict_model()

    member_id: Id
    role: Code


class _Group(Fact):
    group_id: Id
    version: int = Field(ge=1)
    kind: Literal["group", "community", "institution"]
    region: RegionCode
    name: Name
    attributes: Personal[dict[str, Scalar]]
    members: Personal[list[GroupMember]]
    accredited_until: str | None = Field(description="ISO 8601 date; of institutions")


@contract("salur.group.registered.v1", "registry.households")
class GroupRegistered(_Group):
    """A group, community or institution entered the registry, accepted by a second person. Key: group_id."""


@contract("salur.group.changed.v1", "registry.households")
class GroupChanged(_Group):
    """How a group is from now on, accepted by a second person. Key: group_id."""

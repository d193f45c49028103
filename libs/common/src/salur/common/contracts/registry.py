"""Events the registry writes. Identity never leaves it: people are spoken of by id."""

from typing import Literal

from pydantic import BaseModel, Field

from salur.common.contracts.base import (
    BankCode,
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


@contract("salur.registry.cut.v1", "registry.households", "registry.payees")
class RegistryCut(Fact):
    """An intake is closed: written into every partition of both topics. Key: cut_id.

    Everything of the intake stands before the cut in its partition.
    """

    cut_id: Id
    name: Name
    partition: int
    households: int = Field(ge=0, description="families in the registry at the cut, all partitions together")


class PayeeAccount(BaseModel):
    """Where a beneficiary is paid."""

    model_config = strict_model()

    bank: BankCode
    number: str = Field(min_length=4, max_length=34)
    holder: Name


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

"""What callers of the registry send. Forms only; what a household must keep is checked in the domain."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from salur.common.contracts.base import BankCode, Id, Sha256
from salur.common.values import RegionCode
from salur.registry.domain.household import (
    MAX_ATTRIBUTES,
    MAX_IDENTIFIERS,
    MAX_MEMBERS,
    Household,
    Identifier,
    Member,
    Payee,
    Scalar,
)

MAX_IMPORT_SIZE = 2 * 1024**3
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Attributes = Annotated[dict[FieldName, Scalar], Field(max_length=MAX_ATTRIBUTES)]


class Body(BaseModel):
    """What a caller sends: nothing beside the declared fields."""

    model_config = ConfigDict(extra="forbid")


class IdentifierBody(Body):
    """A number of some scheme: `nik`, `kk`, `progresa-household` …"""

    scheme: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    value: Text

    def to_domain(self) -> Identifier:
        return Identifier(self.scheme, self.value)


class IdentifiersBody(Body):
    """Many values of one scheme."""

    scheme: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    values: list[Annotated[str, StringConstraints(min_length=1, max_length=200)]] = Field(
        min_length=1, max_length=1_000
    )


class MemberBody(Body):
    """A person of the household."""

    attributes: Attributes = Field(default_factory=dict)
    identifiers: list[IdentifierBody] = Field(default_factory=list, max_length=MAX_IDENTIFIERS)

    def to_domain(self) -> Member:
        return Member(self.attributes, tuple(i.to_domain() for i in self.identifiers))


class ChangedMemberBody(MemberBody):
    """A person after a change. `member_id` keeps somebody known; without identifiers, theirs stay."""

    member_id: Id | None = None

    def to_domain(self) -> Member:
        return Member(self.attributes, tuple(i.to_domain() for i in self.identifiers), self.member_id)


class PayeeBody(Body):
    """Where the household is paid."""

    bank: BankCode
    number: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{4,34}$")]
    holder: Text

    def to_domain(self) -> Payee:
        return Payee(self.bank, self.number, self.holder)


class HouseholdBody(Body):
    """A registration. The first identifier makes the household's id."""

    identifiers: list[IdentifierBody] = Field(min_length=1, max_length=MAX_IDENTIFIERS)
    region: RegionCode
    attributes: Attributes = Field(default_factory=dict)
    members: list[MemberBody] = Field(default_factory=list, max_length=MAX_MEMBERS)
    payee: PayeeBody | None = None

    def to_domain(self) -> Household:
        return Household(
            tuple(i.to_domain() for i in self.identifiers),
            self.region,
            self.attributes,
            tuple(m.to_domain() for m in self.members),
            self.payee.to_domain() if self.payee else None,
        )


class ChangeBody(Body):
    """A change. What is left out stays; `members` replace all members; `version` = the one the caller has read."""

    region: RegionCode | None = None
    attributes: Attributes | None = None
    members: list[ChangedMemberBody] | None = Field(default=None, max_length=MAX_MEMBERS)
    version: int | None = Field(default=None, ge=1)


class CutBody(Body):
    """The intake's name, for example `2026-Q1`."""

    name: Text


class ImportBody(Body):
    """A file announced: its SHA-256, its size in bytes, and how its columns become fields."""

    name: Text
    sha256: Sha256
    size: int = Field(gt=0, le=MAX_IMPORT_SIZE)
    mapping: dict[str, Any]

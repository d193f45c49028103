"""What callers of the registry send. Forms only; what a household must keep is checked in the domain."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from salur.common.contracts.base import BankCode, Id, Sha256
from salur.common.errors import Invalid
from salur.common.values import DateInvalid, RegionCode, parse_day, parse_moment
from salur.registry.domain.household import (
    MAX_ATTRIBUTES,
    MAX_IDENTIFIERS,
    MAX_MEMBERS,
    Household,
    Identifier,
    Member,
    Method,
    Payee,
    Scalar,
)
from salur.registry.domain.identity import Contact, IdentityInvalid, Person, clean_contact, clean_person

MAX_IMPORT_SIZE = 2 * 1024**3
WITHOUT_NUL = r"^[^\x00]*$"
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
AsOf = Annotated[str | None, Query(max_length=40)]
"""A moment with its zone; nothing stands for now."""
Day = Annotated[str, StringConstraints(max_length=40)]
FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Attributes = Annotated[dict[FieldName, Scalar], Field(max_length=MAX_ATTRIBUTES)]


class Body(BaseModel):
    """What callers send holds no field nobody knows."""

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


class PersonBody(Body):
    """Who somebody is: sealed at rest, never an attribute, never in an event."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
    birth_date: Annotated[str, StringConstraints(max_length=40)] = ""
    sex: Literal["male", "female", ""] = ""

    def to_domain(self) -> Person:
        """Raises Invalid."""
        try:
            return clean_person(self.name, self.birth_date, self.sex, datetime.now(UTC).date())
        except IdentityInvalid as error:
            raise identity_invalid(error) from None


class ContactBody(Body):
    """Where a household is reached, and in which language."""

    phone: Annotated[str, StringConstraints(max_length=40)] = ""
    language: Annotated[str, StringConstraints(max_length=10)] = "id"

    def to_domain(self) -> Contact:
        """Raises Invalid."""
        try:
            return clean_contact(self.phone, self.language)
        except IdentityInvalid as error:
            raise identity_invalid(error) from None


def identity_invalid(error: IdentityInvalid) -> Invalid:
    """The refusal of a name, date or number: it says which and why, never the value."""
    return Invalid(str(error), code="identity-invalid", who="registrar")


class MemberBody(Body):
    """A person of the household."""

    person: PersonBody | None = None
    attributes: Attributes = Field(default_factory=dict)
    identifiers: list[IdentifierBody] = Field(default_factory=list, max_length=MAX_IDENTIFIERS)

    def to_domain(self) -> Member:
        return self._member(None)

    def _member(self, member_id: str | None) -> Member:
        identifiers = tuple(i.to_domain() for i in self.identifiers)
        return Member(self.attributes, identifiers, member_id, self.person.to_domain() if self.person else None)


class ChangedMemberBody(MemberBody):
    """A person after a change. `member_id` keeps somebody known; without identifiers, theirs stay."""

    member_id: Id | None = None

    def to_domain(self) -> Member:
        return self._member(self.member_id)


class PayeeBody(Body):
    """Where the household is paid."""

    bank: BankCode
    number: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{4,34}$")]
    holder: Text
    method: Method = "account"
    holder_nik: Annotated[str, StringConstraints(pattern=r"^[0-9]{16}$")] | None = Field(
        default=None, description="the number the bank knows the holder by; the head's counts where none is stated"
    )

    def to_domain(self) -> Payee:
        return Payee(self.bank, self.number, self.holder, self.method, self.holder_nik)


class HouseholdBody(Body):
    """A registration. The first identifier makes the household's id."""

    identifiers: list[IdentifierBody] = Field(min_length=1, max_length=MAX_IDENTIFIERS)
    region: RegionCode
    attributes: Attributes = Field(default_factory=dict)
    members: list[MemberBody] = Field(default_factory=list, max_length=MAX_MEMBERS)
    payee: PayeeBody | None = None
    contact: ContactBody | None = None

    def to_domain(self) -> Household:
        return Household(
            tuple(i.to_domain() for i in self.identifiers),
            self.region,
            self.attributes,
            tuple(m.to_domain() for m in self.members),
            self.payee.to_domain() if self.payee else None,
            self.contact.to_domain() if self.contact else None,
        )


class ChangeBody(Body):
    """New welfare data. What is left out stays; `version` = the one the caller has read."""

    region: RegionCode | None = None
    attributes: Attributes | None = None
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


def day(text: str, place: str) -> date:
    """Raises Invalid."""
    try:
        return parse_day(text)
    except DateInvalid as error:
        raise Invalid(f"{place}: {error}", code="date-invalid", who="caller") from None


def moment(text: str) -> datetime:
    """What `as_of` names, not in the future. Raises Invalid."""
    try:
        return parse_moment(text, datetime.now(UTC), timedelta())
    except DateInvalid as error:
        raise Invalid(f"as_of: {error}", code="moment-invalid", who="caller") from None

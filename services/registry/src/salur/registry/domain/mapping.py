"""The mapping file: which column of a list becomes which field."""

import hashlib
from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from salur.common.values import RegionCode
from salur.registry.domain.household import MAX_ATTRIBUTES, MAX_IDENTIFIERS, Method

Column = Annotated[str, StringConstraints(min_length=1, max_length=100)]
FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
BankCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,19}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IdentifierColumn(_Strict):
    """A column that identifies; `scheme` names the numbering."""

    scheme: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    column: Column


class MoreIdentifier(IdentifierColumn):
    """A further number; with `optional`, an empty cell means that there is none."""

    optional: bool = False


class PersonColumns(_Strict):
    """Who the member is. Sealed at rest, never an attribute and never in an event."""

    name: Column
    birth_date: Column | None = None
    sex: Column | None = None


class ContactColumns(_Strict):
    """Where the household is reached. An empty cell = nowhere."""

    phone: Column


class RegionConstant(_Strict):
    """A list of one region that has no column for it."""

    value: RegionCode


class AttributeColumn(_Strict):
    """A column that becomes an attribute. An empty cell is None; `required` refuses the row instead.

    `missing` names further cell contents that mean "not reported", for example `NA` or `-99`.
    """

    column: Column
    type: Literal["int", "float", "bool", "string"]
    required: bool = False
    missing: list[Annotated[str, StringConstraints(min_length=1, max_length=40)]] = Field(
        default_factory=list, max_length=20
    )


Attributes = Annotated[dict[FieldName, AttributeColumn], Field(max_length=MAX_ATTRIBUTES)]


class MemberColumns(_Strict):
    """One member per row. The identifier makes the member's id."""

    identifier: MoreIdentifier | None = None
    identifiers: list[MoreIdentifier] = Field(default_factory=list, max_length=MAX_IDENTIFIERS - 1)
    person: PersonColumns | None = None
    attributes: Attributes = Field(default_factory=dict)

    def columns(self) -> set[str]:
        names = {a.column for a in self.attributes.values()} | {i.column for i in self.all_identifiers()}
        if self.person:
            names |= {c for c in (self.person.name, self.person.birth_date, self.person.sex) if c}
        return names

    def all_identifiers(self) -> list[MoreIdentifier]:
        """The one that makes the id first."""
        return ([self.identifier] if self.identifier else []) + self.identifiers


class PayeeColumns(_Strict):
    """Accounts in the list."""

    bank: Column
    number: Column
    holder: Column
    holder_nik: Column | None = Field(default=None, description="NIK of the holder; an empty cell = not stated")
    method: Method = Field(default="account", description="how everybody of the list is paid")
    optional: bool = Field(default=False, description="three empty cells = a family without an account")

    def columns(self) -> set[str]:
        return {self.bank, self.number, self.holder} | ({self.holder_nik} if self.holder_nik else set())


class SyntheticPayee(_Strict):
    """Made-up accounts for a list that has none, the same for the same household: for demonstrations only."""

    banks: list[BankCode] = Field(min_length=1, max_length=20)


class PayeeMapping(_Strict):
    """Where accounts come from: columns of the list, or made up."""

    columns: PayeeColumns | None = None
    synthetic: SyntheticPayee | None = None

    @model_validator(mode="after")
    def _one(self) -> "PayeeMapping":
        if (self.columns is None) == (self.synthetic is None):
            raise ValueError("payee needs either columns or synthetic")
        return self


class Mapping(_Strict):
    """How rows become households: consecutive rows with the same identifier are one household.

    `known` says what a row of a household means that is registered already with other content: an error (`refuse`), or
    its new state (`update`).
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    household: IdentifierColumn
    identifiers: list[MoreIdentifier] = Field(default_factory=list, max_length=MAX_IDENTIFIERS - 1)
    region: Column | RegionConstant
    contact: ContactColumns | None = None
    attributes: Attributes = Field(default_factory=dict)
    member: MemberColumns | None = None
    payee: PayeeMapping | None = None
    known: Literal["refuse", "update"] = "refuse"

    @property
    def region_column(self) -> str:
        """The column that holds the region; empty when all rows are of one."""
        return self.region if isinstance(self.region, str) else ""

    def columns(self) -> set[str]:
        """Every column the mapping reads."""
        names = {self.household.column} | {a.column for a in self.attributes.values()}
        names |= {i.column for i in self.identifiers} | ({self.region_column} - {""})
        if self.contact:
            names.add(self.contact.phone)
        if self.member:
            names |= self.member.columns()
        if self.payee and self.payee.columns:
            names |= self.payee.columns.columns()
        return names


class MappingInvalid(ValueError):
    """The mapping file is wrong; its author must mend the places named."""


def parse_mapping(document: Any, banks: Collection[str] = ()) -> Mapping:
    """Check a mapping; `banks` are those it may name, empty = any. Raises MappingInvalid with each place."""
    try:
        mapping = Mapping.model_validate(document)
    except ValidationError as error:
        places = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'mapping'}: {item['msg']}"
            for item in error.errors(include_input=False)[:5]
        )
        raise MappingInvalid(f"the mapping is wrong at {places}: mend the mapping file") from None
    synthetic = mapping.payee.synthetic if mapping.payee else None
    unknown = sorted(set(synthetic.banks) - set(banks)) if synthetic and banks else []
    if unknown:
        raise MappingInvalid(
            f"the mapping names banks that are no partners here: {', '.join(unknown)}; known are {', '.join(banks)}"
        )
    return mapping


def synthetic_account(seed: str, banks: list[str]) -> tuple[str, str, str]:
    """(bank, number, holder) made from an identifier: plainly not a real account."""
    digest = hashlib.sha256(seed.encode()).digest()
    number = f"9{int.from_bytes(digest[:8], 'big') % 10**15:015d}"
    return banks[digest[8] % len(banks)], number, f"Synthetic holder {number[-6:]}"

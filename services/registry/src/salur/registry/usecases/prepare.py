"""Everything of a registration that needs no database: ids, keyed hashes, sealed values, rows and events."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import orjson

from salur.common.contracts.registry import HouseholdRegistered, Living, PayeeRegistered
from salur.common.events import AnyDraft, Draft
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.registry.domain.household import Household, Identifier, Member, Payee, check_household
from salur.registry.domain.identity import NIK
from salur.registry.store import HouseholdRow, IdentifierRow, Key, PayeeRow, PayeeStatus, json_text
from salur.registry.usecases.identities import Identities


class Prepared(NamedTuple):
    """A registration ready to be written. `member_keys` are the identifiers of each member, in member order."""

    household_id: str
    household: HouseholdRow
    identifiers: list[IdentifierRow]
    member_keys: list[list[Key]]
    payee: PayeeRow | None
    drafts: Sequence[AnyDraft]

    @property
    def content_token(self) -> str:
        return self.household.content_token

    def places(self) -> list[Key]:
        """Where its identifiers stand."""
        return [(row.scheme, row.token) for row in self.identifiers]


def prepare(
    household: Household,
    secrets: Secrets,
    *,
    actor: str,
    cause: str,
    banks: Collection[str] = (),
    import_id: str | None = None,
) -> Prepared:
    """Make a registration ready. Raises HouseholdInvalid."""
    check_household(household, banks)
    tokens = tokens_of(household.identifiers, secrets)
    household_id = derived_id("household", household.identifiers[0].scheme, tokens[0])
    identifiers = identifier_rows(household.identifiers, tokens, household_id, None, secrets)
    member_keys: list[list[Key]] = []
    members: list[dict[str, Any]] = []
    identities = Identities(household.contact)
    for number, member in enumerate(household.members):
        tokens = tokens_of(member.identifiers, secrets)
        member_id = member_id_of(member, f"{household_id}/{number}", tokens)
        rows = identifier_rows(member.identifiers, tokens, household_id, member_id, secrets)
        members.append({"member_id": member_id, "attributes": member.attributes})
        if member.person is not None:
            identities.people[member_id] = member.person
        member_keys.append([(row.scheme, row.token) for row in rows])
        identifiers += rows
    row = HouseholdRow(
        household_id,
        household.region,
        json_text(household.attributes),
        json_text(members),
        secrets.token("registration", household.canonical()),
        import_id,
        identities.seal(household_id, secrets),
    )
    fact = HouseholdRegistered(
        household_id=household_id,
        version=1,
        region=household.region,
        member_count=len(members),
        attributes=household.attributes,
        members=members,
    )
    drafts: list[AnyDraft] = [Draft(fact, household_id, actor, cause)]
    payee = None
    if household.payee is not None:
        own = [(row.scheme, row.token) for row in identifiers if row.member_id is None]
        identity = _payee_identity(household, own, member_keys)
        payee = payee_row(household.payee, household_id, 1, secrets, identity=identity)
        drafts.append(Draft(payee_fact(household.payee, payee), household_id, actor, cause))
    return Prepared(household_id, row, identifiers, member_keys, payee, drafts)


def tokens_of(identifiers: Sequence[Identifier], secrets: Secrets) -> list[str]:
    """The keyed hash of each identifier. Ids are made of them: without the service's key they tell nothing."""
    return [secrets.token(identifier.scheme, identifier.value) for identifier in identifiers]


def member_id_of(member: Member, otherwise: str, tokens: Sequence[str]) -> str:
    """A member's id is made by the first identifier (`tokens` are theirs), else by the place `otherwise`."""
    if member.member_id is not None:
        return member.member_id
    if not member.identifiers:
        return derived_id("member", otherwise)
    return derived_id("member", member.identifiers[0].scheme, tokens[0])


def identifier_rows(
    identifiers: Sequence[Identifier], tokens: Sequence[str], household_id: str, member_id: str | None, secrets: Secrets
) -> list[IdentifierRow]:
    """Each value sealed, bound to the place where it is found."""
    return [
        IdentifierRow(
            identifier.scheme, token, household_id, member_id, secrets.seal(identifier.value.encode(), token.encode())
        )
        for identifier, token in zip(identifiers, tokens, strict=True)
    ]


def payee_row(
    payee: Payee,
    household_id: str,
    version: int,
    secrets: Secrets,
    status: PayeeStatus = "active",
    identity: str | None = None,
) -> PayeeRow:
    """The account sealed. Its token is equal for a shared account and tells nothing without the key.

    `identity`: token of the NIK of whom it is taken to be; the stated holder's comes first.
    """
    token = secrets.token("account", f"{payee.bank}/{payee.number}")
    sealed = secrets.seal(orjson.dumps(payee.content()), household_id.encode())
    if payee.holder_nik is not None:
        identity = secrets.token(NIK, payee.holder_nik)
    return PayeeRow(household_id, version, status, payee.bank, token, sealed, identity_token=identity)


def _payee_identity(household: Household, own: Sequence[Key], member_keys: Sequence[Sequence[Key]]) -> str | None:
    """Token of the NIK of whom the account is taken to be, as the query `payee_identities` finds it later."""
    head = household.head_place()
    for keys in ([] if head is None else member_keys[head], own):
        if found := [token for scheme, token in keys if scheme == NIK]:
            return min(found)
    return None


def open_payee(sealed: bytes, household_id: str, secrets: Secrets) -> Payee:
    """The inverse of sealing. Raises SealBroken."""
    return Payee(*orjson.loads(secrets.open(sealed, household_id.encode())))


def payee_fact(payee: Payee, row: PayeeRow, living: Living = "alive") -> PayeeRegistered:
    """The event that tells payments where a household is paid; `living`: "deceased" when nobody of it is left."""
    return PayeeRegistered(
        beneficiary_id=row.household_id,
        version=row.version,
        status=row.status,
        bank=payee.bank,
        account_number=payee.number,
        account_holder=payee.holder,
        account_token=row.account_token,
        usable_from=row.usable_from and row.usable_from.isoformat(),
        living=living,
        method=payee.method,
        # A closed account is nobody's: who is paid elsewhere by now is not paid twice.
        identity_token=None if row.status == "closed" else row.identity_token,
    )

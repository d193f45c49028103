"""Register households: set-based, idempotent by identifier and content."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from salur.common.contracts.registry import HouseholdRegistered, PayeeRegistered
from salur.common.contracts.registry import Member as MemberFact
from salur.common.errors import Conflict
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.registry.domain.household import Household, Member, Payee
from salur.registry.store import queries


@dataclass(frozen=True, slots=True)
class Registration:
    """A command: who states it, because of what."""

    household: Household
    actor: str
    cause: str


@dataclass(frozen=True, slots=True)
class Registered:
    """The answer: `created` False when the same statement was known already."""

    household_id: str
    version: int
    created: bool


@dataclass(frozen=True, slots=True)
class _Prepared:
    command: Registration
    household_id: str
    content_hash: str
    members: list[dict[str, Any]]


async def register(
    conn: Any, commands: Sequence[Registration], secrets: Secrets
) -> tuple[list[Registered | Exception], list[Draft]]:
    """Register a batch. One result per command: Registered, or Conflict (same identifier, other content)."""
    prepared = [_prepare(command, secrets) for command in commands]
    first: dict[str, _Prepared] = {}
    for item in prepared:
        first.setdefault(item.household_id, item)
    taken = await _taken_identifiers(conn, first, secrets)
    candidates = [item for item in first.values() if item.household_id not in taken]
    rows = await queries.insert_households(
        conn,
        ids=[item.household_id for item in candidates],
        regions=[item.command.household.region for item in candidates],
        attributes=[orjson.dumps(item.command.household.attributes).decode() for item in candidates],
        members=[orjson.dumps(item.members).decode() for item in candidates],
        hashes=[item.content_hash for item in candidates],
    )
    created = {row["household_id"] for row in rows}
    new = [item for item in candidates if item.household_id in created]
    await _insert_details(conn, new, secrets)
    known = {
        row["household_id"]: (row["content_hash"], row["version"])
        for row in await queries.content_hashes(conn, ids=[i for i in first if i not in created])
    }
    results = [_result(item, first[item.household_id] is item, created, known) for item in prepared]
    return results, [draft for item in new for draft in _drafts(item, secrets)]


def _prepare(command: Registration, secrets: Secrets) -> _Prepared:
    household = command.household
    identifier = household.identifiers[0]
    household_id = household_id_of(identifier.scheme, identifier.value, secrets)
    members = [
        {"member_id": _member_id(household_id, number, member, secrets), "attributes": member.attributes}
        for number, member in enumerate(household.members)
    ]
    return _Prepared(command, household_id, household.content_hash(), members)


def household_id_of(scheme: str, value: str, secrets: Secrets) -> str:
    """A household's id is made by its first identifier; without the service's key it tells nothing of it."""
    return derived_id("household", scheme, secrets.token(scheme, value))


def _member_id(household_id: str, number: int, member: Member, secrets: Secrets) -> str:
    if member.identifier is None:
        return derived_id("member", household_id, str(number))
    return derived_id(
        "member", member.identifier.scheme, secrets.token(member.identifier.scheme, member.identifier.value)
    )


async def _taken_identifiers(conn: Any, first: dict[str, _Prepared], secrets: Secrets) -> set[str]:
    """Households whose further identifiers belong to another household already."""
    owners: dict[tuple[str, str], str] = {}
    clash: set[str] = set()
    for item in first.values():
        for scheme, token, _, _ in _identifiers(item, secrets):
            if owners.setdefault((scheme, token), item.household_id) != item.household_id:
                clash.add(item.household_id)
    rows = await queries.known_identifiers(
        conn, schemes=[scheme for scheme, _ in owners], tokens=[token for _, token in owners]
    )
    return clash | {
        owners[row["scheme"], row["token"]]
        for row in rows
        if owners[row["scheme"], row["token"]] != row["household_id"]
    }


def _identifiers(item: _Prepared, secrets: Secrets) -> list[tuple[str, str, str | None, str]]:
    """(scheme, token, member id, value) of everyone in the household."""
    own = [(i.scheme, secrets.token(i.scheme, i.value), None, i.value) for i in item.command.household.identifiers]
    theirs = [
        (
            m.identifier.scheme,
            secrets.token(m.identifier.scheme, m.identifier.value),
            row["member_id"],
            m.identifier.value,
        )
        for m, row in zip(item.command.household.members, item.members, strict=True)
        if m.identifier is not None
    ]
    return [*own, *theirs]


async def _insert_details(conn: Any, new: Sequence[_Prepared], secrets: Secrets) -> None:
    identifiers = [
        (scheme, token, item.household_id, member_id, secrets.seal(value.encode(), token.encode()))
        for item in new
        for scheme, token, member_id, value in _identifiers(item, secrets)
    ]
    columns = ("scheme", "token", "household_id", "member_id", "sealed")
    await conn.copy_records_to_table("identifier", records=identifiers, columns=columns)
    payees = [
        (
            item.household_id,
            1,
            "active",
            payee.bank,
            account_token(payee, secrets),
            seal_payee(payee, item.household_id, secrets),
        )
        for item in new
        if (payee := item.command.household.payee)
    ]
    payee_columns = ("household_id", "version", "status", "bank", "account_token", "sealed")
    await conn.copy_records_to_table("payee", records=payees, columns=payee_columns)


def account_token(payee: Payee, secrets: Secrets) -> str:
    """Equal for a shared account, tells nothing without the key."""
    return secrets.token("account", f"{payee.bank}/{payee.number}")


def seal_payee(payee: Payee, household_id: str, secrets: Secrets) -> bytes:
    return secrets.seal(orjson.dumps([payee.bank, payee.number, payee.holder]), household_id.encode())


def _result(
    item: _Prepared, is_first: bool, created: set[str], known: dict[str, tuple[str, int]]
) -> Registered | Exception:
    if item.household_id in created and is_first:
        return Registered(item.household_id, 1, True)
    content_hash, version = known.get(item.household_id, ("", 1))
    if content_hash == item.content_hash:
        return Registered(item.household_id, version, False)
    return Conflict(
        "an identifier of this household is registered already with other content: change that household instead",
        code="household-exists",
        who="registrar",
    )


def _drafts(item: _Prepared, secrets: Secrets) -> list[Draft]:
    household = item.command.household
    fact = HouseholdRegistered(
        household_id=item.household_id,
        version=1,
        region=household.region,
        member_count=len(item.members),
        attributes=household.attributes,
        members=[MemberFact.model_construct(**member) for member in item.members],
    )
    drafts = [Draft(fact, item.household_id, item.command.actor, item.command.cause)]
    if household.payee is not None:
        payee = payee_fact(household.payee, item.household_id, 1, secrets)
        drafts.append(Draft(payee, item.household_id, item.command.actor, item.command.cause))
    return drafts


def payee_fact(payee: Payee, household_id: str, version: int, secrets: Secrets) -> PayeeRegistered:
    """The event that tells payments where a household is paid."""
    return PayeeRegistered(
        beneficiary_id=household_id,
        version=version,
        status="active",
        bank=payee.bank,
        account_number=payee.number,
        account_holder=payee.holder,
        account_token=account_token(payee, secrets),
    )

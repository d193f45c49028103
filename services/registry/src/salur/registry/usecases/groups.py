"""Groups, communities and institutions: every version proposed by one person and accepted by another."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from salur.common.contracts.base import Fact
from salur.common.contracts.registry import GroupChanged, GroupMember, GroupRegistered
from salur.common.database import Connection
from salur.common.errors import Conflict, Forbidden, Invalid, NotFound
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.common.values import derived_id, in_scope
from salur.registry.domain.household import HouseholdInvalid, Identifier, Payee, Scalar, check_attributes, check_payee
from salur.registry.store import PayeeRow, queries, save_payees
from salur.registry.usecases.payees import set_standing
from salur.registry.usecases.prepare import payee_fact, payee_row
from salur.registry.usecases.states import By

Kind = Literal["group", "community", "institution"]


@dataclass(frozen=True, slots=True)
class Accreditation:
    """Who vouches for an institution, under which number, until which day (ISO 8601)."""

    authority: str
    number: str
    until: str


@dataclass(frozen=True, slots=True)
class Group:
    """What a version states. Members are named by an identifier and have a role."""

    kind: Kind
    name: str
    region: str
    attributes: dict[str, Scalar]
    members: Sequence[tuple[Identifier, str]]
    accreditation: Accreditation | None = None
    payee: Payee | None = None


async def propose_group(
    conn: Connection, group_id: str | None, group: Group, by: By, secrets: Secrets, banks: Collection[str]
) -> tuple[str, int]:
    """Keep a proposal for a new group (no id) or a new version; returns (id, version). Raises SalurError."""
    if not in_scope(group.region, by.regions):
        raise Forbidden("the group lies outside your regions", code="other-region", who="caller")
    _check(group, banks)
    new = group_id is None
    group_id = group_id or derived_id("group", group.kind, group.region, group.name)
    versions = await queries.lock_group(conn, group_id=group_id)
    if not new and (not versions or not in_scope(versions[-1]["region"], by.regions)):
        raise unknown_group()
    if any(row["state"] == "erased" for row in versions):
        raise Conflict("the group was erased: register another under its own name", code="group-erased",
                       who="registrar")  # fmt: skip
    if new and any(row["state"] == "accepted" for row in versions):
        raise Conflict("a group of that kind and name is registered there: change that one", code="group-exists",
                       who="registrar")  # fmt: skip
    content = {
        "name": group.name, "attributes": group.attributes, "members": await _members(conn, group, by, secrets),
        "accreditation": group.accreditation and {
            "authority": group.accreditation.authority, "number": group.accreditation.number,
            "until": group.accreditation.until,
        },
    }  # fmt: skip
    payee = group.payee and payee_row(group.payee, group_id, 1, secrets)
    version = versions[-1]["version"] + 1 if versions else 1
    inserted = await queries.insert_group_version(
        conn, group_id=group_id, version=version, kind=group.kind, region=group.region, content=content,
        sealed=payee and payee.sealed, account=payee and payee.account_token, actor=by.actor,
    )  # fmt: skip
    if inserted is None:
        raise Conflict("another proposal for this group waits: decide it first", code="proposal-waits", who="registrar")
    return group_id, version


def _check(group: Group, banks: Collection[str]) -> None:
    try:
        check_attributes("attributes", group.attributes)
        if group.payee is not None:
            check_payee(group.payee, banks)
    except HouseholdInvalid as error:
        raise Invalid(f"the group cannot be registered: {error}", code="group-invalid", who="registrar") from None
    if group.kind == "institution" and group.accreditation is None:
        raise Invalid("an institution needs an accreditation", code="group-invalid", who="registrar")


async def _members(conn: Connection, group: Group, by: By, secrets: Secrets) -> list[dict[str, str]]:
    tokens = [secrets.token(identifier.scheme, identifier.value) for identifier, _ in group.members]
    rows = await queries.people_of_identifiers(
        conn, schemes=[identifier.scheme for identifier, _ in group.members], tokens=tokens
    )
    known = {row["place"]: row for row in rows if in_scope(row["region"], by.regions)}
    for place in range(1, len(tokens) + 1):
        if place not in known:
            raise Invalid(f"member {place} is nobody your regions know: register them first", code="member-unknown",
                          who="registrar")  # fmt: skip
    members = [{"member_id": known[place]["member_id"], "role": role}
               for place, (_, role) in enumerate(group.members, 1)]  # fmt: skip
    if len({member["member_id"] for member in members}) < len(members):
        raise Invalid("the same person twice in one group", code="group-invalid", who="registrar")
    return members


async def decide_group(
    conn: Connection, group_id: str, outcome: Literal["accepted", "refused"], note: str | None, by: By, secrets: Secrets
) -> tuple[int, list[Draft]]:
    """Accept or refuse what waits; returns (version, events). Another person than who proposed. Raises SalurError."""
    versions = await queries.lock_group(conn, group_id=group_id)
    if not versions or not in_scope(versions[-1]["region"], by.regions):
        raise unknown_group()
    row = versions[-1]
    if row["state"] != "proposed":
        raise Conflict("nothing waits to be decided for this group", code="nothing-proposed", who="registrar")
    if row["proposed_by"] in by.people:
        raise Forbidden("who proposed a change may not decide it: another person must", code="same-person",
                        who="another registrar")  # fmt: skip
    version = row["version"]
    await queries.decide_group(
        conn, group_id=group_id, version=version, state=outcome, actor=by.actor, note=note
    )  # fmt: skip
    if outcome == "refused":
        return version, []
    before = [old for old in versions if old["state"] == "accepted"]
    drafts = [Draft(_fact(row, bool(before)), group_id, by.actor, by.cause)]
    if row["sealed"] is not None and (not before or before[-1]["account"] != row["account"]):
        drafts.append(await _account(conn, row, by, secrets))
    elif row["kind"] == "institution":  # renewed: an account that rested for the accreditation's end is open again
        drafts += await set_standing(conn, group_id, "active", secrets, actor=by.actor, cause=by.cause)
    return version, drafts


def _fact(row: Any, known: bool) -> Fact:
    content = row["content"]
    told = {
        "group_id": row["group_id"], "version": row["version"], "kind": row["kind"], "region": row["region"],
        "name": content["name"], "attributes": content["attributes"],
        "members": [GroupMember(**member) for member in content["members"]],
        "accredited_until": (content["accreditation"] or {}).get("until"),
    }  # fmt: skip
    return GroupChanged(**told) if known else GroupRegistered(**told)


async def _account(conn: Connection, row: Any, by: By, secrets: Secrets) -> Draft:
    group_id = row["group_id"]
    present = await queries.payees(conn, ids=[group_id])
    version = present[0]["version"] + 1 if present else 1
    payee = Payee(*orjson.loads(secrets.open(row["sealed"], group_id.encode())))
    new = PayeeRow(group_id, version, "active", payee.bank, row["account"], row["sealed"])
    await save_payees(conn, [new])
    return Draft(payee_fact(payee, new), group_id, by.actor, by.cause)


def unknown_group() -> NotFound:
    """The same answer whether it does not exist or lies outside the caller's regions."""
    return NotFound("no such group in your regions: check the id", code="group-unknown", who="registrar")

"""Change a household or its payee account; every change is a new version and an event with the whole snapshot."""

from typing import Any

from salur.common.contracts.registry import HouseholdChanged
from salur.common.contracts.registry import Member as MemberFact
from salur.common.errors import NotFound
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.registry.domain.household import Payee, Scalar, canonical_hash
from salur.registry.store import queries
from salur.registry.usecases.register import account_token, payee_fact, seal_payee


def unknown_household() -> NotFound:
    """The same answer whether it does not exist or lies outside the caller's regions."""
    return NotFound("no such household in your regions: check the id", code="household-unknown", who="registrar")


async def change_household(
    conn: Any, household_id: str, *, region: str | None, attributes: dict[str, Scalar] | None, actor: str, cause: str
) -> tuple[int, list[Draft]]:
    """Replace the region or some attributes. Returns (version, events); no change gives no event."""
    row = await queries.lock_household(conn, id=household_id)
    if row is None:
        raise unknown_household()
    new_region = region or row["region"]
    new_attributes = {**row["attributes"], **(attributes or {})}
    changed = [name for name, value in new_attributes.items() if row["attributes"].get(name) != value]
    changed += ["region"] if new_region != row["region"] else []
    if not changed:
        return int(row["version"]), []
    version = row["version"] + 1
    await queries.change_household(
        conn,
        id=household_id,
        version=version,
        region=new_region,
        attributes=new_attributes,
        members=row["members"],
        content_hash=canonical_hash([row["content_hash"], new_region, new_attributes]),
    )
    fact = HouseholdChanged(
        household_id=household_id,
        version=version,
        region=new_region,
        member_count=len(row["members"]),
        attributes=new_attributes,
        members=[MemberFact(**member) for member in row["members"]],
        changed=sorted(changed),
    )
    return version, [Draft(fact, household_id, actor, cause)]


async def change_payee(
    conn: Any, household_id: str, payee: Payee, secrets: Secrets, *, actor: str, cause: str
) -> tuple[int, list[Draft]]:
    """Set the account a household is paid to. The same account again changes nothing."""
    if await queries.lock_household(conn, id=household_id) is None:
        raise unknown_household()
    row = await queries.lock_payee(conn, id=household_id)
    token = account_token(payee, secrets)
    if row is not None and row["account_token"] == token:
        return int(row["version"]), []
    version = row["version"] + 1 if row else 1
    sealed = seal_payee(payee, household_id, secrets)
    await queries.save_payee(
        conn, id=household_id, version=version, bank=payee.bank, account_token=token, sealed=sealed
    )
    return version, [Draft(payee_fact(payee, household_id, version, secrets), household_id, actor, cause)]

"""Known households that a list states anew: what differs becomes one change each, what does not is confirmed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from salur.common.contracts.registry import HouseholdConfirmed
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.registry.domain.household import Member
from salur.registry.domain.rows import Family, Issue
from salur.registry.store import queries
from salur.registry.usecases.change import Change, Changed, change
from salur.registry.usecases.payees import NewPayee, change_payees
from salur.registry.usecases.prepare import Prepared


@dataclass(slots=True)
class Updates:
    """What a batch of known households came to; `refused` are ids whose rows were refused."""

    changed: int = 0
    unchanged: int = 0
    refused: set[str] = field(default_factory=set)
    drafts: list[Draft] = field(default_factory=list)


async def update_known(
    conn: Connection,
    items: Sequence[tuple[Family, Prepared]],
    secrets: Secrets,
    *,
    actor: str,
    import_id: str,
    regions: Sequence[str],
    banks: Collection[str],
) -> Updates:
    """Bring each household to what its rows state; the rows of one that cannot be changed are refused.

    `regions` is the scope of who sent the list: a household that lives elsewhere is none of theirs.
    """
    updates = Updates()
    if not items:
        return updates
    ids = sorted(prepared.household_id for _, prepared in items)
    before = {row["household_id"]: row for row in await queries.lock_households(conn, ids=ids)}
    cause = f"import:{import_id}"
    commands = [
        _change(family, before[prepared.household_id], actor, cause, tuple(regions)) for family, prepared in items
    ]
    results, updates.drafts = await change(conn, commands, secrets)
    accounts = await _accounts(conn, items, results, secrets, actor=actor, cause=cause, banks=banks)
    updates.drafts += accounts.drafts
    for (family, prepared), result in zip(items, results, strict=True):
        household_id = prepared.household_id
        failure = result if isinstance(result, Exception) else accounts.failures.get(household_id)
        if failure is not None:
            family.refused += [Issue(row, "", "error", str(failure)) for row in family.rows]
            family.rows = []
        if not isinstance(result, Changed):
            updates.refused.add(household_id)
            continue
        if result.version == before[household_id]["version"]:
            fact = HouseholdConfirmed(household_id=household_id, version=result.version)
            updates.drafts.append(Draft(fact, household_id, actor, cause))
        if result.version > before[household_id]["version"] or household_id in accounts.changed:
            updates.changed += 1
        else:
            updates.unchanged += 1
    await queries.stated_by(conn, ids=sorted(set(ids) - updates.refused), import_id=import_id)
    return updates


def _change(family: Family, stored: Any, actor: str, cause: str, regions: tuple[str, ...]) -> Change:
    household = family.household
    assert household is not None
    return Change(
        stored["household_id"],
        actor,
        cause,
        region=household.region,
        attributes=household.attributes,
        members=_same_people(household.members, stored["members"]) or None,
        regions=regions,
        contact=household.contact,
    )


def _same_people(members: Sequence[Member], stored: Sequence[Any]) -> tuple[Member, ...]:
    """Members the list does not identify are told apart by their place, as when they were registered."""
    known = [member["member_id"] for member in stored]
    return tuple(
        member if member.identifiers or place >= len(known) else member._replace(member_id=known[place])
        for place, member in enumerate(members)
    )


@dataclass(slots=True)
class _Accounts:
    changed: set[str] = field(default_factory=set)
    failures: dict[str, Exception] = field(default_factory=dict)
    drafts: list[Draft] = field(default_factory=list)


async def _accounts(
    conn: Connection,
    items: Sequence[tuple[Family, Prepared]],
    results: Sequence[object],
    secrets: Secrets,
    *,
    actor: str,
    cause: str,
    banks: Collection[str],
) -> _Accounts:
    """The accounts the rows state, of households whose other facts could be taken."""
    commands = [
        NewPayee(prepared.household_id, family.household.payee, actor, cause)
        for (family, prepared), result in zip(items, results, strict=True)
        if isinstance(result, Changed) and family.household is not None and family.household.payee is not None
    ]
    accounts = _Accounts()
    answers, accounts.drafts = await change_payees(conn, commands, secrets, banks)
    accounts.changed = {draft.key for draft in accounts.drafts}
    for command, answer in zip(commands, answers, strict=True):
        if isinstance(answer, Exception):
            accounts.failures[command.household_id] = answer
    return accounts

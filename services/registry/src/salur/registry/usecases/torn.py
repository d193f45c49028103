"""Families whose rows do not stand together in the file: later rows join the household that was registered first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.registry.domain.household import MAX_MEMBERS, Member
from salur.registry.domain.rows import Family, Issue
from salur.registry.store import Key, identifier_owners, queries
from salur.registry.usecases.change import Change, change
from salur.registry.usecases.prepare import Prepared

JOINED = "the household stands apart in the file: this row was added to it"
REPEATED = "the household was registered from an earlier row: nothing changed"
DIFFERS = "differs from an earlier row of the household: the first value is kept"
TAKEN = "the same member again, or of another household already: check the identifier"
FULL = f"the household has more than {MAX_MEMBERS} members"


@dataclass(frozen=True, slots=True)
class Torn:
    """A family of a household this import has registered before."""

    family: Family
    prepared: Prepared


async def put_together(
    conn: Connection, torn: Sequence[Torn], secrets: Secrets, *, actor: str, import_id: str
) -> list[Draft]:
    """Add the members of torn families, one change per household; every row becomes a warning or a refusal."""
    if not torn:
        return []
    ids = sorted({item.prepared.household_id for item in torn})
    stored = {row["household_id"]: row for row in await queries.lock_households(conn, ids=ids)}
    accounts = {row["household_id"]: row["account_token"] for row in await queries.payees(conn, ids=ids)}
    keys = {key for item in torn for member in item.prepared.member_keys for key in member}
    taken = set(await identifier_owners(conn, sorted(keys)))
    joining: dict[str, list[Member]] = {}
    places: dict[str, list[tuple[Family, int]]] = {}
    for item in torn:
        household_id = item.prepared.household_id
        _compare(item, stored[household_id], accounts.get(household_id))
        free = MAX_MEMBERS - len(stored[household_id]["members"]) - len(joining.get(household_id, ()))
        for row, member in _admitted(item, taken, free):
            joining.setdefault(household_id, []).append(member)
            places.setdefault(household_id, []).append((item.family, row))
    commands = [
        Change(household_id, actor, f"import:{import_id}", joining=tuple(members))
        for household_id, members in joining.items()
    ]
    results, drafts = await change(conn, commands, secrets)
    for command, result in zip(commands, results, strict=True):
        for family, row in places[command.household_id]:
            if isinstance(result, Exception):
                family.refused.append(Issue(row, "", "error", str(result)))
            else:
                family.warnings.append(Issue(row, "", "warning", JOINED))
    return drafts


def _compare(item: Torn, stored: Any, account_token: str | None) -> None:
    household, payee = item.family.household, item.prepared.payee
    assert household is not None
    differing = [name for name, value in household.attributes.items() if stored["attributes"].get(name) != value]
    differing += ["region"] if household.region != stored["region"] else []
    differing += ["payee"] if payee is not None and payee.account_token != account_token else []
    item.family.warnings += [Issue(item.family.rows[0], name, "warning", DIFFERS) for name in differing]


def _admitted(item: Torn, taken: set[Key], free: int) -> list[tuple[int, Member]]:
    """(row, member) of those who may join; the others' rows are refused. Their identifiers count as taken."""
    family, household = item.family, item.family.household
    assert household is not None
    if not household.members:
        family.warnings += [Issue(row, "", "warning", REPEATED) for row in family.rows]
        return []
    admitted: list[tuple[int, Member]] = []
    for row, member, keys in zip(family.rows, household.members, item.prepared.member_keys, strict=True):
        if taken.intersection(keys):
            family.refused.append(Issue(row, "", "error", TAKEN))
        elif len(admitted) >= free:
            family.refused.append(Issue(row, "", "error", FULL))
        else:
            taken.update(keys)
            admitted.append((row, member))
    return admitted

"""Payee accounts: where a household is paid from now on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from salur.common.contracts.registry import AccountShared, Living
from salur.common.database import Connection
from salur.common.errors import SalurError
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.registry.domain.household import HouseholdInvalid, Payee, check_payee
from salur.registry.store import PayeeRow, PayeeStatus, queries, save_payees
from salur.registry.usecases.change import Changed, Result, refusal
from salur.registry.usecases.holders import head_identities
from salur.registry.usecases.prepare import open_payee, payee_fact, payee_row
from salur.registry.usecases.states import lock_states, standing

COOL_OFF = timedelta(hours=72)
"""A changed account rests so long before its first use."""
FAMILIES_USUAL = 2
"""An account that serves more families than this is an alarm."""


@dataclass(frozen=True, slots=True)
class NewPayee:
    """A command: the account a household is paid to from now on."""

    household_id: str
    payee: Payee
    actor: str
    cause: str
    regions: tuple[str, ...] = ()


async def change_payees(
    conn: Connection, commands: Sequence[NewPayee], secrets: Secrets, banks: Collection[str] = ()
) -> tuple[list[Result], list[Draft]]:
    """Set accounts, in order. The same account and holder again changes nothing.

    So does leaving out the holder's number once it was stated.
    """
    ids = sorted({command.household_id for command in commands})
    states = await lock_states(conn, ids)
    present = {
        row["household_id"]: (row["version"], open_payee(row["sealed"], row["household_id"], secrets))
        for row in await queries.payees(conn, ids=ids)
    }
    heads = await head_identities(conn, ids)
    rows: dict[str, PayeeRow] = {}
    results: list[Result] = []
    drafts: list[Draft] = []
    for command in commands:
        household_id = command.household_id
        try:
            standing(states.get(household_id), command.regions)
            check_payee(command.payee, banks)
        except (SalurError, HouseholdInvalid) as error:
            results.append(refusal(error))
            continue
        version, payee = present.get(household_id, (0, None))
        if payee is None or command.payee not in (payee, payee._replace(holder_nik=None)):
            version += 1
            present[household_id] = version, command.payee
            usable_from = datetime.now(UTC) + COOL_OFF if version > 1 else None
            new = payee_row(command.payee, household_id, version, secrets, identity=heads.get(household_id))
            rows[household_id] = new._replace(usable_from=usable_from, changed_by=command.actor)
            fact = payee_fact(command.payee, rows[household_id])
            drafts.append(Draft(fact, household_id, command.actor, command.cause))
        results.append(Changed(household_id, version))
    await save_payees(conn, list(rows.values()))
    drafts += await _shared(conn, rows, commands)
    for command in commands:
        if command.household_id in rows:
            drafts += await _wards_follow(conn, command.household_id, secrets, command.actor, command.cause)
    return results, drafts


async def _shared(conn: Connection, rows: Mapping[str, PayeeRow], commands: Sequence[NewPayee]) -> list[Draft]:
    """An alarm for each account given just now that serves more than FAMILIES_USUAL families."""
    tokens = sorted({row.account_token for row in rows.values()})
    counts = {
        row["account_token"]: row["families"] for row in await queries.families_of_accounts(conn, tokens=tokens)
    }  # fmt: skip
    by_household = {command.household_id: command for command in commands}
    return [
        Draft(
            AccountShared(household_id=name, families=counts[row.account_token]), name, by_household[name].actor,
            by_household[name].cause,
        )
        for name, row in rows.items()
        if counts.get(row.account_token, 0) > FAMILIES_USUAL
    ]  # fmt: skip


async def account_status(conn: Connection, household_id: str) -> PayeeStatus | None:
    """Of the account of a household; None when it has none."""
    for row in await queries.payees(conn, ids=[household_id]):
        status: PayeeStatus = row["status"]
        return status
    return None


async def set_standing(
    conn: Connection, household_id: str, status: PayeeStatus, secrets: Secrets, *, actor: str, cause: str,
    living: Living = "alive", again: bool = False,
) -> list[Draft]:  # fmt: skip
    """Suspend, close or open the account of a household: a new version of it. No account, no event.

    `again`: told even where the status is the same, for whether anybody is left of the family is not.
    """
    for row in await queries.payees(conn, ids=[household_id]):
        if row["status"] == status and not again:
            return []
        payee = open_payee(row["sealed"], household_id, secrets)
        heads = await head_identities(conn, [household_id], named=row["identity_token"] is not None)
        identity = heads.get(household_id, row["identity_token"])
        new = payee_row(payee, household_id, row["version"] + 1, secrets, status, identity)
        new = new._replace(usable_from=row["usable_from"], changed_by=actor)
        await save_payees(conn, [new])
        drafts = [Draft(payee_fact(payee, new, living), household_id, actor, cause)]
        return drafts + await _wards_follow(conn, household_id, secrets, actor, cause)
    return []


async def lend_account(
    conn: Connection, payer_id: str, wards: Sequence[str], secrets: Secrets, *, actor: str, cause: str
) -> list[Draft]:
    """What is due to the wards goes to this account, as it stands: a payee of their own. No open account, no event."""
    lender = [row for row in await queries.payees(conn, ids=[payer_id]) if row["status"] != "closed"]
    if not lender or not wards:
        return []
    # Whom the money is for is not who holds the account: a ward's payee names no holder.
    payee = open_payee(lender[0]["sealed"], payer_id, secrets)._replace(holder_nik=None)
    present = {row["household_id"]: row["version"] for row in await queries.payees(conn, ids=list(wards))}
    rows: list[PayeeRow] = []
    for ward_id in wards:
        version = present.get(ward_id, 0) + 1
        rest = datetime.now(UTC) + COOL_OFF if version > 1 else None
        row = payee_row(payee, ward_id, version, secrets, lender[0]["status"])
        rows.append(row._replace(usable_from=max(filter(None, (rest, lender[0]["usable_from"]))), changed_by=actor))
    await save_payees(conn, rows)
    return [Draft(payee_fact(payee, row), row.household_id, actor, cause) for row in rows]


async def _wards_follow(conn: Connection, payer_id: str, secrets: Secrets, actor: str, cause: str) -> list[Draft]:
    """Whoever is paid to this account for somebody else is paid to it as it stands now, or no more."""
    wards = [row["ward_id"] for row in await queries.wards_paid_by(conn, payers=[payer_id])]
    lent = await lend_account(conn, payer_id, wards, secrets, actor=actor, cause=cause)
    if lent:
        return lent
    return [
        draft
        for ward_id in wards
        for draft in await set_standing(conn, ward_id, "closed", secrets, actor=actor, cause=cause)
    ]

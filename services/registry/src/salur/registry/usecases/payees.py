"""Payee accounts: where a household is paid from now on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from salur.common.database import Connection
from salur.common.errors import SalurError
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.registry.domain.household import HouseholdInvalid, Payee, check_payee
from salur.registry.store import PayeeRow, PayeeStatus, queries, save_payees
from salur.registry.usecases.change import Changed, Result, refusal
from salur.registry.usecases.prepare import open_payee, payee_fact, payee_row
from salur.registry.usecases.states import lock_states, standing


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
    """Set accounts, in order. The same account and holder again changes nothing."""
    ids = sorted({command.household_id for command in commands})
    states = await lock_states(conn, ids)
    present = {
        row["household_id"]: (row["version"], open_payee(row["sealed"], row["household_id"], secrets))
        for row in await queries.payees(conn, ids=ids)
    }
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
        if payee != command.payee:
            version += 1
            present[household_id] = version, command.payee
            rows[household_id] = payee_row(command.payee, household_id, version, secrets)
            fact = payee_fact(command.payee, rows[household_id])
            drafts.append(Draft(fact, household_id, command.actor, command.cause))
        results.append(Changed(household_id, version))
    await save_payees(conn, list(rows.values()))
    return results, drafts


async def set_standing(
    conn: Connection, household_id: str, status: PayeeStatus, secrets: Secrets, *, actor: str, cause: str
) -> list[Draft]:
    """Suspend, close or open the account of a household: a new version of it. No account, no event."""
    for row in await queries.payees(conn, ids=[household_id]):
        if row["status"] == status:
            return []
        payee = open_payee(row["sealed"], household_id, secrets)
        new = payee_row(payee, household_id, row["version"] + 1, secrets, status)
        await save_payees(conn, [new])
        return [Draft(payee_fact(payee, new), household_id, actor, cause)]
    return []

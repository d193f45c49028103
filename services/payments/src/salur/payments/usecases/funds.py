"""Open funds."""

from dataclasses import dataclass

from salur.common.contracts.payments import FundOpened
from salur.common.database import Connection
from salur.common.events import Draft
from salur.payments import errors, ledger
from salur.payments.ledger import Move
from salur.payments.store import queries


@dataclass(frozen=True, slots=True)
class OpenFund:
    """A fund and its whole budget, in minor units of `currency`."""

    fund_id: str
    name: str
    currency: str
    budget_minor: int
    actor: str
    cause: str


async def open_fund(conn: Connection, command: OpenFund) -> tuple[bool, list[Draft]]:
    """Open a fund and book its budget from the treasury. Returns (whether it is new, events).

    The same fund again is the same answer; another name, currency or budget under its id raises Conflict.
    """
    added = await queries.insert_fund(
        conn, fund_id=command.fund_id, name=command.name, currency=command.currency,
        budget_minor=command.budget_minor, opened_by=command.actor,
    )  # fmt: skip
    if added is None:
        known = await queries.fund_by_id(conn, fund_id=command.fund_id)
        if (known["name"], known["currency"], known["budget_minor"]) != (
            command.name,
            command.currency,
            command.budget_minor,
        ):
            raise errors.fund_exists(command.fund_id)
        return False, []
    source, target = ledger.treasury(command.currency), ledger.fund(command.fund_id, command.currency)
    await ledger.open_accounts(conn, [source, target, ledger.beneficiaries(command.fund_id, command.currency)])
    if command.budget_minor:
        budget = Move(
            f"budget/{command.fund_id}", "transfer", None, source.id, target.id, command.budget_minor, command.currency
        )
        await ledger.apply_all(conn, [budget])
    fact = FundOpened(
        fund_id=command.fund_id, name=command.name, currency=command.currency, budget_minor=command.budget_minor
    )
    return True, [Draft(fact, command.fund_id, command.actor, command.cause)]

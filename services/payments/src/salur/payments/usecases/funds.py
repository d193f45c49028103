"""Open funds, add money to them, close them."""

from dataclasses import dataclass
from typing import Any

from salur.common.contracts.payments import FundClosed, FundOpened, FundToppedUp
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.values.region import region_within
from salur.payments import errors, ledger
from salur.payments.ledger import Move
from salur.payments.store import queries
from salur.payments.usecases.proposals import Person, Proposal

TOP_UP, CLOSE = "fund-top-up", "fund-close"


@dataclass(frozen=True, slots=True)
class OpenFund:
    """A fund and its whole budget, in minor units of `currency`. `region` '' is central."""

    fund_id: str
    name: str
    currency: str
    budget_minor: int
    actor: str
    cause: str
    region: str = ""
    programme_id: str | None = None

    @property
    def content(self) -> tuple[Any, ...]:
        return self.name, self.currency, self.budget_minor, self.region, self.programme_id


async def open_fund(conn: Connection, command: OpenFund) -> tuple[bool, list[Draft]]:
    """Open a fund and book its budget from the treasury. Returns (whether it is new, events).

    The same fund again is the same answer; other content under its id raises Conflict.
    """
    added = await queries.insert_fund(
        conn, fund_id=command.fund_id, name=command.name, currency=command.currency,
        budget_minor=command.budget_minor, opened_by=command.actor, region=command.region,
        programme_id=command.programme_id,
    )  # fmt: skip
    if added is None:
        known = await queries.fund_by_id(conn, fund_id=command.fund_id)
        names = ("name", "currency", "budget_minor", "region", "programme_id")
        if tuple(known[name] for name in names) != command.content:
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
        fund_id=command.fund_id, name=command.name, currency=command.currency, budget_minor=command.budget_minor,
        region=command.region, programme_id=command.programme_id,
    )  # fmt: skip
    return True, [Draft(fact, command.fund_id, command.actor, command.cause)]


async def fund_of(conn: Connection, fund_id: str, person: Person) -> Any:
    """A locked fund that the person may act on. Raises NotFound, Forbidden for another region's fund."""
    row = await queries.fund_for_update(conn, fund_id=fund_id)
    if row is None:
        raise errors.fund_unknown(fund_id)
    if person.regions and not any(row["region"] and region_within(row["region"], own) for own in person.regions):
        raise errors.other_authority(fund_id)
    return row


async def top_up(
    conn: Connection, proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Book more money from the treasury. Raises Conflict when the fund is closed."""
    fund = await fund_of(conn, proposal.subject, person)
    if fund["state"] == "closed":
        raise errors.fund_closed(proposal.subject)
    amount, currency = proposal.content["amount_minor"], fund["currency"]
    source, target = ledger.treasury(currency), ledger.fund(proposal.subject, currency)
    await ledger.apply_all(
        conn, [Move(f"top-up/{proposal_id}", "transfer", None, source.id, target.id, amount, currency)]
    )
    budget = await queries.raise_budget(conn, fund_id=proposal.subject, amount_minor=amount)
    fact = FundToppedUp(
        fund_id=proposal.subject, proposal_id=proposal_id, amount_minor=amount, budget_minor=budget, currency=currency
    )
    return {"fund_id": proposal.subject, "budget_minor": budget}, [
        Draft(fact, proposal.subject, person.actor, person.cause)
    ]


async def close(
    conn: Connection, proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Close a fund and send what is left to the treasury; again, when a late return brought money back.

    Raises Conflict while money is reserved or in flight, or a list that names the fund is not decided.
    """
    fund = await fund_of(conn, proposal.subject, person)
    currency = fund["currency"]
    source, target = ledger.fund(proposal.subject, currency), ledger.treasury(currency)
    posted, reserved = await ledger.account_of(conn, source.id)
    waiting = await queries.open_lists_of_fund(conn, fund_id=proposal.subject)
    if reserved or waiting:
        raise errors.fund_in_use(proposal.subject, reserved, len(waiting))
    if posted:
        await ledger.apply_all(
            conn, [Move(f"close/{proposal_id}", "transfer", None, source.id, target.id, posted, currency)]
        )
    await queries.close_fund(conn, fund_id=proposal.subject)
    fact = FundClosed(fund_id=proposal.subject, proposal_id=proposal_id, to_treasury_minor=posted, currency=currency)
    return {"fund_id": proposal.subject, "to_treasury_minor": posted}, [
        Draft(fact, proposal.subject, person.actor, person.cause)
    ]

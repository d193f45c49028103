"""Names of accounts. One account holds one currency."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """`floored`: never below zero."""

    id: str
    kind: str
    currency: str
    floored: bool


def treasury(currency: str) -> Account:
    """Where budgets come from: its balance is minus the sum of all budgets."""
    return Account(f"treasury:{currency}", "treasury", currency, floored=False)


def fund(fund_id: str, currency: str) -> Account:
    """A fund's money, spent and reserved by its payment lists."""
    return Account(f"fund:{fund_id}", "fund", currency, floored=True)


def clearing(bank: str, currency: str) -> Account:
    """Money that passes through a partner bank: back at zero after every posting."""
    return Account(f"clearing:{bank}:{currency}", "clearing", currency, floored=False)


def beneficiaries(fund_id: str, currency: str) -> Account:
    """What a fund has paid to people and has not got back."""
    return Account(f"beneficiaries:{fund_id}", "beneficiaries", currency, floored=True)


def overpaid(fund_id: str, currency: str) -> Account:
    """The other side of claims and losses: minus what a fund paid that was not due."""
    return Account(f"overpaid:{fund_id}", "overpaid", currency, floored=False)


def claims(fund_id: str, currency: str) -> Account:
    """What a fund is to get back."""
    return Account(f"claims:{fund_id}", "claims", currency, floored=True)


def written_off(fund_id: str, currency: str) -> Account:
    """What a fund will not get back."""
    return Account(f"written-off:{fund_id}", "written-off", currency, floored=True)


def disputed(bank: str, currency: str) -> Account:
    """Money a bank says it credited and its statement does not show."""
    return Account(f"disputed:{bank}:{currency}", "disputed", currency, floored=True)

"""The double-entry ledger: append-only, two-phase, one set-based statement per batch."""

from salur.payments.ledger.accounts import (
    beneficiaries,
    claims,
    clearing,
    disputed,
    fund,
    overpaid,
    treasury,
    written_off,
)
from salur.payments.ledger.book import (
    Move,
    Result,
    account_of,
    apply,
    apply_all,
    apply_pages,
    ledger_hash,
    moved_hash,
    open_accounts,
    overview,
    statement,
)

__all__ = [
    "Move",
    "Result",
    "account_of",
    "apply",
    "apply_all",
    "apply_pages",
    "beneficiaries",
    "claims",
    "clearing",
    "disputed",
    "fund",
    "ledger_hash",
    "moved_hash",
    "open_accounts",
    "overpaid",
    "overview",
    "statement",
    "treasury",
    "written_off",
]

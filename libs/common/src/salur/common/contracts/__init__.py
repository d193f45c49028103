"""Event contracts: one file per writer. The catalogue partner banks and services build on."""

from salur.common.contracts import (
    activity,
    bank_files,
    banks,
    cases,
    claims,
    eligibility,
    erasures,
    feeds,
    nominations,
    notices,
    payments,
    principals,
    registry,
    trail,
)
from salur.common.contracts.base import CONTRACTS, Fact, Personal, Scalar

__all__ = [
    "CONTRACTS",
    "Fact",
    "Personal",
    "Scalar",
    "activity",
    "bank_files",
    "banks",
    "cases",
    "claims",
    "eligibility",
    "erasures",
    "feeds",
    "nominations",
    "notices",
    "payments",
    "principals",
    "registry",
    "trail",
]

"""The pre-payment gate: what is checked before an item is ranked, with which limits, and who must decide on a hit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DUPLICATE = "duplicate-identity"
DECEASED = "deceased"
NOT_IN_REGISTRY = "not-in-registry"
REFUSED_LAST_CYCLE = "refused-last-cycle"
SHARED_ACCOUNT = "shared-account"
ACCOUNT_CHANGED = "account-changed"
DORMANT = "dormant-account"
OUT_OF_BOUNDS = "amount-out-of-bounds"
EXCLUDED = "excluded-by-programme"
REGION_CLOSED = "region-closed"
CHECK_FAILED = "account-check-failed"
UNCHECKED = "account-unchecked"
FIRST_USE = "account-first-use"

CHECKS: dict[str, str] = {
    DECEASED: "registrar: the beneficiary is recorded as deceased; name a successor or cancel",
    NOT_IN_REGISTRY: "registrar: the beneficiary left the registry after the entitlement was granted",
    DUPLICATE: "registrar: the same person or family stands in the list more than once",
    REGION_CLOSED: "payment operator: the region is closed to payments",
    OUT_OF_BOUNDS: "programme officer: the amount is outside the programme's bounds",
    EXCLUDED: "programme officer: another programme that excludes this one pays the beneficiary",
    SHARED_ACCOUNT: "registrar: more beneficiaries than allowed share the account",
    ACCOUNT_CHANGED: "payment operator: the account changed within the cool-off; confirm it with the beneficiary",
    REFUSED_LAST_CYCLE: "registrar: the last payment to this account failed and the account is the same",
    CHECK_FAILED: "registrar: the bank says the account is closed, unknown or another person's; correct it",
    DORMANT: "payment operator: the bank says the account is dormant or was never used",
    UNCHECKED: "bank: it has not said yet whether the account and its holder agree; it is asked again",
    FIRST_USE: "registrar: the bank cannot check accounts and never paid this one; record a check, or release it",
}
"""By code, gravest first: an item with several hits is held for the first of these."""

ENDS_ITSELF = frozenset({CHECK_FAILED, UNCHECKED, FIRST_USE})
"""Hits that need no person once their cause is gone: the present account was found good."""

ABOUT_ACCOUNT = frozenset(
    {SHARED_ACCOUNT, ACCOUNT_CHANGED, REFUSED_LAST_CYCLE, CHECK_FAILED, DORMANT, UNCHECKED, FIRST_USE}
)
"""Hits about the payee's account: a release of them holds for the payee version it was given for, no later one."""

ORDER = {code: number for number, code in enumerate(CHECKS)}


@dataclass(frozen=True, slots=True)
class GateRule:
    """A programme's limits. `excludes`: programmes whose payment in the last `excludes_within_s` bars this one."""

    amount_min_minor: int = 0
    amount_max_minor: int | None = None
    shared_account_max: int = 5
    cool_off_s: int = 72 * 3600
    excludes: tuple[str, ...] = ()
    excludes_within_s: int = 31 * 24 * 3600


def rule_of(stored: dict[str, Any] | None) -> GateRule:
    """A stored rule (`excludes` as one text, by commas), or the defaults."""
    if stored is None:
        return GateRule()
    return GateRule(**(stored | {"excludes": tuple(filter(None, stored.get("excludes", "").split(",")))}))


@dataclass(frozen=True, slots=True)
class Hit:
    """One check that hit, with its evidence (ids, counts, dates; never a personal value)."""

    code: str
    evidence: dict[str, Any]


def gravest(hits: Sequence[Hit]) -> str:
    """The code an item is held for."""
    return min((hit.code for hit in hits), key=ORDER.__getitem__)

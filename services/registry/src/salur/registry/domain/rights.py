"""Rules of rights: who may give what to whom, and what one person may not hold together."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from salur.common.values import in_scope

DELEGATION_MAX = timedelta(days=30)
GRANTS_MAX = 50
"""Rights one principal may hold or be proposed: their event stays small."""
DEVICES_MAX = 20
REGIONS_MAX = 100

INCOMPATIBLE: tuple[frozenset[str], ...] = (
    frozenset({"payment-operator", "approver"}),
    frozenset({"registrar", "approver"}),
    frozenset({"registrar", "case-officer"}),
    frozenset({"administrator", "payment-operator"}),
    frozenset({"administrator", "approver"}),
    frozenset({"administrator", "registrar"}),
)
"""Pairs that would let one person make and approve, answer complaints about themselves, or make themselves able to."""
READERS = frozenset({"auditor", "investigator"})
"""Who reads everything changes nothing: these roles stand with no other."""


class RightRefused(ValueError):
    """A right that cannot be given; the text says why."""


def check_roles(asked: str, holds: Iterable[str], known: Collection[str]) -> None:
    """Whether `asked` is a role and may stand beside those held. Raises RightRefused."""
    if asked not in known:
        raise RightRefused("there is no role of that name")
    for other in set(holds) - {asked}:
        if frozenset({asked, other}) in INCOMPATIBLE or len({asked, other} & READERS) == 1:
            raise RightRefused(f"{asked} and {other} cannot be held by one person: give it to somebody else")


def covers(scope: Collection[str], regions: Collection[str]) -> bool:
    """Whether a scope (empty = every region) covers all of `regions` (empty = every region)."""
    if not scope:
        return True
    return bool(regions) and all(in_scope(region, scope) for region in regions)


def check_expiry(expires_at: datetime | None, now: datetime) -> None:
    """A right ends in the future or never. Raises RightRefused."""
    if expires_at is not None and expires_at <= now:
        raise RightRefused("it would have expired already")


def check_delegation(expires_at: datetime, source_expires_at: datetime | None, now: datetime) -> None:
    """A delegation is for a time, and never longer than the right it lends. Raises RightRefused."""
    check_expiry(expires_at, now)
    if expires_at > now + DELEGATION_MAX:
        raise RightRefused(f"a delegation lasts at most {DELEGATION_MAX.days} days: ask for a right of their own")
    if source_expires_at is not None and expires_at > source_expires_at:
        raise RightRefused("your own right ends earlier")

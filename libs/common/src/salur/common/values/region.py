"""Region codes in the dotted form of Indonesia's Ministry of Home Affairs (Kemendagri)."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import StringConstraints

REGION_PATTERN = r"^[0-9]{2}(\.[0-9]{2}(\.[0-9]{2}(\.[0-9]{4})?)?)?$"
RegionCode = Annotated[str, StringConstraints(pattern=REGION_PATTERN)]
"""Province `31`, regency `31.71`, district `31.71.01`, village `31.71.01.1001`."""


def region_within(region: str, scope: str) -> bool:
    """Whether `region` is `scope` or lies below it (`31.71` is within `31`, not within `31.7`)."""
    return region == scope or region.startswith(scope + ".")


def in_scope(region: str, scope: Iterable[str]) -> bool:
    """Whether a scope of regions covers `region`; an empty scope covers every region."""
    parts = tuple(scope)
    return not parts or any(region_within(region, part) for part in parts)

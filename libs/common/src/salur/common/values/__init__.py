"""Values every room speaks: money, regions, ids. Pure: no I/O, no other Salur module."""

from salur.common.values.ids import derived_id, instruction_id, new_id, new_uuid, payment_id, short_hash
from salur.common.values.money import CURRENCY_PATTERN, Money
from salur.common.values.region import RegionCode, region_within

__all__ = [
    "CURRENCY_PATTERN",
    "Money",
    "RegionCode",
    "derived_id",
    "instruction_id",
    "new_id",
    "new_uuid",
    "payment_id",
    "region_within",
    "short_hash",
]

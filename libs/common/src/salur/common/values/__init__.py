"""Values every room speaks: money, regions, ids. Pure: no I/O, no other Salur module."""

from salur.common.values.dates import DateInvalid, parse_birth_date, parse_day, parse_moment
from salur.common.values.ids import derived_id, instruction_id, new_id, new_uuid, payment_id, short_hash
from salur.common.values.money import CURRENCY_PATTERN, Money
from salur.common.values.names import NameInvalid, person_name
from salur.common.values.nik import Concern, Kk, Nik, NumberInvalid
from salur.common.values.region import RegionCode, in_scope, region_within

__all__ = [
    "CURRENCY_PATTERN",
    "Concern",
    "DateInvalid",
    "Kk",
    "Money",
    "NameInvalid",
    "Nik",
    "NumberInvalid",
    "RegionCode",
    "derived_id",
    "in_scope",
    "instruction_id",
    "new_id",
    "new_uuid",
    "parse_birth_date",
    "parse_day",
    "parse_moment",
    "payment_id",
    "person_name",
    "region_within",
    "short_hash",
]

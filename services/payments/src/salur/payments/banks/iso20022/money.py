"""Amounts: ISO 20022 writes decimals, Salur counts minor units. Two decimals, as IDR and MXN have."""

import re
from decimal import Decimal

MINOR_PER_UNIT = 100
_DECIMAL = re.compile(r"\+?[0-9]{1,18}(?:\.[0-9]{0,17})?")


def decimal_text(amount_minor: int) -> str:
    """`10000` as `100.00`."""
    whole, minor = divmod(amount_minor, MINOR_PER_UNIT)
    return f"{whole}.{minor:02d}"


def minor_of(text: str | None) -> int | None:
    """`100.00` as `10000`; None for what is no whole number of minor units, or no amount at all."""
    if text is None or not _DECIMAL.fullmatch(text.strip()):
        return None
    scaled = Decimal(text.strip()) * MINOR_PER_UNIT
    return int(scaled) if scaled == scaled.to_integral_value() else None

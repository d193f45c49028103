"""The months a cycle pays for. Pure."""

from calendar import monthrange
from datetime import date
from typing import NamedTuple


class Period(NamedTuple):
    """From `starts_on` up to and without `ends_on`."""

    starts_on: date
    ends_on: date

    @classmethod
    def of(cls, starts_on: date, months: int) -> "Period":
        """So many months from that day on: from 31 January one month lasts to the last day of February.

        Raises ValueError beyond year 9999.
        """
        place = starts_on.year * 12 + starts_on.month - 1 + months
        year, month = place // 12, place % 12 + 1
        return cls(starts_on, date(year, month, min(starts_on.day, monthrange(year, month)[1])))

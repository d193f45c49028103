"""Birth days in the forms the file and the NIK need, laid out once per year."""

from datetime import date, timedelta
from functools import cache

FEMALE_DAY = 40
"""Added to the day of the month in a woman's NIK."""


@cache
def days_of(year: int) -> list[tuple[str, str, str]]:
    """Each day of a year: ISO date, date part of a man's NIK, of a woman's."""
    first = date(year, 1, 1)
    count = (date(year + 1, 1, 1) - first).days
    return [forms(first + timedelta(days=place)) for place in range(count)]


def forms(day: date) -> tuple[str, str, str]:
    """ISO date, date part of a man's NIK, of a woman's."""
    month_year = f"{day.month:02d}{day.year % 100:02d}"
    return day.isoformat(), f"{day.day:02d}{month_year}", f"{day.day + FEMALE_DAY:02d}{month_year}"

"""The months a cycle pays for end on the same day of a later month, or on that month's last."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salur.eligibility.domain.periods import Period


@pytest.mark.parametrize(
    ("starts_on", "months", "ends_on"),
    [
        (date(2026, 1, 1), 3, date(2026, 4, 1)),
        (date(2026, 11, 15), 3, date(2027, 2, 15)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2027, 11, 30), 3, date(2028, 2, 29)),
        (date(2026, 12, 1), 12, date(2027, 12, 1)),
    ],
)
def test_a_period_ends_so_many_months_later(starts_on: date, months: int, ends_on: date) -> None:
    assert Period.of(starts_on, months) == (starts_on, ends_on)


@given(st.dates(date(2000, 1, 1), date(2999, 12, 31)), st.integers(1, 12))
def test_a_period_is_as_long_as_its_months(starts_on: date, months: int) -> None:
    length = Period.of(starts_on, months).ends_on - starts_on
    assert timedelta(days=28 * months) <= length <= timedelta(days=31 * months)


def test_beyond_the_last_year_there_is_none() -> None:
    with pytest.raises(ValueError, match="year"):
        Period.of(date(9999, 12, 1), 1)

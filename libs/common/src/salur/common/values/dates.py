"""Days and moments as they may enter: one form each, possible, and never of the wrong side of today."""

import re
from datetime import UTC, date, datetime, timedelta

OLDEST_YEARS = 130
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})\Z"
)


class DateInvalid(ValueError):
    """Not a date we can take. The message says what is wrong, never the value."""


def parse_day(text: str) -> date:
    """A day as `2025-12-31`. Raises DateInvalid."""
    if not _DAY.match(text):
        raise DateInvalid("not a date of the form year-month-day (2025-12-31)")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise DateInvalid("no such day in the calendar") from None


def parse_birth_date(text: str, today: date) -> date:
    """A birth date: not after `today`, not over OLDEST_YEARS before it. Raises DateInvalid."""
    born = parse_day(text)
    if born > today:
        raise DateInvalid("the birth date lies in the future")
    if born.year < today.year - OLDEST_YEARS:
        raise DateInvalid(f"the birth date lies over {OLDEST_YEARS} years back")
    return born


def parse_moment(text: str, now: datetime, ahead: timedelta) -> datetime:
    """A moment as `2025-12-31T10:00:00+07:00` in UTC, at most `ahead` after `now`. Raises DateInvalid."""
    if not _MOMENT.match(text):
        raise DateInvalid("not a moment with its time zone (2025-12-31T10:00:00+07:00)")
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise DateInvalid("no such moment in the calendar") from None
    if moment > now + ahead:
        raise DateInvalid("the moment lies too far ahead")
    return moment

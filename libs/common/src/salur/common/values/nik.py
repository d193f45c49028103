"""Numbers that identify: NIK (national identity number) and KK (family card number). Sixteen digits each.

`PPKKCC DDMMYY SSSS`: district of first issue, birth date with 40 added to a woman's day, serial. A number stays for
life: who moves, or whose birth date is corrected, keeps it. So only what cannot be a number at all is refused; what
disagrees with other data is a concern for a person to look at. Neither errors nor `repr` show the value.
"""

from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Literal

LENGTH = 16
FEMALE_DAY = 40
TEST_DIGIT = "0"
"""Province codes begin with 1 to 9, so a number that begins with 0 was never issued: it marks made-up people."""

Sex = Literal["male", "female"]
Concern = Literal["test-number", "unknown-region", "birth-date-differs", "sex-differs", "serial-zero", "no-date"]
"""What a person should look at; never a reason to refuse."""


class NumberInvalid(ValueError):
    """Not a number of its kind. The message says what is wrong, never the value."""


@dataclass(frozen=True, slots=True, repr=False)
class Nik:
    """A well-formed NIK. `value` is personal."""

    value: str

    def __post_init__(self) -> None:
        _check_digits(self.value, "NIK")
        day, month, year = self._date_part()
        if not 1 <= month <= 12:
            raise NumberInvalid("digits 9 and 10 of the NIK are no month: copy it from the card")
        # The century is not in the number: 29 February 00 was one in 2000, not in 1900.
        if not 1 <= day <= max(monthrange(1900 + year, month)[1], monthrange(2000 + year, month)[1]):
            raise NumberInvalid("digits 7 and 8 of the NIK are no day of its month: copy it from the card")

    def __repr__(self) -> str:
        return "Nik(hidden)"

    __str__ = __repr__

    def _date_part(self) -> tuple[int, int, int]:
        day = int(self.value[6:8])
        return day - FEMALE_DAY if day > FEMALE_DAY else day, int(self.value[8:10]), int(self.value[10:12])

    @property
    def sex(self) -> Sex:
        """As the day says: above 40 for women."""
        return "female" if int(self.value[6:8]) > FEMALE_DAY else "male"

    @property
    def issued_in(self) -> str:
        """The district's code as it was at issue: `31.71.01`."""
        return _dotted(self.value)

    @property
    def is_test(self) -> bool:
        """Whether it was made up for tests and demonstrations."""
        return self.value[0] == TEST_DIGIT

    def birth_dates(self, today: date) -> list[date]:
        """The days it may mean, latest first: the number does not hold the century."""
        day, month, year = self._date_part()
        dates = [_day(century + year, month, day) for century in (2000, 1900)]
        return [found for found in dates if found is not None and found <= today]

    def means(self, birth_date: date) -> bool:
        """Whether its date part is this day; the day says the century."""
        return self._date_part() == (birth_date.day, birth_date.month, birth_date.year % 100)

    def concerns(
        self, birth_date: date | None = None, sex: str | None = None, known_region: Callable[[str], bool] | None = None
    ) -> list[Concern]:
        """What to look at. `known_region` tells whether a district's code is or was one."""
        found: list[Concern] = []
        if self.is_test:
            found.append("test-number")
        elif known_region is not None and not known_region(self.issued_in):
            found.append("unknown-region")
        if birth_date is not None and not self.means(birth_date):
            found.append("birth-date-differs")
        if sex is not None and sex != self.sex:
            found.append("sex-differs")
        if self.value.endswith("0000"):
            found.append("serial-zero")
        return found


@dataclass(frozen=True, slots=True, repr=False)
class Kk:
    """A well-formed family card number: district, day of issue, serial. `value` is personal."""

    value: str

    def __post_init__(self) -> None:
        _check_digits(self.value, "KK number")

    def __repr__(self) -> str:
        return "Kk(hidden)"

    __str__ = __repr__

    @property
    def issued_in(self) -> str:
        """The district's code as it was at issue."""
        return _dotted(self.value)

    @property
    def is_test(self) -> bool:
        """Whether it was made up for tests and demonstrations."""
        return self.value[0] == TEST_DIGIT

    def concerns(self, known_region: Callable[[str], bool] | None = None) -> list[Concern]:
        """What to look at. Old cards hold no date, so a missing one is a concern only."""
        found: list[Concern] = []
        if self.is_test:
            found.append("test-number")
        elif known_region is not None and not known_region(self.issued_in):
            found.append("unknown-region")
        day, month, year = int(self.value[6:8]), int(self.value[8:10]), int(self.value[10:12])
        if _day(2000 + year, month, day) is None:
            found.append("no-date")
        if self.value.endswith("0000"):
            found.append("serial-zero")
        return found


def _check_digits(value: str, name: str) -> None:
    if value != value.strip():
        raise NumberInvalid(f"the {name} has a space before or after it: remove it")
    if not value.isascii() and any(character.isdigit() for character in value if not character.isascii()):
        raise NumberInvalid(f"the {name} has digits of another script: write it with the digits 0 to 9")
    if not (value.isascii() and value.isdigit()):
        raise NumberInvalid(f"the {name} has something other than digits: copy it from the card")
    if len(value) != LENGTH:
        raise NumberInvalid(f"the {name} has {len(value)} digits where it needs {LENGTH}: copy it from the card")
    if not value.strip("0"):
        raise NumberInvalid(f"the {name} is all zeros: copy it from the card")


def _dotted(value: str) -> str:
    return f"{value[:2]}.{value[2:4]}.{value[4:6]}"


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None

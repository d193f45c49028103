"""Identity, family card, account and telephone numbers that can be no living person's, unique without a memory.

A real NIK begins with the code of a province, and those begin with 1 to 9 (the island group, counted from the west).
Every number made here begins with 0, so it was never issued and never can be. The other five digits of the region
part and the four of the serial are the person's place in the population, scrambled: no two are equal.
"""

from hashlib import sha256

POSITIONS = 16
"""Room for persons in a family: place = family number * POSITIONS + position."""
_PREFIXES = 99_999
_SERIALS = 9_999
_SPACE = _PREFIXES * _SERIALS
MAX_FAMILIES = _SPACE // POSITIONS
_STEP = 618_034_003
"""Shares no factor with the space, so that stepping visits every number once."""


class Numbers:
    """The numbers of one population."""

    def __init__(self, seed: int) -> None:
        self._start = int.from_bytes(sha256(f"numbers/{seed}".encode()).digest()[:8], "big") % _SPACE

    def nik(self, family: int, position: int, date_part: str) -> str:
        """The NIK of the person at `position` (0 to 15) of a family; `date_part` is ddmmyy with 40 added for women."""
        prefix, serial = divmod(((family * POSITIONS + position) * _STEP + self._start) % _SPACE, _SERIALS)
        return f"0{prefix + 1:05d}{date_part}{serial + 1:04d}"

    def kk(self, family: int, date_part: str) -> str:
        """The number of a family's card; `date_part` is the day of issue as ddmmyy."""
        return self.nik(family, POSITIONS - 1, date_part)

    def account(self, family: int) -> str:
        """Fifteen digits that begin with 99."""
        return f"99{(family * _STEP + self._start) % 10**13:013d}"

    def phone(self, family: int) -> str:
        """Begins with 0800, which no mobile telephone has."""
        return f"0800{(family * _STEP + self._start) % 10**9:09d}"

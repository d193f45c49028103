"""An Indonesian population over real region codes, with planted faults and their truth. Nobody in it exists."""

from salur.local.population.files import Written, body, write_population
from salur.local.population.generate import BLOCK, DEFAULT_BANKS, households
from salur.local.population.model import Account, Family, Person, Truth, Welfare

__all__ = [
    "BLOCK",
    "DEFAULT_BANKS",
    "Account",
    "Family",
    "Person",
    "Truth",
    "Welfare",
    "Written",
    "body",
    "households",
    "write_population",
]

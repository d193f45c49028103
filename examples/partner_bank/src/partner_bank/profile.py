"""How this bank behaves: a fixed share of instructions per behaviour, chosen by a hash of seed and instruction id."""

import hashlib
from dataclasses import dataclass

SHARES_OF = 10_000


@dataclass(frozen=True, slots=True)
class Profile:
    """Shares in ten-thousandths; what is left is credited and answered at once."""

    closed_account: int = 0
    returned: int = 0
    late: int = 0
    silent: int = 0
    twice_same_id: int = 0
    twice_new_id: int = 0
    lied: int = 0
    """Says it credited, and books nothing: its own book stays true."""

    def behaviour(self, seed: int, instruction_id: str) -> str:
        """The same answer for the same seed and instruction, for ever."""
        digest = hashlib.sha256(f"{seed}/{instruction_id}".encode()).digest()
        drawn = int.from_bytes(digest[:8], "big") % SHARES_OF
        for name in ("closed_account", "returned", "late", "silent", "twice_same_id", "twice_new_id", "lied"):
            share: int = getattr(self, name)
            if drawn < share:
                return name
            drawn -= share
        return "credited"


PROFILES = {
    "default": Profile(closed_account=200, returned=100, late=200, silent=100, twice_same_id=80, twice_new_id=20),
    "prompt": Profile(closed_account=200, returned=100, twice_same_id=80, twice_new_id=20),
    "all-credited": Profile(),
    "slow": Profile(closed_account=200, returned=100, late=9_000, silent=300),
    "lying": Profile(closed_account=200, returned=100, lied=300),
    "unreliable": Profile(
        closed_account=500, returned=500, late=2_000, silent=1_000, twice_same_id=500, twice_new_id=200
    ),
}

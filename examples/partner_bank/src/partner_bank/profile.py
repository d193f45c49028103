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
    lagging: int = 0
    """Reads the instruction long after an inquiry about it: by then its own word *not executed* has closed the id."""
    untouched: int = 0
    """Credited, and the family never takes it: the bank reports it and gives it back when asked."""
    unfetched: int = 0
    """Of cash: nobody comes for the money."""
    misnamed: int = 0
    nearly_named: int = 0
    no_account: int = 0
    """Of account checks: another holder, a name in another writing, no such account."""

    def behaviour(self, seed: int, instruction_id: str) -> str:
        """The same answer for the same seed and instruction, for ever."""
        return self._draw(seed, instruction_id, BEHAVIOURS) or "credited"

    def fetched(self, seed: int, instruction_id: str) -> bool:
        """Whether somebody comes for the cash."""
        return self._draw(seed, f"cash/{instruction_id}", ("unfetched",)) is None

    def finding(self, seed: int, check_id: str) -> str:
        """What the bank finds about an account; the same for the same seed and question, for ever."""
        drawn = self._draw(seed, check_id, tuple(FINDINGS))
        return FINDINGS[drawn] if drawn else "matches"

    def _draw(self, seed: int, subject: str, kinds: tuple[str, ...]) -> str | None:
        digest = hashlib.sha256(f"{seed}/{subject}".encode()).digest()
        drawn = int.from_bytes(digest[:8], "big") % SHARES_OF
        for name in kinds:
            share: int = getattr(self, name)
            if drawn < share:
                return name
            drawn -= share
        return None


BEHAVIOURS = (
    "closed_account", "returned", "late", "silent", "twice_same_id", "twice_new_id", "lied", "lagging", "untouched",
)  # fmt: skip
FINDINGS = {"misnamed": "name-differs", "nearly_named": "name-close", "no_account": "unknown-account"}
PROFILES = {
    "default": Profile(
        closed_account=200,
        returned=100,
        late=200,
        silent=100,
        twice_same_id=80,
        twice_new_id=20,
        misnamed=50,
        unfetched=500,
        nearly_named=100,
        no_account=50,
    ),
    "prompt": Profile(
        closed_account=200, returned=100, twice_same_id=80, twice_new_id=20, misnamed=50, nearly_named=100
    ),
    "all-credited": Profile(),
    "slow": Profile(closed_account=200, returned=100, late=9_000, silent=300, lagging=200),
    "untouched": Profile(closed_account=200, untouched=1_000),
    "nobody-comes": Profile(untouched=SHARES_OF),
    "lying": Profile(closed_account=200, returned=100, lied=300),
    "unreliable": Profile(
        closed_account=500, returned=500, late=2_000, silent=1_000, twice_same_id=500, twice_new_id=200
    ),
}

"""What a bank finds about an account before its first use, and which of it lets money go there."""

from typing import Literal

Outcome = Literal["matches", "name-close", "name-differs", "closed", "unknown-account"]
OUTCOMES: tuple[Outcome, ...] = ("matches", "name-close", "name-differs", "closed", "unknown-account")
GOOD: frozenset[str] = frozenset({"matches", "name-close"})
"""Names that differ only in writing are one holder; the difference stays on record."""

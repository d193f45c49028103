"""Statement lines as every reader gives them, and the kinds of break."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal


@dataclass(frozen=True, slots=True)
class Line:
    """One booking of a bank's statement. `account`: the commitment of the account credited, when the file tells it."""

    line_id: str
    kind: Literal["credit", "return"]
    instruction_id: str
    amount_minor: int
    currency: str
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A bank's statement. Everything the bank booked before `until` stands in it or in an earlier one."""

    bank: str
    statement_id: str
    until: datetime
    lines: tuple[Line, ...]


CLOCKS_DIFFER = timedelta(minutes=5)
"""How far a bank's clock may be ahead of ours."""


def ends_ahead(until: datetime, now: datetime) -> bool:
    """Whether a statement claims to hold what has not happened yet: it would put in doubt all that settled."""
    return until > now + CLOCKS_DIFFER


MISSING = "missing-in-statement"
BREAKS: dict[str, str] = {
    MISSING: "bank: we were told it settled, and the statement does not show it",
    "unknown-instruction": "bank: it booked an instruction we never gave",
    "other-amount": "bank: it booked another amount",
    "other-account": "bank: it booked to another account",
    "other-bank": "bank: it booked another bank's instruction",
    "credited-twice": "bank: it booked the same instruction more than once",
    "credited-after-refusal": "payment operator: the bank refused it and booked it all the same",
    "not-answered": "bank: it booked it and has not told us the result yet",
    "return-not-told": "bank: it booked a return and has not told us",
    "return-missing": "bank: it told a return and the statement does not show it",
}
"""By kind: who must act, and why."""

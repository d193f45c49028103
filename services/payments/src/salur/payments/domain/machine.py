"""The states of a payment and the only moves between them.

`approved` is an item of an approved list that no bank has been told about; from `instructed` on a row exists whose
moves the database checks against the same table.
"""

from typing import Literal

PaymentState = Literal[
    "approved", "instructed", "unknown", "settled", "disputed", "rejected", "returned", "treasury", "cancelled"
]  # fmt: skip

MOVES: dict[PaymentState, frozenset[PaymentState]] = {
    "approved": frozenset({"instructed"}),
    "instructed": frozenset({"settled", "rejected", "unknown"}),
    "unknown": frozenset({"settled", "rejected"}),
    "settled": frozenset({"returned", "disputed"}),
    "disputed": frozenset({"settled", "returned"}),
    "rejected": frozenset({"cancelled", "treasury"}),
    "returned": frozenset({"cancelled", "treasury"}),
    "treasury": frozenset(),
    "cancelled": frozenset(),
}

IN_FLIGHT: frozenset[PaymentState] = frozenset({"instructed", "unknown"})
FINAL: frozenset[PaymentState] = frozenset({"settled", "rejected", "returned", "treasury", "cancelled"})
"""States that answer what became of the money. `settled` may still be followed by a return or a dispute."""


class MoveRefused(ValueError):
    """A payment cannot go from one state to the other."""


def moved(before: PaymentState, after: PaymentState) -> PaymentState:
    """`after`, when the machine allows it. Raises MoveRefused."""
    if after not in MOVES[before]:
        raise MoveRefused(f"a payment cannot go from {before} to {after}")
    return after

"""How money reaches a beneficiary, behind one port: what each method asks of the gate, the instruction and the bank."""

import hashlib
from dataclasses import dataclass
from typing import Literal

Method = Literal["account", "card", "cash", "group-account", "contribution"]
CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Rule:
    """`checked`: the bank must know the account before its first use. `coded`: paid out to who tells a one-time code.

    Where money waits for people, the instruction lives as long as they may take: then the bank refuses it (NOAS).
    """

    checked: bool
    coded: bool = False


METHODS: dict[str, Rule] = {
    "account": Rule(checked=True),
    "card": Rule(checked=True),
    "group-account": Rule(checked=True),
    "contribution": Rule(checked=False),
    "cash": Rule(checked=False, coded=True),
}
CHECKED = sorted(name for name, rule in METHODS.items() if rule.checked)
CASH = "cash"


def code_of(token: str) -> str:
    """The one-time code made of a keyed hash (hex): 60 bits, without letters that look alike."""
    number = int(token[:15], 16)
    return "".join(CODE_ALPHABET[number >> 5 * place & 31] for place in reversed(range(CODE_LENGTH)))


def code_commitment(instruction_id: str, code: str) -> str:
    """What the bank holds a told code against; it cannot be turned back into the code."""
    return hashlib.sha256(f"{instruction_id}/{code}".encode()).hexdigest()

"""The ledger again, from the events of the log alone.

Every movement of money is announced by one event, so the movements the payments service booked can be made again from
the trail: the same ids, accounts and amounts. Reserves move nothing, but the log tells them too: what each submitted
list set aside, what was given back of it, and what was instructed and has ended.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

OPENED, TOPPED_UP, CLOSED = "salur.fund.opened.v1", "salur.fund.topped-up.v1", "salur.fund.closed.v1"
SETTLED, RETURNED = "salur.payment.settled.v1", "salur.payment.returned.v1"
DISPUTED, TO_TREASURY = "salur.payment.disputed.v1", "salur.payment.sent-to-treasury.v1"
CASE_ENDED, CLAIM_REDUCED = "salur.money-case.ended.v1", "salur.claim.reduced.v1"
_PREFIXES = tuple(
    f'"type":"salur.{what}.'.encode() for what in ("fund", "payment", "payment-list", "money-case", "claim")
)
TYPES = frozenset({OPENED, TOPPED_UP, CLOSED, SETTLED, RETURNED, DISPUTED, TO_TREASURY, CASE_ENDED, CLAIM_REDUCED})
SUBMITTED, REFUSED = "salur.payment-list.submitted.v1", "salur.payment-list.refused.v1"
EXPIRED, HELD, CANCELLED = "salur.payment-list.expired.v1", "salur.payment.held.v1", "salur.payment.cancelled.v1"
INSTRUCTED, REJECTED = "salur.payment.instructed.v1", "salur.payment.rejected.v1"


class Unreadable(ValueError):
    """An event of a kind that moves money does not say what it moved."""


class Movement(NamedTuple):
    """Money that went from `debit` to `credit`."""

    id: str
    debit: str
    credit: str
    amount_minor: int
    currency: str

    @property
    def line(self) -> str:
        """As it counts for the hash."""
        return f"{self.id}|{self.debit}|{self.credit}|{self.amount_minor}|{self.currency}"


def earlier_movements(type_: str, data: Mapping[str, Any]) -> Sequence[str]:
    """Ids of earlier movements on which it hangs what an event moves."""
    if type_ not in (SETTLED, RETURNED):
        return ()
    instruction = data.get("instruction_id")
    return [f"{what}/{instruction}" for what in ("credit", "dispute", "undispute")]


def movements(type_: str, data: Mapping[str, Any], known: Collection[str]) -> list[Movement]:
    """What an event moved; `known`: which of its earlier movements there were. Raises Unreadable."""
    try:
        if type_ in _OF_FUNDS:
            made = _of_fund(type_, data)
        elif type_ in (CASE_ENDED, CLAIM_REDUCED):
            made = _of_claim(type_, data)
        else:
            made = _of_payment(type_, data, known)
    except (KeyError, TypeError) as error:
        raise Unreadable(f"{type_} does not say {error}") from None
    return [movement for movement in made if movement.amount_minor]


_OF_FUNDS = {
    OPENED: ("budget", "fund_id", "budget_minor"),
    TOPPED_UP: ("top-up", "proposal_id", "amount_minor"),
    CLOSED: ("close", "proposal_id", "to_treasury_minor"),
}


def _of_fund(type_: str, data: Mapping[str, Any]) -> list[Movement]:
    what, named_by, amount = _OF_FUNDS[type_]
    currency, fund_id = _text(data["currency"]), _text(data["fund_id"])
    sides = (f"treasury:{currency}", f"fund:{fund_id}")
    debit, credit = reversed(sides) if type_ == CLOSED else sides
    return [Movement(f"{what}/{_text(data[named_by])}", debit, credit, _amount(data[amount]), currency)]


_REDUCED = {
    "recovered": ("claims", "fund"),
    "set-off": ("claims", "overpaid"),
    "written-off": ("claims", "written-off"),
    "returned": ("claims", "overpaid"),
    "set-off-returned": ("overpaid", "claims"),
    "written-off-returned": ("written-off", "overpaid"),
}


def _of_claim(type_: str, data: Mapping[str, Any]) -> list[Movement]:
    """A case that ended without a claim or a loss names no fund: it moved nothing."""
    if data.get("fund_id") is None and type_ == CASE_ENDED:
        return []
    case, fund_id = _text(data["case_id"]), _text(data["fund_id"])
    if type_ == CLAIM_REDUCED:
        how = _text(data["how"])
        name, (debit, credit) = f"{how}/{case}/{_amount(data['number'])}", _REDUCED[how]
    elif data["resolution"] == "written-off":
        name, debit, credit = f"write-off/{case}", "overpaid", "written-off"
    else:
        name, debit, credit = f"claim/{case}", "overpaid", "claims"
    amount, currency = _amount(data["amount_minor"]), _text(data["currency"])
    return [Movement(name, f"{debit}:{fund_id}", f"{credit}:{fund_id}", amount, currency)]


def _of_payment(type_: str, data: Mapping[str, Any], known: Collection[str]) -> list[Movement]:
    currency, fund_id, bank = _text(data["currency"]), _text(data["fund_id"]), _text(data["bank"])
    instruction, amount = _text(data["instruction_id"]), _amount(data["amount_minor"])
    fund, people, treasury = f"fund:{fund_id}", f"beneficiaries:{fund_id}", f"treasury:{currency}"
    through, waiting = f"clearing:{bank}:{currency}", f"disputed:{bank}:{currency}"
    legs: list[tuple[str, str, str]]
    if type_ == TO_TREASURY:
        legs = [("treasury", fund, treasury)]
    elif type_ == DISPUTED:
        legs = [("dispute", people, waiting)]
    elif type_ == SETTLED and f"credit/{instruction}" in known:
        legs = [("undispute", waiting, people)]
    elif type_ == SETTLED:
        legs = [("post", fund, through), ("credit", through, people)]
    elif f"dispute/{instruction}" in known and f"undispute/{instruction}" not in known:
        legs = [("refund", waiting, fund)]
    else:
        legs = [("return", people, through), ("refund", through, fund)]
    return [Movement(f"{what}/{instruction}", debit, credit, amount, currency) for what, debit, credit in legs]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("an id")
    return value


def _amount(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError("a whole amount")
    return value


class Ledger:
    """Movements, each once by its id, and the balances they add up to; what lists set aside and what became of it."""

    def __init__(self) -> None:
        self._movements: dict[str, Movement] = {}
        self._instructed: dict[str, tuple[str, int]] = {}
        self._ended: dict[str, tuple[str, int]] = {}
        self._lists: dict[str, tuple[str, int]] = {}
        self._given_up: set[str] = set()
        self._freed: dict[tuple[str, str], int] = {}

    @classmethod
    def of(cls, leaves: Iterable[bytes]) -> "Ledger":
        """The ledger a log leads to. Raises Unreadable."""
        ledger = cls()
        for leaf in leaves:
            if any(prefix in leaf for prefix in _PREFIXES):
                document = orjson.loads(leaf)
                ledger.take(document["type"], document["data"])
        return ledger

    def take(self, type_: str, data: Mapping[str, Any]) -> None:
        """An event, in the log's order. Raises Unreadable."""
        if type_ in TYPES:
            known = [name for name in earlier_movements(type_, data) if name in self._movements]
            for movement in movements(type_, data, known):
                self._movements.setdefault(movement.id, movement)
        try:
            self._take_reserve(type_, data)
        except (KeyError, TypeError) as error:
            raise Unreadable(f"{type_} does not say {error}") from None

    @property
    def movements(self) -> list[Movement]:
        """In the order of their ids."""
        return [self._movements[name] for name in sorted(self._movements)]

    def balances(self) -> dict[str, int]:
        """What stands on each account."""
        return balances_of(self._movements.values())

    def _take_reserve(self, type_: str, data: Mapping[str, Any]) -> None:
        if type_ == INSTRUCTED:
            self._instructed[_text(data["instruction_id"])] = _text(data["currency"]), _amount(data["amount_minor"])
        elif type_ in (SETTLED, REJECTED):
            self._ended[_text(data["instruction_id"])] = _text(data["currency"]), _amount(data["amount_minor"])
        elif type_ == SUBMITTED:
            self._lists[_text(data["list_id"])] = _text(data["currency"]), _amount(data["funded_minor"])
        elif type_ in (REFUSED, EXPIRED):
            self._given_up.add(_text(data["list_id"]))
        elif type_ in (HELD, CANCELLED) and data.get("freed"):
            self._freed[_text(data["list_id"]), _text(data["payment_id"])] = _amount(data["amount_minor"])

    def reserved(self) -> dict[str, int]:
        """By currency what lists have set aside: for what waits to be checked or instructed, and what is in flight."""
        aside: defaultdict[str, int] = defaultdict(int)
        for list_id, (currency, amount) in self._lists.items():
            if list_id not in self._given_up:
                aside[currency] += amount
        for (list_id, _), amount in self._freed.items():
            if list_id in self._lists and list_id not in self._given_up:
                aside[self._lists[list_id][0]] -= amount
        for currency, amount in self._ended.values():
            aside[currency] -= amount
        return dict(aside)

    def in_flight(self) -> dict[str, int]:
        """By currency what was instructed and is neither settled nor rejected: it stays reserved."""
        waiting: defaultdict[str, int] = defaultdict(int)
        for instruction in self._instructed.keys() - self._ended.keys():
            currency, amount = self._instructed[instruction]
            waiting[currency] += amount
        return dict(waiting)

    def hash(self) -> str:
        """Equal to that of the payments service when both hold the same movements."""
        return hash_of(self.movements)


def balances_of(movements_: Iterable[Movement]) -> dict[str, int]:
    """What each account holds after the movements, in minor units."""
    balances: defaultdict[str, int] = defaultdict(int)
    for movement in movements_:
        balances[movement.debit] -= movement.amount_minor
        balances[movement.credit] += movement.amount_minor
    return dict(balances)


def hash_of(movements_: Iterable[Movement]) -> str:
    """SHA-256 (hex) over the hashes of movements in the order of their ids."""
    return hashlib.sha256(
        b"".join(hashlib.sha256(movement.line.encode()).digest() for movement in movements_)
    ).hexdigest()


def differences(recomputed: Mapping[str, int], stated: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Accounts on which the log and the ledger differ: (by the log, by the ledger). An empty account is none."""
    return {
        account: (recomputed.get(account, 0), stated.get(account, 0))
        for account in sorted(recomputed.keys() | stated.keys())
        if recomputed.get(account, 0) != stated.get(account, 0)
    }

"""A small true world for the checkers: payments with every final state, told alike by every witness."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from salur.audit.domain.ledger import Ledger
from salur.common.events.envelope import partition_for
from salur.local.crash.invariants import Event, Fund, Movement, Payment, Record

ENDS = ("settled", "settled", "rejected", "returned") * 10
AMOUNT_MINOR = 20_000
DEBITED_MINOR = AMOUNT_MINOR * sum(1 for end in ENDS if end != "rejected")
FUND = "fund-1"


def event(stream: str, sequence: int, kind: str, key: str, **data: Any) -> Event:
    body = orjson.dumps({"stream": stream, "sequence": sequence, "type": kind, "subject": key, "data": data})
    return Event(stream, sequence, kind, key, data, body)


@dataclass
class World:
    """What the witnesses say; tests change one of them."""

    leaves: list[Event] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    book: list[Movement] = field(default_factory=list)
    book_states: dict[str, str] = field(default_factory=dict)
    approved: list[str] = field(default_factory=list)
    entitled: list[str] = field(default_factory=list)
    funds: list[Fund] = field(default_factory=list)

    @property
    def ledger(self) -> dict[str, Any]:
        """What the payments service states, told by the same events."""
        again = Ledger()
        for leaf in self.leaves:
            again.take(leaf.type, leaf.data)
        accounts = [
            {"account": name, "currency": "MXN", "posted_minor": posted, "reserved_minor": 0}
            for name, posted in again.balances().items()
        ]
        return {"moved_hash": again.hash(), "accounts": accounts}

    @property
    def appended(self) -> dict[str, list[Event]]:
        streams: dict[str, list[Event]] = {}
        for leaf in self.leaves:
            streams.setdefault(leaf.stream, []).append(leaf)
        return streams

    @property
    def heads(self) -> dict[str, int]:
        return {stream: len(events) for stream, events in self.appended.items()}

    @property
    def records(self) -> dict[str, list[Record]]:
        return {
            stream: [Record(offset, item.key, item) for offset, item in enumerate(events)]
            for stream, events in self.appended.items()
        }

    @property
    def kept_minor(self) -> int:
        return sum(row[6] if row[5] == "credit" else -row[6] for row in self.book)


def clean() -> World:
    """Instruction, answer, book and ledger of forty payments; of four after each other the third is rejected, the
    fourth returned."""
    world = World()
    numbers: dict[str, int] = {}

    def add(topic: str, kind: str, key: str, **data: Any) -> None:
        stream = f"{topic}/{partition_for(key)}"
        numbers[stream] = numbers.get(stream, 0) + 1
        kind = kind if "." in kind else f"payment.{kind}"
        world.leaves.append(event(stream, numbers[stream], f"salur.{kind}.v1", key, **data))

    for number, end in enumerate(ENDS):
        payment, entitlement = f"payment-{number}", f"entitlement-{number}"
        said: dict[str, Any] = {"instruction_id": f"{payment}-001", "amount_minor": AMOUNT_MINOR, "currency": "MXN"}
        said |= {"fund_id": FUND, "bank": "bank-a"}
        instruction = said["instruction_id"]
        add("payments.instructions.bank-a", "instructed", payment, **said)
        if number == 1:
            add("payments.payments", "unknown", payment, **said)
        if end != "rejected":
            add("payments.payments", "settled", payment, **said)
            world.book.append((float(number), 2 * number, instruction, entitlement, 1, "credit", AMOUNT_MINOR))
        if end == "returned":
            world.book.append((float(number), 2 * number + 1, instruction, entitlement, 1, "return", AMOUNT_MINOR))
        if end != "settled":
            add("payments.payments", end, payment, **said)
        world.payments.append(Payment(instruction, entitlement, 1, end, AMOUNT_MINOR, FUND))
        world.book_states[instruction] = {"settled": "accepted"}.get(end, end)
        world.approved.append(instruction)
        world.entitled.append(entitlement)
    # Last, though it came first: the checks name leaves by their place.
    aside = {"list_id": "list-1", "currency": "MXN", "funded_minor": AMOUNT_MINOR * len(ENDS)}
    add("payments.lists", "payment-list.submitted", "list-1", **aside)
    world.funds.append(Fund(FUND, DEBITED_MINOR, 0))
    return world

"""What a partner bank's book is given in tests, exactly as payments publishes it, and what waits to be sent."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from partner_bank.book import Arrived, Book, book_path
from partner_bank.profile import PROFILES, Profile
from salur.common.contracts.payments import PaymentInquired, PaymentInstructed
from salur.common.events.envelope import Draft, encode, utc_now
from salur.common.values import derived_id, instruction_id, payment_id

BANK = "bank-a"
STREAM = f"payments.instructions.{BANK}/0"


def instructed(name: str, *, attempt: int = 1, valid_s: float = 60, **other: Any) -> Arrived:
    """An instruction exactly as payments publishes it."""
    entitlement = derived_id(name)
    payment = payment_id(entitlement, 1)
    fields: dict[str, Any] = {
        "instruction_id": instruction_id(payment, attempt), "payment_id": payment, "bank": BANK,
        "entitlement_id": entitlement, "part": 1, "attempt": attempt, "amount_minor": 19_000, "currency": "MXN",
        "execute_until": datetime.now(UTC) + timedelta(seconds=valid_s), "remittance": "food support",
        "account_number": "0012345678", "account_holder": f"Holder \u00e9 {name}",
    }  # fmt: skip
    return _arrived(PaymentInstructed(**fields | other))


def inquired(name: str, number: int = 1) -> Arrived:
    payment = payment_id(derived_id(name), 1)
    return _arrived(
        PaymentInquired(
            instruction_id=instruction_id(payment, 1), payment_id=payment, bank=BANK, inquiry=number,
            amount_minor=19_000, currency="MXN",
        )
    )  # fmt: skip


def _arrived(fact: PaymentInstructed | PaymentInquired) -> Arrived:
    draft = Draft(fact, fact.payment_id, "service:payments", "cause", topic=STREAM.split("/", maxsplit=1)[0])
    encoded = encode(draft, "/salur/payments", utc_now())
    return Arrived(0, 0, encoded.at(STREAM, 1), encoded.personal)


def opened(folder: Path, profile: Profile = PROFILES["all-credited"]) -> Book:
    return Book(book_path(folder), BANK, profile, seed=7)


def answers(book: Book, at: float = 1e12) -> list[tuple[str, str | None]]:
    """Status and reason of everything that waits to be sent."""
    data = [json.loads(answer.value)["data"] for answer in book.due(10_000, at)]
    return [(item["status"], item["reason"]) for item in data]

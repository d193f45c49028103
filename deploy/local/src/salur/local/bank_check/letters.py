"""What the kit sends: instructions and inquiries as payments writes them, and records that no bank can read."""

import base64
import hashlib
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import orjson

from salur.common.contracts.base import Fact
from salur.common.contracts.payments import (
    AccountCheckAsked,
    PaymentInquired,
    PaymentInstructed,
    PaymentRecallRequested,
)
from salur.common.contracts.registry import Method
from salur.common.contracts.topics import PARTITIONS
from salur.common.events.envelope import CONTENT_TYPE, Draft, encode, partition_for, utc_now
from salur.common.events.personal import HEADER
from salur.common.values.ids import derived_id, instruction_id, payment_id

SOURCE = "/salur/payments"
CURRENCY = "IDR"
CODE = "0123456789AB"
EXECUTABLE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Record:
    """One record for the bank's topic."""

    partition: int
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = (("content-type", CONTENT_TYPE),)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an instruction or inquiry asked, to hold the answer against. `commitment` as it stands in the body."""

    record: Record
    instruction_id: str
    payment_id: str
    amount_minor: int
    commitment: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """The account the bank must credit in the check."""

    number: str
    holder: str


@dataclass(slots=True)
class Desk:
    """Writes what a bank is asked. `run` keeps the ids of two checks apart."""

    bank: str
    account: Account
    run: str = field(default_factory=lambda: os.urandom(6).hex())
    _sequences: dict[int, int] = field(default_factory=dict)

    @property
    def topic(self) -> str:
        return f"payments.instructions.{self.bank}"

    def instruct(
        self,
        name: str,
        amount_minor: int,
        *,
        valid_for: timedelta = EXECUTABLE,
        later_field: bool = False,
        method: Method = "account",
    ) -> Asked:
        """An instruction; the same `name` is the same payment and instruction id, written as a new event."""
        entitlement = derived_id("bank-check", self.run, name)
        payment = payment_id(entitlement, 1)
        instruction = instruction_id(payment, 1)
        code = hashlib.sha256(f"{instruction}/{CODE}".encode()).hexdigest() if method == "cash" else None
        fact = PaymentInstructed(
            instruction_id=instruction, payment_id=payment, bank=self.bank, entitlement_id=entitlement,
            part=1, attempt=1, amount_minor=amount_minor, currency=CURRENCY,
            execute_until=datetime.now(UTC) + valid_for, remittance="conformance check",
            account_number=self.account.number, account_holder=self.account.holder,
            method=method, code_commitment=code,
        )  # fmt: skip
        record, data = self._event(fact, payment, later_field=later_field)
        return Asked(record, fact.instruction_id, payment, amount_minor, data["account_number"])

    def inquire(self, name: str, amount_minor: int, number: int) -> Asked:
        """An inquiry about the instruction of `name`."""
        payment = payment_id(derived_id("bank-check", self.run, name), 1)
        fact = PaymentInquired(
            instruction_id=instruction_id(payment, 1), payment_id=payment, bank=self.bank, inquiry=number,
            amount_minor=amount_minor, currency=CURRENCY,
        )  # fmt: skip
        record, _ = self._event(fact, payment)
        return Asked(record, fact.instruction_id, payment, amount_minor)

    def recall(self, name: str, amount_minor: int, number: int) -> Asked:
        """Asks for the money of `name` back."""
        payment = payment_id(derived_id("bank-check", self.run, name), 1)
        fact = PaymentRecallRequested(
            instruction_id=instruction_id(payment, 1), payment_id=payment, bank=self.bank, recall=number,
            amount_minor=amount_minor, currency=CURRENCY,
        )  # fmt: skip
        record, _ = self._event(fact, payment)
        return Asked(record, fact.instruction_id, payment, amount_minor)

    def check_account(self, name: str, ask: int) -> tuple[Record, str, str]:
        """(record, check id, commitment) of a question about the account; the same `name` is the same question."""
        fact = AccountCheckAsked(
            check_id=derived_id("bank-check", self.run, "account", name), bank=self.bank, ask=ask,
            account_number=self.account.number, account_holder=self.account.holder,
        )  # fmt: skip
        seed = hashlib.sha256(f"{self.run}/{name}".encode()).digest()
        record, data = self._event(fact, fact.check_id, seed=seed)
        return record, fact.check_id, data["account_number"]

    def rubbish(self, beside: Asked) -> list[Record]:
        """Records nobody can take, on the partition of `beside`: a tombstone, no JSON, no event, an unknown type."""
        place = beside.record.partition
        unknown = orjson.dumps(orjson.loads(beside.record.value or b"{}") | {"type": "salur.payment.foretold.v1"})
        values = (None, b"\xff\xfe not json", b"[]", unknown)
        return [Record(place, beside.record.key, value) for value in values]

    def with_other_account(self, asked: Asked) -> Asked:
        """The same record whose header names another account than the body commits to."""
        header = orjson.loads(dict(asked.record.headers)[HEADER])
        number = header["values"]["account_number"]
        header["values"]["account_number"] = number[:-1] + ("0" if number[-1] != "0" else "1")
        return self._with_header(asked, orjson.dumps(header))

    def with_other_salt(self, asked: Asked) -> Asked:
        """The same record whose header holds another salt, so that nothing can be proven."""
        header = orjson.loads(dict(asked.record.headers)[HEADER])
        return self._with_header(asked, orjson.dumps(header | {"salt": base64.b64encode(os.urandom(32)).decode()}))

    def without_header(self, asked: Asked) -> Asked:
        """The same record without the personal values."""
        return self._with_header(asked, None)

    def _with_header(self, asked: Asked, header: bytes | None) -> Asked:
        headers = [(name, value) for name, value in asked.record.headers if name != HEADER]
        headers += [] if header is None else [(HEADER, header)]
        record = Record(asked.record.partition, asked.record.key, asked.record.value, tuple(headers))
        return Asked(record, asked.instruction_id, asked.payment_id, asked.amount_minor, asked.commitment)

    def _event(
        self, fact: Fact, key: str, *, later_field: bool = False, seed: bytes | None = None
    ) -> tuple[Record, dict[str, str]]:
        draft = Draft(fact, key, "service:payments", f"check:{self.run}", topic=self.topic)
        encoded = encode(draft, SOURCE, utc_now(), seed=seed)
        partition = partition_for(key, PARTITIONS)
        sequence = self._sequences[partition] = self._sequences.get(partition, 0) + 1
        value = encoded.at(f"{self.topic}/{partition}", sequence)
        document = orjson.loads(value)
        if later_field:  # what a later version of Salur may add
            document["data"]["urgency"] = {"level": 1}
            document["dataversion"] = "later"
            value = orjson.dumps(document)
        headers = [("content-type", CONTENT_TYPE)]
        headers += [] if encoded.personal is None else [(HEADER, encoded.personal)]
        return Record(partition, key.encode(), value, tuple(headers)), document["data"]

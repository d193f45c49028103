"""A bank on the real Kafka: killed, started again, stopped; its book and its answers agree."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from partner_bank.book import book_path, book_summary
from salur.common.contracts.payments import PaymentInstructed
from salur.common.contracts.topics import Topic
from salur.common.events.envelope import Draft, encode, utc_now
from salur.common.values import derived_id, instruction_id, payment_id
from salur.local.kafka import create_topics
from support.pair import Addresses
from support.waiting import eventually

pytestmark = pytest.mark.integration
COUNT = 1_500
PARTITIONS = 8


class RunningBank:
    """The bank's process, started anew on the same book at will."""

    def __init__(self, bank: str, bootstrap: str, folder: Path) -> None:
        self.book = book_path(folder)
        self._command = [
            sys.executable, "-m", "partner_bank", "--bank", bank, "--bootstrap", bootstrap, "--state-dir", str(folder),
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def has(self, instructions: int) -> bool:
        """Whether the book holds that many and every answer is acknowledged."""
        try:
            summary = book_summary(self.book)
        except sqlite3.OperationalError:
            return False
        return bool(summary["instructions"] >= instructions and summary["waiting_answers"] == 0)


@pytest.fixture
def bank(pair: Addresses, tmp_path: Path) -> Iterator[RunningBank]:
    running = RunningBank("bank-killed", pair.kafka, tmp_path)
    yield running
    running.kill()


def _instructed(number: int) -> tuple[bytes, bytes, bytes]:
    entitlement = derived_id(f"bank test {number}")
    payment = payment_id(entitlement, 1)
    fact = PaymentInstructed(
        instruction_id=instruction_id(payment, 1), payment_id=payment, bank="bank-killed",
        entitlement_id=entitlement, part=1, attempt=1, amount_minor=100 + number, currency="MXN",
        execute_until="2999-01-01T00:00:00Z",
        remittance="food support", account_number=f"00{number:06d}", account_holder="Holder",
    )  # fmt: skip
    topic = "payments.instructions.bank-killed"
    encoded = encode(Draft(fact, payment, "service:payments", "cause", topic=topic), "/salur/payments", utc_now())
    assert encoded.personal is not None
    return payment.encode(), encoded.at(f"{topic}/0", number + 1), encoded.personal


async def _instruct(bootstrap: str, numbers: range) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        futures = []
        for number in numbers:
            key, value, personal = _instructed(number)
            futures.append(
                await producer.send(
                    "payments.instructions.bank-killed", value, key=key, partition=zlib.crc32(key) % PARTITIONS,
                    headers=[("personal", personal)],
                )
            )  # fmt: skip
        await asyncio.gather(*futures)
    finally:
        await producer.stop()


async def _answers(bootstrap: str) -> list[dict[str, object]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition("banks.results.bank-killed", number) for number in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        left = sum((await consumer.end_offsets(places)).values())
        found: list[dict[str, object]] = []
        while len(found) < left:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [json.loads(record.value or b"") for record in records]
        return found
    finally:
        await consumer.stop()


async def test_a_bank_killed_again_and_again_pays_each_instruction_once(pair: Addresses, bank: RunningBank) -> None:
    topics = ("payments.instructions.bank-killed", "payments"), ("banks.results.bank-killed", "bank:bank-killed")
    await create_topics(pair.kafka, [Topic(name, writer, restricted=True) for name, writer in topics])
    for part in range(3):
        await _instruct(pair.kafka, range(part * COUNT // 3, (part + 1) * COUNT // 3))
        bank.kill()
        bank.start()
    await eventually(lambda: bank.has(COUNT), 60, "every instruction booked and answered")
    await _instruct(pair.kafka, range(100))  # sent again
    await _instruct(pair.kafka, range(COUNT, COUNT + 1))
    await eventually(lambda: bank.has(COUNT + 1), 30, "the last instruction")

    async def repeats() -> bool:
        return bool(book_summary(bank.book)["repeats"] == 100 and book_summary(bank.book)["waiting_answers"] == 0)

    await eventually(repeats, 30, "the repeats")
    summary = book_summary(bank.book)
    assert summary["accepted"] + summary["rejected"] == COUNT + 1
    assert (summary["doubled_instructions"], summary["most_at_once"]) == ([], 1)
    answers = await _answers(pair.kafka)
    by_id: dict[object, set[str]] = {}
    for answer in answers:
        by_id.setdefault(answer["id"], set()).add(json.dumps(answer, sort_keys=True))
    assert all(len(contents) == 1 for contents in by_id.values()), "one message id, one content"


async def test_sigterm_ends_it_at_once(pair: Addresses, bank: RunningBank) -> None:
    async def opened() -> bool:
        return bank.book.exists()

    await eventually(opened, 20, "the book")
    bank.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(bank.process.wait, 10) in {0, -signal.SIGTERM}

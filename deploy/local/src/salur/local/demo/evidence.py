"""What independent witnesses say: the banks' own books, Kafka's offsets, the services' stream heads."""

import asyncio
import sqlite3
from collections import Counter
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from partner_bank.book import book_path, book_summary, most_live, transfers
from salur.common.contracts.topics import Topic, results_topic
from salur.local.client import CallFailed, Client
from salur.local.platform import Platform


@dataclass(frozen=True, slots=True)
class BookTotals:
    """All banks' books together. `kept` = credited and not returned; `refused` = rejected or closed unexecuted."""

    accepted: int = 0
    returned: int = 0
    refused: int = 0
    waiting_answers: int = 0
    kept_minor: int = 0

    @property
    def kept(self) -> int:
        return self.accepted - self.returned


def book_totals(platform: Platform) -> BookTotals:
    """Totals over the books of every bank of the platform. Raises CallFailed (status 0) when a book is not there."""
    books = [_summary(platform, bank) for bank in platform.options.banks]
    return BookTotals(
        accepted=sum(book["accepted"] for book in books),
        returned=sum(book["returned"] for book in books),
        refused=sum(book["rejected"] + book["closed"] for book in books),
        waiting_answers=sum(book["waiting_answers"] for book in books),
        kept_minor=sum(book["accepted_minor"] - book["returned_minor"] for book in books),
    )


def _summary(platform: Platform, bank: str) -> dict[str, int]:
    try:
        return book_summary(book_path(platform.bank_dir(bank)))
    except sqlite3.OperationalError as error:
        raise CallFailed(f"the book of {bank} can't be read: {error}", "book-unreadable", 0) from None


def double_payments(platform: Platform) -> int:
    """Instruction ids credited more than once, plus entitlement parts that ever had two live payments at once."""
    books = [transfers(book_path(platform.bank_dir(bank))) for bank in platform.options.banks]
    credits_of = Counter(row[2] for book in books for row in book if row[5] == "credit")
    doubled = sum(1 for count in credits_of.values() if count > 1)
    return doubled + sum(1 for most in most_live(books).values() if most > 1)


def stream_heads(client: Client, service: str) -> int:
    """Events one service has appended."""
    return int(client.call(service, "GET", "/streams")["events"])


def bank_records(platform: Platform) -> int:
    """Records ever written to the banks' topics. Raises CallFailed (status 0) when Kafka does not answer."""
    try:
        return asyncio.run(_end_offsets(platform.kafka.bootstrap, [results_topic(b) for b in platform.options.banks]))
    except (KafkaError, OSError) as error:
        raise CallFailed(f"Kafka does not answer: {type(error).__name__}", "unreachable", 0) from None


async def _end_offsets(bootstrap: str, topics: list[Topic]) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, request_timeout_ms=10_000)
    try:
        await consumer.start()
        places = [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]
        return sum((await consumer.end_offsets(places)).values()) if places else 0
    finally:
        await consumer.stop()

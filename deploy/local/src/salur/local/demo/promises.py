"""What must be true at the end of a run. The banks' own books are the oracle for double payments."""

import asyncio
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from partner_bank.book import book_path, most_live, transfers
from salur.audit.log.verify import verify_log
from salur.common.contracts.topics import PARTITIONS, results_topic
from salur.local.client import Client
from salur.local.platform import Platform

QUIET_TIMEOUT_S = 60.0


def double_payments(platform: Platform) -> int:
    """Instruction ids credited more than once, plus entitlement parts with two credits at once, over all books."""
    books = [transfers(book_path(platform.bank_dir(bank))) for bank in platform.options.banks]
    credits = Counter(row[2] for book in books for row in book if row[5] == "credit")
    doubled = sum(count > 1 for count in credits.values())
    return doubled + sum(most > 1 for most in most_live(books).values())


async def _bank_records(platform: Platform) -> int:
    partitions = [
        TopicPartition(results_topic(bank).name, number)
        for bank in platform.options.banks
        for number in range(PARTITIONS)
    ]
    consumer = AIOKafkaConsumer(bootstrap_servers=platform.kafka.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        return int(sum((await consumer.end_offsets(partitions)).values()))
    finally:
        await consumer.stop()


def close_log(platform: Platform, auditor: Client) -> tuple[int, int]:
    """Seal every service, wait until the log holds every event, sign it. Returns (events, audit size)."""
    services = platform.options.services
    for service in services:
        auditor.call(service, "POST", "/streams/seal")
    last: tuple[int, int] = (-1, -2)

    def counts() -> tuple[int, int]:
        platform.tend()
        heads = sum(auditor.call(service, "GET", "/streams")["events"] for service in services)
        return heads + asyncio.run(_bank_records(platform)), auditor.call("audit", "GET", "/log")["size"]

    def settled(now: tuple[int, int]) -> bool:
        nonlocal last
        quiet = now[0] == now[1] and now == last
        last = now
        return quiet

    events, size = auditor.wait(counts, settled, QUIET_TIMEOUT_S, "a log that holds every event")
    auditor.call("audit", "POST", "/log/publish")
    return events, size


def verified(folder: Path) -> dict[str, Any]:
    """The log re-derived from its files alone."""
    return asdict(verify_log(folder))


def broken(report: dict[str, Any]) -> list[str]:
    """The promises a report breaks, as sentences; empty when all hold."""
    final = report["settled"] + report["rejected"] + report["returned"] + report["unknown"]
    minor = report["settled_minor"] + report["rejected_minor"] + report["returned_minor"]
    checks = {
        "nobody is paid twice": report["double_payments"] == 0,
        "every instruction has a final answer": report["unknown"] == 0 and final == report["instructed"],
        "every entitlement is instructed": report["instructed"] == report["entitlements"],
        "every amount is accounted for": minor == report["entitled_minor"],
        "the ledger sums to zero": report["ledger_sum_minor"] == 0,
        "every household is decided": report["decided"] == report["registered"],
        "decisions agree with the published answers": report["agreement"] == 1.0,
        "the log holds every event": report["audit_size"] == report["events"],
        "the trail has no gap": report["audit_gaps"] == 0,
        "every proof verifies": report["proofs_failed"] == 0 and report["proofs_checked"] == report["audit_size"],
    }
    return [promise for promise, holds in checks.items() if not holds]

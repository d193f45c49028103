"""Gather what independent witnesses say once the run is quiet: books, tables, Kafka's records, the log's files."""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition

from partner_bank.book import book_path, transfers
from salur.audit.log.note import Checkpoint, VerifierKey, open_checkpoint
from salur.audit.log.tiles import WIDTH, TileReader
from salur.audit.log.verify import VerifyReport, verify_log
from salur.common.contracts.topics import results_topic
from salur.local.client import Client
from salur.local.crash.invariants import Event, Fund, Movement, Payment, Record
from salur.local.demo.pipeline import Pipeline
from salur.local.kafka import run_blocking
from salur.local.platform import Platform, declared_topics

PAGE = 1_000
READ_TIMEOUT_S = 60.0
SCHEME = "progresa-household"

_EVENTS = "SELECT stream, sequence, body FROM event ORDER BY stream, sequence"
_HEADS = "SELECT name, sequence FROM stream"
_PAYMENTS = "SELECT instruction_id, entitlement_id, part, state, amount_minor, fund_id FROM payment"
_APPROVED = """
SELECT i.instruction_id FROM list_item i JOIN payment_list l USING (list_id)
WHERE l.state = 'approved' AND i.rank <= l.last_rank AND i.hold IS NULL
"""
_HELD = """
SELECT i.entitlement_id FROM list_item i JOIN gate_hit h USING (list_id, payment_id)
WHERE i.hold IS NOT NULL AND h.check_code = 'refused-last-cycle'
"""
_SUMS = "SELECT currency, sum(amount_minor)::bigint FROM entry GROUP BY currency"
_FUNDS = """
SELECT f.fund_id, -coalesce((SELECT sum(e.amount_minor) FROM entry e
                             WHERE e.account = a.id AND e.amount_minor < 0), 0)::bigint, a.reserved_minor
FROM fund f JOIN account a ON a.id = 'fund:' || f.fund_id
"""
_LETTERS = "SELECT count(*) FROM dead_letter"
_ENTITLEMENTS = "SELECT entitlement_id FROM entitlement WHERE entitlement_id IS NOT NULL"


class HeadWatch:
    """Collects every signed head that ever stood in the log's folder, in the order seen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last = b""
        self.seen: list[Checkpoint] = []

    def look(self) -> None:
        """Read the head if it changed. Raises LogError for one that is not signed by the log's key."""
        path = self._folder / "checkpoint"
        note = path.read_bytes() if path.exists() else b""
        if note == self._last:
            return
        key = VerifierKey.parse((self._folder / "log.pub").read_text(encoding="utf-8"))
        self.seen.append(open_checkpoint(note.decode(), key))
        self._last = note

    def proofs(self, auditor: Client) -> dict[tuple[int, int], list[bytes]]:
        """The audit's own consistency proofs between the heads seen one after another."""
        sizes = [head.size for head in self.seen]
        pairs = {(a, b) for a, b in pairwise(sizes) if a < b}
        return {pair: _proof(auditor, *pair) for pair in sorted(pairs)}


def _proof(auditor: Client, first: int, second: int) -> list[bytes]:
    answer = auditor.call("audit", "GET", "/proofs/consistency", params={"first": first, "second": second})
    return [bytes.fromhex(item) for item in answer["hashes"]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the checks look at."""

    appended: Mapping[str, Sequence[Event]]
    heads: Mapping[str, int]
    records: Mapping[str, Sequence[Record]]
    results: int
    """Records in the banks' topics."""
    leaves: Sequence[Event]
    outside: int
    verified: VerifyReport
    payments: Sequence[Payment]
    approved: Sequence[str]
    entitled: Sequence[str]
    held: Sequence[str]
    """Entitlements that wait for a person: the bank refused the same account in an earlier round."""
    ledger: Mapping[str, Any]
    """The answer of the payments service's `GET /ledger`."""
    sums_minor: Mapping[str, int]
    differing: Sequence[str]
    funds: Sequence[Fund]
    books: Sequence[Sequence[Movement]]
    book_states: Mapping[str, str]
    household_ids: Mapping[str, str | None]
    eligible: int
    dead_letters: int
    suspended: int

    @property
    def kept_minor(self) -> int:
        return sum(row[6] if row[5] == "credit" else -row[6] for book in self.books for row in book)


def gather(platform: Platform, pipeline: Pipeline, programme_id: str, numbers: Sequence[str]) -> Evidence:
    """Read every witness of a quiet platform. `numbers`: survey numbers of the run's households."""
    appended, heads, letters = _tables(platform)
    records, results = run_blocking(_records(platform))
    verified = verify_log(platform.audit_log_dir)
    leaves, outside = _leaves(platform.audit_log_dir, verified.size)
    with psycopg.connect(platform.postgres.url("payments")) as conn:
        payments = [Payment(*row) for row in conn.execute(_PAYMENTS).fetchall()]
        approved = [row[0] for row in conn.execute(_APPROVED).fetchall()]
        held = [row[0] for row in conn.execute(_HELD).fetchall()]
        sums: dict[str, int] = dict(conn.execute(_SUMS).fetchall())
        funds = [Fund(*row) for row in conn.execute(_FUNDS).fetchall()]
        suspended = len(conn.execute("SELECT 1 FROM suspense").fetchall())
    with psycopg.connect(platform.postgres.url("eligibility")) as conn:
        entitled = [row[0] for row in conn.execute(_ENTITLEMENTS).fetchall()]
    progress = pipeline.auditor.call("eligibility", "GET", f"/programmes/{programme_id}/progress")
    ledger = pipeline.auditor.call("payments", "GET", "/ledger")
    paths = [book_path(platform.bank_dir(bank)) for bank in platform.options.banks]
    return Evidence(
        appended=appended, heads=heads, records=records, results=results, leaves=leaves, outside=outside,
        verified=verified, payments=payments, approved=approved, entitled=entitled, held=held,
        ledger=ledger, sums_minor=sums,
        differing=ledger["differing_accounts"], funds=funds, books=[transfers(path) for path in paths],
        book_states=_book_states(paths), household_ids=_household_ids(pipeline.registrar, numbers),
        eligible=progress["eligible_by_criterion"].get("poverty", 0), dead_letters=letters, suspended=suspended,
    )  # fmt: skip


def _tables(platform: Platform) -> tuple[dict[str, list[Event]], dict[str, int], int]:
    appended: dict[str, list[Event]] = defaultdict(list)
    heads: dict[str, int] = {}
    letters = 0
    for service in platform.options.services:
        with psycopg.connect(platform.postgres.url(service)) as conn:
            heads |= dict(conn.execute(_HEADS).fetchall())
            for stream, sequence, body in conn.execute(_EVENTS).fetchall():
                event = read_event(bytes(body))
                if event is None or (event.stream, event.sequence) != (stream, sequence):
                    raise ValueError(f"the event table of {service} holds another event at {stream} {sequence}")
                appended[stream].append(event)
            row = conn.execute(_LETTERS).fetchone()
            letters += row[0] if row else 0
    return appended, heads, letters


def read_event(body: bytes | None) -> Event | None:
    """An event of a stream from its bytes; None for anything else."""
    try:
        document = orjson.loads(body or b"")
        return Event(
            document["stream"], document["sequence"], document["type"], document["subject"], document["data"],
            body or b"",
        )  # fmt: skip
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


async def _records(platform: Platform) -> tuple[dict[str, list[Record]], int]:
    """Every record of every stream topic, in order of its offset, and the number of records of the banks' topics."""
    outside = {results_topic(bank).name for bank in platform.options.banks}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=platform.kafka.bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    records: dict[str, list[Record]] = defaultdict(list)
    results = 0
    await consumer.start()
    try:
        topics = declared_topics(platform.options.banks)
        places = [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]
        ends = {place: end for place, end in (await consumer.end_offsets(places)).items() if end}
        consumer.assign(list(ends))
        await consumer.seek_to_beginning(*ends)
        async with asyncio.timeout(READ_TIMEOUT_S):
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for place, batch in (await consumer.getmany(timeout_ms=500)).items():
                    if place.topic in outside:
                        results += len(batch)
                        continue
                    records[f"{place.topic}/{place.partition}"] += [
                        Record(item.offset, (item.key or b"").decode(), read_event(item.value)) for item in batch
                    ]
    finally:
        await consumer.stop()
    return records, results


def _leaves(folder: Path, size: int) -> tuple[list[Event], int]:
    """The log's events in log order, and how many of its leaves are commitments of outside records."""
    reader = TileReader(folder, size)
    events: list[Event] = []
    outside = 0
    for number in range((size + WIDTH - 1) // WIDTH):
        for leaf in reader.entries(number):
            event = read_event(leaf)
            if event is None:
                outside += 1
            else:
                events.append(event)
    return events, outside


def _book_states(paths: Sequence[Path]) -> dict[str, str]:
    states: dict[str, str] = {}
    for path in paths:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as book:
            states |= dict(book.execute("SELECT instruction_id, state FROM instruction"))
    return states


def _household_ids(registrar: Client, numbers: Sequence[str]) -> dict[str, str | None]:
    """Ids by survey number: the registry alone can tell them."""
    found: dict[str, str | None] = {}
    for first in range(0, len(numbers), PAGE):
        page = list(numbers[first : first + PAGE])
        body = {"scheme": SCHEME, "values": page}
        answer = registrar.call("registry", "POST", "/households/find-many", json=body)
        found |= dict(zip(page, answer["household_ids"], strict=True))
    return found

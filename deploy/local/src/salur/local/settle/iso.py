"""The same list twice: through Kafka's messages and through ISO 20022 files only. Both must end in one ledger.

The payments database is copied twice right after every bank was instructed, before any answered. Example banks with
fresh books answer one copy by the records of Kafka, the other by files; they decide alike, by seed and instruction id.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile

import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition

from partner_bank.book import Arrived, Book, book_path
from partner_bank.files import FileBank
from partner_bank.profile import PROFILES
from salur.common.contracts.payments import AccountCheckAsked
from salur.common.contracts.topics import PARTITIONS, instructions_topic, results_topic
from salur.common.database import Database
from salur.common.events import EventStore, OutsideRecord
from salur.common.service import Runtime
from salur.common.values import derived_id, instruction_id
from salur.local.kafka import run_blocking
from salur.local.platform import PAYING_ACCOUNT, Platform
from salur.payments import ledger
from salur.payments.banks.iso20022 import CreditTransfer, Initiation, check_pain001, write_pain001
from salur.payments.files import FileChannel
from salur.payments.settings import PaymentsSettings
from salur.payments.usecases import settle

ACCOUNT_CHECK = AccountCheckAsked.event_type.encode()
"""Answered before the copy; these banks have books of their own and need not agree."""
KAFKA, FILES = "iso_kafka", "iso_files"
PROFILE = "prompt"
BATCH = 1_000
END_OF_TIME = 1e12
POLL_S = 0.2
FILE_TRANSACTIONS = 20_000
LEFT = "SELECT count(*) FROM payment WHERE state IN ('instructed', 'unknown')"
UNPUBLISHED = (
    "SELECT count(*) FROM stream s LEFT JOIN relay r ON r.stream = s.name"
    " WHERE s.name LIKE 'payments.instructions.%%' AND coalesce(r.published, 0) < s.sequence"
)


@dataclass
class Twins:
    """Two copies of the payments database, and where Kafka's instructions ended when they were made."""

    platform: Platform
    banks: tuple[str, ...]
    urls: dict[str, str] = field(default_factory=dict)
    ends: dict[TopicPartition, int] = field(default_factory=dict)

    def split(self) -> None:
        """Copy the database twice; payments must not run, everything it wrote must be on Kafka."""
        password = self.platform.service_env("payments")["SALUR_DATABASE_URL"].split(":")[2].split("@")[0]
        for name in (KAFKA, FILES):
            self.urls[name] = self.platform.postgres.copy_database("payments", name, password)
        self.ends = run_blocking(self._ends())

    def compare(self) -> dict[str, object]:
        """Answer both copies to the end; returns both ledger hashes and whether they are one."""
        by_kafka = run_blocking(self._through_kafka())
        by_files = run_blocking(self._through_files())
        return {
            "iso_ledger_hash_equal": by_kafka == by_files, "ledger_hash_by_kafka": by_kafka,
            "ledger_hash_by_files": by_files,
        }  # fmt: skip

    async def _ends(self) -> dict[TopicPartition, int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.platform.kafka.bootstrap)
        await consumer.start()
        try:
            places = [
                TopicPartition(instructions_topic(bank).name, number)
                for bank in self.banks
                for number in range(PARTITIONS)
            ]
            return dict(await consumer.end_offsets(places))
        finally:
            await consumer.stop()

    def _book(self, name: str, bank: str) -> Book:
        folder = self.platform.state_dir / name / bank
        return Book(book_path(folder), bank, PROFILES[PROFILE], self.platform.options.seed, keep_accounts=True)

    @asynccontextmanager
    async def _runtime(self, name: str) -> AsyncIterator[tuple[Runtime, PaymentsSettings]]:
        env = self.platform.service_env("payments")
        settings = PaymentsSettings(
            database_url=self.urls[name], kafka_bootstrap=env["SALUR_KAFKA_BOOTSTRAP"],
            jwks_file=Path(env["SALUR_JWKS_FILE"]), master_key_file=Path(env["SALUR_MASTER_KEY_FILE"]),
            banks=self.banks, checked_banks=(), file_banks=self.banks,
            bank_files_dir=self.platform.state_dir / name / "files",
            file_debtor_accounts=dict.fromkeys(self.banks, PAYING_ACCOUNT), file_wait_s=0, file_quiet_s=0,
            file_transactions=FILE_TRANSACTIONS,
        )  # fmt: skip
        runtime = Runtime("payments", settings)
        runtime.db = Database(self.urls[name], pool_size=4, statement_timeout_s=120)
        await runtime.db.open()
        try:
            runtime.store = EventStore("payments", runtime.secrets)
            async with runtime.db.transaction() as conn:
                await runtime.store.load_partitions(conn)
            yield runtime, settings
        finally:
            await runtime.db.close()

    async def _through_kafka(self) -> str:
        async with self._runtime(KAFKA) as (runtime, _):
            for bank in self.banks:
                book = self._book(KAFKA, bank)
                try:
                    await self._read(bank, book)
                    await _answer(runtime, bank, book)
                finally:
                    book.close()
            return await _ledger(runtime)

    async def _read(self, bank: str, book: Book) -> None:
        places = {place: end for place, end in self.ends.items() if place.topic == instructions_topic(bank).name}
        consumer = AIOKafkaConsumer(bootstrap_servers=self.platform.kafka.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign(list(places))
            await consumer.seek_to_beginning()
            left = {place for place, end in places.items() if end}
            while left:
                polled = await consumer.getmany(timeout_ms=500, max_records=BATCH)
                records = [
                    Arrived(record.partition, record.offset, record.value, dict(record.headers).get("personal"))
                    for place, batch in polled.items()
                    for record in batch
                    if record.offset < places[place] and ACCOUNT_CHECK not in record.value
                ]
                await asyncio.to_thread(book.take, records)
                for place in list(left):
                    if await consumer.position(place) >= places[place]:
                        left.remove(place)
        finally:
            await consumer.stop()

    async def _through_files(self) -> str:
        async with self._runtime(FILES) as (runtime, settings):
            assert settings.bank_files_dir is not None
            async with runtime.db.transaction() as conn:
                # The copy has no folder yet: what was put into the other one goes out again.
                await conn.execute("DELETE FROM bank_file_mark")
                await conn.execute("DELETE FROM outgoing_file")
            channel = FileChannel(runtime, settings)
            while await channel.write_next():
                pass
            books = [self._book(FILES, bank) for bank in self.banks]
            folders = [settings.bank_files_dir / bank for bank in self.banks]
            banks = [FileBank(book, folder, PAYING_ACCOUNT) for book, folder in zip(books, folders, strict=True)]
            try:
                while True:
                    for one in banks:
                        await asyncio.to_thread(one.turn)
                    while await channel.take_next():
                        pass
                    if all(book.next_due_at() is None for book in books):
                        break
                    await asyncio.sleep(POLL_S)
            finally:
                for book in books:
                    book.close()
            return await _ledger(runtime)


async def _answer(runtime: Runtime, bank: str, book: Book) -> None:
    offset = 0
    while due := book.due(BATCH, END_OF_TIME):
        records = [
            OutsideRecord(results_topic(bank).name, 0, offset + number, answer.key.encode(), answer.value, 0)
            for number, answer in enumerate(due)
        ]
        offset += len(due)
        async with runtime.unit_of_work() as unit:
            unit.emit(*await settle.take_results(unit.conn, records, runtime.secrets))
        book.sent(due)


async def _ledger(runtime: Runtime) -> str:
    async with runtime.db.transaction() as conn:
        if left := await conn.fetchval(LEFT):
            raise RuntimeError(f"{left} payments have no final answer")
        return await ledger.ledger_hash(conn)


def published(url: str) -> int:
    """How many instruction streams payments has not wholly published yet."""
    with psycopg.connect(url) as conn:
        row = conn.execute(UNPUBLISHED.replace("%%", "%")).fetchone()
    assert row is not None
    return int(row[0])


def pain001_rate(transactions: int, folder: Path) -> float:
    """Transactions a second: written as pain.001 documents and read back against schema, count and sum."""
    now = datetime.now(UTC)
    seconds = 0.0
    for start in range(0, transactions, FILE_TRANSACTIONS):
        numbers = range(start, min(start + FILE_TRANSACTIONS, transactions))
        transfers = [_transfer(number, now) for number in numbers]
        head = Initiation(f"rate-{start}", "bank-files", "Salur", PAYING_ACCOUNT, now)
        with TemporaryFile(dir=folder) as file:
            began = time.perf_counter()
            write_pain001(file, head, transfers)
            file.flush()
            file.seek(0)
            check_pain001(file, len(transfers), sum(transfer.amount_minor for transfer in transfers))
            seconds += time.perf_counter() - began
    return round(transactions / seconds, 1)


def _transfer(number: int, now: datetime) -> CreditTransfer:
    payment = derived_id("pain001", str(number))[:30]
    return CreditTransfer(
        instruction_id(payment, 1), 10_000_000 + number, "IDR", f"7{number:015d}", f"Example holder {number:07d}",
        "family-hope", now + timedelta(days=3),
    )  # fmt: skip

"""The running bank: read instructions, write the book, send what the book's outbox holds."""

import asyncio
import contextlib
import fcntl
import json
import signal
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from partner_bank.book import Arrived, Book, Outgoing
from partner_bank.files import FileBank

BATCH = 500
FETCH_WAIT_MS = 200
IDLE_WAIT_S = 5.0
RETRY_S = (0.2, 0.5, 1.0, 2.0)
ASSIGNMENT_POLL_S = 0.2
REQUEST_TIMEOUT_MS = 10_000
LOCK_POLL_S = 0.1

T = TypeVar("T")
Sign = Callable[[bytes], tuple[str, bytes]]
"""The header that signs a message."""


class Bank:
    """One bank: `run` until `stop` is called."""

    def __init__(self, code: str, bootstrap: str, book: Book, sign: Sign | None = None) -> None:
        self._code, self._bootstrap, self._book, self._sign = code, bootstrap, book, sign
        self._instructions = f"payments.instructions.{code}"
        self._results = f"banks.results.{code}"
        self._work = asyncio.Event()
        self._stopping = asyncio.Event()
        self._book_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="book")

    async def _with_book(self, call: Callable[..., T], *arguments: object) -> T:
        """Reader and sender share one connection, so one thread serves them in turn."""
        return await asyncio.get_running_loop().run_in_executor(self._book_thread, call, *arguments)

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Read and answer; a task that fails ends the bank."""
        stop: asyncio.Task[Any] = asyncio.create_task(self._stopping.wait())
        tasks: set[asyncio.Task[Any]] = {asyncio.create_task(self._read()), asyncio.create_task(self._answer())}
        done, _ = await asyncio.wait({stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A cancelled wait leaves its call at work: nobody may close the book below it.
        self._book_thread.shutdown(wait=True, cancel_futures=True)
        for task in done - {stop}:
            task.result()
        stop.cancel()

    async def _read(self) -> None:
        failures = 0
        while True:
            consumer = AIOKafkaConsumer(
                self._instructions,
                bootstrap_servers=self._bootstrap,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                client_id=self._code,
            )
            try:
                await consumer.start()
                await self._seek(consumer)
                failures = 0
                await self._take_all(consumer)
            except (KafkaError, OSError) as error:
                log(self._code, "reading failed, starting again", error=type(error).__name__)
                await _pause(failures)
                failures += 1
            finally:
                await consumer.stop()

    async def _seek(self, consumer: AIOKafkaConsumer) -> None:
        """The book says where to read on, not the broker; offsets beyond the end mean a topic made anew."""
        partitions: list[TopicPartition] = []
        while not (partitions := list(consumer.assignment())):  # noqa: ASYNC110 - aiokafka tells no event
            await asyncio.sleep(ASSIGNMENT_POLL_S)
        ends = await consumer.end_offsets(partitions)
        offsets = await self._with_book(self._book.offsets)
        for place in partitions:
            offset = offsets.get(place.partition, 0)
            consumer.seek(place, offset if offset <= ends[place] else 0)

    async def _take_all(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            polled = await consumer.getmany(timeout_ms=FETCH_WAIT_MS, max_records=BATCH)
            records = [
                Arrived(record.partition, record.offset, record.value, _personal(record.headers))
                for batch in polled.values()
                for record in batch
            ]
            if not records and not await self._with_book(self._book.lags):
                continue
            outcome = await self._with_book(self._book.take, records)
            self._work.set()
            log(self._code, "batch", records=len(records), transfers=len(outcome.transfers), repeats=outcome.repeats)

    async def _answer(self) -> None:
        """Send the outbox in order. After the first failure nothing more goes out until a new producer stands."""
        failures = 0
        while True:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                enable_idempotence=True,
                acks="all",
                linger_ms=2,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                client_id=self._code,
            )
            try:
                await producer.start()
                failures = 0
                await self._send_all(producer)
            except (KafkaError, OSError) as error:
                log(self._code, "sending failed, starting again", error=type(error).__name__)
                await _pause(failures)
                failures += 1
            finally:
                with contextlib.suppress(KafkaError, OSError):
                    await producer.stop()

    async def _send_all(self, producer: AIOKafkaProducer) -> None:
        partitions = len(await producer.partitions_for(self._results))
        while True:
            self._work.clear()
            answers = await self._with_book(self._book.due, BATCH)
            if answers:
                await self._send(producer, answers, partitions)
                continue
            due_at = await self._with_book(self._book.next_due_at)
            wait_s = IDLE_WAIT_S if due_at is None else min(IDLE_WAIT_S, max(0.0, due_at - time.time()))
            # Not wait_for: on Python 3.11 it swallows a cancellation that comes with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._work.wait()

    async def _send(self, producer: AIOKafkaProducer, answers: list[Outgoing], partitions: int) -> None:
        futures: list[asyncio.Future[Any]] = []
        failure: BaseException | None = None
        try:
            for answer in answers:
                key = answer.key.encode()
                partition = zlib.crc32(key) % partitions
                headers = [("content-type", b"application/cloudevents+json")]
                if self._sign is not None:
                    headers.append(self._sign(answer.value))
                futures.append(
                    await producer.send(self._results, answer.value, key=key, partition=partition, headers=headers)
                )
        except (KafkaError, OSError) as error:
            failure = error
        fates = await asyncio.gather(*futures, return_exceptions=True)
        acknowledged = 0
        for fate in fates:
            if isinstance(fate, BaseException):
                failure = fate
                break
            acknowledged += 1
        await self._with_book(self._book.sent, answers[:acknowledged])
        if failure is not None:
            raise failure


def _personal(headers: Any) -> bytes | None:
    return next((value for name, value in headers if name == "personal"), None)


async def _pause(failures: int) -> None:
    await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])


def log(bank: str, event: str, **fields: object) -> None:
    """One JSON line: counts and names, never an account."""
    sys.stdout.write(json.dumps({"bank": bank, "event": event, **fields}) + "\n")
    sys.stdout.flush()


def hold_lock(state_dir: Path) -> TextIO:
    """Wait until no other process serves this book; the lock ends with the process, however it ends."""
    state_dir.mkdir(parents=True, exist_ok=True)
    lock = (state_dir / "lock").open("w")
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            time.sleep(LOCK_POLL_S)


async def serve(code: str, bank: "Bank | FileBank") -> None:
    """Run until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, bank.stop)
    log(code, "open")
    await bank.run()
    log(code, "closed")

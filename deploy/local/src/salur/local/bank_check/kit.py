"""Run the cases over Kafka: a cluster of the kit's own or one given, the bank's process started here or by somebody."""

import asyncio
import contextlib
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from salur.common.contracts.topics import Topic, bank_topics
from salur.local.bank_check.answers import Mailbox
from salur.local.bank_check.cases import CASES, Failed
from salur.local.bank_check.letters import Account, Desk, Record
from salur.local.kafka import Kafka, create_topics
from salur.local.ports import free_ports
from salur.local.supervisor import Child
from salur.payments.banks.signing import NO_SIGNATURES, Signatures
from salur.payments.domain.results import Unusable

POLL_MS = 100
QUIET_S = 1.0
"""The answers that are still on their way are waited for so long at the end."""


class ClusterInUse(RuntimeError):
    """The bank's topics hold records: the check belongs on a test cluster, whose topics are empty."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One case: `passed` None = it could not be tried."""

    name: str
    rule: str
    passed: bool | None
    reason: str
    seconds: float


class KafkaLine:
    """The cases' way to the bank: its two topics, and its process if the kit runs it."""

    def __init__(
        self,
        desk: Desk,
        producer: AIOKafkaProducer,
        consumer: AIOKafkaConsumer,
        bank: Child | None,
        timeout_s: float,
        signatures: Signatures,
    ) -> None:
        self._desk, self._producer, self._consumer = desk, producer, consumer
        self._bank = bank
        self._timeout_s = timeout_s
        self.mailbox = Mailbox(desk.bank)
        self._signatures = signatures
        self.unproven: Counter[str] = Counter()
        """Answers payments would put aside for their signature, by the reason it gives."""

    async def send(self, records: Sequence[Record]) -> None:
        """Send in order; returns when Kafka has all."""
        sent = [
            await self._producer.send(
                self._desk.topic, record.value, key=record.key, partition=record.partition, headers=list(record.headers)
            )
            for record in records
        ]
        await asyncio.gather(*sent)

    async def until(self, holds: Callable[[Mailbox], bool]) -> Mailbox:
        """See Line."""
        deadline = time.monotonic() + self._timeout_s
        while not holds(self.mailbox) and time.monotonic() < deadline:
            await self._collect()
        return self.mailbox

    async def listen(self, seconds: float) -> None:
        """Take what still comes until nothing has come for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if await self._collect():
                deadline = time.monotonic() + seconds

    async def _collect(self) -> int:
        polled: Mapping[TopicPartition, list[Any]] = await self._consumer.getmany(timeout_ms=POLL_MS)
        records = [record for batch in polled.values() for record in batch]
        for record in records:
            self.mailbox.take(record.key, record.value)
            try:
                self._signatures.check(self._desk.bank, record.value or b"", record.headers)
            except Unusable as trouble:
                self.unproven[trouble.code] += 1
        return len(records)

    async def crash(self) -> bool:
        """See Line."""
        if self._bank is None:
            return False
        self._bank.kill()
        self._bank.start()
        return True


async def check(
    bootstrap: str,
    bank: str,
    account: Account,
    process: Child | None,
    timeout_s: float,
    watch: Callable[[Verdict], None],
    signatures: Signatures = NO_SIGNATURES,
    offers: frozenset[str] = frozenset(),
) -> list[Verdict]:
    """Try every case in order; `watch` is told each verdict. Raises ClusterInUse.

    `offers`: what the bank does beyond accounts; the other cases are left out.

    `signatures`: the keys of a bank that signs; its answers are checked as payments checks them.
    """
    desk = Desk(bank, account)
    await create_topics(bootstrap, bank_topics(bank))
    verdicts: list[Verdict] = []
    async with _line(bootstrap, desk, process, timeout_s, signatures) as line:
        if process is not None:
            process.start()
        for case in CASES:
            if case.needs and case.needs not in offers:
                continue
            began = time.monotonic()
            passed: bool | None = None
            reason = ""
            try:
                if await case.check(desk, line):
                    passed = True
            except Failed as failure:
                passed, reason = False, str(failure)
            verdicts.append(Verdict(case.name, case.rule, passed, reason, round(time.monotonic() - began, 2)))
            watch(verdicts[-1])
        await line.listen(QUIET_S)
        for verdict in (_whole(line.mailbox), *([_signed(line.unproven)] if signatures.required else [])):
            verdicts.append(verdict)
            watch(verdict)
    return verdicts


def _whole(mailbox: Mailbox) -> Verdict:
    """What must hold over all answers together."""
    faults = list(mailbox.faults)
    if twice := mailbox.paid_twice():
        faults.append(f"{len(twice)} instructions were credited under two bank references")
    return Verdict(
        "all answers", "rule 1: nothing is paid twice; one id, one content", not faults, "; ".join(faults), 0.0
    )


def _signed(unproven: Mapping[str, int]) -> Verdict:
    told = "; ".join(f"{count} answers: {code}" for code, count in sorted(unproven.items()))
    return Verdict("signed", "every answer carries the key's signature over its exact bytes", not unproven, told, 0.0)


@asynccontextmanager
async def _line(
    bootstrap: str, desk: Desk, process: Child | None, timeout_s: float, signatures: Signatures
) -> AsyncIterator[KafkaLine]:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, client_id="bank-check"
    )
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, client_id="bank-check")
    async with contextlib.AsyncExitStack() as stack:
        await producer.start()
        stack.push_async_callback(producer.stop)
        await consumer.start()
        stack.push_async_callback(consumer.stop)
        questions, answers = (_places(topic) for topic in bank_topics(desk.bank))
        await _refuse_used(consumer, questions)
        consumer.assign(answers)
        await consumer.seek_to_end(*answers)
        yield KafkaLine(desk, producer, consumer, process, timeout_s, signatures)


async def _refuse_used(consumer: AIOKafkaConsumer, questions: list[TopicPartition]) -> None:
    if any((await consumer.end_offsets(questions)).values()):
        raise ClusterInUse(
            f"{questions[0].topic} holds records already: the check sends made-up instructions, give it an empty test "
            "cluster"
        )


def _places(topic: Topic) -> list[TopicPartition]:
    return [TopicPartition(topic.name, number) for number in range(topic.partitions)]


@contextmanager
def own_cluster(folder: Path, cache_dir: Path) -> Iterator[str]:
    """A fresh Kafka for the time of the check; yields its address."""
    shutil.rmtree(folder, ignore_errors=True)
    port, controller_port = free_ports(2)
    kafka = Kafka(folder / "kafka", cache_dir, folder / "kafka.log", port, controller_port)
    try:
        kafka.start()
        yield kafka.bootstrap
    finally:
        kafka.stop()


def bank_process(command: Sequence[str], bootstrap: str, folder: Path, env: Mapping[str, str]) -> Child:
    """The bank's command with `{bootstrap}` filled in; not started yet."""
    filled = [part.replace("{bootstrap}", bootstrap) for part in command]
    return Child("bank", filled, dict(env), folder / "bank.log")

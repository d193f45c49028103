"""A real Kafka with SASL and ACLs: each principal may do what `salur acls` grants, nobody else anything."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError

from salur.common.contracts.topics import SERVICES, instructions_topic, results_topic
from salur.common.events.kafka import KafkaProducer, read_tails
from salur.common.events.relay import KafkaAway, Outgoing
from salur.local.acls import READERS
from salur.local.kafka import run_blocking
from salur.local.platform import declared_topics
from salur.local.ports import free_ports
from support.pair import CACHE
from support.secured_kafka import SecuredKafka

pytestmark = pytest.mark.integration
A, B = "bank-a", "bank-b"
ASKED_A, ASKED_B = instructions_topic(A).name, instructions_topic(B).name
TOLD_A, TOLD_B = results_topic(A).name, results_topic(B).name


@pytest.fixture(scope="module")
def kafka() -> Iterator[SecuredKafka]:
    folder = Path(tempfile.mkdtemp(prefix="salur-secured-"))
    port, controller = free_ports(2)
    broker = SecuredKafka(folder, CACHE, port, controller, [*SERVICES, A, B])
    try:
        broker.start()
        run_blocking(broker.furnish(declared_topics((A, B)), (A, B)))
        yield broker
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def write(kafka: SecuredKafka, principal: str, topic: str, value: bytes) -> None:
    """As a bank's own client writes: acks=all, idempotent."""
    producer = AIOKafkaProducer(**kafka.address(principal).options(), enable_idempotence=True, acks="all")
    try:
        await producer.start()
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def read(kafka: SecuredKafka, principal: str, topic: str, group: str | None = None) -> bytes:
    """The first value, read in a consumer group of the principal."""
    consumer = AIOKafkaConsumer(
        topic, **kafka.address(principal).options(), group_id=group or f"{principal}.reader",
        auto_offset_reset="earliest", enable_auto_commit=False,
    )  # fmt: skip
    try:
        await consumer.start()
        record = await consumer.getone()
        if group is None:
            await consumer.commit()
        return bytes(record.value)
    finally:
        await consumer.stop()


async def test_a_bank_and_payments_speak_to_each_other(kafka: SecuredKafka) -> None:
    """Payments' relay writes an instruction, the bank reads it in its group and answers, payments reads the answer."""
    payments = kafka.address("payments")
    relay = await KafkaProducer.start(payments)
    await (await relay.send(Outgoing(f"{ASKED_A}/0", 1, ASKED_A, 0, b"k", b"pay", [])))
    await relay.close()
    assert await read(kafka, A, ASKED_A) == b"pay"
    await write(kafka, A, TOLD_A, b"paid")
    assert await read(kafka, "payments", TOLD_A) == b"paid"
    # Before it writes, a service reads the tails of its own topics.
    assert await read_tails(payments, [(ASKED_A, 0), (ASKED_B, 0)]) == {}


async def test_a_bank_neither_speaks_for_another_nor_hears_what_it_is_asked(kafka: SecuredKafka) -> None:
    await write(kafka, "payments", ASKED_B, b"for bank-b alone")
    with pytest.raises(TopicAuthorizationFailedError):
        await write(kafka, A, TOLD_B, b"paid")
    with pytest.raises(TopicAuthorizationFailedError):
        await write(kafka, A, ASKED_A, b"pay me")
    with pytest.raises(TopicAuthorizationFailedError):
        await read(kafka, A, ASKED_B)
    with pytest.raises(TopicAuthorizationFailedError):
        await read(kafka, A, TOLD_B)
    with pytest.raises(GroupAuthorizationFailedError):
        await read(kafka, A, ASKED_A, group=f"{B}.reader")
    await write(kafka, B, TOLD_B, b"by bank-b")
    assert await read(kafka, "payments", TOLD_B) == b"by bank-b"


@pytest.mark.parametrize("service", SERVICES)
async def test_each_service_reads_what_it_consumes_and_writes_its_own_alone(kafka: SecuredKafka, service: str) -> None:
    """Reading the end of a topic needs the right to read it, as a consumer does."""
    names = READERS.get(service, ()) if service != "audit" else tuple(t.name for t in declared_topics((A, B)))
    await read_tails(kafka.address(service), [(name, 0) for name in names if not name.startswith("banks.")])
    topics = declared_topics((A, B))
    own = next(topic.name for topic in topics if topic.writer == service)
    other = next(topic.name for topic in topics if topic.writer not in (service, f"bank:{service}"))
    await write(kafka, service, own, b"x")
    with pytest.raises(TopicAuthorizationFailedError):
        await write(kafka, service, other, b"x")


async def test_a_wrong_password_is_refused_and_the_message_says_so(kafka: SecuredKafka) -> None:
    """Operations must not look for a broker that is away when the password is wrong."""
    wrong = kafka.address("payments", "guessed")
    with pytest.raises(KafkaAway, match="name or password") as refused:
        await KafkaProducer.start(wrong)
    assert "guessed" not in str(refused.value)
    with pytest.raises(KafkaAway, match="name or password"):
        await read_tails(wrong, [(ASKED_A, 0)])

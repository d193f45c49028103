"""The whole service on the real Kafka: upstream events in, instructions out, a bank's answers in, money settled."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import orjson
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from salur.common.auth import local_issuer, mint
from salur.common.contracts.topics import ALL_TOPICS, bank_topics, instructions_topic, results_topic
from salur.common.database import Database, migrate
from salur.common.events import PARTITIONS, Draft, EventStore, Received
from salur.common.events.kafka import KafkaProducer, read_tails
from salur.common.events.relay import Relay
from salur.common.events.security import KafkaAddress
from salur.common.secrets import Secrets
from salur.common.service import Process, Runtime
from salur.local.kafka import create_topics
from salur.payments.main import build
from salur.payments.settings import PaymentsSettings
from support.pair import Pair
from support.payments import (
    AMOUNT_MINOR,
    BANKS,
    CURRENCY,
    CYCLE,
    FUND,
    MIGRATIONS,
    cut_marks,
    grant_marks,
    granted,
    payee,
)
from support.waiting import eventually

pytestmark = pytest.mark.integration
COUNT = 40


@pytest.fixture
async def alone(fresh_pair: Pair) -> Pair:
    """A pair of its own: on topics other tests wrote, a new database would be behind its published past."""
    of_banks = [topic for bank in BANKS for topic in bank_topics(bank)]
    await create_topics(fresh_pair.kafka.bootstrap, [*ALL_TOPICS, *of_banks])
    return fresh_pair


def _database(pair: Pair, name: str, *migrations: Path) -> str:
    with psycopg.connect(pair.postgres.url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    url = pair.postgres.url().rsplit("/", 1)[0] + f"/{name}"
    migrate(url, list(migrations))
    return url


@pytest.fixture
async def upstream(alone: Pair, keys: Secrets) -> AsyncIterator[None]:
    """Registry and eligibility: their facts appended and relayed to Kafka."""
    url, kafka = _database(alone, "upstream"), alone.kafka.bootstrap
    db = Database(url, pool_size=2, statement_timeout_s=20)
    await db.open()
    for service in ("registry", "eligibility"):
        store = EventStore(service, keys)
        async with db.transaction() as conn:
            await store.declare(conn, [topic for topic in ALL_TOPICS if topic.writer == service])
            await store.load_partitions(conn)
            if service == "registry":
                events = [*map(payee, range(COUNT)), *cut_marks(range(PARTITIONS))]
            else:
                marks = grant_marks(range(PARTITIONS), COUNT, COUNT * AMOUNT_MINOR)
                events = [*map(granted, range(COUNT)), *marks]
            await store.append(conn, [_draft(event) for event in events])
    stop = asyncio.Event()
    relay = Relay(
        url, keys, partial(KafkaProducer.start, KafkaAddress(kafka)), partial(read_tails, KafkaAddress(kafka)), 2_000
    )
    task = asyncio.create_task(relay.run(stop))
    yield
    stop.set()
    await task
    await db.close()


def _draft(event: Received) -> Draft:
    return Draft(event.data, event.key, event.actor, event.cause, topic=event.topic, partition=event.partition)


async def _bank(kafka: str, code: str) -> None:
    """A bank that credits what it is told and answers twice, with a header that is no text."""
    consumer = AIOKafkaConsumer(
        instructions_topic(code).name, bootstrap_servers=kafka, auto_offset_reset="earliest", group_id=None
    )
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await consumer.start()
    await producer.start()
    try:
        async for record in consumer:
            told = orjson.loads(record.value)["data"]
            data = {name: told[name] for name in ("instruction_id", "amount_minor", "currency")}
            data |= {"status": "ACCC", "reason": None, "bank_reference": f"ref-{told['instruction_id']}"}
            data |= {"account_commitment": told["account_number"], "inquiry": None}
            answer = {
                "specversion": "1.0", "id": f"m-{told['instruction_id']}", "source": f"/bank/{code}",
                "type": "salur.bank-result.v1", "time": "2026-01-01T00:00:00Z", "data": data,
            }  # fmt: skip
            for _ in range(2):
                await producer.send(
                    results_topic(code).name, orjson.dumps(answer), key=record.key, headers=[("note", b"\xff\xfe")]
                )
    finally:
        await consumer.stop()
        await producer.stop()


@pytest.mark.usefixtures("upstream")
async def test_events_in_money_out(alone: Pair, tmp_path: Path) -> None:
    payments_url, kafka = _database(alone, "payments", MIGRATIONS), alone.kafka.bootstrap
    key = tmp_path / "master.key"
    key.write_text(secrets.token_hex(32))
    settings = PaymentsSettings(
        database_url=payments_url, kafka_bootstrap=kafka, jwks_file=local_issuer(tmp_path / "issuer"),
        master_key_file=key, banks=BANKS, http_port=0, instance=secrets.token_hex(4),
    )  # fmt: skip
    runtime = Runtime("payments", settings)
    process = Process(runtime, build(runtime), frozenset({"consumers", "workers", "relay"}))
    running = asyncio.create_task(process.run())
    banks = [asyncio.create_task(_bank(kafka, code)) for code in BANKS]
    transport = httpx.ASGITransport(process.app())
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://payments") as client:
            await eventually(lambda: _true(process.ready), what="ready")
            view = await _pay(client, tmp_path)
    finally:
        for bank in banks:
            bank.cancel()
        await asyncio.gather(*banks, return_exceptions=True)
        process._stop.set()
        await running
    assert view["states"] == {"settled": {"count": COUNT, "amount_minor": COUNT * AMOUNT_MINOR}}


async def _true(value: bool) -> bool:
    return value


async def _pay(client: httpx.AsyncClient, folder: Path) -> dict[str, object]:
    maker = {"authorization": f"Bearer {mint(folder / 'issuer', 'person:ani', ['payment-operator'])}"}
    checker = {"authorization": f"Bearer {mint(folder / 'issuer', 'person:budi', ['approver'])}"}
    fund = {"fund_id": FUND, "name": "Central", "currency": CURRENCY, "budget_minor": 10**9}
    assert (await client.post("/funds", json=fund, headers=maker)).status_code == 201
    answers: list[httpx.Response] = []

    async def built() -> bool:
        answers.append(await client.post("/lists", json={"cycle_id": CYCLE, "fund_id": FUND}, headers=maker))
        return answers[-1].status_code == 201

    await eventually(built, what="the list of the cycle")
    assert {answer.json()["code"] for answer in answers[:-1]} <= {"cycle-not-complete"}
    summary = answers[-1].json()
    path = f"/lists/{summary['list_id']}"
    assert (await client.post(f"{path}/submit", headers=maker)).status_code == 200
    approval = {"content_hash": summary["content_hash"]}
    assert (await client.post(f"{path}/approve", json=approval, headers=checker)).status_code == 200
    views: list[dict[str, object]] = []

    async def complete() -> bool:
        views.append((await client.get(path, headers=checker)).json())
        return bool(views[-1]["complete"])

    await eventually(complete, what="every payment answered")
    ledger = (await client.get("/ledger", headers=maker)).json()
    assert (ledger["sum_minor"], ledger["differing_accounts"]) == (0, [])
    assert (await client.get("/suspense", headers=maker)).json() == {"suspense": []}
    return views[-1]

"""Fixtures: the real pair once per session, a fresh database per test."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from salur.common.contracts.topics import ALL_TOPICS, CHECKPOINTS_TOPIC, bank_topics
from salur.common.database import Database, migrate
from salur.common.events import EventStore
from salur.common.secrets import Secrets
from salur.local.kafka import create_topics
from support.pair import Addresses, Pair, container_pair, docker_answers, embedded_pair

BANKS = ("bank-a", "bank-b")
os.environ.setdefault("SALUR_UNREGISTERED_PRINCIPALS", "trusted")
"""Tests speak as the local issuer's people; those about rights say otherwise."""


@pytest.fixture(scope="session")
def pair() -> Iterator[Addresses]:
    """Given addresses, else the embedded pair, else containers where a Docker engine answers.

    `SALUR_TEST_CONTAINERS=1` prefers containers.
    """
    given = os.environ.get("SALUR_TEST_DATABASE_URL"), os.environ.get("SALUR_TEST_KAFKA_BOOTSTRAP")
    if given[0] and given[1]:
        yield Addresses(given[0], given[1])
        return
    embedded = None
    try:
        if not (os.environ.get("SALUR_TEST_CONTAINERS") and docker_answers()):
            embedded = embedded_pair()
    except RuntimeError:
        if not docker_answers():
            raise
    if embedded is None:
        yield from container_pair()
        return
    try:
        yield Addresses(embedded.postgres.url(), embedded.kafka.bootstrap)
    finally:
        embedded.stop()


@pytest.fixture
def fresh_pair() -> Iterator[Pair]:
    """A pair of its own that the test may break."""
    embedded = embedded_pair()
    try:
        yield embedded
    finally:
        embedded.stop()


@pytest.fixture(scope="session")
async def topics(pair: Addresses) -> None:
    """Every declared topic, once."""
    of_banks = [topic for bank in BANKS for topic in bank_topics(bank)]
    await create_topics(pair.kafka, [*ALL_TOPICS, CHECKPOINTS_TOPIC, *of_banks])


@contextmanager
def _fresh_database(pair: Addresses) -> Iterator[str]:
    """An empty database with the event mechanism's tables."""
    name = f"t_{secrets.token_hex(6)}"
    with psycopg.connect(pair.postgres, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    url = pair.postgres.rsplit("/", 1)[0] + f"/{name}"
    migrate(url, [])
    yield url
    with psycopg.connect(pair.postgres, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(pair: Addresses) -> Iterator[str]:
    """A fresh database."""
    with _fresh_database(pair) as url:
        yield url


@pytest.fixture
def other_database_url(pair: Addresses) -> Iterator[str]:
    """A second fresh database, to compare two ways."""
    with _fresh_database(pair) as url:
        yield url


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=6, statement_timeout_s=20)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def keys() -> Secrets:
    return Secrets(bytes(range(32)))


@pytest.fixture
async def registry_store(db: Database, keys: Secrets) -> EventStore:
    """The event store of the registry in a fresh database."""
    store = EventStore("registry", keys)
    async with db.transaction() as conn:
        await store.declare(conn, [topic for topic in ALL_TOPICS if topic.writer == "registry"])
        await store.load_partitions(conn)
    return store

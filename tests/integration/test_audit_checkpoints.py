"""Signed tree heads on `audit.checkpoints`, on the real Kafka and PostgreSQL: each once, in order, never two roots."""

import shutil
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from salur.audit import main as audit_main
from salur.audit import store
from salur.audit.announcer import Announcer
from salur.audit.log.errors import LogBroken
from salur.audit.log.keys import LogKeys
from salur.audit.log.note import Checkpoint, Signer, open_checkpoint
from salur.audit.log.tiles import TileReader
from salur.audit.log.tree import consistency_proof, verify_consistency
from salur.audit.publisher import CHUNK, Publisher
from salur.audit.store import Entry
from salur.common.contracts.topics import CHECKPOINTS_TOPIC
from salur.common.database import Database, migrate
from salur.common.events.security import KafkaAddress
from salur.common.values import new_id
from support.pair import Addresses

pytestmark = pytest.mark.integration
MIGRATIONS = Path(audit_main.__file__).parent / "migrations"
NOWHERE = "127.0.0.1:1"


class Log:
    """An audit log whose process can be started again; its key and its place on the topic stay."""

    def __init__(self, db: Database, folder: Path, kafka: str) -> None:
        self.db, self.folder, self.kafka = db, folder, kafka
        self.signer = Signer(f"test.{new_id()}", bytes(range(32)))
        self.start()

    def start(self, kafka: str | None = None) -> None:
        """A process that knows only what is in the database, the folder and on Kafka."""
        opened = partial(open_checkpoint, key=self.signer.verifier)
        self.announcer = Announcer(self.db, KafkaAddress(kafka or self.kafka), self.signer.name, opened)
        publisher = Publisher(
            self.db, self.folder, LogKeys((self.signer,)), 10.0, self.announcer.keep, self.announcer.heads
        )  # fmt: skip
        if hasattr(self, "publisher"):
            self.publisher.close()
        self.publisher: Publisher = publisher

    async def add(self, *leaves: bytes) -> None:
        async with self.db.transaction() as conn:
            first = await store.lock_size(conn)
            rows = [
                Entry(first + n, leaf, "t", 0, first + n, None, None, None, None, None, None)
                for n, leaf in enumerate(leaves)
            ]
            await store.insert_entries(conn, rows)

    async def publish(self) -> Checkpoint | None:
        return await self.publisher.publish_all()

    async def announce(self) -> None:
        while await self.announcer.announce(self.publisher.published()):
            pass

    async def on_kafka(self) -> list[bytes]:
        """The notes on the topic under the log's key, oldest first."""
        place = TopicPartition(CHECKPOINTS_TOPIC.name, 0)
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka, enable_auto_commit=False) as consumer:
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            consumer.seek(place, 0)
            records = []
            while await consumer.position(place) < end:
                records += (await consumer.getmany(place, timeout_ms=500)).get(place, [])
        return [record.value for record in records if record.key == self.signer.name.encode()]

    async def heads_on_kafka(self) -> list[Checkpoint]:
        return [open_checkpoint(note.decode(), self.signer.verifier) for note in await self.on_kafka()]


@pytest.fixture
async def log(db: Database, database_url: str, pair: Addresses, topics: None, tmp_path: Path) -> AsyncIterator[Log]:
    migrate(database_url, [MIGRATIONS])
    yield Log(db, tmp_path / "audit-log", pair.kafka)


def leaves(first: int, count: int, kind: str = "leaf") -> list[bytes]:
    return [f"{kind} {number}".encode() for number in range(first, first + count)]


async def test_each_head_stands_on_the_topic_as_the_bytes_of_its_note_once_the_tree_grew(log: Log) -> None:
    await log.announce()
    assert await log.publish() is None
    assert await log.on_kafka() == []
    notes: list[bytes] = []
    for round_ in range(3):
        await log.add(*leaves(round_ * 300, 300))
        await log.publish()
        assert await log.on_kafka() == notes, "not before it is announced"
        await log.announce()
        notes.append((log.folder / "checkpoint").read_bytes())
        for _ in range(2):  # nothing grew
            await log.publish()
            await log.announce()
        assert await log.on_kafka() == notes
    assert [head.size for head in await log.heads_on_kafka()] == [300, 600, 900]


async def test_what_was_signed_while_kafka_was_away_follows_in_order(log: Log) -> None:
    await log.add(*leaves(0, 10))
    await log.publish()
    await log.announce()
    away = Announcer(log.db, KafkaAddress(NOWHERE), log.signer.name, partial(open_checkpoint, key=log.signer.verifier))
    for round_ in range(1, 4):
        await log.add(*leaves(round_ * 10, 10))
        await log.publish()
        with pytest.raises(ConnectionError, match="Kafka does not answer"):
            await away.announce(log.publisher.published())
    assert [head.size for head in await log.heads_on_kafka()] == [10]
    await log.announce()
    assert [head.size for head in await log.heads_on_kafka()] == [10, 20, 30, 40]


async def test_a_run_that_cannot_ask_kafka_signs_nothing(log: Log) -> None:
    await log.add(*leaves(0, 10))
    log.start(kafka=NOWHERE)
    with pytest.raises(ConnectionError):
        await log.publish()
    assert not (log.folder / "checkpoint").exists()


async def test_a_restart_goes_on_where_the_topic_ends(log: Log) -> None:
    await log.add(*leaves(0, 700))
    await log.publish()
    await log.announce()
    log.start()
    await log.publish()
    await log.announce()
    assert len(await log.on_kafka()) == 1
    await log.add(*leaves(700, 700))
    await log.publish()
    await log.announce()
    first, second = await log.heads_on_kafka()
    proof = consistency_proof(first.size, second.size, TileReader(log.folder, second.size).hash_at)
    verify_consistency(first.size, second.size, proof, first.root, second.root)


async def test_a_lost_folder_is_made_again_from_the_rows_and_nothing_old_is_signed_again(log: Log) -> None:
    total = CHUNK + 5_000
    await log.add(*leaves(0, total))
    before = await log.publish()
    await log.announce()
    shutil.rmtree(log.folder)
    log.start()
    assert await log.publisher.integrate(), "one chunk is not all"
    assert await log.publisher.publish() is None, "it signs no smaller tree than it has announced"
    assert await log.publish() == before
    await log.add(b"one more")
    after = await log.publish()
    await log.announce()
    assert [head.size for head in await log.heads_on_kafka()] == [total, total + 1]
    assert after is not None
    assert TileReader(log.folder, after.size).root() == after.root


async def restored(log: Log, keep: int, *others: bytes) -> None:
    """A database from an older backup: `keep` entries and fewer heads; then it takes other entries, and the folder is
    lost. Only Kafka knows better."""
    async with log.db.connection() as conn:
        await conn.execute("SET session_replication_role = replica")  # past the append-only triggers
        await conn.execute("TRUNCATE checkpoint, cosignature")
        await conn.execute("DELETE FROM entry WHERE leaf_index >= $1", keep)
        await conn.execute("UPDATE log_state SET size = $1", keep)
        await conn.execute("RESET session_replication_role")
    shutil.rmtree(log.folder)
    await log.add(*others)
    log.start()


async def test_a_database_behind_what_it_has_announced_signs_nothing(log: Log) -> None:
    await log.add(*leaves(0, 500))
    await log.publish()
    await log.announce()
    await restored(log, 400)
    with pytest.raises(LogBroken, match="500 entries were signed, the database holds 400: restore a newer backup"):
        await log.publish()
    await log.announce()
    assert [head.size for head in await log.heads_on_kafka()] == [500]
    assert not (log.folder / "checkpoint").exists()


@pytest.mark.parametrize("more", [100, 101, 400])
async def test_never_a_second_root_for_a_size(log: Log, more: int) -> None:
    """The lost entries come again in another order: same size or a larger one, another tree."""
    await log.add(*leaves(0, 500))
    await log.publish()
    await log.announce()
    await restored(log, 400, *leaves(0, more, "other"))
    for _ in range(2):
        with pytest.raises(LogBroken, match="size 500 was signed with another root: the rows were changed"):
            await log.publish()
    await log.announce()
    assert [head.size for head in await log.heads_on_kafka()] == [500]


async def test_the_lost_entries_in_their_old_order_are_the_same_log(log: Log) -> None:
    await log.add(*leaves(0, 500))
    await log.publish()
    await log.announce()
    await restored(log, 400, *leaves(400, 101))
    await log.publish()
    await log.announce()
    assert [head.size for head in await log.heads_on_kafka()] == [500, 501]


async def test_a_stop_between_writing_down_and_showing_leaves_one_root(log: Log) -> None:
    """The head is in the database, no file shows it: the next run signs that size or a larger one of the same tree."""
    await log.add(*leaves(0, 50))
    await log.publish()
    await log.announce()
    await log.add(*leaves(50, 50))
    shown = (log.folder / "checkpoint").read_bytes()
    await log.publish()
    (log.folder / "checkpoint").write_bytes(shown)  # as if the process had stopped before the file
    await log.announce()
    assert [head.size for head in await log.heads_on_kafka()] == [50], "nothing is announced before it is shown"
    log.start()
    await log.add(*leaves(100, 50))
    await log.publish()
    await log.announce()
    heads = await log.heads_on_kafka()
    assert [head.size for head in heads] == [50, 100, 150]
    reader = TileReader(log.folder, 150)
    for first, second in ((heads[0], heads[1]), (heads[1], heads[2])):
        proof = consistency_proof(first.size, second.size, reader.hash_at)
        verify_consistency(first.size, second.size, proof, first.root, second.root)


async def test_the_database_keeps_one_root_per_size_and_no_change(log: Log) -> None:
    await log.add(*leaves(0, 5))
    head = await log.publish()
    assert head is not None
    other = Checkpoint(head.origin, head.size, bytes(32))
    with pytest.raises(LogBroken, match="size 5 was signed with another root"):
        await log.announcer.keep(other, b"note")
    for sql in ("UPDATE checkpoint SET root = note", "DELETE FROM checkpoint", "TRUNCATE checkpoint, cosignature"):
        with pytest.raises(Exception, match="append-only"):
            async with log.db.transaction() as conn:
                await conn.execute(sql)


async def test_notes_of_others_on_the_topic_neither_stop_nor_mislead(log: Log) -> None:
    await log.add(*leaves(0, 20))
    await log.publish()
    await log.announce()
    stranger = Signer(log.signer.name, bytes(reversed(range(32))))
    forged = stranger.sign(Checkpoint(stranger.name, 10_000, bytes(32)).text()).encode()
    async with AIOKafkaProducer(bootstrap_servers=log.kafka) as producer:
        for value in (forged, b"\xff rubbish", b""):
            await producer.send_and_wait(CHECKPOINTS_TOPIC.name, value, partition=0)
    log.start()
    await log.add(*leaves(20, 20))
    head = await log.publish()
    assert head is not None
    assert head.size == 40


async def test_two_roots_for_a_size_on_the_topic_stop_the_log(log: Log) -> None:
    await log.add(*leaves(0, 20))
    await log.publish()
    await log.announce()
    twin = log.signer.sign(Checkpoint(log.signer.name, 20, bytes(32)).text()).encode()
    async with AIOKafkaProducer(bootstrap_servers=log.kafka) as producer:
        await producer.send_and_wait(CHECKPOINTS_TOPIC.name, twin, partition=0)
    log.start()
    await log.add(b"more")
    with pytest.raises(LogBroken, match="two roots for size 20"):
        await log.publish()

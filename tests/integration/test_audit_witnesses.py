"""The log and its witnesses on the real pair: quorum, witnesses away, rollbacks that only witnesses remember."""

import shutil
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from salur.audit import main as audit_main
from salur.audit import store
from salur.audit.announcer import Announcer
from salur.audit.log.errors import LogBroken, QuorumMissing
from salur.audit.log.keys import LogKeys
from salur.audit.log.note import Checkpoint, Note, Signer, open_checkpoint
from salur.audit.log.policy import Policy
from salur.audit.publisher import Publisher
from salur.audit.store import Entry
from salur.audit.witness import Witness, serve
from salur.audit.witnesses import TIMEOUT_S, Witnesses
from salur.common.database import Database, migrate
from salur.common.events.security import KafkaAddress
from salur.common.values import new_id
from support.pair import Addresses

pytestmark = pytest.mark.integration
MIGRATIONS = Path(audit_main.__file__).parent / "migrations"


class Board:
    """A witness that can go away and come back at its address."""

    def __init__(self, folder: Path, name: str, log: Signer) -> None:
        self.witness = Witness(folder, name, [log.verifier])
        self.port = 0
        self.server: ThreadingHTTPServer | None = None
        self.come()

    def come(self) -> None:
        self.server = serve(self.witness, "127.0.0.1", self.port)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def go(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


class Log:
    """A log with two witnesses; its process can be started again."""

    def __init__(self, db: Database, folder: Path, kafka: str) -> None:
        self.db, self.folder, self.kafka = db, folder / "log", kafka
        self.signer = Signer(f"test.{new_id()}", bytes(range(32)))
        self.boards = [Board(folder / name, name, self.signer) for name in ("one", "two")]
        lines = [
            f"witness {b.witness.signer.name} {b.witness.signer.verifier} http://127.0.0.1:{b.port}"
            for b in self.boards
        ]
        rule = "group both all one two\nquorum both"
        self.policy = Policy.parse("\n".join([f"log {self.signer.verifier}", *lines, rule, ""]))
        self.start()

    def start(self) -> None:
        def opened(note: str) -> Checkpoint:
            return open_checkpoint(note, self.signer.verifier)

        self.announcer = Announcer(self.db, KafkaAddress(self.kafka), self.signer.name, opened)
        witnesses = Witnesses(self.db, self.policy, [self.signer.verifier])

        async def heads() -> list[Checkpoint]:
            return [*await self.announcer.heads(), *await witnesses.heads()]

        if hasattr(self, "publisher"):
            self.publisher.close()
        self.publisher: Publisher = Publisher(
            self.db, self.folder, LogKeys((self.signer,)), 10.0, self.announcer.keep, heads, witnesses.cosign
        )

    async def add(self, count: int, kind: str = "leaf") -> None:
        async with self.db.transaction() as conn:
            first = await store.lock_size(conn)
            rows = [
                Entry(n, f"{kind} {n}".encode(), "t", 0, n, None, None, None, None, None, None)
                for n in range(first, first + count)
            ]
            await store.insert_entries(conn, rows)

    def cosigners(self) -> tuple[str, ...]:
        return self.policy.cosigners(Note.parse(self.publisher.note()))


@pytest.fixture
async def log(db: Database, database_url: str, pair: Addresses, topics: None, tmp_path: Path) -> AsyncIterator[Log]:
    migrate(database_url, [MIGRATIONS])
    log = Log(db, tmp_path, pair.kafka)
    yield log
    for board in log.boards:
        board.go()
        board.witness.close()


@pytest.fixture
def away(log: Log) -> Iterator[Board]:
    """The second witness, not answering."""
    log.boards[1].go()
    yield log.boards[1]


async def test_every_published_head_has_its_quorum(log: Log) -> None:
    for size in (300, 301, 900):
        await log.add(size - (await current(log)))
        head = await log.publisher.publish_all()
        assert head is not None
        assert head.size == size
        assert log.policy.open(log.publisher.note()) == head


async def current(log: Log) -> int:
    async with log.db.connection() as conn:
        return await store.size(conn)


async def test_a_restart_asks_no_size_twice_and_goes_on(log: Log) -> None:
    await log.add(10)
    await log.publisher.publish_all()
    log.start()
    await log.publisher.publish_all()
    await log.add(5)
    head = await log.publisher.publish_all()
    assert log.policy.open(log.publisher.note()) == head


async def test_a_head_without_quorum_is_published_and_shown_as_such_until_the_witness_is_back(
    log: Log, away: Board
) -> None:
    await log.add(10)
    head = await log.publisher.publish_all()
    assert log.cosigners() == ("one",)
    with pytest.raises(QuorumMissing, match="cosigned by one"):
        log.policy.open(log.publisher.note())
    assert open_checkpoint(log.publisher.note(), log.signer.verifier) == head
    await log.announcer.announce(head)
    away.come()
    assert await log.publisher.publish_all() == head
    assert log.policy.open(log.publisher.note()) == head
    assert log.publisher.note().count("— one ") == 1


async def test_what_is_announced_carries_the_cosignatures(log: Log) -> None:
    await log.add(10)
    head = await log.publisher.publish_all()
    async with log.db.connection() as conn:
        (row,) = await store.queries.unannounced(conn, most_size=10, most=10)
    assert row["note"].decode() == log.publisher.note()
    assert await log.announcer.announce(head) is False


async def restored(log: Log, keep: int) -> None:
    """Database and folder from an older backup, before anything reached Kafka: only the witnesses know better."""
    async with log.db.connection() as conn:
        await conn.execute("SET session_replication_role = replica")  # past the append-only triggers
        await conn.execute("TRUNCATE checkpoint, cosignature")
        await conn.execute("DELETE FROM entry WHERE leaf_index >= $1", keep)
        await conn.execute("UPDATE log_state SET size = $1", keep)
        await conn.execute("RESET session_replication_role")
    shutil.rmtree(log.folder)
    log.start()


async def test_a_rollback_that_only_the_witnesses_remember_signs_nothing(log: Log) -> None:
    await log.add(500)
    await log.publisher.publish_all()
    await restored(log, 400)
    with pytest.raises(LogBroken, match="500 entries were signed, the database holds 400"):
        await log.publisher.publish_all()
    assert log.publisher.note() == ""


async def test_a_rewritten_log_is_refused_by_what_the_witnesses_hold(log: Log) -> None:
    await log.add(500)
    await log.publisher.publish_all()
    await restored(log, 400)
    await log.add(200, "other")
    with pytest.raises(LogBroken, match="size 500 was signed with another root"):
        await log.publisher.publish_all()


async def test_a_witness_that_another_history_was_shown_to_gives_no_signature(log: Log) -> None:
    """A fork signed with the stolen key: the honest log goes on without that witness's signature, and says so."""
    fork = log.signer.sign(Checkpoint(log.signer.name, 5, bytes(32)).text())
    assert log.boards[0].witness.add_checkpoint(f"old 0\n\n{fork}".encode()).status == 200
    await log.add(10)
    with pytest.raises(LogBroken, match="size 5 was signed with another root"):
        await log.publisher.publish_all()


async def test_a_witness_that_hangs_delays_a_head_by_no_more_than_its_time(log: Log, away: Board) -> None:
    with socket.create_server(("127.0.0.1", away.port)):  # takes connections, answers nothing
        await log.add(10)
        began = time.monotonic()
        await log.publisher.publish_all()
        waited = time.monotonic() - began
    assert log.cosigners() == ("one",)
    assert waited < 4 * TIMEOUT_S  # once for its head at the start, once for the signature

"""Signed tree heads on `audit.checkpoints`: each one once it is durable, in order of size; and what stands there.

A head is kept in the database before anybody sees it, so that a size has one root for ever and nothing signed is
forgotten while Kafka is away. Kafka holds the same heads outside the audit's reach: before the first signature of a run
the log must hold all of them.
"""

from collections.abc import Callable, Sequence

from salur.audit import store
from salur.audit.log.errors import LogBroken, LogError
from salur.audit.log.note import Checkpoint
from salur.common.contracts.topics import CHECKPOINTS_TOPIC
from salur.common.database import Database
from salur.common.events.plain import read_back, send_plain
from salur.common.events.security import KafkaAddress
from salur.common.logs import get_logger

log = get_logger("announcer")

BATCH = 100


class Announcer:
    """Keeps heads and takes them to Kafka. `open_note` reads a note and raises LogError when it is not ours."""

    def __init__(self, db: Database, kafka: KafkaAddress, origin: str, open_note: Callable[[str], Checkpoint]) -> None:
        self._db = db
        self._kafka = kafka
        self._key = origin.encode()
        self._open_note = open_note

    async def keep(self, head: Checkpoint, note: bytes) -> None:
        """Write down what is about to be shown. Raises LogBroken when this size was signed with another root."""
        async with self._db.transaction() as conn:
            await store.queries.keep_checkpoint(conn, size=head.size, root=head.root, note=note)
            kept = await store.queries.kept_root(conn, size=head.size)
        if kept != head.root:
            raise LogBroken(f"size {head.size} was signed with another root: the rows were changed, do not sign")

    async def heads(self) -> Sequence[Checkpoint]:
        """The newest heads that others may have from us: the kept one and the one on Kafka.

        Raises ConnectionError when Kafka does not answer, LogBroken when it holds two roots for a size.
        """
        async with self._db.connection() as conn:
            row = await store.queries.newest_checkpoint(conn)
        kept = [Checkpoint(self._key.decode(), row["size"], row["root"])] if row else []
        announced = await self._last_announced()
        return [*kept, *([announced] if announced else [])]

    async def announce(self, published: Checkpoint | None) -> bool:
        """Send what is kept, up to the published size. True = there is more. Raises ConnectionError."""
        if published is None:
            return False
        async with self._db.transaction() as conn:
            # One process at a time, so that no older head follows a newer one.
            if not await store.queries.take_announcer_turn(conn):
                return False
            rows = await store.queries.unannounced(conn, most_size=published.size, most=BATCH)
            if rows:
                notes = [row["note"] for row in rows]
                await send_plain(self._kafka, CHECKPOINTS_TOPIC.name, self._key, notes)
                await store.queries.mark_announced(conn, sizes=[row["size"] for row in rows])
        return len(rows) == BATCH

    async def _last_announced(self) -> Checkpoint | None:
        """The largest head of ours in the last part of the topic that holds one."""
        async with read_back(self._kafka, CHECKPOINTS_TOPIC.name) as windows:
            async for notes in windows:
                if found := self._ours(notes):
                    return found[max(found)]
        return None

    def _ours(self, notes: Sequence[bytes]) -> dict[int, Checkpoint]:
        """Heads by size. Notes of others are left alone: who may write here is Kafka's to say."""
        found: dict[int, Checkpoint] = {}
        foreign = 0
        for note in notes:
            try:
                head = self._open_note(note.decode())
            except (LogError, UnicodeDecodeError):
                foreign += 1
                continue
            if found.setdefault(head.size, head).root != head.root:
                raise LogBroken(f"{CHECKPOINTS_TOPIC.name} holds two roots for size {head.size}: find out who signed")
        if foreign:
            log.error("foreign-checkpoints", records=foreign, remedy="find out who else writes on audit.checkpoints")
        return found

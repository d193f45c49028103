"""Rows to tiles to checkpoint: integrate what is committed, publish only when the tree grew, never fork.

At start the writer goes on from the last checkpoint's size; files beyond it are written again, byte for byte the same,
because they derive from the rows. A checkpoint that the rows do not lead to stops the publisher.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from salur.audit import store
from salur.audit.log.completeness import statement
from salur.audit.log.errors import LogBroken
from salur.audit.log.keys import LogKeys
from salur.audit.log.note import Checkpoint, open_checkpoint
from salur.audit.log.tiles import LogWriter, TileReader, sync_folder, write_durably
from salur.audit.log.tree import range_root
from salur.common.database import Database
from salur.common.errors import Conflict, Unavailable
from salur.common.logs import get_logger

log = get_logger("publisher")

CHUNK = 20_000
"""Leaves read into memory at a time."""
OWNER_FILE = ".owner"
"""Locked by the one process that writes the log's files."""


Cosign = Callable[[Checkpoint, str, TileReader], Awaitable[Sequence[str]]]
"""Asks the witnesses about a head and its note; returns their signature lines, kept."""


class Publisher:
    """The one writer of the log's files: a file lock keeps other processes out, `_lock` those who grow the tiles apart,
    `_publishing` those who sign. Tiles grow while witnesses are asked: what a head covers does not change.

    A process that is paused keeps the files, so that it can't come back and write over its successor; one that died has
    lost them.
    """

    def __init__(
        self,
        db: Database,
        folder: Path,
        keys: LogKeys,
        publish_interval_s: float,
        keep: Callable[[Checkpoint, bytes], Awaitable[None]],
        outside_heads: Callable[[], Awaitable[Sequence[Checkpoint]]],
        cosign: Cosign | None = None,
    ) -> None:
        """`keep`: write a head down before it is seen. `outside_heads`: what others may have from us, asked once.
        `cosign`: ask the witnesses. `integrated`: entries in durable tiles."""
        self._db = db
        self.folder = folder
        self.keys = keys
        self._interval_s = publish_interval_s
        self._keep = keep
        self._outside_heads: Callable[[], Awaitable[Sequence[Checkpoint]]] | None = outside_heads
        self._cosign = cosign
        self._lock = asyncio.Lock()
        self._publishing = asyncio.Lock()
        self._writer: LogWriter | None = None
        self.integrated = 0
        self._published_at = 0.0
        self._owned: int | None = None

    def _owns(self) -> bool:
        if self._owned is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / OWNER_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return False
            self._owned = handle
        return True

    def close(self) -> None:
        """Let another process own the log, as the end of this one does."""
        if self._owned is not None:
            os.close(self._owned)
            self._owned = None

    def published(self) -> Checkpoint | None:
        """The checkpoint on disk. Raises LogError when it is not ours."""
        note = self.note()
        return open_checkpoint(note, *self.keys.verifiers) if note else None

    def note(self) -> str:
        """The checkpoint on disk with every signature, or nothing."""
        path = self.folder / "checkpoint"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    async def step(self) -> bool:
        """Integrate what is new. Nothing while another process owns the log."""
        return await self.integrate() if self._owns() else False

    async def publish_due(self) -> bool:
        """Publish when the interval has passed and something was integrated. Returns False (see Worker)."""
        if self.integrated and time.monotonic() - self._published_at >= self._interval_s and self._owns():
            await self.publish()
        return False

    async def integrate(self) -> bool:
        """Write tiles of at most one chunk. True = there is more."""
        async with self._lock:
            writer = await self._open()
            async with self._db.connection() as conn:
                size = await store.size(conn)
                end = min(size, writer.size + CHUNK)
                leaves = await store.leaves(conn, writer.size, end)
            if leaves:
                # A writer that failed half way must not go on: the next step opens again from the checkpoint.
                self._writer = None
                await asyncio.to_thread(writer.append, leaves)
                self._writer, self.integrated = writer, writer.size
            return size > end

    async def publish(self) -> Checkpoint | None:
        """Sign the integrated tree if it grew. What the checkpoint covers is durable before it is seen."""
        async with self._publishing:
            async with self._lock:
                writer = await self._open()
                size, root = writer.size, await asyncio.to_thread(writer.root)
            last = self.published()
            self._published_at = time.monotonic()
            if size == 0 or (last is not None and last.size >= size):
                if last is not None:
                    await self._ask_again(last)
                return last
            if not await self._holds_what_was_signed(size):
                return last
            head = Checkpoint(self.keys.name, size, root)
            note = self.keys.sign(head.text())
            await self._keep(head, note.encode())
            lines = await self._cosign(head, note, TileReader(self.folder, head.size)) if self._cosign else ()
            self._show(note + "".join(lines))
            log.info("published", size=head.size, root=head.root.hex()[:16], cosignatures=len(lines))
            return head

    async def _ask_again(self, head: Checkpoint) -> None:
        """Add the signatures of witnesses that were away when this head was published."""
        if self._cosign is None:
            return
        shown = self.note()
        own = self._own(shown)
        lines = await self._cosign(head, own, TileReader(self.folder, head.size))
        if (note := own + "".join(lines)) != shown:
            self._show(note)

    def _own(self, note: str) -> str:
        """The note without what witnesses added."""
        text, _, lines = note.rpartition("\n\n")
        own = [line for line in lines.splitlines(keepends=True) if line.startswith(f"— {self.keys.name} ")]
        return f"{text}\n\n" + "".join(own)

    def _show(self, note: str) -> None:
        for folder in write_durably(self.folder / "checkpoint", note.encode()):
            sync_folder(folder)

    async def completeness(self) -> str:
        """The signed statement about the streams of the published tree, kept beside it. Raises Unavailable,
        Conflict."""
        self._must_own()
        async with self._publishing:
            head = self.published()
            if head is None:
                raise Conflict("nothing is published yet: try again", code="not-published", retry_after_s=10)
            async with self._db.connection() as conn:
                rows = await store.queries.stream_heads(conn, size=head.size)
            note = self.keys.sign(statement(head, {row["stream"]: (row["last"], row["held"]) for row in rows}))
            for folder in write_durably(self.folder / "completeness", note.encode()):
                sync_folder(folder)
        return note

    def _must_own(self) -> None:
        if not self._owns():
            raise Unavailable(
                "another process writes the log's files: ask again, or stop it", code="log-owned", retry_after_s=2
            )

    async def publish_all(self) -> Checkpoint | None:
        """Integrate everything committed and publish it now. Raises Unavailable while another process owns the log."""
        self._must_own()
        while await self.integrate():
            pass
        return await self.publish()

    async def _holds_what_was_signed(self, size: int) -> bool:
        """Before the first signature of a run: the log must hold all that others may have from us.

        False while tiles are still being made again from the rows. Raises LogBroken when rows are missing or others.
        """
        if self._outside_heads is None:
            return True
        for head in await self._outside_heads():
            if head.size > size:
                async with self._db.connection() as conn:
                    rows = await store.size(conn)
                if head.size > rows:
                    raise LogBroken(
                        f"{head.size} entries were signed, the database holds {rows}: restore a newer backup", rows
                    )
                return False
            if range_root(0, head.size, TileReader(self.folder, size).hash_at) != head.root:
                raise LogBroken(f"size {head.size} was signed with another root: the rows were changed, do not sign")
        self._outside_heads = None
        return True

    async def _open(self) -> LogWriter:
        if self._writer is not None:
            return self._writer
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log.pub").write_text("".join(f"{key}\n" for key in self.keys.verifiers), encoding="utf-8")
        if self.keys.handovers:
            (self.folder / "log.handovers").write_text(self.keys.handovers, encoding="utf-8")
        last = self.published()
        size = last.size if last else 0
        async with self._db.connection() as conn:
            rows = await store.size(conn)
        if last is not None:
            if rows < size:
                raise LogBroken(
                    f"the database holds {rows} entries, {size} are published: restore a newer backup", rows
                )
            if TileReader(self.folder, size).root() != last.root:
                raise LogBroken(f"the tiles do not lead to the checkpoint of size {size}: rebuild them from the rows")
            await self._keep(last, self._own(self.note()).encode())
        self._writer, self.integrated = LogWriter(self.folder, size), size
        return self._writer

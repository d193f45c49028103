"""The local carrier: messages as lines of a file that a gateway or a person takes up. It holds personal values."""

import asyncio
import fcntl
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from salur.registry.usecases.send_notices import Message

MODE = 0o600


class LocalOutbox:
    """Appends to `messages.jsonl`, durable before it returns. A repeated message has the same id."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "outbox" / "messages.jsonl"

    async def carry(self, messages: Sequence[Message]) -> None:
        lines = b"".join(orjson.dumps(message._asdict()) + b"\n" for message in messages)
        await asyncio.to_thread(self._append, lines)

    async def carried(self) -> list[str]:
        return await asyncio.to_thread(lambda: [message_id for message_id, _ in self._lines()])

    async def forget(self, ids: Collection[str]) -> None:
        await asyncio.to_thread(self._rewrite_without, frozenset(ids))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process writes meanwhile."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.path.with_name(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _append(self, lines: bytes) -> None:
        with self._alone():
            self._write(self.path, os.O_APPEND, [lines])

    def _lines(self) -> Iterator[tuple[str, bytes]]:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for line in file:
                yield orjson.loads(line)["message_id"], line

    def _rewrite_without(self, ids: frozenset[str]) -> None:
        beside = self.path.with_name(self.path.name + ".new")
        with self._alone():
            self._write(beside, os.O_TRUNC, (line for message_id, line in self._lines() if message_id not in ids))
            beside.replace(self.path)

    def _write(self, path: Path, how: int, lines: Iterable[bytes]) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how, MODE)
        with os.fdopen(descriptor, "ab") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())

"""The local carrier: messages as lines of a file that a gateway or a person takes up. It holds personal values."""

import asyncio
import os
from collections.abc import Sequence
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

    def _append(self, lines: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, MODE)
        with os.fdopen(descriptor, "ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())

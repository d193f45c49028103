"""Where the content of an import waits until its rows are taken: durable, private, removed afterwards."""

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import BinaryIO

from salur.common.errors import TooLarge
from salur.registry.sheets import is_sheet, to_csv

WRITE_SIZE = 1024 * 1024
SUFFIX = ".csv"


def spool_path(state_dir: Path, import_id: str) -> Path:
    """The file of an import. Several processes of the registry need one shared folder."""
    return state_dir / "spool" / f"{import_id}{SUFFIX}"


class Incoming:
    """Content on its way in, in a file of its own: two senders of one import never mix."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_suffix(f".{secrets.token_hex(8)}.part")
        self._digest = hashlib.sha256()

    async def receive(self, chunks: AsyncIterator[bytes], size: int) -> str:
        """Write everything and fsync; returns its SHA-256 as hex. Raises TooLarge past `size` bytes."""
        file = await asyncio.to_thread(self._create)
        received, waiting = 0, bytearray()
        try:
            async for chunk in chunks:
                received += len(chunk)
                if received > size:
                    raise TooLarge(f"more than the {size} bytes announced: send the file announced", code="too-large",
                                   who="caller")  # fmt: skip
                waiting += chunk
                if len(waiting) >= WRITE_SIZE:
                    await asyncio.to_thread(self._write, file, bytes(waiting))
                    waiting.clear()
            await asyncio.to_thread(self._finish, file, bytes(waiting))
        finally:
            file.close()
        return self._digest.hexdigest()

    def unpack(self) -> None:
        """Of a spreadsheet its first sheet, as durable as what was received. Raises SheetInvalid."""
        if not is_sheet(self._part):
            return
        lines = self._part.with_suffix(".sheet")
        try:
            os.close(os.open(lines, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
            to_csv(self._part, lines)
            with lines.open("rb") as file:
                os.fsync(file.fileno())
            lines.rename(self._part)
        finally:
            lines.unlink(missing_ok=True)

    def keep(self) -> None:
        """The content is what was announced: it takes its place, durably."""
        self._part.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self) -> None:
        """Remove what was not kept."""
        self._part.unlink(missing_ok=True)

    def _create(self) -> BinaryIO:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.fdopen(os.open(self._part, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb")

    def _write(self, file: BinaryIO, data: bytes) -> None:
        self._digest.update(data)
        file.write(data)

    def _finish(self, file: BinaryIO, data: bytes) -> None:
        self._write(file, data)
        file.flush()
        os.fsync(file.fileno())


def spooled_ids(state_dir: Path) -> list[str]:
    """Imports whose content rests here."""
    folder = state_dir / "spool"
    return sorted(path.stem for path in folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []


def remove(state_dir: Path, import_ids: Iterable[str]) -> None:
    """Forget content nobody needs any more: it holds personal data in clear."""
    for import_id in import_ids:
        spool_path(state_dir, import_id).unlink(missing_ok=True)

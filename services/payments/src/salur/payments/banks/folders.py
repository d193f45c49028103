"""A bank's folder, shaped as an SFTP account: `outbox` (the bank takes), `inbox` (the bank puts), `archive`, `refused`.

A file gets its name only when it is whole. What a bank puts is copied before it is read, so that nobody can change it
between the check and its effect.
"""

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

FILE_MAX_SIZE = 512 * 1024 * 1024
CHUNK = 1 << 20
UNFINISHED = (".part", ".tmp", ".filepart")


class FileGone(Exception):
    """The file is not there any more, is no regular file, or grew over the limit while it was copied."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A copy that nobody else writes. `original` is the bank's file, `path` the copy."""

    original: Path
    path: Path
    sha256: str
    size: int


class BankFolder:
    """One bank's folder. Made on first use; only the service and the bank's account may read it."""

    def __init__(self, root: Path, bank: str) -> None:
        self.root = root / bank
        self.outbox, self.inbox = self.root / "outbox", self.root / "inbox"
        self.archive, self.refused, self._work = self.root / "archive", self.root / "refused", self.root / ".work"
        for folder in (self.outbox, self.inbox, self.archive, self.refused, self._work):
            folder.mkdir(mode=0o770, parents=True, exist_ok=True)

    def waiting(self, quiet_s: float) -> list[Path]:
        """Whole files in the inbox, oldest first: neither hidden nor half written nor changed a moment ago."""
        found = []
        for entry in os.scandir(self.inbox):
            if entry.name.startswith(".") or entry.name.endswith(UNFINISHED):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime >= quiet_s:
                found.append((status.st_mtime_ns, entry.name))
        return [self.inbox / name for _, name in sorted(found)]

    def claim(self, path: Path) -> Claimed:
        """Copy a file out of the inbox. Raises FileGone, OSError."""
        partial = self._work / f"{os.getpid()}.part"
        hasher, size = hashlib.sha256(), 0
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise FileGone(path.name) from None
        with os.fdopen(handle, "rb") as source, partial.open("wb") as target:
            while chunk := source.read(CHUNK):
                size += len(chunk)
                if size > FILE_MAX_SIZE:
                    break
                hasher.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        sha256 = hasher.hexdigest()
        copy = self._work / sha256
        partial.replace(copy)
        return Claimed(path, copy, sha256, size)

    def keep(self, claimed: Claimed) -> None:
        """The file has had its effect: to the archive."""
        self._put_away(claimed, self.archive)

    def refuse(self, claimed: Claimed, code: str, why: str) -> None:
        """The file has had no effect: beside it the bank finds why."""
        target = self._put_away(claimed, self.refused)
        reason = {"code": code, "why": why, "who_must_act": "bank", "sha256": claimed.sha256}
        _write_whole(target.with_name(f"{target.name}.reason.json"), lambda file: _json(file, reason))

    def _put_away(self, claimed: Claimed, folder: Path) -> Path:
        name = re.sub(r"[^A-Za-z0-9._-]", "_", claimed.original.name)[-120:]
        target = folder / f"{claimed.sha256[:16]}-{name}"
        claimed.path.replace(target)
        _sync(folder)
        claimed.original.unlink(missing_ok=True)
        return target

    def put(self, name: str, write: Callable[[IO[bytes]], None]) -> str:
        """Write a file into the outbox; it appears there whole or not at all. Returns its SHA-256."""
        return _write_whole(self.outbox / name, write)


def _write_whole(path: Path, write: Callable[[IO[bytes]], None]) -> str:
    partial = path.with_name(f".{path.name}.part")
    with partial.open("w+b") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    partial.replace(path)
    _sync(path.parent)
    return sha256


def _json(file: IO[bytes], document: dict[str, str]) -> None:
    file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""The few operations on files that durability rests on, in one place so that a test can stop between any two."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

OPEN_FILES = 256
"""Files written before they are flushed and renamed together: one journal commit serves many."""


class Disk:
    """Plain files of the operating system."""

    def make_folder(self, path: Path) -> None:
        """Create one folder; its parent exists."""
        path.mkdir(exist_ok=True)

    def write(self, path: Path, data: bytes) -> int:
        """Write a whole file and leave it open; returns the handle for `flush`. Nothing is durable yet."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(handle, view) :]
        except BaseException:
            os.close(handle)
            raise
        return handle

    def flush(self, handle: int) -> None:
        """Make the content durable. Raises OSError: then the file must not be renamed."""
        os.fsync(handle)

    def close(self, handle: int) -> None:
        """Give the handle back."""
        os.close(handle)

    def rename(self, source: Path, target: Path) -> None:
        """Put a file in place at once; durable only after `sync_folder`."""
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove_folder(self, folder: Path) -> None:
        """Remove a folder and what it holds, if it exists."""
        shutil.rmtree(folder, ignore_errors=True)


DISK = Disk()


def place(files: Sequence[tuple[Path, bytes]], disk: Disk = DISK) -> set[Path]:
    """Write files beside their places, flush, rename. Returns the folders the caller must sync.

    Until they are synced a power cut may undo any of the renames, but never show half a file.
    """
    changed: set[Path] = set()
    for at in range(0, len(files), OPEN_FILES):
        part = files[at : at + OPEN_FILES]
        for path, _ in part:
            _make_folders(path.parent, disk, changed)
        _write_part(part, disk)
        changed.update(path.parent for path, _ in part)
    return changed


def _write_part(part: Sequence[tuple[Path, bytes]], disk: Disk) -> None:
    handles: list[int] = []
    try:
        for path, data in part:
            handles.append(disk.write(_beside(path), data))
        for handle in handles:
            disk.flush(handle)
    finally:
        for handle in handles:
            disk.close(handle)
    for path, _ in part:
        disk.rename(_beside(path), path)


def _make_folders(folder: Path, disk: Disk, changed: set[Path]) -> None:
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        disk.make_folder(new)
        changed.add(new.parent)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".new")

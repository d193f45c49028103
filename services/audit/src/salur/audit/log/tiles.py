"""Tiles on disk. Source: C2SP tlog-tiles v0.1.

A tile of level L holds up to 256 hashes of complete subtrees of height 8·L; an entry bundle up to 256 leaves with a
16-bit length each. Full tiles never change. Order of writing: bundles, tiles, then (by the caller) the checkpoint, so
that what a checkpoint covers is durable before it is seen.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from salur.audit.log.errors import LogBroken
from salur.audit.log.tree import HASH_SIZE, leaf_hash, node_hash, range_root

WIDTH = 256
HEIGHT = 8
MAX_ENTRY_SIZE = 65_535


def tile_path(level: str, number: int, width: int = WIDTH) -> str:
    """`tile/<L>/<N>[.p/<W>]`; N in groups of three digits, all but the last with an x."""
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        groups.append(f"x{number % 1000:03d}")
    path = f"tile/{level}/{'/'.join(reversed(groups))}"
    return path if width == WIDTH else f"{path}.p/{width}"


def pack_entries(leaves: Sequence[bytes]) -> bytes:
    """An entry bundle. Raises ValueError for a leaf over 65,535 bytes."""
    if any(len(leaf) > MAX_ENTRY_SIZE for leaf in leaves):
        raise ValueError(f"a leaf over {MAX_ENTRY_SIZE} bytes")
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def unpack_entries(data: bytes, count: int, name: str, first: int) -> list[bytes]:
    """The leaves of a bundle. Raises LogBroken naming the first leaf that is not whole."""
    leaves, at = [], 0
    for number in range(count):
        size = int.from_bytes(data[at : at + 2], "big")
        leaf = data[at + 2 : at + 2 + size]
        if at + 2 > len(data) or len(leaf) != size:
            raise LogBroken(f"{name} ends within an entry", first + number)
        leaves.append(leaf)
        at += 2 + size
    if at != len(data):
        raise LogBroken(f"{name} has bytes behind its last entry", first + count)
    return leaves


class TileReader:
    """Reads hashes and entries of a tree of `size` from files; tiles are kept in memory."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self._tiles: dict[tuple[int, int], bytes] = {}

    def tile(self, level: int, number: int) -> bytes:
        """The hashes of a tile as one byte string. Raises LogBroken when missing or of the wrong length."""
        key = (level, number)
        if key not in self._tiles:
            width = min(WIDTH, (self.size >> (HEIGHT * level)) - number * WIDTH)
            data = self._read(str(level), number, width)
            if len(data) != width * HASH_SIZE:
                raise LogBroken(
                    f"{tile_path(str(level), number, width)} has {len(data)} bytes instead of {width * HASH_SIZE}",
                    (number * WIDTH + len(data) // HASH_SIZE) << (HEIGHT * level),
                )
            self._tiles[key] = data
        return self._tiles[key]

    def entries(self, number: int) -> list[bytes]:
        """The leaves of bundle `number`. Raises LogBroken."""
        width = min(WIDTH, self.size - number * WIDTH)
        name = tile_path("entries", number, width)
        return unpack_entries(self._read("entries", number, width), width, name, number * WIDTH)

    def _read(self, level: str, number: int, width: int) -> bytes:
        name = tile_path(level, number, width)
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            first = number * WIDTH if level == "entries" else (number * WIDTH) << (HEIGHT * int(level))
            raise LogBroken(f"{name} is missing", first) from None

    def hash_at(self, level: int, number: int) -> bytes:
        """The hash of the complete subtree (level, number), from the tile that holds its row."""
        tile_level, up = divmod(level, HEIGHT)
        first, count = number << up, 1 << up
        tile, offset = divmod(first, WIDTH)
        data = self.tile(tile_level, tile)
        row = [data[i * HASH_SIZE : (i + 1) * HASH_SIZE] for i in range(offset, offset + count)]
        while len(row) > 1:
            row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
        return row[0]

    def root(self) -> bytes:
        """The root of the tree."""
        return range_root(0, self.size, self.hash_at)


class LogWriter:
    """Appends leaves to the tiles of a folder. One writer at a time (the caller holds a lock)."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self._rows: list[bytes] = []
        self._bundle: list[bytes] = []
        self._dirty: set[Path] = set()
        self._load()

    def _load(self) -> None:
        reader = TileReader(self.folder, self.size)
        level = 0
        while self.size >> (HEIGHT * level):
            width = (self.size >> (HEIGHT * level)) % WIDTH
            number = (self.size >> (HEIGHT * level)) // WIDTH
            self._rows.append(reader.tile(level, number) if width else b"")
            level += 1
        if self.size % WIDTH:
            self._bundle = reader.entries(self.size // WIDTH)

    def append(self, leaves: Iterable[bytes]) -> None:
        """Write the files of the grown tree durably. Visible to readers only when a checkpoint covers them."""
        for leaf in leaves:
            self._bundle.append(leaf)
            self._push(0, leaf_hash(leaf))
            self.size += 1
            if len(self._bundle) == WIDTH:
                self._write("entries", self.size // WIDTH - 1, WIDTH, pack_entries(self._bundle))
                self._bundle = []
        if self._bundle:
            self._write("entries", self.size // WIDTH, len(self._bundle), pack_entries(self._bundle))
        for level, row in enumerate(self._rows):
            if row:
                number = (self.size >> (HEIGHT * level)) // WIDTH
                self._write(str(level), number, len(row) // HASH_SIZE, row)
        self._sync_folders()

    def _push(self, level: int, value: bytes) -> None:
        if level == len(self._rows):
            self._rows.append(b"")
        row = self._rows[level] + value
        if len(row) < WIDTH * HASH_SIZE:
            self._rows[level] = row
            return
        number = ((self.size + 1) >> (HEIGHT * level)) // WIDTH - 1
        self._write(str(level), number, WIDTH, row)
        self._rows[level] = b""
        hashes = [row[i : i + HASH_SIZE] for i in range(0, len(row), HASH_SIZE)]
        while len(hashes) > 1:
            hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
        self._push(level + 1, hashes[0])

    def _write(self, level: str, number: int, width: int, data: bytes) -> None:
        path = self.folder / tile_path(level, number, width)
        self._dirty.update(write_durably(path, data))

    def _sync_folders(self) -> None:
        for folder in self._dirty:
            sync_folder(folder)
        self._dirty.clear()

    def root(self) -> bytes:
        """The root of everything appended."""
        return TileReader(self.folder, self.size).root()


def write_durably(path: Path, data: bytes) -> set[Path]:
    """Write beside, fsync, rename. Returns the folders whose entries changed: the caller syncs them."""
    changed = {path.parent}
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        changed.update(path.parents)
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    return {folder for folder in changed if folder.exists()}


def sync_folder(folder: Path) -> None:
    """fsync a folder, so that a rename in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

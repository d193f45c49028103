"""Tiles on disk. Source: C2SP tlog-tiles v0.1.

A tile of level L holds up to 256 hashes of complete subtrees of height 8·L; an entry bundle up to 256 leaves with a
16-bit length each. Full tiles never change. Order of writing: bundles, tiles, then (by the caller) the checkpoint, so
that what a checkpoint covers is durable before it is seen.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from salur.audit.log.disk import DISK, Disk, place
from salur.audit.log.errors import LogBroken
from salur.audit.log.tree import EMPTY_ROOT, HASH_SIZE, leaf_hashes, node_hash, parents, perfect_root, range_root

WIDTH = 256
HEIGHT = 8
TILE_SIZE = WIDTH * HASH_SIZE
MAX_ENTRY_SIZE = 65_535
CACHED_TILES = 2_048
"""Tiles a reader keeps, at most 16 KiB each with the rows above its hashes."""


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
    """Reads hashes and entries of a tree of `size` from files; the tiles last read are kept in memory."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self._rows: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    def tile(self, level: int, number: int) -> bytes:
        """The hashes of a tile as one byte string. Raises LogBroken when missing or of the wrong length."""
        return self._tile_rows(level, number)[0]

    def _tile_rows(self, level: int, number: int) -> list[bytes]:
        """A tile's hashes and, as far as they were needed, the rows above them within the tile."""
        key = (level, number)
        rows = self._rows.get(key)
        if rows is not None:
            return rows
        width = min(WIDTH, (self.size >> (HEIGHT * level)) - number * WIDTH)
        data, whole = self._read(str(level), number, width)
        wanted = TILE_SIZE if whole else width * HASH_SIZE
        if len(data) != wanted:
            short = min(len(data) // HASH_SIZE, width - 1)
            raise LogBroken(
                f"{tile_path(str(level), number, width)} has {len(data)} bytes instead of {wanted}",
                (number * WIDTH + short) << (HEIGHT * level),
            )
        rows = self._rows[key] = [data[: width * HASH_SIZE]]
        if len(self._rows) > CACHED_TILES:
            self._rows.popitem(last=False)
        return rows

    def entries(self, number: int) -> list[bytes]:
        """The leaves of bundle `number`. Raises LogBroken."""
        width = min(WIDTH, self.size - number * WIDTH)
        data, whole = self._read("entries", number, width)
        count = WIDTH if whole else width
        return unpack_entries(data, count, tile_path("entries", number, count), number * WIDTH)[:width]

    def entries_in_part(self, number: int) -> Iterator[bytes]:
        """The leaves of a damaged bundle as far as they can be read."""
        width = min(WIDTH, self.size - number * WIDTH)
        try:
            data, _ = self._read("entries", number, width)
        except LogBroken:
            return
        at = 0
        while at + 2 <= len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            yield data[at + 2 : end]
            at = end

    def leaves(self, first: int, end: int) -> Iterator[bytes]:
        """The leaves [first, end), for rebuilding rows from files. Raises LogBroken, IndexError outside the tree."""
        if not 0 <= first <= end <= self.size:
            raise IndexError(f"leaves {first} to {end} are not all in a tree of {self.size}")
        for number in range(first // WIDTH, (end + WIDTH - 1) // WIDTH):
            start = number * WIDTH
            yield from self.entries(number)[max(0, first - start) : end - start]

    def _read(self, level: str, number: int, width: int) -> tuple[bytes, bool]:
        """A file's bytes, and whether it is the full tile: a partial one may be gone once the full one exists."""
        name = tile_path(level, number, width)
        try:
            return (self.folder / name).read_bytes(), width == WIDTH
        except FileNotFoundError:
            problem = "is missing"
        except OSError as error:
            problem = f"cannot be read ({type(error).__name__})"
        if width < WIDTH and problem == "is missing":
            try:
                return (self.folder / tile_path(level, number)).read_bytes(), True
            except OSError:
                pass
        first = number * WIDTH if level == "entries" else (number * WIDTH) << (HEIGHT * int(level))
        raise LogBroken(f"{name} {problem}", first) from None

    def hash_at(self, level: int, number: int) -> bytes:
        """The hash of the complete subtree (level, number), from the tile that holds its row."""
        up = level % HEIGHT
        tile, offset = divmod(number << up, WIDTH)
        rows = self._tile_rows(level // HEIGHT, tile)
        while len(rows) <= up:
            below = rows[-1]
            rows.append(parents(below[: len(below) // (2 * HASH_SIZE) * 2 * HASH_SIZE]))
        at = (offset >> up) * HASH_SIZE
        return rows[up][at : at + HASH_SIZE]

    def root(self) -> bytes:
        """The root of the tree."""
        return range_root(0, self.size, self.hash_at)


class LogWriter:
    """Appends leaves to the tiles of a folder. One writer at a time (the caller holds a lock).

    The state is what the partial tiles hold, so it is read back from the files of any published size. A failed
    append leaves the writer as it was: the same leaves may be appended again.
    """

    def __init__(self, folder: Path, size: int, disk: Disk = DISK) -> None:
        """Go on from a published `size`. Raises LogBroken when the files of that size are not whole."""
        self.folder = folder
        self.size = size
        self._disk = disk
        self._rows: list[bytes] = []
        self._bundle: list[bytes] = []
        self._load()

    def _load(self) -> None:
        reader = TileReader(self.folder, self.size)
        level = 0
        while count := self.size >> (HEIGHT * level):
            self._rows.append(reader.tile(level, count // WIDTH) if count % WIDTH else b"")
            level += 1
        if self.size % WIDTH:
            number = self.size // WIDTH
            self._bundle = reader.entries(number)
            if b"".join(leaf_hashes(self._bundle)) != self._rows[0]:
                raise LogBroken(
                    f"{tile_path('entries', number, len(self._bundle))} and its tile differ: verify the log",
                    number * WIDTH,
                )

    def append(self, leaves: Iterable[bytes]) -> None:
        """Write the files of the grown tree durably. Visible to readers only when a checkpoint covers them.

        A full tile is never written again: one left by a stopped run must hold the same bytes. Raises ValueError for
        a leaf over 65,535 bytes, LogBroken when such a tile differs, OSError.
        """
        new = list(leaves)
        if not new:
            return
        size = self.size + len(new)
        names: list[tuple[str, int, bytes]] = []
        bundle = self._grow_bundle(new, names)
        rows = self._grow_rows(b"".join(leaf_hashes(new)), names)
        self._place(names, size)
        self.size, self._rows, self._bundle = size, rows, bundle

    def _grow_bundle(self, new: list[bytes], files: list[tuple[str, int, bytes]]) -> list[bytes]:
        bundle, first = self._bundle + new, self.size // WIDTH
        whole = len(bundle) // WIDTH
        for number in range(whole + (len(bundle) % WIDTH > 0)):
            files.append(("entries", first + number, pack_entries(bundle[number * WIDTH : (number + 1) * WIDTH])))
        return bundle[whole * WIDTH :]

    def _grow_rows(self, rising: bytes, files: list[tuple[str, int, bytes]]) -> list[bytes]:
        rows: list[bytes] = []
        while rising or len(rows) < len(self._rows):
            level = len(rows)
            old = self._rows[level] if level < len(self._rows) else b""
            row, first = old + rising, (self.size >> (HEIGHT * level)) // WIDTH
            end = len(row) - len(row) % TILE_SIZE
            tiles = [row[at : at + TILE_SIZE] for at in range(0, end, TILE_SIZE)]
            files.extend((str(level), first + number, tile) for number, tile in enumerate(tiles))
            if row[end:] and rising:
                files.append((str(level), first + len(tiles), row[end:]))
            rows.append(row[end:])
            rising = b"".join([perfect_root(tile) for tile in tiles])
        return rows

    def _place(self, names: list[tuple[str, int, bytes]], size: int) -> None:
        files: list[tuple[Path, bytes]] = []
        outgrown: list[Path] = []
        for level, number, data in names:
            height = 0 if level == "entries" else HEIGHT * int(level)
            width = min(WIDTH, (size >> height) - number * WIDTH)
            path = self.folder / tile_path(level, number, width)
            if not self._stands(path, data, (number * WIDTH) << height):
                files.append((path, data))
            if width == WIDTH:
                outgrown.append(path.with_name(path.name + ".p"))
        # Folders are synced even when every file stood: the run that placed them may have been stopped before.
        folders = place(files, self._disk) | self._folders(names, size)
        for folder in sorted(folders, reverse=True):
            self._disk.sync_folder(folder)
        for folder in outgrown:
            if folder.exists():
                self._disk.remove_folder(folder)

    def _folders(self, names: list[tuple[str, int, bytes]], size: int) -> set[Path]:
        """Every folder from the log's down to the files of this append."""
        folders = {self.folder}
        for level, number, _ in names:
            height = 0 if level == "entries" else HEIGHT * int(level)
            path = self.folder / tile_path(level, number, min(WIDTH, (size >> height) - number * WIDTH))
            for folder in path.parents:
                if folder in folders:
                    break
                folders.add(folder)
        return folders

    def _stands(self, path: Path, data: bytes, first: int) -> bool:
        """Whether the file is there with these bytes. Raises LogBroken when it holds others."""
        try:
            found = path.read_bytes()
        except FileNotFoundError:
            return False
        if found != data:
            name = path.relative_to(self.folder)
            raise LogBroken(
                f"{name} stands with other bytes than the rows give: no checkpoint covers it, "
                "but somebody changed rows or files; find out who before removing it",
                first,
            )
        return True

    def root(self) -> bytes:
        """The root of everything appended."""
        root = b""
        for row in self._rows:
            end = len(row)
            while end:
                width = end // HASH_SIZE
                start = end - (width & -width) * HASH_SIZE
                left = perfect_root(row[start:end])
                root = node_hash(left, root) if root else left
                end = start
        return root or EMPTY_ROOT


def write_durably(path: Path, data: bytes) -> set[Path]:
    """Write beside, fsync, rename. Returns the folders whose names changed: the caller syncs them."""
    return place([(path, data)])


def sync_folder(folder: Path) -> None:
    """fsync a folder, so that a rename in it survives a power cut."""
    DISK.sync_folder(folder)

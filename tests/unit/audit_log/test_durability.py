"""Stops and failures at every file operation: what was published stays whole, and the writer can go on."""

import errno
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from salur.audit.log.disk import Disk, place
from salur.audit.log.errors import LogBroken
from salur.audit.log.note import COSIGNATURE, Checkpoint, Signer, open_checkpoint
from salur.audit.log.policy import Policy
from salur.audit.log.tiles import LogWriter, TileReader, tile_path
from salur.audit.log.verify import verify_log

SIGNER = Signer("audit.salur.example", bytes(range(32)))


class Stop(Exception):
    """The machine stopped here."""


class PowerCut(Disk):
    """Stops before operation `after`, then takes back what was not made durable: names a folder was not synced for,
    and the content of files that were not flushed. Which of it, the seed decides, as a real disk would.
    """

    def __init__(self, after: int, seed: int = 0) -> None:
        self.left = after
        self.random = random.Random(seed)
        self.pending: list[tuple[Path, Callable[[], None]]] = []
        self.handles: dict[int, Path] = {}
        self.unflushed: set[Path] = set()

    def _step(self) -> None:
        if self.left <= 0:
            raise Stop
        self.left -= 1

    def make_folder(self, path: Path) -> None:
        self._step()
        super().make_folder(path)
        self.pending.append((path.parent, lambda: shutil.rmtree(path, ignore_errors=True)))

    def write(self, path: Path, data: bytes) -> int:
        self._step()
        handle = super().write(path, data)
        self.handles[handle] = path
        self.unflushed.add(path)
        return handle

    def flush(self, handle: int) -> None:
        self._step()
        super().flush(handle)
        self.unflushed.discard(self.handles[handle])

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        before = target.read_bytes() if target.exists() else None
        super().rename(source, target)
        if source in self.unflushed:
            self.unflushed.remove(source)
            self.unflushed.add(target)

        def undo() -> None:
            if before is not None:
                target.write_bytes(before)
            else:
                target.unlink(missing_ok=True)

        self.pending.append((target.parent, undo))

    def sync_folder(self, folder: Path) -> None:
        self._step()
        super().sync_folder(folder)
        self.pending = [(where, undo) for where, undo in self.pending if where != folder]

    def remove_folder(self, folder: Path) -> None:
        self._step()
        super().remove_folder(folder)

    def lose(self) -> None:
        """What the power cut took."""
        for path in self.unflushed:
            if path.exists():
                path.write_bytes(path.read_bytes()[: self.random.randrange(10)])
        # Later names may be lost while earlier ones stay, and the other way round.
        for _, undo in self.pending:
            if self.random.random() < 0.7:
                undo()


def event(sequence: int) -> bytes:
    return b'{"stream":"a/0","sequence":%d,"data":"%s"}' % (sequence, b"x" * (sequence % 50))


LEAVES = [event(n + 1) for n in range(700)]


def publish(folder: Path, writer: LogWriter, disk: Disk) -> None:
    note = SIGNER.sign(Checkpoint(SIGNER.name, writer.size, writer.root()).text()).encode()
    for changed in place([(folder / "checkpoint", note)], disk):
        disk.sync_folder(changed)


def published_size(folder: Path) -> int:
    path = folder / "checkpoint"
    return open_checkpoint(path.read_text(), SIGNER.verifier).size if path.exists() else 0


def run(folder: Path, disk: Disk, sizes: list[int]) -> int:
    """Append to each size and publish it; returns the last size published before the stop."""
    done = published_size(folder)
    try:
        writer = LogWriter(folder, done, disk)
        for size in sizes:
            if size > writer.size:
                writer.append(LEAVES[writer.size : size])
                publish(folder, writer, disk)
                done = size
    except Stop:
        pass
    return done


SIZES = [1, 256, 300, 600]


def operations(folder: Path) -> int:
    folder.mkdir()
    disk = PowerCut(1_000_000)
    assert run(folder, disk, SIZES) == SIZES[-1]
    return 1_000_000 - disk.left


def test_a_power_cut_between_any_two_operations_loses_nothing_published(tmp_path: Path) -> None:
    total = operations(tmp_path / "all")
    assert total > 60
    for after in range(total):
        folder = tmp_path / "log"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        disk = PowerCut(after, seed=after)
        done = run(folder, disk, SIZES)
        disk.lose()
        size = published_size(folder)
        assert size >= done, f"stopped before operation {after}"
        if size:
            report = verify_log(folder, SIGNER.verifier, proofs=False)
            assert (report.problems, report.size) == ([], size), f"stopped before operation {after}"
        assert run(folder, Disk(), SIZES) == SIZES[-1]
        report = verify_log(folder, SIGNER.verifier, proofs=False)
        assert (report.problems, report.size) == ([], SIZES[-1])


class FullOnce(Disk):
    """Has no space for the write number `at`."""

    def __init__(self, at: int) -> None:
        self.at = at

    def write(self, path: Path, data: bytes) -> int:
        self.at -= 1
        if self.at == 0:
            raise OSError(errno.ENOSPC, "no space")
        return super().write(path, data)


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_a_full_disk_leaves_the_writer_as_it_was(tmp_path: Path, at: int) -> None:
    writer = LogWriter(tmp_path, 0, FullOnce(at))
    with pytest.raises(OSError, match="no space"):
        writer.append(LEAVES[:700])
    assert writer.size == 0
    writer.append(LEAVES[:700])
    publish(tmp_path, writer, Disk())
    report = verify_log(tmp_path, SIGNER.verifier)
    assert (report.problems, report.size) == ([], 700)


def test_a_policy_brings_the_keys_and_asks_for_its_witnesses(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, 0)
    writer.append(LEAVES[:7])
    publish(tmp_path, writer, Disk())
    witness = Signer("witness.example", bytes(32), COSIGNATURE).verifier
    other = Signer(SIGNER.name, bytes([9]) * 32).verifier
    for text, problem in (
        (f"log {SIGNER.verifier}\nquorum none\n", None),
        (f"log {SIGNER.verifier}\nwitness w {witness}\nquorum w\n", "no quorum"),
        (f"log {other}\nquorum none\n", "sign"),
    ):
        problems = verify_log(tmp_path, policy=Policy.parse(text)).problems
        assert len(problems) == (0 if problem is None else 1)
        assert problem is None or problem in problems[0]


def test_a_verification_tells_how_far_it_is(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, 0)
    writer.append(LEAVES[:700])
    publish(tmp_path, writer, Disk())
    told: list[tuple[int, int]] = []
    verify_log(tmp_path, SIGNER.verifier, watch=lambda done, whole: told.append((done, whole)))
    assert told == [(done, 1400) for done in (256, 512, 700, 956, 1212, 1400)]


def test_an_entry_too_large_changes_nothing(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, 0)
    writer.append([b"x" * 65_535])
    with pytest.raises(ValueError, match="65535"):
        writer.append([b"ok", b"x" * 65_536])
    assert writer.size == 1
    assert list(TileReader(tmp_path, 1).leaves(0, 1)) == [b"x" * 65_535]


def test_a_full_tile_is_never_written_again(tmp_path: Path) -> None:
    LogWriter(tmp_path, 0).append(LEAVES[:600])
    full = tmp_path / tile_path("0", 1)
    before = full.stat().st_ino
    LogWriter(tmp_path, 0).append(LEAVES[:600])
    assert full.stat().st_ino == before
    with pytest.raises(LogBroken, match=r"entries/000 stands with other bytes"):
        LogWriter(tmp_path, 0).append([b"{}", *LEAVES[1:600]])


def test_partial_tiles_go_when_the_full_one_stands_and_old_sizes_stay_readable(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, 0)
    writer.append(LEAVES[:200])
    publish(tmp_path, writer, Disk())
    writer.append(LEAVES[200:300])
    assert not list(tmp_path.rglob("000.p/200"))
    assert verify_log(tmp_path, SIGNER.verifier).problems == []
    assert list(TileReader(tmp_path, 200).leaves(150, 200)) == LEAVES[150:200]
    assert LogWriter(tmp_path, 200).root() == TileReader(tmp_path, 200).root()


def test_a_writer_refuses_to_go_on_from_damage(tmp_path: Path) -> None:
    LogWriter(tmp_path, 0).append(LEAVES[:300])
    bundle = tmp_path / tile_path("entries", 1, 44)
    bundle.write_bytes(bundle.read_bytes().replace(b"a/0", b"b/0", 1))
    with pytest.raises(LogBroken, match="differ") as broken:
        LogWriter(tmp_path, 300)
    assert broken.value.index == 256

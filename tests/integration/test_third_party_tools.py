"""Programs of others accept our log, and refuse it damaged: Tessera's fsck and Go's sumdb packages."""

import shutil
from pathlib import Path

import pytest

from salur.audit.log.note import Checkpoint
from salur.audit.log.tiles import LogWriter, TileReader, tile_path
from salur.local.trail.thirdparty import Tools, build
from support.story import LOG, many_payments, write_log

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tools() -> Tools:
    found = build(ROOT / "var" / "trail" / "tools")
    if found is None:
        pytest.skip("no Go toolchain here: the tools of others are not built")
    return found


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than 65,536 entries: three levels of tiles, the last ones partial."""
    folder = tmp_path_factory.mktemp("third") / "log"
    write_log(folder, many_payments(13_200).leaves)
    assert (folder / tile_path("2", 0, 1)).exists()
    return folder


def test_both_accept_a_log_with_partial_tiles_on_every_level(tools: Tools, log: Path, tmp_path: Path) -> None:
    fsck = tools.run_fsck(log)
    assert fsck.ok, fsck.output[-2000:]
    size = TileReader(log, 0).size or int((log / "checkpoint").read_text().split("\n")[1])
    heads = []
    for old in (1, 255, 256, 257, 65_536, 65_537, size):
        head = Checkpoint(LOG.name, old, root_of(log, old))
        path = tmp_path / f"head-{old}"
        path.write_text(LOG.sign(head.text()))
        heads.append(path)
    sumdb = tools.run_sumdb(log, heads, step=97)
    assert sumdb.ok, sumdb.output[-2000:]


def root_of(log: Path, size: int) -> bytes:
    leaves = list(TileReader(log, size).leaves(0, size))
    folder = log.with_name(f"part-{size}")
    writer = LogWriter(folder, 0)
    writer.append(leaves)
    shutil.rmtree(folder)
    return writer.root()


def test_both_refuse_a_flipped_byte(tools: Tools, log: Path, tmp_path: Path) -> None:
    for name in (tile_path("entries", 3), tile_path("0", 3), tile_path("1", 0)):
        damaged = shutil.copytree(log, tmp_path / name.replace("/", "-"))
        data = bytearray((damaged / name).read_bytes())
        data[40] ^= 1
        (damaged / name).write_bytes(data)
        assert not tools.run_fsck(damaged).ok, name
        assert not tools.run_sumdb(damaged, step=10_000).ok, name


def test_an_older_head_of_another_history_is_refused(tools: Tools, log: Path, tmp_path: Path) -> None:
    fork = tmp_path / "fork"
    fork.write_text(LOG.sign(Checkpoint(LOG.name, 1000, bytes(32)).text()))
    outcome = tools.run_sumdb(log, [fork], step=10_000)
    assert not outcome.ok
    assert "size 1000" in outcome.output

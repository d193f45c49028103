"""The log's files: proofs of every size, appends in any cut, and every tampered byte named."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salur.audit.log.errors import LogError, ProofBroken
from salur.audit.log.note import Checkpoint, Signer, VerifierKey, open_checkpoint
from salur.audit.log.proof import Receipt
from salur.audit.log.tiles import LogWriter, TileReader, tile_path
from salur.audit.log.tree import (
    inclusion_proof,
    leaf_hash,
)
from salur.audit.log.verify import verify_log
from support.reference_tree import Tree

SIGNER = Signer("audit.salur.example", bytes(range(32)))


def event(stream: str, sequence: int) -> bytes:
    return b'{"stream":"%s","sequence":%d,"data":"%s"}' % (stream.encode(), sequence, b"x" * (sequence % 50))


def write_log(folder: Path, leaves: list[bytes], cuts: list[int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    at = 0
    while at < len(leaves):
        step = cuts.pop() if cuts else len(leaves)
        writer = LogWriter(folder, at)  # opened again each time: from the files alone
        writer.append(leaves[at : at + step])
        at = writer.size
    head = Checkpoint(SIGNER.name, len(leaves), TileReader(folder, len(leaves)).root())
    (folder / "checkpoint").write_text(SIGNER.sign(head.text()))
    (folder / "log.pub").write_text(str(SIGNER.verifier) + "\n")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 1200), st.lists(st.integers(1, 400), max_size=8))
def test_a_log_appended_in_any_cut_is_the_same_and_verifies(tmp_path: Path, size: int, cuts: list[int]) -> None:
    folder = tmp_path / "log"
    shutil.rmtree(folder, ignore_errors=True)
    leaves = [event("a/0", n + 1) for n in range(size)]
    write_log(folder, leaves, cuts)
    report = verify_log(folder, SIGNER.verifier)
    assert report.problems == []
    assert (report.size, report.entries_read, report.proofs_checked, report.proofs_failed) == (size, size, size, 0)
    assert report.root == Tree([leaf_hash(data) for data in leaves]).root(size).hex()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit") / "log"
    write_log(folder, [event("a/0", n + 1) for n in range(700)], [])
    return folder


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "at", "index"),
    [
        (tile_path("entries", 0), 20, 0),
        (tile_path("entries", 1), 20, 256),
        (tile_path("0", 1), 32 * 7 + 3, 256 + 7),
        (tile_path("0", 2, 188), 32 * 9, 512 + 9),
        (tile_path("1", 0, 2), 5, 0),
        (tile_path("1", 0, 2), 40, 256),
    ],
)
def test_a_flipped_byte_is_caught_at_its_index(log: Path, tmp_path: Path, name: str, at: int, index: int) -> None:
    folder = shutil.copytree(log, tmp_path / "log")
    _flip(folder / name, at)
    report = verify_log(folder, SIGNER.verifier)
    assert not report.ok
    assert report.first_bad_index == index


def test_missing_truncated_rewritten_and_reordered_logs_are_caught(log: Path, tmp_path: Path) -> None:
    missing = shutil.copytree(log, tmp_path / "missing")
    (missing / tile_path("entries", 1)).unlink()
    assert verify_log(missing, SIGNER.verifier).first_bad_index == 256

    truncated = shutil.copytree(log, tmp_path / "truncated")
    path = truncated / tile_path("entries", 2, 188)
    path.write_bytes(path.read_bytes()[:-3])
    assert verify_log(truncated, SIGNER.verifier).first_bad_index == 699

    rewritten = tmp_path / "rewritten"
    write_log(rewritten, [event("a/0", n + 1) for n in range(699)] + [b"{}"], [])
    shutil.copy(log / "checkpoint", rewritten / "checkpoint")
    assert "rewritten" in verify_log(rewritten, SIGNER.verifier).problems[0]

    reordered = tmp_path / "reordered"
    write_log(reordered, [event("a/0", n) for n in (1, 3, 2)], [])
    assert verify_log(reordered, SIGNER.verifier).gaps > 0


def test_a_checkpoint_of_another_key_is_refused(log: Path) -> None:
    other = Signer(SIGNER.name, bytes(32)).verifier
    assert "no valid signature" in verify_log(log, other).problems[0]


def test_a_receipt_is_checked_with_file_and_key_alone(log: Path) -> None:
    reader = TileReader(log, 700)
    leaf = reader.entries(1)[44]
    receipt = Receipt(leaf, 300, tuple(inclusion_proof(300, 700, reader.hash_at)), (log / "checkpoint").read_text())
    again = Receipt.parse(receipt.text())
    assert again == receipt
    assert again.verify(SIGNER.verifier).size == 700
    with pytest.raises(ProofBroken):
        Receipt(leaf + b" ", 300, receipt.hashes, receipt.checkpoint).verify(SIGNER.verifier)


@given(st.text(max_size=300))
def test_rubbish_gives_declared_errors_only(text: str) -> None:
    for decode in (VerifierKey.parse, Receipt.parse, lambda note: open_checkpoint(note, SIGNER.verifier)):
        with pytest.raises(LogError):
            decode(text)


def test_large_numbers_have_grouped_paths() -> None:
    assert tile_path("0", 1_234_067) == "tile/0/x001/x234/067"
    assert tile_path("entries", 5, 12) == "tile/entries/005.p/12"

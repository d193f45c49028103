"""Every kind of damage to a log's files is reported with the first entry it touches."""

import hashlib
import shutil
from pathlib import Path

import orjson
import pytest

from salur.audit.log.note import Checkpoint, Signer
from salur.audit.log.tiles import LogWriter, pack_entries, tile_path
from salur.audit.log.tree import leaf_hashes
from salur.audit.log.verify import VerifyReport, verify_log
from salur.common.contracts.activity import ServiceSealed

SIGNER = Signer("audit.salur.example", bytes(range(32)))
SIZE = 66_000


def event(stream: str, sequence: int) -> bytes:
    return b'{"stream":"%s","sequence":%d}' % (stream.encode(), sequence)


def write_log(folder: Path, leaves: list[bytes]) -> None:
    writer = LogWriter(folder, 0)
    writer.append(leaves)
    head = Checkpoint(SIGNER.name, writer.size, writer.root())
    (folder / "checkpoint").write_text(SIGNER.sign(head.text()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with three levels of tiles."""
    folder = tmp_path_factory.mktemp("log")
    write_log(folder, [event(f"a/{n % 4}", n // 4 + 1) for n in range(SIZE)])
    assert verify_log(folder, SIGNER.verifier, proofs=False).ok
    return folder


@pytest.fixture
def log(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(whole, tmp_path / "log")


def damaged(folder: Path) -> VerifyReport:
    report = verify_log(folder, SIGNER.verifier, proofs=False)
    assert not report.ok
    return report


LAST = SIZE % 256
TILES = [
    (tile_path("entries", 3), 3 * 256),
    (tile_path("entries", SIZE // 256, LAST), SIZE - LAST),
    (tile_path("0", 3), 3 * 256),
    (tile_path("0", SIZE // 256, LAST), SIZE - LAST),
    (tile_path("1", 0), 0),
    (tile_path("1", 1, 1), 65_536),
    (tile_path("2", 0, 1), 0),
]


@pytest.mark.parametrize(("name", "first"), TILES)
def test_a_missing_file_is_named(log: Path, name: str, first: int) -> None:
    (log / name).unlink()
    report = damaged(log)
    assert name in report.problems[0]
    assert report.first_bad_index == first


@pytest.mark.parametrize(("name", "first"), TILES)
def test_a_flipped_bit_anywhere_in_a_file_is_caught(log: Path, name: str, first: int) -> None:
    whole_file = (log / name).read_bytes()
    for at in (0, len(whole_file) // 2, len(whole_file) - 1):
        data = bytearray(whole_file)
        data[at] ^= 0x10
        (log / name).write_bytes(data)
        assert damaged(log).first_bad_index >= first
    (log / name).write_bytes(whole_file)
    assert verify_log(log, SIGNER.verifier, proofs=False).ok


@pytest.mark.parametrize(
    ("name", "at", "index"),
    [
        (tile_path("0", 3), 32 * 7, 3 * 256 + 7),
        (tile_path("1", 0), 32 * 200 + 31, 200 * 256),
        (tile_path("1", 1, 1), 5, 65_536),
        (tile_path("2", 0, 1), 5, 0),
    ],
)
def test_a_changed_hash_is_placed_exactly(log: Path, name: str, at: int, index: int) -> None:
    data = bytearray((log / name).read_bytes())
    data[at] ^= 1
    (log / name).write_bytes(data)
    assert damaged(log).first_bad_index == index


@pytest.mark.parametrize(("name", "first"), TILES)
def test_a_file_cut_short_or_grown_is_caught(log: Path, name: str, first: int) -> None:
    data = (log / name).read_bytes()
    for other in (data[:-1], data + b"\0" * 32, b""):
        (log / name).write_bytes(other)
        report = damaged(log)
        assert name in report.problems[0]
        assert report.first_bad_index >= first


def test_two_bundles_swapped_are_caught_at_the_first(log: Path) -> None:
    one, two = log / tile_path("entries", 2), log / tile_path("entries", 9)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert damaged(log).first_bad_index == 512


def test_two_entries_swapped_are_caught_at_the_first(log: Path) -> None:
    leaves = [event(f"a/{n % 4}", n // 4 + 1) for n in range(256)]
    leaves[10], leaves[200] = leaves[200], leaves[10]
    (log / tile_path("entries", 0)).write_bytes(pack_entries(leaves))
    assert damaged(log).first_bad_index == 10


def test_every_byte_of_the_checkpoint_counts(log: Path) -> None:
    whole_note = (log / "checkpoint").read_bytes()
    for at in range(len(whole_note)):
        data = bytearray(whole_note)
        data[at] ^= 1
        (log / "checkpoint").write_bytes(data)
        assert damaged(log).size == 0, f"byte {at}"


def test_files_that_cannot_be_read_are_reported_not_raised(log: Path) -> None:
    path = log / tile_path("0", 3)
    path.unlink()
    path.mkdir()
    report = damaged(log)
    assert "cannot be read" in report.problems[0]
    assert report.first_bad_index == 3 * 256


@pytest.mark.parametrize(
    ("sequences", "expected", "index"),
    [
        ([1, 2, 4, 5], {"gaps": 1, "missing": 1, "duplicates": 0}, 2),
        ([2, 3], {"gaps": 1, "missing": 1, "duplicates": 0}, 0),
        ([1, 2, 2, 3], {"gaps": 0, "missing": 0, "duplicates": 1}, 2),
        ([1, 3, 2, 4], {"gaps": 2, "missing": 0, "duplicates": 0}, 1),
        ([1, 10**15, 5, 5], {"gaps": 2, "missing": 10**15 - 3, "duplicates": 1}, 1),
    ],
)
def test_an_incomplete_stream_is_told(
    tmp_path: Path, sequences: list[int], expected: dict[str, int], index: int
) -> None:
    write_log(tmp_path, [event("a/0", sequence) for sequence in sequences])
    report = verify_log(tmp_path, SIGNER.verifier)
    assert {name: getattr(report, name) for name in expected} == expected
    assert (report.ok, report.first_bad_index, len(report.problems)) == (False, index, 1)
    assert report.proofs_checked == len(sequences)
    assert report.proofs_failed == 0


@pytest.mark.parametrize(
    "leaf", [b"", b"{}", b"[1]", b"\xff", b'{"stream":"a/0","sequence":true}', b'{"stream":"a/0","sequence":0}']
)
def test_an_entry_of_no_known_form_is_told(tmp_path: Path, leaf: bytes) -> None:
    write_log(tmp_path, [event("a/0", 1), leaf])
    report = verify_log(tmp_path, SIGNER.verifier)
    assert (report.malformed, report.first_bad_index, report.ok) == (1, 1, False)


def test_commitments_of_outside_topics_need_no_sequence(tmp_path: Path) -> None:
    leaf = b'{"topic":"banks.results.a","partition":0,"offset":7,"size":3,"commitment":"00"}'
    write_log(tmp_path, [event("a/0", 1), leaf, event("a/0", 2)])
    report = verify_log(tmp_path, SIGNER.verifier)
    assert (report.problems, report.outside, report.streams) == ([], 1, 1)


def seal(
    sequence: int, honest: list[bytes], stream: str = "payments.payments/0", first: int = 1, **other: object
) -> bytes:
    """The seal event of a service: it has written `honest` as this stream, from `first` on."""
    line = {
        "stream": stream, "first": first, "head": first + len(honest) - 1, "count": len(honest),
        "range_hash": hashlib.sha256(b"".join(leaf_hashes(honest))).hexdigest(), **other,
    }  # fmt: skip
    return orjson.dumps({
        "stream": "payments.activity/0", "sequence": sequence, "type": ServiceSealed.event_type,
        "data": {"seals": [line]},
    })  # fmt: skip


FIVE = [event("payments.payments/0", n) for n in range(1, 6)]
OTHER = FIVE[2].replace(b"}", b',"amount":1}')


@pytest.mark.parametrize(
    ("leaves", "withheld", "changed", "index"),
    [
        ([*FIVE[:3], seal(1, FIVE)], 1, 0, 3),
        ([seal(1, FIVE)], 1, 0, 0),
        ([seal(1, FIVE), *FIVE[:3]], 1, 0, 0),
        ([*FIVE[:2], OTHER, *FIVE[3:], seal(1, FIVE)], 0, 1, 0),
        ([*FIVE[:2], seal(1, FIVE[:2]), OTHER, *FIVE[3:], seal(2, FIVE[2:], first=3)], 0, 1, 3),
        ([seal(1, FIVE), *FIVE[:2], OTHER, *FIVE[3:]], 0, 1, 1),
        ([*FIVE, seal(1, FIVE, count=4)], 0, 1, 5),
        ([*FIVE, seal(1, FIVE, first=10**15, head=10**15 + 4)], 1, 0, 5),
    ],
    ids=["tail withheld", "stream left out", "seal first, tail withheld", "other bytes", "other bytes, second range",
         "seal first, other bytes", "a seal that contradicts itself", "far ahead"],
)  # fmt: skip
def test_a_log_that_its_services_seals_contradict_is_told(
    tmp_path: Path, leaves: list[bytes], withheld: int, changed: int, index: int
) -> None:
    """Every hash right, every stream dense, signed; but the service sealed other events than the log holds."""
    write_log(tmp_path, leaves)
    report = verify_log(tmp_path, SIGNER.verifier)
    assert (report.withheld, report.changed, report.first_bad_index) == (withheld, changed, index)
    assert not report.ok and report.gaps == 0 and len(report.problems) == 1
    assert ("not yet complete" in report.problems[0]) == bool(withheld)


@pytest.mark.parametrize(
    "leaves",
    [
        [*FIVE, seal(1, FIVE)],
        [seal(1, FIVE), *FIVE],
        [*FIVE[:3], seal(1, FIVE[:2]), seal(2, FIVE[2:], first=3), *FIVE[3:]],
        [*FIVE, seal(1, FIVE[:3]), seal(2, FIVE)],
        [*FIVE, seal(1, FIVE[:2])],
    ],
    ids=["after", "before", "two ranges, events between", "sealed again over", "not all sealed yet"],
)
def test_seals_that_the_log_bears_out_are_counted_in_any_order(tmp_path: Path, leaves: list[bytes]) -> None:
    write_log(tmp_path, leaves)
    report = verify_log(tmp_path, SIGNER.verifier)
    assert (report.problems, report.withheld, report.changed) == ([], 0, 0)
    assert report.seals == sum(b"range_hash" in leaf for leaf in leaves)

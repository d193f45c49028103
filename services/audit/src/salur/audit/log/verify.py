"""Verify a log from its files alone: checkpoint, every bundle, every tile, the root, every inclusion proof."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from salur.audit.log.completeness import open_statement
from salur.audit.log.errors import LogBroken, LogError
from salur.audit.log.note import Checkpoint, VerifierKey, open_checkpoint, parse_keys
from salur.audit.log.policy import Policy
from salur.audit.log.streams import Streams
from salur.audit.log.tiles import HEIGHT, WIDTH, TileReader, tile_path
from salur.audit.log.tree import HASH_SIZE, Prover, leaf_hash, leaf_hashes, perfect_root, range_root, verify_inclusion


@dataclass(slots=True)
class VerifyReport:
    """What a verification found. `first_bad_index` is -1 when nothing is wrong or no leaf can be named.

    `gaps` counts places where a stream does not go on with its next sequence, `missing` the sequences no entry holds,
    `duplicates` entries that repeat one, `outside` commitments of outside topics, `malformed` entries of no known form,
    `seals` what services sealed,
    `withheld` seals of events the log does not hold (yet), `changed` seals of other events than it holds.
    """

    size: int = 0
    root: str = ""
    entries_read: int = 0
    streams: int = 0
    gaps: int = 0
    missing: int = 0
    duplicates: int = 0
    outside: int = 0
    malformed: int = 0
    seals: int = 0
    withheld: int = 0
    changed: int = 0
    proofs_checked: int = 0
    proofs_failed: int = 0
    seconds: float = 0.0
    first_bad_index: int = -1
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


Watch = Callable[[int, int], None]
"""Told how much is checked and how much there is to check, in no unit that means anything else."""


def verify_log(
    folder: Path,
    *keys: VerifierKey,
    proofs: bool = True,
    policy: Policy | None = None,
    heads: Sequence[str] = (),
    watch: Watch = lambda _done, _all: None,
) -> VerifyReport:
    """Re-derive everything under `folder`. `keys` default to `log.pub` there: give the ones you trust instead.

    `policy`: its keys are the trusted ones, and enough of its witnesses must have signed.

    `heads` are notes that somebody kept, a witness or the holder of a receipt: this log must extend each of them.
    `proofs` also builds the inclusion proof of every entry and verifies it against the signed root. Never raises for a
    broken log: the report names the problem and the first bad index.
    """
    began = time.monotonic()
    report = VerifyReport()
    try:
        trusted = (policy.logs if policy else keys) or parse_keys(_text(folder, "log.pub"))
        _verify(folder, trusted, report, proofs, heads, watch)
        if policy:
            policy.open(_text(folder, "checkpoint"))
    except LogError as error:
        report.problems.append(str(error))
        report.first_bad_index = error.index if isinstance(error, LogBroken) else -1
    report.seconds = time.monotonic() - began
    return report


def _text(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise LogBroken(f"{name} is missing or no text: ask the audit for it") from None


def _verify(
    folder: Path,
    keys: Sequence[VerifierKey],
    report: VerifyReport,
    proofs: bool,
    heads: Sequence[str],
    watch: Watch,
) -> None:
    head = open_checkpoint(_text(folder, "checkpoint"), *keys)
    report.size, report.root = head.size, head.root.hex()
    reader = TileReader(folder, head.size)
    streams = Streams()
    whole = head.size * (2 if proofs else 1)
    for number in range((head.size + WIDTH - 1) // WIDTH):
        leaves = _entries(reader, number)
        _compare_bundle(reader, number, leaves)
        report.entries_read += len(leaves)
        for index, leaf in enumerate(leaves, number * WIDTH):
            streams.take(index, leaf)
        watch(report.entries_read, whole)
    _compare_levels(reader)
    if reader.root() != head.root:
        raise LogBroken("the tiles do not lead to the signed root: the log was rewritten, tell the auditors")
    _compare_heads(reader, heads, keys)
    _report_streams(streams, report)
    _report_seals(streams, reader, report)
    _compare_statement(folder, head, keys, streams)
    if proofs:
        _check_proofs(reader, head.root, report, lambda done: watch(head.size + done, whole))


def _compare_heads(reader: TileReader, notes: Sequence[str], keys: Sequence[VerifierKey]) -> None:
    """This log must extend every head that somebody kept. Names the last entry that is surely the old one."""
    same = 0
    for head in sorted((open_checkpoint(note, *keys) for note in notes), key=lambda head: head.size):
        if head.size > reader.size:
            raise LogBroken(
                f"a head of {head.size} entries was signed, this log has {reader.size}: rolled back", reader.size
            )
        if range_root(0, head.size, reader.hash_at) != head.root:
            raise LogBroken(
                f"the log was rewritten: it does not extend the head of size {head.size}, the first other entry is not "
                f"below {same}; tell the witnesses",
                same,
            )
        same = head.size


def _compare_statement(folder: Path, head: Checkpoint, keys: Sequence[VerifierKey], streams: Streams) -> None:
    """The log's own statement about its streams must be what the entries give. One of another size says nothing."""
    if not (folder / "completeness").exists():
        return
    note = _text(folder, "completeness")
    if note.split("\n")[2:3] == [str(head.size)] and open_statement(note, head, keys) != streams.lasts:
        raise LogBroken("the log states other streams than its entries give: tell the auditors")


def _report_streams(streams: Streams, report: VerifyReport) -> None:
    report.streams, report.gaps, report.missing = len(streams), streams.breaks, streams.missing
    report.duplicates, report.outside, report.malformed = streams.duplicates, streams.outside, streams.malformed
    if streams.first_problem:
        report.first_bad_index, first = streams.first_problem
        report.problems.append(
            f"{report.gaps} gaps in the streams ({report.missing} sequences missing), {report.duplicates} duplicates, "
            f"{report.malformed} malformed entries, first: {first}. The trail is not complete: the audit must act"
        )


def _report_seals(streams: Streams, reader: TileReader, report: VerifyReport) -> None:
    """A seal whose events are still on their way looks like one whose events were withheld: a later head tells."""
    found = list(streams.seals.findings(lambda index: reader.hash_at(0, index)))
    late = [finding for finding in found if finding.withheld]
    other = [finding for finding in found if not finding.withheld]
    report.seals, report.withheld, report.changed = len(streams.seals), len(late), len(other)
    if other:
        report.problems.append(
            f"{len(other)} seals are of other events than the log holds, first: {other[0].said}. The log does not hold "
            "what the service published: tell the auditors"
        )
    if late:
        report.problems.append(
            f"not yet complete: events of {len(late)} seals are missing, first: {late[0].said}. Verify a newer head; "
            "what is still missing then was withheld: the audit must act"
        )
    if found:
        indexes = [finding.index for finding in found] + [report.first_bad_index]
        report.first_bad_index = min(index for index in indexes if index >= 0)


def _entries(reader: TileReader, number: int) -> list[bytes]:
    """The leaves of a bundle. One that is not whole is named by the first leaf that the tile does not commit to: where
    the count stops to fit, an entry may long be gone."""
    try:
        return reader.entries(number)
    except LogBroken as broken:
        tile = reader.tile(0, number)
        for offset, leaf in enumerate(reader.entries_in_part(number)):
            index = number * WIDTH + offset
            if index < broken.index and leaf_hash(leaf) != tile[offset * HASH_SIZE : (offset + 1) * HASH_SIZE]:
                raise LogBroken(f"entry {index} is not the one its tile commits to, and {broken}", index) from None
        raise


def _compare_bundle(reader: TileReader, number: int, leaves: list[bytes]) -> None:
    tile = reader.tile(0, number)
    if b"".join(leaf_hashes(leaves)) == tile:
        return
    for offset, leaf in enumerate(leaves):
        if leaf_hash(leaf) != tile[offset * HASH_SIZE : (offset + 1) * HASH_SIZE]:
            index = number * WIDTH + offset
            raise LogBroken(f"entry {index} is not the one {tile_path('0', number, len(leaves))} commits to", index)


def _compare_levels(reader: TileReader) -> None:
    level = 1
    while count := reader.size >> (HEIGHT * level):
        for number in range(count):
            tile, offset = divmod(number, WIDTH)
            stated = reader.tile(level, tile)[offset * HASH_SIZE : (offset + 1) * HASH_SIZE]
            if stated != perfect_root(reader.tile(level - 1, number)):
                name = tile_path(str(level), tile, min(WIDTH, count - tile * WIDTH))
                first = number << (HEIGHT * level)
                raise LogBroken(f"{name} does not follow from level {level - 1}", first)
        level += 1


def _check_proofs(reader: TileReader, root: bytes, report: VerifyReport, watch: Callable[[int], None]) -> None:
    prover = Prover(reader.size, reader.hash_at)
    for index in range(reader.size):
        report.proofs_checked += 1
        try:
            verify_inclusion(index, reader.size, reader.hash_at(0, index), prover.inclusion(index), root)
        except LogError as error:
            report.proofs_failed += 1
            if report.proofs_failed == 1:
                report.problems.append(f"proof of entry {index}: {error}")
                report.first_bad_index = index
        if report.proofs_checked % WIDTH == 0 or report.proofs_checked == reader.size:
            watch(report.proofs_checked)

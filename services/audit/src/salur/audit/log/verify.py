"""Verify a log from its files alone: checkpoint, every bundle, every tile, the root, every inclusion proof."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from salur.audit.log.errors import LogBroken, LogError
from salur.audit.log.note import VerifierKey, open_checkpoint
from salur.audit.log.tiles import HEIGHT, WIDTH, TileReader, tile_path
from salur.audit.log.tree import HASH_SIZE, inclusion_proof, leaf_hash, node_hash, verify_inclusion


@dataclass(slots=True)
class VerifyReport:
    """What a verification found. `first_bad_index` is -1 when nothing is wrong or no leaf can be named."""

    size: int = 0
    root: str = ""
    entries_read: int = 0
    streams: int = 0
    gaps: int = 0
    proofs_checked: int = 0
    proofs_failed: int = 0
    seconds: float = 0.0
    first_bad_index: int = -1
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


def verify_log(folder: Path, key: VerifierKey | None = None) -> VerifyReport:
    """Re-derive everything under `folder`. `key` defaults to `log.pub` there: give the key you trust instead.

    Never raises for a broken log: the report names the problem and the first bad index.
    """
    began = time.monotonic()
    report = VerifyReport()
    try:
        _verify(folder, key or VerifierKey.parse(_text(folder, "log.pub")), report)
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


def _verify(folder: Path, key: VerifierKey, report: VerifyReport) -> None:
    head = open_checkpoint(_text(folder, "checkpoint"), key)
    report.size, report.root = head.size, head.root.hex()
    reader = TileReader(folder, head.size)
    sequences: dict[str, int] = {}
    for number in range((head.size + WIDTH - 1) // WIDTH):
        leaves = reader.entries(number)
        _compare_bundle(reader, number, leaves)
        report.entries_read += len(leaves)
        for leaf in leaves:
            _follow(leaf, sequences, report)
    _compare_levels(reader)
    if reader.root() != head.root:
        raise LogBroken("the tiles do not lead to the signed root: the log was rewritten, tell the auditors")
    report.streams = len(sequences)
    if report.gaps:
        report.problems.append(f"{report.gaps} gaps in the streams: the trail is not complete, the audit must act")
    _check_proofs(reader, head.root, report)


def _compare_bundle(reader: TileReader, number: int, leaves: list[bytes]) -> None:
    tile = reader.tile(0, number)
    for offset, leaf in enumerate(leaves):
        if leaf_hash(leaf) != tile[offset * HASH_SIZE : (offset + 1) * HASH_SIZE]:
            index = number * WIDTH + offset
            raise LogBroken(f"entry {index} is not the one {tile_path('0', number, len(leaves))} commits to", index)


def _compare_levels(reader: TileReader) -> None:
    level = 1
    while count := reader.size >> (HEIGHT * level):
        for number in range(count):
            below = reader.tile(level - 1, number)
            row = [below[i : i + HASH_SIZE] for i in range(0, len(below), HASH_SIZE)]
            while len(row) > 1:
                row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
            tile, offset = divmod(number, WIDTH)
            if reader.tile(level, tile)[offset * HASH_SIZE : (offset + 1) * HASH_SIZE] != row[0]:
                first = number << (HEIGHT * level)
                raise LogBroken(f"{tile_path(str(level), tile)} does not follow from level {level - 1}", first)
        level += 1


def _follow(leaf: bytes, sequences: dict[str, int], report: VerifyReport) -> None:
    try:
        event: Any = json.loads(leaf)
    except ValueError:
        return
    stream = event.get("stream") if isinstance(event, dict) else None
    sequence = event.get("sequence") if isinstance(event, dict) else None
    if not isinstance(stream, str) or not isinstance(sequence, int):
        return
    if sequence != sequences.get(stream, 0) + 1:
        report.gaps += 1
    sequences[stream] = sequence


def _check_proofs(reader: TileReader, root: bytes, report: VerifyReport) -> None:
    for index in range(reader.size):
        tile = reader.tile(0, index // WIDTH)
        offset = index % WIDTH * HASH_SIZE
        report.proofs_checked += 1
        try:
            proof = inclusion_proof(index, reader.size, reader.hash_at)
            verify_inclusion(index, reader.size, tile[offset : offset + HASH_SIZE], proof, root)
        except LogError as error:
            report.proofs_failed += 1
            if report.proofs_failed == 1:
                report.problems.append(f"proof of entry {index}: {error}")
                report.first_bad_index = index

"""Every way somebody could change the trail, done for real; which tool catches it, at which entry."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salur.audit import store
from salur.audit.compare import compare_rows
from salur.audit.log.errors import LogBroken, LogError
from salur.audit.log.note import Checkpoint
from salur.audit.log.tiles import WIDTH, LogWriter, TileReader, pack_entries, tile_path
from salur.audit.log.verify import VerifyReport, verify_log
from salur.audit.usecases.record import SALT_SIZE, SEAL_CONTEXT, commitment_leaf
from salur.local.trail.lab import Lab, Record, event, records, seal_event

SIZE, HEAD_EVERY = 3_000, 500
BAD = 1_300
"""The entry that is changed; not the first of its bundle."""
NO_ENTRY = -1
"""The damage is to a signature: no entry is bad."""


@dataclass(frozen=True, slots=True)
class Case:
    """What was done, which tool found it, and the first bad index it named."""

    name: str
    tool: str
    caught: bool
    first_bad_index: int
    said: str


async def tamper_all(lab: Lab) -> list[Case]:
    """Fill the lab's empty audit and run every case against it, each on what the one before left whole."""
    await lab.fill(SIZE, HEAD_EVERY)
    cases = [_of_files(lab, name, expected, damage) for name, expected, damage in _FILES]
    cases += [_of_signatures(lab), _rolled_back(lab), _rewritten(lab), _forked(lab)]
    cases += [await _rows(lab, name, expected, sql) for name, expected, sql in _ROWS]
    cases += [await case(lab) for case in (_dropped_before, _second_story, _resequenced, _withheld)]
    cases += [await _against_seal(lab, name, leaves, bad) for name, leaves, bad in _against_seals()]
    cases.append(await _restored(lab))
    return cases


# --- files: `salur verify` -------------------------------------------------------------------------------------------


@contextmanager
def _copy(lab: Lab, name: str) -> Iterator[Path]:
    folder = lab.folder / f"copy-{name}"
    shutil.copytree(lab.log, folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def _bundle(folder: Path, edit: Callable[[list[bytes]], None]) -> None:
    """Change the bundle that holds the bad entry."""
    number = BAD // WIDTH
    leaves = TileReader(folder, SIZE).entries(number)
    edit(leaves)
    (folder / tile_path("entries", number)).write_bytes(pack_entries(leaves))


def _flip_entry(folder: Path) -> None:
    def edit(leaves: list[bytes]) -> None:
        leaves[BAD % WIDTH] = leaves[BAD % WIDTH].replace(b'"actor"', b'"Actor"')

    _bundle(folder, edit)


def _delete_entry(folder: Path) -> None:
    _bundle(folder, lambda leaves: leaves.__delitem__(BAD % WIDTH))


def _insert_entry(folder: Path) -> None:
    def edit(leaves: list[bytes]) -> None:
        leaves.insert(BAD % WIDTH, b'{"a new entry":1}')
        leaves.pop()

    _bundle(folder, edit)


def _reorder(folder: Path) -> None:
    def edit(leaves: list[bytes]) -> None:
        at = BAD % WIDTH
        leaves[at], leaves[at + 9] = leaves[at + 9], leaves[at]

    _bundle(folder, edit)


def _truncate(folder: Path) -> None:
    whole = SIZE - SIZE % WIDTH
    shutil.rmtree(folder / f"{tile_path('entries', whole // WIDTH)}.p")


_FILES: Sequence[tuple[str, int, Callable[[Path], None]]] = (
    ("flip a byte of an entry", BAD, _flip_entry),
    ("flip a byte of a tile", BAD, lambda folder: _flip(folder / tile_path("0", BAD // WIDTH), BAD % WIDTH * 32)),
    ("flip a byte of the checkpoint", NO_ENTRY, lambda folder: _flip(folder / "checkpoint", 30)),
    ("delete an entry", BAD, _delete_entry),
    ("insert an entry", BAD, _insert_entry),
    ("reorder two entries", BAD, _reorder),
    ("truncate the log", SIZE - SIZE % WIDTH, _truncate),
)


def _of_files(lab: Lab, name: str, expected: int, damage: Callable[[Path], None]) -> Case:
    with _copy(lab, "files") as folder:
        damage(folder)
        return _verified(name, "salur verify", expected, verify_log(folder, lab.signer.verifier, proofs=False))


def _verified(name: str, tool: str, expected: int, report: VerifyReport) -> Case:
    caught = not report.ok and report.first_bad_index == expected
    return Case(name, tool, caught, report.first_bad_index, "; ".join(report.problems))


# --- signatures and histories ----------------------------------------------------------------------------------------


def _of_signatures(lab: Lab) -> Case:
    note = lab.publisher.note()
    text, _, lines = note.rpartition("\n\n")
    own, *cosignatures = lines.splitlines(keepends=True)
    wrong = cosignatures[0].translate(str.maketrans("ABCabc", "BCAbca"))
    try:
        lab.policy.open(f"{text}\n\n{own}{wrong}{cosignatures[1]}")
    except LogError as error:
        return Case("flip a byte of a cosignature", "salur verify --policy", True, NO_ENTRY, str(error))
    return Case("flip a byte of a cosignature", "salur verify --policy", False, NO_ENTRY, "accepted")


def _rolled_back(lab: Lab) -> Case:
    """Show an old head with the tiles of its time."""
    old = SIZE - HEAD_EVERY
    with _copy(lab, "back") as folder:
        shutil.rmtree(folder)
        LogWriter(folder, 0).append(list(TileReader(lab.log, SIZE).leaves(0, old)))
        (folder / "checkpoint").write_text(next(note for note in lab.kept if _size(note) == old), encoding="utf-8")
        report = verify_log(folder, lab.signer.verifier, proofs=False, heads=lab.kept)
    return _verified("roll the log back", "salur verify --head", old, report)


def _rewritten(lab: Lab) -> Case:
    """Change one entry and sign everything again, every hash right, with the log's own key."""
    with _copy(lab, "rewrite") as folder:
        head = _rewrite(lab, folder, SIZE)
        (folder / "checkpoint").write_text(lab.signer.sign(head.text()), encoding="utf-8")
        assert verify_log(folder, lab.signer.verifier, proofs=False).ok, "by itself the new log is whole"
        report = verify_log(folder, lab.signer.verifier, proofs=False, heads=lab.kept)
    return _verified("rewrite the log with valid hashes", "salur verify --head", BAD // HEAD_EVERY * HEAD_EVERY, report)


def _rewrite(lab: Lab, folder: Path, size: int) -> Checkpoint:
    leaves = list(TileReader(lab.log, SIZE).leaves(0, size))
    leaves[BAD] = leaves[BAD].replace(b'"actor"', b'"Actor"')
    shutil.rmtree(folder)
    writer = LogWriter(folder, 0)
    writer.append(leaves)
    return Checkpoint(lab.signer.name, writer.size, writer.root())


def _forked(lab: Lab) -> Case:
    """Show one witness another tree of the same size, and a larger one that grows from it."""
    with _copy(lab, "fork") as folder:
        note = lab.signer.sign(_rewrite(lab, folder, SIZE).text())
        same = lab.show("board", SIZE, note)
        writer = LogWriter(folder, SIZE)
        writer.append([b"{}"])
        larger = lab.signer.sign(Checkpoint(lab.signer.name, writer.size, writer.root()).text())
        grown = lab.show("board", SIZE, larger, TileReader(folder, writer.size))
    refused = (same.status, grown.status) == (409, 422)
    said = f"{same.status} {same.body.strip()}, {grown.status} {grown.body.strip()}"
    return Case("fork two views", "salur witness", refused, NO_ENTRY, said)


def _size(note: str) -> int:
    return int(note.split("\n")[1])


# --- rows: the comparison with the files -----------------------------------------------------------------------------

_ROWS: Sequence[tuple[str, int, str]] = (
    ("change a database row", BAD, "UPDATE entry SET leaf = leaf || '\\x20' WHERE leaf_index = $1"),
    ("delete a database row", BAD, "DELETE FROM entry WHERE leaf_index = $1"),
    ("move a database row's place", BAD, "UPDATE entry SET leaf_index = leaf_index + 100000 WHERE leaf_index = $1"),
    (
        "insert a database row",
        SIZE,
        "INSERT INTO entry SELECT leaf_index - $1 + 3000, leaf, topic, partition, kafka_offset FROM entry"
        " WHERE leaf_index = $1",
    ),
)


async def _rows(lab: Lab, name: str, expected: int, sql: str) -> Case:
    async with _past_the_triggers(lab) as conn:
        before = await conn.fetch("SELECT * FROM entry WHERE leaf_index = $1", BAD)
        await conn.execute(sql, BAD)
    found = await compare_rows(lab.db, lab.log, [lab.signer.verifier])
    async with _past_the_triggers(lab) as conn:
        await conn.execute("DELETE FROM entry WHERE leaf_index >= $1 OR leaf_index = $2", SIZE, BAD)
        await conn.copy_records_to_table("entry", records=[tuple(row) for row in before])
    return Case(name, "POST /log/compare", found.first_bad_index == expected, found.first_bad_index, found.problem)


class _past_the_triggers:  # noqa: N801 - a context manager
    """A superuser's connection: nothing of the database's own stops it."""

    def __init__(self, lab: Lab) -> None:
        self._transaction = lab.db.transaction()

    async def __aenter__(self) -> Any:
        conn = await self._transaction.__aenter__()
        await conn.execute("SET LOCAL session_replication_role = replica")
        return conn

    async def __aexit__(self, *error: Any) -> None:
        await self._transaction.__aexit__(*error)


# --- streams and seals -----------------------------------------------------------------------------------------------

_SIDE = "payments.funds"


async def _side_log(lab: Lab, leaves: Sequence[bytes]) -> VerifyReport:
    """A small log of its own with these leaves, signed and whole."""
    folder = lab.folder / "side"
    writer = LogWriter(folder, 0)
    writer.append(leaves)
    head = Checkpoint(lab.signer.name, writer.size, writer.root())
    (folder / "checkpoint").write_text(lab.signer.sign(head.text()), encoding="utf-8")
    report = verify_log(folder, lab.signer.verifier)
    shutil.rmtree(folder)
    return report


async def _dropped_before(lab: Lab) -> Case:
    """An event never reaches the log: the consumer stops at the hole; a log that went on over it is found out."""
    taken = [Record(_SIDE, 0, n - 1, event(_SIDE, 0, n)) for n in (1, 2, 4, 5)]
    await lab.take(taken)
    async with lab.db.connection() as conn:
        mark = await conn.fetchval("SELECT sequence FROM mark WHERE stream = $1", f"{_SIDE}/0")
    report = await _side_log(lab, [record.value or b"" for record in taken])
    case = _verified("drop an event before the log", "salur verify", 2, report)
    return Case(case.name, case.tool, case.caught and mark == 2, case.first_bad_index, case.said)


def _against_seals() -> Iterator[tuple[str, list[bytes], int]]:
    """(what was done, the log's leaves, the first bad entry): every hash right, every stream dense, and still not what
    the service sealed."""
    honest = [event(_SIDE, 0, n) for n in range(1, 6)]
    seal = seal_event(1, f"{_SIDE}/0", 1, honest)
    changed = [*honest[:2], honest[2].replace(b"request", b"revised"), *honest[3:]]
    yield "withhold a sealed tail from the files", [*honest[:3], seal], 3
    yield "leave a sealed stream out of the files", [seal], 0
    yield "log other bytes than were sealed", [*changed, seal], 0
    yield "log other bytes behind their seal", [seal, *changed], 1


async def _against_seal(lab: Lab, name: str, leaves: Sequence[bytes], bad: int) -> Case:
    return _verified(name, "salur verify", bad, await _side_log(lab, leaves))


async def _second_story(lab: Lab) -> Case:
    """The writer sends other bytes under a sequence the log holds: both are kept, the second sealed."""
    known = next(iter(records(1)))
    other = (known.value or b"").replace(b"request", b"revised")
    await lab.take([Record(known.topic, known.partition, 9_000_000, other)])
    async with lab.db.connection() as conn:
        rows = await conn.fetch(
            "SELECT q.stream, q.sequence, e.leaf, o.sealed, first.leaf_index AS first_index FROM equivocation q"
            " JOIN entry e USING (leaf_index) JOIN outside_record o USING (leaf_index)"
            " JOIN entry first ON first.stream = q.stream AND first.sequence = q.sequence"
        )
    caught, index = False, NO_ENTRY
    if len(rows) == 1:
        opened = lab.secrets.open(rows[0]["sealed"], SEAL_CONTEXT)
        leaf = commitment_leaf(known.topic, known.partition, 9_000_000, opened[:SALT_SIZE], other)
        index = rows[0]["first_index"]
        caught = index == 0 and rows[0]["leaf"] == leaf and opened[SALT_SIZE:] == other
    return Case("other bytes under a known sequence", "the audit's consumer", caught, index, f"{len(rows)} kept")


_SEALED = "payments.payments/1"


async def _resequenced(lab: Lab) -> Case:
    """A stream's events change places after its service has sealed them."""
    honest = [event("payments.payments", 1, n) for n in range(1, 21)]
    await lab.seal(_SEALED, 1, [*honest[:4], honest[5], honest[4], *honest[6:]])
    async with lab.db.transaction() as conn:
        rows = await store.queries.check_claims(conn, consumer=store.EVENTS_CONSUMER, most=10)
        expected = await conn.fetchval("SELECT leaf_index FROM entry WHERE stream = $1 AND sequence = 1", _SEALED)
    different = [row for row in rows if row["outcome"] == "different"]
    first = different[0]["first_index"] if different else NO_ENTRY
    return Case(
        "re-sequence a stream after a seal", "the audit's seal check", first == expected, first, str(len(different))
    )


async def _withheld(lab: Lab) -> Case:
    """A service seals more than the log was given."""
    held = SIZE // 8
    await lab.seal(_SEALED, held + 1, [event("payments.payments", 1, held + 1)])
    async with lab.db.connection() as conn:
        rows = await store.queries.completeness(conn, consumer=store.EVENTS_CONSUMER)
    behind = {row["stream"]: row["sealed"] - row["taken"] for row in rows if row["sealed"] > row["taken"]}
    return Case("withhold a stream's tail", "salur completeness", behind == {_SEALED: 1}, NO_ENTRY, str(behind))


async def _restored(lab: Lab) -> Case:
    """The audit's database and files from an older backup."""
    keep = SIZE - HEAD_EVERY
    async with _past_the_triggers(lab) as conn:
        for table in ("cosignature", "checkpoint", "equivocation", "outside_record"):
            await conn.execute(f"DELETE FROM {table}")
        await conn.execute("DELETE FROM entry WHERE leaf_index >= $1", keep)
        await conn.execute("UPDATE log_state SET size = $1", keep)
    shutil.rmtree(lab.log)
    lab.start()
    name, tool = "restore the audit's database from an older backup", "the audit at its start"
    try:
        await lab.publisher.publish_all()
    except LogBroken as error:
        return Case(name, tool, error.index == keep, error.index, str(error))
    return Case(name, tool, False, NO_ENTRY, "signed again")

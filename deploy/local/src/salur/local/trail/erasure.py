"""Erase subjects under a log that holds their events: every proof must stay, no value may be had again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import orjson

from salur.audit.log.errors import LogError
from salur.audit.log.note import open_checkpoint
from salur.audit.log.proof import Receipt
from salur.audit.log.tiles import TileReader
from salur.audit.log.tree import consistency_proof, inclusion_proof, verify_consistency
from salur.audit.log.verify import verify_log
from salur.common.contracts.registry import PayeeRegistered
from salur.common.contracts.topics import topics_written_by
from salur.common.errors import NotFound
from salur.common.events import Draft, EventStore, erase_subjects
from salur.common.events.openings import open_value
from salur.common.events.personal import CommitmentBroken, Opening, check_opening
from salur.common.values import derived_id
from salur.local.trail.lab import Lab, Record

TOPIC = "registry.payees"
FIELD = "account_number"
SUBJECTS = 200
PER_HEAD = 50


@dataclass(frozen=True, slots=True)
class Outcome:
    """What stood after the erasure."""

    erased: int
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Kept:
    """An event of a subject, with what an auditor kept of it before the erasure."""

    record: Record
    subject: str
    opening: Opening
    receipt: str = ""


async def erase_under_log(lab: Lab, subjects: int = SUBJECTS) -> Outcome:
    """Half of the subjects are erased. `lab` takes the topic `registry.payees`; its database holds the events too."""
    store = EventStore("registry", lab.secrets)
    kept = await _say(lab, store, subjects)
    for start in range(0, len(kept), PER_HEAD):
        await lab.take([item.record for item in kept[start : start + PER_HEAD]])
        await lab.publish()
    reader = TileReader(lab.log, len(kept))
    for index, item in enumerate(kept):
        hashes = tuple(inclusion_proof(index, len(kept), reader.hash_at))
        item.receipt = Receipt(item.record.value, index, hashes, lab.publisher.note()).text()
    gone = kept[::2]
    async with lab.db.transaction() as conn:
        erased = await erase_subjects(conn, [(item.subject, derived_id("erasure", item.subject)) for item in gone])
    problems = _proofs(lab, kept)
    for number, item in enumerate(kept):
        problems += await _openings(lab, item, erased=number % 2 == 0)
    return Outcome(erased, problems)


async def _say(lab: Lab, store: EventStore, subjects: int) -> list[Kept]:
    """Events of so many subjects in the owner's history, as records, with an opening of each."""
    drafts = []
    for number in range(subjects):
        key = derived_id("subject", str(number))
        fact = PayeeRegistered(
            beneficiary_id=key, version=1, status="active", bank="bank-a", account_number=f"{number:010d}",
            account_holder=f"Holder {number}", account_token=f"{number:064x}",
        )  # fmt: skip
        drafts.append(Draft(fact, key, "person:registrar", "request"))
    async with lab.db.transaction() as conn:
        await store.declare(conn, topics_written_by("registry"))
        await store.load_partitions(conn)
        await store.append(conn, drafts)
    await lab.processor.declare()
    kept = []
    async with lab.db.connection() as conn:
        rows = await conn.fetch("SELECT stream, sequence, key, body FROM event ORDER BY stream, sequence")
        for row in rows:
            opened = await open_value(conn, lab.secrets, row["stream"], row["sequence"], FIELD)
            partition = int(row["stream"].rpartition("/")[2])
            record = Record(TOPIC, partition, row["sequence"] - 1, row["body"], row["key"].encode())
            kept.append(Kept(record, row["key"], opened.opening))
    return kept


def _proofs(lab: Lab, kept: Sequence[Kept]) -> list[str]:
    """The whole log again, every receipt from before, and every head's consistency with the next."""
    key = lab.signer.verifier
    verified = verify_log(lab.log, key, heads=lab.kept)
    problems = list(verified.problems)
    if verified.proofs_checked != len(kept) or verified.proofs_failed:
        problems.append(f"{verified.proofs_failed} proofs fail, {verified.proofs_checked} were checked")
    for item in kept:
        try:
            Receipt.parse(item.receipt).verify(key)
        except LogError as error:
            problems.append(f"the receipt of {item.subject}: {error}")
    heads = [open_checkpoint(note, key) for note in lab.kept]
    reader = TileReader(lab.log, heads[-1].size)
    for old, new in pairwise(heads):
        proof = consistency_proof(old.size, new.size, reader.hash_at)
        try:
            verify_consistency(old.size, new.size, proof, old.root, new.root)
        except LogError as error:
            problems.append(f"heads of {old.size} and {new.size}: {error}")
    return problems


async def _openings(lab: Lab, item: Kept, *, erased: bool) -> list[str]:
    """What was opened before still proves itself; a new opening is had of those alone who were not erased."""
    problems = []
    try:
        check_opening(orjson.loads(item.record.value or b"{}")["data"], item.opening)
    except CommitmentBroken as error:
        problems.append(f"{item.subject}: {error}")
    stream = f"{item.record.topic}/{item.record.partition}"
    try:
        async with lab.db.connection() as conn:
            await open_value(conn, lab.secrets, stream, item.record.offset + 1, FIELD)
        opens = True
    except NotFound:
        opens = False
    if opens == erased:
        problems.append(f"{item.subject}: {'opens after its erasure' if opens else 'was not erased and does not open'}")
    return problems

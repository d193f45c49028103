"""The audit's rows. SQL stands in sql/; this module gives it shape."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from salur.audit.search.postings import Postings
from salur.common.database import Connection, load_queries
from salur.common.events import RawEvent

queries = load_queries(Path(__file__).parent / "sql")

EVENTS_CONSUMER = "audit.events"
BANKS_CONSUMER = "audit.bank-results"


class Entry(NamedTuple):
    """A row of the log; the order of fields is the order of columns."""

    leaf_index: int
    leaf: bytes
    topic: str
    partition: int
    kafka_offset: int
    stream: str | None
    sequence: int | None
    event_id: str | None
    type: str | None
    subject: str | None
    event_time: str | None


class Block(NamedTuple):
    """What search knows of a block of entries: how many, between which times, which places name a region."""

    block: int
    entries: int
    earliest: datetime | None
    latest: datetime | None
    own_region: Sequence[int]


async def lock_size(conn: Connection) -> int:
    """The log's size under its row lock: the next index. Held to commit, so indexes are dense."""
    return int(await queries.lock_size(conn))


async def size(conn: Connection) -> int:
    """The log's committed size."""
    return int(await queries.size(conn))


async def insert_entries(conn: Connection, entries: Sequence[Entry]) -> None:
    """Append rows whose indexes follow the locked size."""
    if not entries:
        return
    await conn.copy_records_to_table("entry", records=entries, columns=Entry._fields)
    await queries.save_size(conn, size=entries[-1].leaf_index + 1)


async def insert_outside(conn: Connection, rows: Sequence[tuple[int, bytes]]) -> None:
    """Keep the sealed bytes of outside records."""
    await conn.copy_records_to_table("outside_record", records=rows, columns=("leaf_index", "sealed"))


async def insert_claims(conn: Connection, seals: Sequence[dict[str, Any]]) -> None:
    """Keep what services state about their streams."""
    await queries.insert_claims(
        conn,
        streams=[seal["stream"] for seal in seals],
        firsts=[seal["first"] for seal in seals],
        heads=[seal["head"] for seal in seals],
        hashes=[seal["range_hash"] for seal in seals],
    )


async def leaves(conn: Connection, first: int, end: int) -> list[bytes]:
    """Leaf bytes of indexes [first, end). Raises RuntimeError when a row is missing: the table was tampered with."""
    rows = await queries.entries_from(conn, first=first, end=end)
    if [row["leaf_index"] for row in rows] != list(range(first, end)):
        raise RuntimeError(f"rows {first} to {end} of the log are not whole: stop and compare with the tiles")
    return [row["leaf"] for row in rows]


async def other_bytes(conn: Connection, events: Sequence[RawEvent]) -> list[int]:
    """Places of the events whose bytes are not those of the entry with their stream and sequence; known ones not."""
    rows = await queries.other_bytes(
        conn,
        streams=[event.stream for event in events],
        sequences=[event.sequence for event in events],
        leaf_hashes=[sha256(event.value or b"").digest() for event in events],
        topics=[event.topic for event in events],
        partitions=[event.partition for event in events],
        offsets=[event.offset for event in events],
    )
    return [row["place"] - 1 for row in rows]


async def insert_equivocations(conn: Connection, events: Sequence[RawEvent], first_index: int) -> None:
    """Remember records with other bytes; their entries begin at `first_index`."""
    await queries.insert_equivocations(
        conn,
        topics=[event.topic for event in events],
        partitions=[event.partition for event in events],
        offsets=[event.offset for event in events],
        streams=[event.stream for event in events],
        sequences=[event.sequence for event in events],
        indexes=list(range(first_index, first_index + len(events))),
    )


async def save_blocks(conn: Connection, blocks: Sequence[Block]) -> None:
    """Add entries to blocks, new ones or known."""
    await queries.save_blocks(
        conn,
        blocks=[block.block for block in blocks],
        entries=[block.entries for block in blocks],
        earliest=[block.earliest for block in blocks],
        latest=[block.latest for block in blocks],
        own_region=[_array(block.own_region) for block in blocks],
    )


async def save_postings(conn: Connection, postings: Postings, first_new: int) -> None:
    """Blocks from `first_new` on have no rows yet and are copied in; the rows of earlier ones are merged."""
    if merged := postings.before_block(first_new):
        await queries.save_postings(
            conn,
            terms=[term for term, _, _ in merged],
            blocks=[block for _, block, _ in merged],
            places=[_array(places) for _, _, places in merged],
        )
    await conn.copy_records_to_table(
        "search_posting", records=postings.from_block(first_new), columns=("term", "block", "places")
    )


def _array(places: Sequence[int]) -> str:
    """As PostgreSQL writes an array."""
    return f"{{{','.join(map(str, places))}}}"

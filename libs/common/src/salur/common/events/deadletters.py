"""Dead letters: an event that cannot be handled, kept sealed with its reason; its key waits until it is replayed."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from salur.common.contracts.activity import DeadLetterReplayed
from salur.common.contracts.topics import topic_named
from salur.common.database import Connection, Database
from salur.common.errors import Conflict, NotFound
from salur.common.events.envelope import Draft, Received, accept, parse
from salur.common.events.stream import EventStore, queries
from salur.common.secrets import Secrets
from salur.common.values.ids import new_uuid

if TYPE_CHECKING:
    from salur.common.events.consumer import RawEvent

SEALED_MAX_SIZE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`state`: raised (the poison itself), parked (waits behind it), foreign (no event of the stream at all)."""

    event: "RawEvent"
    key: str
    state: str
    reason: str


def _pack(event: "RawEvent", secrets: Secrets) -> bytes:
    value = (event.value or b"")[:SEALED_MAX_SIZE]
    header = event.header or b""
    plain = len(value).to_bytes(4, "big") + value + header
    return secrets.seal(plain, b"dead-letter")


def _unpack(sealed: bytes, secrets: Secrets) -> tuple[bytes, bytes | None]:
    plain = secrets.open(sealed, b"dead-letter")
    size = int.from_bytes(plain[:4], "big")
    return plain[4 : 4 + size], plain[4 + size :] or None


async def insert_dead_letters(
    conn: Connection, consumer: str, letters: Sequence[DeadLetter], secrets: Secrets
) -> list[tuple[str, DeadLetter]]:
    """Keep the letters. Returns those to announce: new ones that are not parked, with their ids."""
    if not letters:
        return []
    positions = {(letter.event.topic, letter.event.partition, letter.event.offset): letter for letter in letters}
    topics, partitions, offsets = (list(column) for column in zip(*positions, strict=True))
    known = {
        (row["topic"], row["partition"], row["kafka_offset"])
        for row in await queries.known_dead_letters(
            conn, consumer=consumer, topics=topics, partitions=partitions, offsets=offsets
        )
    }
    new = [(new_uuid(), letter) for position, letter in positions.items() if position not in known]
    events = [letter.event for _, letter in new]
    await queries.insert_dead_letters(
        conn,
        consumer=consumer,
        ids=[letter_id for letter_id, _ in new],
        topics=[event.topic for event in events],
        partitions=[event.partition for event in events],
        offsets=[event.offset for event in events],
        streams=[event.stream for event in events],
        sequences=[event.sequence for event in events],
        keys=[letter.key for _, letter in new],
        states=[letter.state for _, letter in new],
        reasons=[letter.reason for _, letter in new],
        sealed=[_pack(event, secrets) for event in events],
    )
    return [(letter_id.hex, letter) for letter_id, letter in new if letter.state != "parked"]


async def replay_key(
    db: Database,
    store: EventStore,
    secrets: Secrets,
    handlers: Mapping[str, Callable[[Connection, Sequence[Received]], Awaitable[Sequence[Draft]]]],
    letter_id: uuid.UUID,
    *,
    actor: str,
    reason: str,
) -> int:
    """Run the handler over every waiting event of the letter's key, in sequence, in one transaction.

    Never through Kafka: the stored rows are the events. Locks the marks of their streams as the consumer does.
    Returns how many went through. Raises NotFound, Conflict (not blocked), or what the handler raises (nothing moved).
    """
    async with db.transaction() as conn:
        letter = await queries.dead_letter_by_id(conn, id=letter_id)
        if letter is None:
            raise NotFound(
                "no dead letter of that id: read the list again", code="dead-letter-unknown", who="operations"
            )
        if letter["state"] not in ("raised", "parked"):
            raise Conflict(f"the dead letter is {letter['state']}: nothing to replay", code="dead-letter-closed")
        consumer, key = letter["consumer"], letter["key"]
        streams = {row["stream"] for row in await queries.dead_letters_of_key(conn, consumer=consumer, key=key)}
        await queries.lock_marks(conn, consumer=consumer, streams=sorted(streams))
        rows = await queries.dead_letters_of_key(conn, consumer=consumer, key=key)
        events = [_revive(row, secrets) for row in rows]
        drafts = list(await handlers[consumer](conn, events))
        await queries.resolve_dead_letters(conn, ids=[row["id"] for row in rows])
        fact = DeadLetterReplayed(dead_letter_id=letter_id.hex, consumer=consumer, events=len(events), reason=reason)
        drafts.append(Draft(fact, letter_id.hex, actor, events[0].id, topic=f"{store.service}.activity"))
        await store.append(conn, drafts)
    return len(events)


def _revive(row: asyncpg.Record, secrets: Secrets) -> Received:
    position = {name: row[name] for name in ("topic", "partition", "kafka_offset")}
    value, header = _unpack(row["sealed"], secrets)
    topic, partition = position["topic"], position["partition"]
    envelope = parse(value, topic=topic, partition=partition, writer=topic_named(topic).writer)
    return accept(envelope, header, topic=topic, partition=partition, offset=position["kafka_offset"])

"""Dead letters: an event that cannot be handled, kept sealed with its reason; its key waits until it is replayed."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from salur.common.contracts.activity import DeadLetterReplayed
from salur.common.contracts.topics import topic_named
from salur.common.database import Connection, Database
from salur.common.errors import Conflict, NotFound, SalurError
from salur.common.events.envelope import Draft, Received, accept, parse
from salur.common.events.refusals import passes_by_itself, reason_of
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
    """Keep the letters of records just taken. Returns those to announce, with their ids: all that are not parked."""
    if not letters:
        return []
    new = [(new_uuid(), letter) for letter in letters]
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

    Never through Kafka: the stored rows are the events. Locks the consumer's marks, so that nothing is parked
    meanwhile. Returns how many went through. Raises NotFound, or Conflict when the letter is not blocked or an event is
    refused again (nothing moved).
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
        if consumer not in handlers:
            raise Conflict(f"this version has no consumer {consumer}: nothing can replay it", code="consumer-unknown")
        await queries.lock_all_marks(conn, consumer=consumer)
        rows = await queries.dead_letters_of_key(conn, consumer=consumer, key=key)
        if not rows:
            raise Conflict("the key was replayed at this moment: nothing is left", code="dead-letter-closed")
        try:
            events = [_revive(row, secrets) for row in rows]
            prepared = store.prepare(await handlers[consumer](conn, events))
        except Exception as error:
            if passes_by_itself(error) or isinstance(error, SalurError):
                raise
            raise Conflict(
                f"refused again ({reason_of(error)}): mend the cause, then replay",
                code="still-refused",
                who="operations",
            ) from error
        await queries.resolve_dead_letters(conn, ids=[row["id"] for row in rows])
        fact = DeadLetterReplayed(dead_letter_id=letter_id.hex, consumer=consumer, events=len(events), reason=reason)
        replayed = Draft(fact, letter_id.hex, actor, events[0].id, topic=f"{store.service}.activity")
        await store.append_prepared(conn, [*prepared, *store.prepare([replayed])])
    return len(events)


def _revive(row: asyncpg.Record, secrets: Secrets) -> Received:
    position = {name: row[name] for name in ("topic", "partition", "kafka_offset")}
    value, header = _unpack(row["sealed"], secrets)
    topic, partition = position["topic"], position["partition"]
    envelope = parse(value, topic=topic, partition=partition, writer=topic_named(topic).writer)
    return accept(envelope, header, topic=topic, partition=partition, offset=position["kafka_offset"])

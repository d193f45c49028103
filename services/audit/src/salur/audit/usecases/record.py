"""Take records into the log: one leaf each, in the order the consumer took them."""

import hashlib
import os
from collections.abc import Sequence
from typing import Any

import orjson

from salur.audit import store
from salur.audit.store import Entry
from salur.common.contracts.activity import ServiceSealed
from salur.common.events import Draft, OutsideRecord, RawEvent
from salur.common.logs import get_logger
from salur.common.secrets import Secrets

log = get_logger("record")

SALT_SIZE = 32
SEAL_CONTEXT = b"outside-record"


async def record_events(conn: Any, events: Sequence[RawEvent]) -> Sequence[Draft]:
    """Append events of stream topics byte for byte; bytes that are no event are logged as a commitment."""
    first = await store.lock_size(conn)
    entries = [_entry(first + number, event) for number, event in enumerate(events)]
    await store.insert_entries(conn, entries)
    seals = [event for event in events if event.envelope and event.envelope.type == ServiceSealed.event_type]
    if seals:
        await store.insert_claims(conn, [seal for event in seals for seal in _seals(event)])
    return ()


def _seals(event: RawEvent) -> list[dict[str, Any]]:
    assert event.envelope is not None
    seals = event.envelope.data.get("seals")
    wanted = {"stream": str, "first": int, "head": int, "range_hash": str}
    return [
        seal
        for seal in (seals if isinstance(seals, list) else [])
        if isinstance(seal, dict) and all(isinstance(seal.get(name), kind) for name, kind in wanted.items())
    ]


async def compare_repeats(conn: Any, events: Sequence[RawEvent], secrets: Secrets) -> None:
    """Other bytes under a sequence the log holds: keep both, once, and raise the alarm. The first stays the event."""
    places = await store.other_bytes(conn, events)
    if not places:
        return
    await record_outside(conn, [_as_outside(events[place]) for place in places], secrets)
    size = await store.size(conn)
    await store.insert_equivocations(conn, [events[place] for place in places], size - len(places))
    for place in places:
        event = events[place]
        log.error(
            "equivocation", stream=event.stream, sequence=event.sequence, offset=event.offset,
            remedy="a writer told two stories under one sequence: find out who, both are kept",
        )  # fmt: skip


def _as_outside(event: RawEvent) -> OutsideRecord:
    return OutsideRecord(event.topic, event.partition, event.offset, None, event.value, 0)


def _entry(index: int, event: RawEvent) -> Entry:
    envelope = event.envelope
    if envelope is None:
        leaf = commitment_leaf(event.topic, event.partition, event.offset, os.urandom(SALT_SIZE), event.value)
        return Entry(index, leaf, event.topic, event.partition, event.offset, None, None, None, None, None, None)
    assert event.value is not None
    return Entry(
        index, event.value, event.topic, event.partition, event.offset,
        envelope.stream, envelope.sequence, envelope.id, envelope.type, envelope.key, envelope.time,
    )  # fmt: skip


async def record_outside(conn: Any, records: Sequence[OutsideRecord], secrets: Secrets) -> Sequence[Draft]:
    """Append one commitment leaf per record of an outside topic, even repeats or rubbish; the bytes rest sealed."""
    first = await store.lock_size(conn)
    entries: list[Entry] = []
    sealed: list[tuple[int, bytes]] = []
    for number, record in enumerate(records):
        salt = os.urandom(SALT_SIZE)
        leaf = commitment_leaf(record.topic, record.partition, record.offset, salt, record.value)
        index = first + number
        entries.append(
            Entry(index, leaf, record.topic, record.partition, record.offset, None, None, None, None, None, None)
        )
        sealed.append((index, secrets.seal(salt + (record.value or b""), SEAL_CONTEXT)))
    await store.insert_entries(conn, entries)
    await store.insert_outside(conn, sealed)
    return ()


def commitment_leaf(topic: str, partition: int, offset: int, salt: bytes, value: bytes | None) -> bytes:
    """The leaf of a record whose bytes must not stand in the log: its position and SHA-256(salt ‖ bytes).

    A tombstone is told apart from an empty value by `size` -1.
    """
    return orjson.dumps(
        {
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "size": -1 if value is None else len(value),
            "commitment": hashlib.sha256(salt + (value or b"")).hexdigest(),
        }
    )

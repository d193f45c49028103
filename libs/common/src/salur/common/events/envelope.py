"""The envelope: one message value = one complete CloudEvents 1.0 JSON document (structured mode).

Source: CloudEvents 1.0.2, JSON event format §3.1 and Kafka protocol binding §3.3. `stream`, `sequence`, `actor`,
`cause` are extension attributes. The exact bytes are the leaf in the audit log.
"""

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from salur.common.contracts.base import CONTRACTS, Fact
from salur.common.contracts.topics import PARTITIONS, is_bank_topic
from salur.common.events import personal
from salur.common.values.ids import new_id

CONTENT_TYPE = b"application/cloudevents+json"
MAX_EVENT_SIZE = 32 * 1024
MAX_PERSONAL_SIZE = 256 * 1024
"""Values beside the body; with it a record stays far below Kafka's limit of 1 MiB."""
PLACE_SIZE = 128
"""Bytes kept free for stream and sequence, which an event gets last."""
MAX_TEXT = 200


class EventTooLarge(ValueError):
    """An event over 32 KiB (or 256 KiB of personal values) is refused: its writer must say less or split it."""


class Undecodable(ValueError):
    """The bytes are no event of this stream: no sequence can be read from them."""


class Unacceptable(ValueError):
    """An event of this stream whose type or data this version cannot take."""


def partition_for(key: str, partitions: int = PARTITIONS) -> int:
    """Our own stable hash of the key (CRC-32), the same in every service and for ever."""
    return zlib.crc32(key.encode()) % partitions


@dataclass(frozen=True, slots=True)
class Draft:
    """An event to append. `topic` only when its contract allows several; `partition` only for marks in every one.

    `seed` (32 fresh random bytes) only when its writer keeps a commitment; else the event gets one of its own.
    """

    data: Fact
    key: str
    actor: str
    cause: str
    topic: str | None = None
    partition: int | None = None
    seed: bytes | None = None

    def resolved_topic(self) -> str:
        """The topic this event goes to. Raises ValueError when the contract does not allow it."""
        allowed = self.data.topics
        topic = self.topic or (allowed[0] if len(allowed) == 1 else "")
        if topic in allowed and not topic.endswith("*"):
            return topic
        if any(
            pattern.endswith("*") and topic.startswith(pattern[:-1]) and is_bank_topic(topic) for pattern in allowed
        ):
            return topic
        raise ValueError(f"{self.data.event_type} cannot be published on {topic or 'no topic'}: allowed are {allowed}")


class Encoded(NamedTuple):
    """A draft as bytes up to its place in the stream, which is known only under the stream's lock."""

    id: str
    type: str
    head: bytes
    personal: bytes | None

    def at(self, stream: str, sequence: int) -> bytes:
        """The finished message value."""
        return b'%s,"stream":"%s","sequence":%d}' % (self.head, stream.encode(), sequence)


def encode(draft: Draft, source: str, time: str, *, event_id: str | None = None, seed: bytes | None = None) -> Encoded:
    """Serialise a draft; personal values leave the body. `event_id` and `seed` only to write a known event again.

    Raises EventTooLarge.
    """
    fact = draft.data
    data = fact.model_dump(mode="json")
    header = personal.split(data, fact.personal_fields, seed) if fact.personal_fields else None
    event_id = event_id or new_id()
    document = orjson.dumps(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": source,
            "type": fact.event_type,
            "subject": draft.key,
            "time": time,
            "datacontenttype": "application/json",
            "actor": draft.actor,
            "cause": draft.cause,
            "data": data,
        }
    )
    if len(document) > MAX_EVENT_SIZE - PLACE_SIZE:
        limit = f"the limit is {MAX_EVENT_SIZE - PLACE_SIZE}"
        raise EventTooLarge(f"{fact.event_type} takes {len(document)} bytes, {limit}: its writer must say less")
    if header is not None and len(header) > MAX_PERSONAL_SIZE:
        limit = f"the limit is {MAX_PERSONAL_SIZE}"
        raise EventTooLarge(f"{fact.event_type} has {len(header)} bytes of personal values, {limit}")
    return Encoded(event_id, fact.event_type, document[:-1], header)


class Envelope(NamedTuple):
    """What can be read of an event without knowing its type."""

    id: str
    source: str
    type: str
    key: str
    time: str
    stream: str
    sequence: int
    actor: str
    cause: str
    data: dict[str, Any]


class Received(NamedTuple):
    """An event as a handler sees it: typed data, personal values in clear."""

    id: str
    type: str
    source: str
    key: str
    time: datetime
    stream: str
    sequence: int
    actor: str
    cause: str
    topic: str
    partition: int
    offset: int
    data: Fact


def parse(value: bytes | None, *, topic: str, partition: int, writer: str) -> Envelope:
    """Read the envelope of a record in a stream topic. Raises Undecodable."""
    if value is None:
        raise Undecodable("a tombstone where events are never deleted")
    if len(value) > MAX_EVENT_SIZE:
        raise Undecodable(f"{len(value)} bytes, over the limit of {MAX_EVENT_SIZE}")
    try:
        doc = orjson.loads(value)
        if type(doc) is not dict:
            raise Undecodable("no JSON object")
        if doc["specversion"] != "1.0":
            raise Undecodable("not CloudEvents 1.0")
        envelope = Envelope(
            doc["id"], doc["source"], doc["type"], doc["subject"], doc["time"],
            doc["stream"], doc["sequence"], doc.get("actor", ""), doc.get("cause", ""), doc["data"],
        )  # fmt: skip
    except orjson.JSONDecodeError:
        raise Undecodable("no JSON document") from None
    except KeyError as missing:
        raise Undecodable(f"attribute {missing.args[0]} is missing") from None
    texts = (
        envelope.id,
        envelope.source,
        envelope.type,
        envelope.key,
        envelope.time,
        envelope.actor,
        envelope.cause,
    )
    if any(type(text) is not str or len(text) > MAX_TEXT or "\x00" in text for text in texts):
        raise Undecodable("an attribute is no text, too long, or holds a NUL")
    if type(envelope.sequence) is not int or envelope.sequence < 1 or type(envelope.data) is not dict:
        raise Undecodable("sequence is no positive integer or data no object")
    if envelope.source != f"/salur/{writer}":
        raise Undecodable(f"misaddressed: the topic belongs to {writer}")
    if envelope.stream != f"{topic}/{partition}":
        raise Undecodable("misaddressed: the event belongs to another stream")
    return envelope


def accept(envelope: Envelope, header: bytes | None, *, topic: str, partition: int, offset: int) -> Received:
    """Make the typed event. Raises Unacceptable for an unknown type or version, or data that breaks its contract."""
    model = CONTRACTS.get(envelope.type)
    if model is None:
        raise Unacceptable(
            f"event type {envelope.type[:80]!r} is unknown here: deploy the version that knows it, then replay"
        )
    data = dict(envelope.data)
    try:
        if model.personal_fields:
            personal.join(data, model.personal_fields, header)
        fact = model.model_validate(data)
        time = datetime.fromisoformat(envelope.time)
    except personal.CommitmentBroken as broken:
        raise Unacceptable(str(broken)) from None
    except ValidationError as invalid:
        fields = sorted({".".join(str(part) for part in error["loc"]) for error in invalid.errors(include_input=False)})
        raise Unacceptable(f"data breaks the contract of {envelope.type} at {', '.join(fields)[:150]}") from None
    except (KeyError, ValueError):
        raise Unacceptable(f"data of {envelope.type} lacks a field or its time is no RFC 3339 time") from None
    return Received(
        envelope.id, envelope.type, envelope.source, envelope.key, time, envelope.stream, envelope.sequence,
        envelope.actor, envelope.cause, topic, partition, offset, fact,
    )  # fmt: skip


def utc_now() -> str:
    """The present as RFC 3339 in UTC with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

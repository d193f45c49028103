"""Append: the last step of a transaction. In each stream, sequence order = commit order, dense, without gaps."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from salur.common.contracts.topics import Topic
from salur.common.database import Connection, load_queries
from salur.common.errors import Conflict, Unavailable
from salur.common.events.envelope import Draft, Encoded, encode, partition_for, utc_now
from salur.common.secrets import Secrets, seal_with

queries = load_queries(Path(__file__).parent / "sql")

EventRow = tuple[str, int, str, str, str, bytes]
"""stream, sequence, id as hex, type, key, body"""
PersonalRow = tuple[str, int, str, bytes]
"""stream, sequence, subject, header bytes in clear"""
_EVENT_COLUMNS = ("stream", "sequence", "id", "type", "key", "body")
_PERSONAL_COLUMNS = ("stream", "sequence", "subject", "sealed")


def starting(service: str) -> Unavailable:
    """Before a service has compared itself with what Kafka holds it writes nothing."""
    return Unavailable(f"{service} is starting: try again", code="starting", retry_after_s=1)


class PreparedEvent(NamedTuple):
    """An event that lacks only its place in its stream."""

    stream: str
    key: str
    encoded: Encoded


def stream_name(topic: str, partition: int) -> str:
    """A stream is one topic-partition of one service."""
    return f"{topic}/{partition}"


async def erase_subjects(conn: Connection, erased: Sequence[tuple[str, str]]) -> int:
    """Destroy the keys and personal values of subjects, given with their erasures. Returns how many had a key."""
    subjects, erasures = [subject for subject, _ in erased], [erasure for _, erasure in erased]
    return int(await queries.erase_subjects(conn, subjects=subjects, erasure_ids=erasures))


AnyDraft = Draft | PreparedEvent
"""What can be appended: an event as its writer states it, or made ready before."""


class EventStore:
    """The event side of one service's database. Holds no state but the recorded partition counts."""

    def __init__(self, service: str, secrets: Secrets) -> None:
        self.service = service
        self.source = f"/salur/{service}"
        self._secrets = secrets
        self._partitions: dict[str, int] = {}

    async def declare(self, conn: Connection, topics: Sequence[Topic]) -> None:
        """Record the service's topics with their partition counts, and their streams. Idempotent."""
        names = [topic.name for topic in topics]
        await queries.declare_topics(conn, names=names, partitions=[topic.partitions for topic in topics])
        await queries.declare_streams(conn, names=names)
        await queries.declare_relays(conn)
        await queries.declare_seals(conn)

    async def load_partitions(self, conn: Connection) -> None:
        """Read the recorded partition counts: they hold for the life of a topic."""
        self._partitions = {row["name"]: row["partitions"] for row in await queries.topic_partitions(conn)}

    async def append(self, conn: Connection, drafts: Sequence[AnyDraft]) -> None:
        """Append events in the order given. Must be the last step before commit: it locks the streams it touches.

        Raises Unavailable when the database is behind its published past, EventTooLarge, ValueError.
        """
        await self.append_prepared(conn, self.prepare(drafts))

    def prepare(self, drafts: Sequence[AnyDraft]) -> list[PreparedEvent]:
        """Everything about an append that an event itself may be refused for. Raises EventTooLarge, ValueError."""
        time = utc_now()
        return [
            PreparedEvent(self._stream_of(draft), draft.key, encode(draft, self.source, time, seed=draft.seed))
            if isinstance(draft, Draft)
            else draft
            for draft in drafts
        ]

    async def append_prepared(self, conn: Connection, prepared: Sequence[PreparedEvent]) -> None:
        """As `append`, for drafts prepared before. Raises Unavailable when behind the published past."""
        if not prepared:
            return
        by_stream: dict[str, list[PreparedEvent]] = {}
        for item in prepared:
            by_stream.setdefault(item.stream, []).append(item)
        heads = await self._lock(conn, sorted(by_stream))
        events: list[EventRow] = []
        personal: list[PersonalRow] = []
        for stream, items in by_stream.items():
            sequence = heads[stream]
            for item in items:
                sequence += 1
                encoded = item.encoded
                body = encoded.at(stream, sequence)
                events.append((stream, sequence, encoded.id, encoded.type, item.key, body))
                if encoded.personal is not None:
                    personal.append((stream, sequence, item.key, encoded.personal))
            heads[stream] = sequence
        await queries.advance_streams(conn, names=list(heads), heads=list(heads.values()))
        await conn.copy_records_to_table("event", records=events, columns=_EVENT_COLUMNS)
        if personal and await self._insert_personal(conn, personal):
            raise Conflict(
                "somebody this speaks of was erased: nothing personal can be written of them any more",
                code="subject-erased",
                who="registrar",
            )
        await queries.notify(conn)

    async def restore(
        self,
        conn: Connection,
        stream: str,
        events: list[EventRow],
        personal: list[PersonalRow],
        erased: Sequence[tuple[str, str]],
    ) -> None:
        """Put events that Kafka held back under the head of their stream. `erased`: (subject, erasure) among them.

        `published` stays: what stands between it and them may never have reached Kafka, and a repeat harms nobody.
        """
        head = events[-1][1]
        await queries.advance_streams(conn, names=[stream], heads=[head])
        await conn.copy_records_to_table("event", records=events, columns=_EVENT_COLUMNS)
        await erase_subjects(conn, erased)
        if personal:
            await self._insert_personal(conn, personal)

    def _stream_of(self, draft: Draft) -> str:
        topic = draft.resolved_topic()
        if not self._partitions:
            raise starting(self.service)
        try:
            count = self._partitions[topic]
        except KeyError:
            raise ValueError(f"{self.service} does not write topic {topic}") from None
        partition = partition_for(draft.key, count) if draft.partition is None else draft.partition
        return stream_name(topic, partition)

    async def _lock(self, conn: Connection, names: list[str]) -> dict[str, int]:
        rows = await queries.lock_streams(conn, names=names)
        if any(row["fenced"] for row in rows):
            raise Unavailable(
                f"{self.service} is older than what it has published: run `python -m salur.{self.service} recover`",
                code="behind-published-past",
            )
        return {row["name"]: row["sequence"] for row in rows}

    async def _insert_personal(self, conn: Connection, rows: list[PersonalRow]) -> int:
        """Seal what stands beside events. Returns how many rows speak of erased subjects: empty places are kept."""
        keys = await self._subject_keys(conn, sorted({subject for _, _, subject, _ in rows}))
        sealed = [
            (
                stream,
                sequence,
                subject,
                seal_with(keys[subject], plain, stream.encode()) if plain and subject in keys else b"",
            )
            for stream, sequence, subject, plain in rows
        ]
        if sealed:
            await conn.copy_records_to_table("event_personal", records=sealed, columns=_PERSONAL_COLUMNS)
        return sum(1 for row in sealed if not row[3])

    async def _subject_keys(self, conn: Connection, subjects: list[str]) -> dict[str, bytes]:
        rows = await queries.subject_keys(conn, subjects=subjects)
        missing = sorted(set(subjects) - {row["subject"] for row in rows})
        made: dict[str, bytes] = {}
        if missing:
            new = {subject: os.urandom(32) for subject in missing}
            wrapped = [self._secrets.seal(new[subject], subject.encode()) for subject in missing]
            inserted = await queries.insert_subject_keys(conn, subjects=missing, sealed=wrapped)
            made = {row["subject"]: new[row["subject"]] for row in inserted}
            if late := [subject for subject in missing if subject not in made]:
                # Another transaction was first, and its key holds; or the subject was erased.
                rows += await queries.subject_keys(conn, subjects=late)
        return made | {row["subject"]: self._secrets.open(row["sealed"], row["subject"].encode()) for row in rows}

"""Recover: a database older than its published past takes the lost events back from Kafka, then writes again."""

import uuid
from collections.abc import AsyncIterator, Callable

from salur.common.contracts.erasures import PersonErased, SubjectErased
from salur.common.database import Connection, Database
from salur.common.events import personal
from salur.common.events.consumer import KafkaRecord
from salur.common.events.envelope import Envelope
from salur.common.events.forget import person_subjects
from salur.common.events.relay import TailReader, lost_past
from salur.common.events.stream import EventRow, EventStore, PersonalRow, queries
from salur.common.logs import get_logger

log = get_logger("recover")

StreamReader = Callable[[str, int], AsyncIterator[tuple[KafkaRecord, Envelope]]]
"""Every event Kafka holds of one (topic, partition), in the order of its records."""


async def recover(db: Database, store: EventStore, read_tails: TailReader, read_stream: StreamReader) -> int:
    """Take back every event above our heads. Returns 0 when whole again, 1 when that cannot be had.

    State built from those events is not rebuilt here: the service's own tables must be restored or replayed first,
    which is why this is a command of an operator and not of the start.
    """
    async with db.transaction() as conn:
        await queries.take_recover_turn(conn)
        lost = await lost_past(conn, read_tails)
        for stream, tail in sorted(lost.items()):
            if not await _take_back(conn, store, read_stream, stream, tail.sequence):
                return 1
        await queries.unfence(conn)
    log.info("recovered", streams=len(lost))
    return 0


async def _take_back(conn: Connection, store: EventStore, read_stream: StreamReader, stream: str, tail: int) -> bool:
    topic, _, number = stream.rpartition("/")
    head = (await queries.lock_streams(conn, names=[stream]))[0]["sequence"]
    if head >= tail:
        log.error("recover-forked", stream=stream, sequence=tail, remedy="restore a backup from before the loss")
        return False
    rows: dict[int, EventRow] = {}
    headers: dict[int, PersonalRow] = {}
    erased: list[tuple[str, str]] = []
    async for record, event in read_stream(topic, int(number)):
        if not head < event.sequence <= tail or event.sequence in rows:
            continue
        assert record.value is not None
        rows[event.sequence] = (stream, event.sequence, uuid.UUID(event.id).hex, event.type, event.key, record.value)
        if event.type == SubjectErased.event_type:
            erased.append((event.key, str(event.data["erasure_id"])))
        if event.type == PersonErased.event_type:
            erased += [(subject, str(event.data["erasure_id"])) for subject in person_subjects(event.data)]
        header = next((value for name, value in record.headers if name == personal.HEADER), None)
        if header == personal.ERASED:
            erased.append((event.key, ""))
        if header is not None:
            plain = b"" if header == personal.PART_ERASED else header
            headers[event.sequence] = (stream, event.sequence, event.key, plain)
    if sorted(rows) != list(range(head + 1, tail + 1)):
        log.error(
            "recover-incomplete",
            stream=stream,
            wanted=tail - head,
            found=len(rows),
            remedy="restore a newer backup",
        )
        return False
    await store.restore(conn, stream, [rows[number] for number in sorted(rows)], list(headers.values()), erased)
    return True


__all__ = ["StreamReader", "recover"]

"""Recover: a database older than its published past takes the lost events back from Kafka, then writes again."""

import time
import uuid

from aiokafka import AIOKafkaConsumer, TopicPartition

from salur.common.database import Connection, Database
from salur.common.events import personal
from salur.common.events.envelope import Undecodable, parse
from salur.common.events.kafka import read_tails
from salur.common.events.relay import behind_past
from salur.common.events.stream import EventStore, queries
from salur.common.logs import get_logger

log = get_logger("recover")

READ_TIMEOUT_S = 60.0


async def recover(db: Database, store: EventStore, bootstrap: str) -> int:
    """Take back every event above our heads. Returns 0 when whole again, 1 when Kafka lacks some of them.

    State built from those events is not rebuilt here: the service's own tables must be restored or replayed first,
    which is why this is a command of an operator and not of the start.
    """
    await db.open()
    try:
        async with db.transaction() as conn:
            await store.load_partitions(conn)
            behind = await behind_past(conn, lambda places: read_tails(bootstrap, places))
            for stream, tail in sorted(behind.items()):
                if not await _take_back(conn, store, bootstrap, stream, tail):
                    return 1
            await queries.unfence(conn)
        log.info("recovered", streams=len(behind))
        return 0
    finally:
        await db.close()


async def _take_back(conn: Connection, store: EventStore, bootstrap: str, stream: str, tail: int) -> bool:
    topic, _, number = stream.rpartition("/")
    partition = int(number)
    head = (await queries.lock_streams(conn, names=[stream]))[0]["sequence"]
    rows: dict[int, tuple[str, int, uuid.UUID, str, str, bytes]] = {}
    headers: list[tuple[str, int, str, bytes]] = []
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        tp = TopicPartition(topic, partition)
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        deadline = time.monotonic() + READ_TIMEOUT_S
        while len(rows) < tail - head and time.monotonic() < deadline:
            for record in (await consumer.getmany(tp, timeout_ms=500)).get(tp, []):
                try:
                    event = parse(record.value, topic=topic, partition=partition, writer=store.service)
                except Undecodable:
                    continue
                if event.sequence <= head or event.sequence in rows:
                    continue
                rows[event.sequence] = (
                    stream,
                    event.sequence,
                    uuid.UUID(event.id),
                    event.type,
                    event.key,
                    record.value,
                )
                for name, value in record.headers:
                    if name == personal.HEADER:
                        headers.append((stream, event.sequence, event.key, value))
    finally:
        await consumer.stop()
    if sorted(rows) != list(range(head + 1, tail + 1)):
        log.error(
            "recover-incomplete",
            stream=stream,
            wanted=tail - head,
            found=len(rows),
            remedy="restore a newer backup",
        )
        return False
    await store.restore(conn, stream, [rows[number] for number in sorted(rows)], headers)
    return True


__all__ = ["recover"]

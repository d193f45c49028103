"""Seals: the service states how far each of its streams has grown, so that a withheld tail shows."""

from salur.common.contracts.activity import ServiceSealed, StreamSeal
from salur.common.database import Connection
from salur.common.events.envelope import Draft
from salur.common.events.stream import EventStore, queries

SEALS_PER_EVENT = 96
"""Keeps a seal event far below the 32 KiB limit."""


async def seal_streams(conn: Connection, store: EventStore) -> int:
    """Seal every stream that grew since its last seal, unless only seals were written. Returns how many were sealed.

    Only committed events count: a stream's head is locked to commit, so what stands below it is whole. Waits for
    another sealer, so that what was committed before the call is sealed after it.
    """
    await queries.wait_for_seal_turn(conn)
    rows = await queries.unsealed(conn)
    if not any(row["facts"] for row in rows):
        return 0
    hashes = await queries.range_hashes(
        conn,
        streams=[row["stream"] for row in rows],
        sealed=[row["sealed"] for row in rows],
        heads=[row["head"] for row in rows],
    )
    seals = [
        StreamSeal(
            stream=row["stream"], first=row["sealed"] + 1, head=row["head"],
            count=row["head"] - row["sealed"], range_hash=row["range_hash"],
        )
        for row in hashes
    ]  # fmt: skip
    await queries.save_seals(conn, streams=[seal.stream for seal in seals], heads=[seal.head for seal in seals])
    actor = f"service:{store.service}"
    await store.append(
        conn,
        [
            Draft(
                ServiceSealed(seals=seals[start : start + SEALS_PER_EVENT]),
                store.service, actor, actor, topic=f"{store.service}.activity",
            )
            for start in range(0, len(seals), SEALS_PER_EVENT)
        ],
    )  # fmt: skip
    return len(seals)

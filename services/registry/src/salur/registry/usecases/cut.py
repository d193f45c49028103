"""Close an intake: a mark in every partition, behind everything registered before."""

from typing import Any

from salur.common.contracts.registry import RegistryCut
from salur.common.database import Connection
from salur.common.events import PARTITIONS, Draft, stream_name
from salur.common.events.stream import queries as event_queries
from salur.common.values import derived_id
from salur.registry.store import queries

CUT_TOPICS = ("registry.households", "registry.payees")


async def make_cut(conn: Connection, name: str, *, actor: str, cause: str) -> tuple[dict[str, Any], bool, list[Draft]]:
    """Make the cut of that name, once. Returns (the cut, whether it is new, its events).

    Every registration and change locks the streams it touches until it commits. The cut locks all of them first: what
    committed before is counted and stands before the mark, what commits later stands after it.
    """
    streams = sorted(stream_name(topic, partition) for topic in CUT_TOPICS for partition in range(PARTITIONS))
    await event_queries.lock_streams(conn, names=streams)
    waiting = await queries.waiting_imports(conn)
    cut_id = derived_id("cut", name)
    households = await queries.count_households(conn)
    if await queries.insert_cut(conn, cut_id=cut_id, name=name, households=households, made_by=actor) is None:
        return dict(await queries.cut_by_name(conn, name=name)) | {"imports_unfinished": waiting}, False, []
    drafts = [
        Draft(
            RegistryCut(cut_id=cut_id, name=name, partition=partition, households=households),
            cut_id, actor, cause, topic=topic, partition=partition,
        )
        for topic in CUT_TOPICS
        for partition in range(PARTITIONS)
    ]  # fmt: skip
    return {"cut_id": cut_id, "name": name, "households": households, "imports_unfinished": waiting}, True, drafts

"""Close an intake: a mark in every partition, behind everything registered before."""

from typing import Any

from salur.common.contracts.registry import RegistryCut
from salur.common.events import PARTITIONS, Draft
from salur.common.values import new_id
from salur.registry.store import queries

CUT_TOPICS = ("registry.households", "registry.payees")


async def make_cut(conn: Any, name: str, *, actor: str, cause: str) -> tuple[dict[str, Any], list[Draft]]:
    """Make the cut of that name, once. Appending locks every stream it marks: what committed before stands before."""
    existing = await queries.cut_by_name(conn, name=name)
    if existing is not None:
        return dict(existing), []
    cut_id = new_id()
    households = await queries.count_households(conn)
    await queries.insert_cut(conn, cut_id=cut_id, name=name, households=households, made_by=actor)
    drafts = [
        Draft(
            RegistryCut(cut_id=cut_id, name=name, partition=partition, households=households),
            cut_id, actor, cause, topic=topic, partition=partition,
        )
        for topic in CUT_TOPICS
        for partition in range(PARTITIONS)
    ]  # fmt: skip
    return {"cut_id": cut_id, "name": name, "households": households}, drafts

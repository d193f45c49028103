"""Retention: how long each kind of record is kept, by which law, and a job that ends what is due.

The classes are data, `retention.yaml` of each service. The job tells what is due (a dry run) or ends it in batches;
each class that ended something is an event with its basis.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from salur.common.contracts.activity import RetentionApplied
from salur.common.contracts.base import Code, Name
from salur.common.database import Connection
from salur.common.events.envelope import Draft
from salur.common.events.stream import queries as event_queries
from salur.common.logs import get_logger
from salur.common.traces import describe

if TYPE_CHECKING:
    from salur.common.service import Runtime

log = get_logger("retention")

BATCH = 500
ACTOR = "service:{}"

Due = Callable[[Connection, datetime], Awaitable[int]]
"""How many records of a class ended before a moment."""
End = Callable[[Connection, datetime, int], Awaitable[tuple[int, Sequence[Draft]]]]
"""End at most so many of them. Returns (how many, events)."""


class RetentionClass(BaseModel):
    """One kind of record. `act`: what ending means; `counted_from`: since when its days run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Code
    holds: str = Field(min_length=3)
    keep_days: int = Field(ge=1, le=36_600)
    counted_from: str = Field(min_length=3)
    act: str = Field(min_length=3)
    basis: Name


@dataclass(frozen=True, slots=True)
class Retention:
    """The classes of a service with what they do in its database."""

    classes: Sequence[RetentionClass]
    work: Mapping[str, tuple[Due, End]]


def load_retention(path: Path, work: Mapping[str, tuple[Due, End]]) -> Retention:
    """Read the classes. Raises ValueError when classes and work do not name the same."""
    classes = [RetentionClass.model_validate(item) for item in yaml.safe_load(path.read_text(encoding="utf-8"))]
    known = {**work, "dead-letters": (due_letters, end_letters)}
    if [item.name for item in classes] != sorted(known):
        raise ValueError(f"{path.name} must name, sorted: {', '.join(sorted(known))}")
    return Retention(classes, known)


def counted(queries: Any, name: str) -> tuple[Due, End]:
    """The two queries of a class: `due_NAME` counts before a moment, `end_NAME` ends at most so many and counts."""
    stem = name.replace("-", "_")

    async def due(conn: Connection, before: datetime) -> int:
        return int(await getattr(queries, f"due_{stem}")(conn, before=before))

    async def end(conn: Connection, before: datetime, most: int) -> tuple[int, Sequence[Draft]]:
        return int(await getattr(queries, f"end_{stem}")(conn, before=before, most=most)), ()

    return due, end


due_letters, end_letters = counted(event_queries, "letters")


async def tell_due(conn: Connection, retention: Retention) -> list[dict[str, Any]]:
    """The dry run: every class with how many of its records are due. Changes nothing."""
    now = datetime.now(UTC)
    return [
        item.model_dump() | {"due": await retention.work[item.name][0](conn, _before(item, now))}
        for item in retention.classes
    ]


async def end_due(runtime: "Runtime", retention: Retention) -> dict[str, int]:
    """End what is due, a batch a transaction; returns how many of each class. May be stopped and run again.

    A class that fails is told when the others are done: the first such error is raised.
    """
    now = datetime.now(UTC)
    async with runtime.db.connection() as conn:
        await runtime.store.load_partitions(conn)
    ended = dict.fromkeys((item.name for item in retention.classes), 0)
    failed: list[Exception] = []
    for item in retention.classes:
        try:
            while count := await _end_batch(runtime, retention, item, now):
                ended[item.name] += count
        except Exception as error:  # one class must not keep the data of the others: they go first
            log.error("retention-failed", retention_class=item.name, error=describe(error))
            failed.append(error)
    if failed:
        raise failed[0]
    return ended


async def _end_batch(runtime: "Runtime", retention: Retention, item: RetentionClass, now: datetime) -> int:
    async with runtime.unit_of_work() as unit:
        count, drafts = await retention.work[item.name][1](unit.conn, _before(item, now), BATCH)
        unit.emit(*drafts)
        if count:
            fact = RetentionApplied(
                retention_class=item.name, ended=count, keep_days=item.keep_days, act=item.act, basis=item.basis
            )
            actor = ACTOR.format(runtime.name)
            unit.emit(Draft(fact, item.name, actor, f"retention/{now:%Y-%m-%d}", topic=f"{runtime.name}.activity"))
    return count


def _before(item: RetentionClass, now: datetime) -> datetime:
    return now - timedelta(days=item.keep_days)

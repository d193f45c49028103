"""A registry in which families are erased, and what it says to Kafka."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from salur.common.database import Connection, Database
from salur.common.events.relay import Outgoing, Relay
from salur.common.service import Process
from support.facts import Record
from support.staff import Staff


async def officer(staff: Staff, who: str, method: str, url: str, json: Any = None, **more: Any) -> Any:
    return await staff.ask(who, ["data-protection-officer"], method, url, json, **more)


@dataclass
class Registry:
    process: Process
    staff: Staff
    household_id: str = ""

    @property
    def db(self) -> Database:
        return self.process.runtime.db

    async def ask(self, **changes: Any) -> Any:
        body = {"household_id": self.household_id, "basis": "subject-request", "reference": "letter-17"} | changes
        return await officer(self.staff, "sari", "POST", "/erasures", body)

    async def accept(self, erasure_id: str, who: str = "budi", **more: Any) -> Any:
        return await officer(self.staff, who, "POST", f"/erasures/{erasure_id}/accept", {"reason": "valid"}, **more)

    async def erased(self) -> str:
        erasure_id = str((await self.ask()).json()["erasure_id"])
        done = await self.accept(erasure_id)
        assert done.status_code == 200, done.text
        return erasure_id

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        async with self.db.connection() as conn:
            return list(await conn.fetch(sql, *arguments))

    async def history(self) -> dict[tuple[str, int], bytes]:
        rows = await self.rows("SELECT stream, sequence, body FROM event")
        return {(row["stream"], row["sequence"]): hashlib.sha256(row["body"]).digest() for row in rows}


@dataclass
class Recorder:
    """Kafka as the relay sees it: it acknowledges everything and keeps it."""

    records: list[Outgoing] = field(default_factory=list)

    async def send(self, record: Outgoing) -> "asyncio.Future[object]":
        self.records.append(record)
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    async def close(self) -> None:
        pass


async def no_tails(_partitions: Sequence[tuple[str, int]]) -> dict[str, Any]:
    return {}


async def published(registry: Registry) -> list[Outgoing]:
    """Everything the registry has ever said, as it is sent again."""
    kafka = Recorder()

    async def producer() -> Recorder:
        return kafka

    relay = Relay("", registry.process.runtime.secrets, producer, no_tails, 10_000)
    async with registry.db.connection() as conn:
        await conn.execute("UPDATE relay SET published = 0")
        await relay.publish_window(conn, kafka)
    return kafka.records


def as_records(outgoing: Sequence[Outgoing], topic: str) -> list[Record]:
    return [
        Record(o.topic, o.partition, o.sequence - 1, o.value, o.key, list(o.headers))
        for o in outgoing
        if o.topic == topic
    ]


async def everything(conn: Connection) -> str:
    """Every row of every table as text."""
    tables = await conn.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    rows = [await conn.fetch(f"SELECT t::text AS row FROM {table['table_name']} t") for table in tables]
    return "\n".join(row["row"] for part in rows for row in part)

"""Eligibility on a real database: the registry's records in, decisions, cycles and entitlements out."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from salur.common.contracts.base import Fact
from salur.common.contracts.registry import HouseholdChanged, HouseholdRegistered, RegistryCut
from salur.common.contracts.topics import PARTITIONS, topics_written_by
from salur.common.database import Database, migrate
from salur.common.events import Consumer, Draft, EventStore, Received, partition_for, personal, stream_name
from salur.common.events.consumer import BatchProcessor, Outcome
from salur.common.events.envelope import accept, encode, parse, utc_now
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.eligibility import main as eligibility_main
from salur.eligibility.store import HOUSEHOLDS_CONSUMER
from salur.eligibility.usecases.cycles import CycleWork, OpenCycle, open_cycle
from salur.eligibility.usecases.decide import Backfill
from salur.eligibility.usecases.households import take_households
from salur.eligibility.usecases.late import LateWork
from salur.eligibility.usecases.programmes import Rules, approve, propose
from support.facts import Record

MIGRATIONS = Path(eligibility_main.__file__).parent / "migrations"
EXAMPLES = Path(__file__).parents[2] / "examples" / "progresa"
RULES = (EXAMPLES / "programme.yaml").read_text()
TOPIC = "registry.households"
BATCH = 500


def progresa_households() -> list[HouseholdRegistered]:
    """The 8,325 households of the real file as the registry would announce them."""
    families: dict[str, list[dict[str, str]]] = {}
    with (EXAMPLES / "households-1998.csv").open() as file:
        for row in csv.DictReader(file):
            families.setdefault(row["household_id"], []).append(row)
    return [
        household(
            name, region=f"{int(rows[0]['state']):02d}",
            poverty_index=float(rows[0]["poverty_index"]), state_cutoff=float(rows[0]["state_cutoff"]),
            village_treated=rows[0]["village_treated"] == "1", village_id=rows[0]["village_id"],
            enrolled=[{"1": True, "0": False}.get(row["child_enrolled"]) for row in rows],
        )
        for name, rows in families.items()
    ]  # fmt: skip


def household(
    name: str, *, version: int = 1, region: str = "31.71", enrolled: Sequence[bool | None] = (True,), **attributes: Any
) -> Any:
    """A household of the example programme: poor and in a treated village unless said otherwise."""
    given = {"poverty_index": 600.0, "state_cutoff": 700.0, "village_treated": True, **attributes}
    fields = {
        "household_id": derived_id(name), "version": version, "region": region, "member_count": len(enrolled),
        "attributes": given,
        "members": [
            {"member_id": derived_id(name, str(n)), "attributes": {"enrolled": value}}
            for n, value in enumerate(enrolled)
        ],
    }  # fmt: skip
    return HouseholdRegistered(**fields) if version == 1 else HouseholdChanged(**fields, changed=["attributes"])


def registered(number: int, family: dict[str, Any]) -> HouseholdRegistered:
    """A generated family as the registry announces it."""
    name = f"family-{number}"
    members = [
        {"member_id": derived_id(name, str(place)), "attributes": member["attributes"]}
        for place, member in enumerate(family["members"])
    ]
    return HouseholdRegistered(
        household_id=derived_id(name), version=1, region=family["region"], member_count=len(members),
        attributes=family["attributes"], members=members,
    )  # fmt: skip


@dataclass
class Office:
    """Eligibility with its database, and the place in each partition of the registry's topic."""

    db: Database
    store: EventStore
    keys: Secrets
    rules: Rules = field(default_factory=Rules)
    places: Counter[int] = field(default_factory=Counter)
    processor: BatchProcessor = field(init=False)

    def __post_init__(self) -> None:
        async def handler(conn: Any, batch: Any) -> Any:
            return await take_households(conn, batch, self.rules, self.keys)

        self.handler = handler
        self.processor = BatchProcessor(
            Consumer(HOUSEHOLDS_CONSUMER, [TOPIC], handler), self.db, self.store, self.keys
        )  # fmt: skip

    @classmethod
    async def build(cls, db: Database, url: str, keys: Secrets) -> "Office":
        migrate(url, [MIGRATIONS])
        store = EventStore("eligibility", keys)
        async with db.transaction() as conn:
            await store.declare(conn, topics_written_by("eligibility"))
            await store.load_partitions(conn)
        office = cls(db, store, keys)
        await office.processor.declare()
        return office

    def record(self, fact: Fact, key: str, partition: int | None = None) -> Record:
        """The registry's next record, as Kafka would hand it over."""
        place = partition_for(key) if partition is None else partition
        self.places[place] += 1
        encoded = encode(Draft(fact, key, "person:test", "request-1", topic=TOPIC), "/salur/registry", utc_now())
        sequence = self.places[place]
        headers = [(personal.HEADER, encoded.personal)] if encoded.personal else []
        value = encoded.at(stream_name(TOPIC, place), sequence)
        return Record(TOPIC, place, sequence - 1, value, key.encode(), headers)

    def received(self, fact: Any) -> Received:
        """The same as a handler sees it, for a test that holds the transaction itself."""
        record = self.record(fact, fact.household_id)
        envelope = parse(record.value, topic=TOPIC, partition=record.partition, writer="registry")
        header = record.headers[0][1] if record.headers else None
        return accept(envelope, header, topic=TOPIC, partition=record.partition, offset=record.offset)

    async def process(self, records: Sequence[Any]) -> Outcome:
        """A batch as the consumer gets it."""
        return await self.processor.process(records)

    async def take(self, *facts: Any) -> Outcome:
        """Households through the consumer, in batches. Returns what became of the last batch."""
        outcome = Outcome()
        for start in range(0, len(facts), BATCH):
            records = [self.record(fact, fact.household_id) for fact in facts[start : start + BATCH]]
            outcome = await self.process(records)
        return outcome

    async def cut(self, name: str, households: int, partitions: Iterable[int] = range(PARTITIONS)) -> str:
        """The registry's cut passes the consumer in these partitions. Returns its id."""
        cut_id = derived_id("cut", name)
        facts = [RegistryCut(cut_id=cut_id, name=name, partition=p, households=households) for p in partitions]
        await self.process([self.record(fact, cut_id, fact.partition) for fact in facts])
        return cut_id

    async def publish(self, text: str = RULES) -> bool:
        async with self.db.transaction() as conn:
            compiled, state, drafts = await propose(conn, text, actor="person:officer", cause="request-2")
            if state == "proposed":
                drafts += await approve(
                    conn,
                    compiled.document.id,
                    compiled.version,
                    people=frozenset({"person:approver"}),
                    actor="person:approver",
                    cause="request-2",
                )
            await self.store.append(conn, drafts)
        return state == "proposed"

    async def work(self, worker: Backfill | CycleWork | LateWork) -> None:
        """Steps of a worker until it has nothing left."""
        more = True
        while more:
            async with self.db.transaction() as conn:
                more, drafts = await worker.step(conn)
                await self.store.append(conn, drafts)
            worker.committed()

    async def backfill(self, batch: int = 1_000) -> None:
        await self.work(Backfill(self.rules, batch))

    async def grant(self, batch: int = 1_000) -> None:
        await self.work(CycleWork(self.rules, batch))

    async def open(
        self, cut_id: str, name: str = "1998-1", programme_id: str = "progresa", **period: Any
    ) -> dict[str, Any]:
        """A cycle, for the first months not covered yet unless said otherwise."""
        period = period or {"early_reason": "a test does not wait for the calendar"}
        async with self.db.transaction() as conn:
            command = OpenCycle(programme_id, name, cut_id, "person:officer", "request-3", **period)
            answer, drafts = await open_cycle(conn, self.rules, command)
            await self.store.append(conn, drafts)
        return answer

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        async with self.db.connection() as conn:
            return list(await conn.fetch(sql, *arguments))

    async def events(self, kind: str) -> list[dict[str, Any]]:
        """Every appended event of that type, in order per stream."""
        rows = await self.rows("SELECT body FROM event WHERE type = $1 ORDER BY stream, sequence", kind)
        return [orjson.loads(row["body"]) for row in rows]

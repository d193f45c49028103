"""A poison event in the middle of a batch: a dead letter, a blocked key, the rest goes on; replay in order."""

import uuid
from collections.abc import Sequence

import pytest

from salur.common.contracts.registry import HouseholdRegistered
from salur.common.database import Connection, Database
from salur.common.errors import Refused
from salur.common.events import Consumer, Draft, EventStore, Received
from salur.common.events.consumer import BatchProcessor, Systemic
from salur.common.events.deadletters import replay_key
from salur.common.events.stream import queries
from salur.common.secrets import Secrets
from support.facts import Record, committed_records, household

pytestmark = pytest.mark.integration


class Handler:
    """Refuses events of some keys; remembers what it took."""

    def __init__(self) -> None:
        self.refuse: set[str] = set()
        self.taken: list[tuple[str, int]] = []

    async def __call__(self, conn: Connection, batch: Sequence[Received]) -> Sequence[Draft]:
        await conn.execute("SELECT 1")
        if any(event.key in self.refuse for event in batch):
            raise Refused("this household cannot be taken")
        for event in batch:
            assert isinstance(event.data, HouseholdRegistered)
            self.taken.append((event.key, event.data.version))
        return ()


async def _append(db: Database, store: EventStore, drafts: Sequence[Draft]) -> None:
    async with db.transaction() as conn:
        await store.append(conn, drafts)


async def test_poison_blocks_its_key_alone_and_replay_takes_the_key_in_order(
    db: Database, registry_store: EventStore, keys: Secrets
) -> None:
    for version in (1, 2):
        await _append(db, registry_store, [household(f"h{n}", version=version) for n in range(40)])
    records = await committed_records(db, keys)
    poison = household("h7").key
    handler = Handler()
    handler.refuse = {poison}
    processor = BatchProcessor(Consumer("test.poison", ["registry.households"], handler), db, registry_store, keys)
    await processor.declare()

    outcome = await processor.process(records)

    assert (outcome.dead, outcome.parked) == (1, 1)
    # Halving may run a part again after a rollback: what counts is that all the others were taken.
    assert set(handler.taken) == {(household(f"h{n}").key, v) for n in range(40) if n != 7 for v in (1, 2)}
    async with db.connection() as conn:
        letters = await queries.dead_letters(conn, after=uuid.UUID(int=0), most=10)
    assert [letter["state"] for letter in letters] == ["raised", "parked"]
    again = await processor.process(records)
    assert (again.taken, again.duplicates) == (0, len(records))

    handler.refuse = set()
    handler.taken.clear()
    count = await replay_key(
        db, registry_store, keys, {"test.poison": handler}, letters[0]["id"], actor="person:ops", reason="mended"
    )
    assert count == 2
    assert handler.taken == [(poison, 1), (poison, 2)]


async def test_a_batch_refused_as_a_whole_is_systemic_and_skips_nothing(
    db: Database, registry_store: EventStore, keys: Secrets
) -> None:
    drafts = [household(f"h{n}") for n in range(30)]
    await _append(db, registry_store, drafts)
    handler = Handler()
    handler.refuse = {draft.key for draft in drafts}
    processor = BatchProcessor(Consumer("test.systemic", ["registry.households"], handler), db, registry_store, keys)
    await processor.declare()
    records = await committed_records(db, keys)
    with pytest.raises(Systemic):
        await processor.process(records)
    handler.refuse = set()
    outcome = await processor.process(records)
    assert outcome.taken == 30
    assert sorted(handler.taken) == sorted((draft.key, 1) for draft in drafts)


async def test_foreign_bytes_in_a_stream_topic_become_letters_and_move_no_mark(
    db: Database, registry_store: EventStore, keys: Secrets
) -> None:
    """Tombstone, rubbish and an oversized value between two good events: both good ones are taken."""
    draft = household("h1")
    await _append(db, registry_store, [draft, household("h1", version=2)])
    first, second = await committed_records(db, keys)
    rubbish = [
        Record(first.topic, first.partition, 1, None),
        Record(first.topic, first.partition, 2, b"{rubbish"),
        Record(first.topic, first.partition, 3, b'"' + b"x" * 40_000 + b'"'),
    ]
    second.offset = 4
    handler = Handler()
    processor = BatchProcessor(Consumer("test.foreign", ["registry.households"], handler), db, registry_store, keys)
    await processor.declare()
    outcome = await processor.process([first, *rubbish, second])
    assert (outcome.taken, outcome.dead) == (2, 3)
    assert handler.taken == [(draft.key, 1), (draft.key, 2)]


async def test_a_rolled_back_append_leaves_no_gap(db: Database, registry_store: EventStore) -> None:
    await _append(db, registry_store, [household("h1")])
    with pytest.raises(RuntimeError, match="after append"):
        async with db.transaction() as conn:
            await registry_store.append(conn, [household("h1", version=2)])
            raise RuntimeError("after append")
    await _append(db, registry_store, [household("h1", version=3)])
    async with db.connection() as conn:
        rows = await conn.fetch("SELECT sequence FROM event ORDER BY sequence")
    assert [row["sequence"] for row in rows] == [1, 2]


async def test_events_refuse_change(db: Database, registry_store: EventStore) -> None:
    await _append(db, registry_store, [household("h1")])
    async with db.connection() as conn:
        for statement in ("UPDATE event SET type = 'x'", "DELETE FROM event", "TRUNCATE event"):
            with pytest.raises(Exception, match="append-only"):
                await conn.execute(statement)

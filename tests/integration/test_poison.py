"""A poison event in the middle of a batch: a dead letter, a blocked key, the rest goes on; replay in order."""

import uuid
from collections.abc import Sequence

import asyncpg
import orjson
import pytest

from salur.common.contracts.activity import ActionRefused
from salur.common.contracts.base import CONTRACTS
from salur.common.contracts.registry import HouseholdRegistered
from salur.common.database import Connection, Database
from salur.common.errors import Conflict, Refused
from salur.common.events import Consumer, Draft, EventStore, Received
from salur.common.events.consumer import BatchProcessor, Systemic
from salur.common.events.deadletters import replay_key
from salur.common.events.stream import queries
from salur.common.secrets import Secrets
from support.facts import Record, committed_records, household
from support.mechanism import FutureHousehold, fact

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
        assert await queries.count_blocked(conn) == 1
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
    async with db.connection() as conn:
        assert await queries.count_blocked(conn) == 0


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
    """Tombstone, rubbish, an oversized value, events of others between two good events: both good ones are taken."""
    draft = household("h1")
    await _append(db, registry_store, [draft, household("h1", version=2)])
    first, second = await committed_records(db, keys)
    assert first.value is not None
    rubbish = [
        Record(first.topic, first.partition, 1, None),
        Record(first.topic, first.partition, 2, b"{rubbish"),
        Record(first.topic, first.partition, 3, b'"' + b"x" * 40_000 + b'"'),
        Record(first.topic, first.partition, 4, first.value.replace(b'"/salur/registry"', b'"/salur/payments"')),
        Record(first.topic, first.partition, 5, first.value.replace(b"registry.households/", b"registry.payees/")),
    ]
    second.offset = 6
    handler = Handler()
    processor = BatchProcessor(Consumer("test.foreign", ["registry.households"], handler), db, registry_store, keys)
    await processor.declare()
    outcome = await processor.process([first, *rubbish, second])
    assert (outcome.taken, outcome.dead) == (2, 5)
    assert handler.taken == [(draft.key, 1), (draft.key, 2)]
    async with db.connection() as conn:
        reasons = [row["reason"] for row in await conn.fetch("SELECT reason FROM dead_letter ORDER BY kafka_offset")]
    assert reasons == [
        "a tombstone where events are never deleted",
        "no JSON document",
        "40002 bytes, over the limit of 32768",
        "misaddressed: the topic belongs to registry",
        "misaddressed: the event belongs to another stream",
    ]


async def test_a_version_not_known_yet_holds_its_key_until_the_version_that_knows_it_replays_it(
    db: Database, registry_store: EventStore, keys: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upgrading writers first loses nothing: later events of the key wait behind it, other keys go on."""
    key, other = household("h1").key, household("h2").key
    await _append(
        db, registry_store, [fact(key, 1), fact(key, 2, future=True), fact(key, 3), fact(other, 4), fact(key, 5)]
    )
    handler = Handler()
    processor = BatchProcessor(Consumer("test.future", ["registry.households"], handler), db, registry_store, keys)
    await processor.declare()
    outcome = await processor.process(await committed_records(db, keys))
    assert (outcome.dead, outcome.parked) == (1, 2)
    assert sorted(handler.taken, key=lambda item: item[1]) == [(key, 1), (other, 4)]
    async with db.connection() as conn:
        raised = await conn.fetchrow("SELECT id, reason FROM dead_letter WHERE state = 'raised'")
    assert raised is not None and "deploy the version that knows it, then replay" in raised["reason"]

    monkeypatch.setitem(CONTRACTS, FutureHousehold.event_type, FutureHousehold)
    handler.taken.clear()
    await replay_key(
        db, registry_store, keys, {"test.future": handler}, raised["id"], actor="person:ops", reason="deployed"
    )
    assert handler.taken == [(key, 2), (key, 3), (key, 5)]


async def test_a_poison_event_at_the_place_of_an_older_letter_is_kept(
    db: Database, registry_store: EventStore, keys: Secrets
) -> None:
    """The topic was made anew: offsets begin again. Another event at an old letter's offset is no repeat of it."""
    draft = household("h1")
    await _append(db, registry_store, [draft, household("h1", version=2), household("h1", version=3)])
    first, second, third = await committed_records(db, keys)
    handler = Handler()
    handler.refuse = {draft.key}
    processor = BatchProcessor(Consumer("test.anew", ["registry.households"], handler), db, registry_store, keys)
    await processor.declare()
    await processor.process([first])
    second.offset = third.offset = first.offset
    assert (await processor.process([second])).parked == 1
    assert (await processor.process([third])).parked == 1
    async with db.connection() as conn:
        rows = await conn.fetch("SELECT sequence, state FROM dead_letter ORDER BY sequence")
    assert [tuple(row) for row in rows] == [(1, "raised"), (2, "parked"), (3, "parked")]


async def test_bytes_of_others_are_one_letter_by_place_and_content(
    db: Database, registry_store: EventStore, keys: Secrets
) -> None:
    """Read again they are known; other bytes at the same place (a topic made anew) are new."""
    processor = BatchProcessor(Consumer("test.bytes", ["registry.households"], Handler()), db, registry_store, keys)
    await processor.declare()
    one, other = (Record("registry.households", 0, 7, value) for value in (b"{rubbish", None))
    outcomes = [await processor.process([record]) for record in (one, one, other, one, other)]
    assert [outcome.dead for outcome in outcomes] == [1, 0, 1, 0, 0]
    async with db.connection() as conn:
        letters = await conn.fetch("SELECT reason FROM dead_letter WHERE state = 'foreign' ORDER BY id")
    assert [letter["reason"] for letter in letters] == [
        "no JSON document",
        "a tombstone where events are never deleted",
    ]


async def test_an_answer_too_large_to_be_said_is_the_fault_of_its_event_alone(
    db: Database, registry_store: EventStore, keys: Secrets
) -> None:
    """The handler takes the event, but what it answers is over 32 KiB: a letter, and the batch goes on."""
    await _append(db, registry_store, [household(f"h{n}") for n in range(20)])
    wordy = household("h7").key

    async def handler(conn: Connection, batch: Sequence[Received]) -> Sequence[Draft]:
        reasons = {event.key: "x" * (40_000 if event.key == wordy else 10) for event in batch}
        facts = {key: ActionRefused.model_construct(action="test", reason=reason) for key, reason in reasons.items()}
        return [Draft(fact, key, "service:test", "cause", topic="registry.activity") for key, fact in facts.items()]

    processor = BatchProcessor(Consumer("test.wordy", ["registry.households"], handler), db, registry_store, keys)
    await processor.declare()
    outcome = await processor.process(await committed_records(db, keys))
    assert (outcome.taken, outcome.dead) == (20, 1)
    async with db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM event WHERE type = 'salur.action.refused.v1'") == 19
        reason = await conn.fetchval("SELECT reason FROM dead_letter")
    assert reason.startswith("EventTooLarge: salur.action.refused.v1 takes 4")
    assert "its writer must say less" in reason


@pytest.mark.parametrize(
    "trouble",
    [
        OSError(28, "No space left on device"),
        asyncpg.PostgresIOError("disk"),
        asyncpg.DiskFullError("full"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_trouble_of_the_machine_is_never_an_events_fault(
    db: Database, registry_store: EventStore, keys: Secrets, trouble: Exception
) -> None:
    """Out of disk in a handler: the batch is rolled back whole and taken later, no letter is written."""
    await _append(db, registry_store, [household(f"h{n}") for n in range(3)])
    taken: list[str] = []
    left = [trouble]

    async def handler(conn: Connection, batch: Sequence[Received]) -> Sequence[Draft]:
        if left:
            raise left.pop()
        taken.extend(event.key for event in batch)
        return ()

    processor = BatchProcessor(Consumer("test.trouble", ["registry.households"], handler), db, registry_store, keys)
    await processor.declare()
    records = await committed_records(db, keys)
    with pytest.raises(type(trouble)):
        await processor.process(records)
    assert taken == []
    assert (await processor.process(records)).taken == 3
    async with db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM dead_letter") == 0


async def test_a_replay_that_is_refused_again_says_who_must_act_and_moves_nothing(
    db: Database, registry_store: EventStore, keys: Secrets
) -> None:
    """Of one key an event its handler still refuses, of another a version that is still unknown. Both go on waiting."""
    await _append(db, registry_store, [household("h1"), household("h2")])
    records = await committed_records(db, keys)
    refused, unknown = household("h1").key, household("h2").key
    for record in records:
        assert record.value is not None
        document = orjson.loads(record.value)
        if document["subject"] == unknown:
            record.value = orjson.dumps(document | {"type": "salur.household.registered.v9"})
    handler = Handler()
    handler.refuse = {refused}
    processor = BatchProcessor(Consumer("test.again", ["registry.households"], handler), db, registry_store, keys)
    await processor.declare()
    await processor.process(records)
    async with db.connection() as conn:
        letters = {row["key"]: row["id"] for row in await conn.fetch("SELECT key, id FROM dead_letter")}

    async def replay(key: str, handlers: dict[str, Handler]) -> Conflict:
        with pytest.raises(Conflict) as caught:
            await replay_key(db, registry_store, keys, handlers, letters[key], actor="person:ops", reason="try")
        return caught.value

    for key, says in ((refused, "this household cannot be taken"), (unknown, "deploy the version that knows it")):
        conflict = await replay(key, {"test.again": handler})
        assert (conflict.code, conflict.who) == ("still-refused", "operations")
        assert says in str(conflict)
    assert "has no consumer" in str(await replay(refused, {}))
    async with db.connection() as conn:
        rows = await conn.fetch("SELECT state, resolved_at FROM dead_letter")
        events = await conn.fetchval("SELECT count(*) FROM event WHERE type = 'salur.dead-letter.replayed.v1'")
    assert [tuple(row) for row in rows] == [("raised", None)] * 2
    assert (events, handler.taken) == (0, [])


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

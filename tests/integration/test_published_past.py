"""A database that lost published events: seen before it writes, fenced, brought back; never written over."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from salur.common.database import Database
from salur.common.errors import Unavailable
from salur.common.events import EventStore, partition_for
from salur.common.events.envelope import Envelope, encode, parse, utc_now
from salur.common.events.recover import recover
from salur.common.events.relay import Tail, fence_if_behind, lost_past
from salur.common.secrets import Secrets, open_with
from support.facts import Record, household

pytestmark = pytest.mark.integration
KEY = household("h1").key
STREAM = f"registry.households/{partition_for(KEY)}"


@dataclass
class Past:
    """What Kafka holds of one stream."""

    events: list[tuple[Record, Envelope]] = field(default_factory=list)

    def publish(self, sequence: int) -> Envelope:
        """One more event in Kafka that the database at hand may not know."""
        encoded = encode(household("h1", version=sequence, poverty_index=sequence), "/salur/registry", utc_now())
        topic, _, number = STREAM.rpartition("/")
        assert encoded.personal is not None
        value = encoded.at(STREAM, sequence)
        record = Record(topic, int(number), len(self.events), value, headers=[("personal", encoded.personal)])
        event = parse(value, topic=topic, partition=int(number), writer="registry")
        self.events.append((record, event))
        return event

    async def tails(self, _places: Sequence[tuple[str, int]]) -> dict[str, Tail]:
        highest = max((event for _, event in self.events), key=lambda event: event.sequence)
        return {STREAM: Tail(highest.sequence, highest.id)}

    async def read(self, _topic: str, _partition: int) -> AsyncIterator[tuple[Record, Envelope]]:
        for item in self.events:
            yield item


async def _fence(db: Database, past: Past) -> dict[str, Tail]:
    async with db.connection() as conn:
        return await fence_if_behind(conn, past.tails)


async def _append(db: Database, store: EventStore) -> None:
    async with db.transaction() as conn:
        await store.append(conn, [household("h1")])


async def test_recover_brings_the_events_back_with_their_personal_values(
    db: Database, registry_store: EventStore, keys: Secrets
) -> None:
    past = Past()
    events = [past.publish(sequence) for sequence in (1, 2, 2, 3)]
    assert set(await _fence(db, past)) == {STREAM}
    with pytest.raises(Unavailable, match=r"run `python -m salur.registry recover`"):
        await _append(db, registry_store)
    assert await recover(db, registry_store, past.tails, past.read) == 0
    await _append(db, registry_store)
    async with db.connection() as conn:
        rows = await conn.fetch("SELECT sequence, id, body FROM event ORDER BY sequence")
        sealed = await conn.fetch(
            "SELECT p.*, k.sealed AS key FROM event_personal p JOIN subject_key k USING (subject)"
        )
        published = await conn.fetchval("SELECT published FROM relay WHERE stream = $1", STREAM)
    assert [row["sequence"] for row in rows] == [1, 2, 3, 4]
    assert [row["id"].hex for row in rows[:3]] == [events[0].id, events[1].id, events[3].id], "the first of two wins"
    assert [row["body"] for row in rows[:3]] == [past.events[n][0].value for n in (0, 1, 3)]
    assert published == 0, "the relay sends them again: what lies before them may never have reached Kafka"
    headers = {
        row["sequence"]: open_with(keys.open(row["key"], KEY.encode()), row["sealed"], STREAM.encode())
        for row in sealed
    }
    assert [headers[n] for n in (1, 2, 3)] == [past.events[n][0].headers[0][1] for n in (0, 1, 3)]


async def test_recover_that_finds_a_gap_keeps_the_service_read_only(db: Database, registry_store: EventStore) -> None:
    past = Past()
    past.publish(1)
    past.publish(3)
    await _fence(db, past)
    assert await recover(db, registry_store, past.tails, past.read) == 1
    with pytest.raises(Unavailable):
        await _append(db, registry_store)
    async with db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM event") == 0


async def test_another_event_in_the_place_of_a_published_one_is_seen(db: Database, registry_store: EventStore) -> None:
    """A failover lost the last event and the service wrote on before it compared: consumers would drop that."""
    past = Past()
    past.publish(1)
    await _append(db, registry_store)
    assert set(await _fence(db, past)) == {STREAM}
    with pytest.raises(Unavailable):
        await _append(db, registry_store)
    assert await recover(db, registry_store, past.tails, past.read) == 1


async def test_a_comparison_made_before_recover_fences_nothing_after_it(
    db: Database, registry_store: EventStore
) -> None:
    """The relay of a running service compares all the time; what it saw may be mended when it comes to the fence."""
    past = Past()
    past.publish(1)

    async with db.connection() as conn:
        real = lost_past

        async def then_recovered(*arguments: object) -> dict[str, Tail]:
            lost = await real(*arguments)  # type: ignore[arg-type]
            assert await recover(db, registry_store, past.tails, past.read) == 0
            return lost

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("salur.common.events.relay.lost_past", then_recovered)
            patch.setattr("salur.common.events.recover.lost_past", real)
            assert await fence_if_behind(conn, past.tails) == {}
    await _append(db, registry_store)

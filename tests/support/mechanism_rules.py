"""What may happen to the event mechanism, as rules of a state machine (tests/property/test_event_mechanism.py)."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from salur.common.contracts.base import CONTRACTS
from salur.common.errors import Conflict, Unavailable
from salur.common.events.deadletters import replay_key
from salur.common.events.marks import Mark
from salur.common.events.recover import recover
from salur.common.events.relay import SendFailed, fence_if_behind
from salur.common.events.stream import queries
from support.broker_model import FATES, BrokerModel
from support.mechanism import (
    CONSUMER,
    KEYS,
    MEMBERS,
    RELAYS,
    STREAMS,
    FutureHousehold,
    Mechanism,
    RelayProcess,
    fact,
    stream_of,
)

WAIT_S = 10.0
PAGE = 5

keys = st.sampled_from(KEYS)
streams = st.sampled_from(STREAMS)
fates = st.lists(st.sampled_from(FATES), max_size=4)
windows = st.lists(fates, min_size=1, max_size=3)
members = st.integers(0, MEMBERS - 1)
relay_numbers = st.integers(0, RELAYS - 1)
batches = st.lists(keys, min_size=1, max_size=6)
bytes_of_others = st.sampled_from([None, b"{rubbish", b"x" * 40_000, b"[" * 3_000, b'{"specversion":"1.0"}'])


@dataclass
class Truth:
    """What the machine knows. `facts`: per stream the (key, number) of every committed event, in commit order."""

    facts: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: {stream: [] for stream in STREAMS})
    number: int = 0
    unknown: set[int] = field(default_factory=set)
    """Numbers of facts in a version the consumer does not know."""

    def take_number(self) -> int:
        self.number += 1
        return self.number


class EventRules(RuleBasedStateMachine):
    """The rules and the truth they make; what must hold is stated where the machine is run."""

    mechanism: Mechanism  # given by the test, for all examples

    @initialize()
    def begin(self) -> None:
        m = self.mechanism
        m.begin()
        self.broker = BrokerModel(STREAMS)
        self.relays = m.relays(self.broker)
        self.truth = Truth()
        self.positions: list[dict[str, int]] = [dict.fromkeys(STREAMS, 0) for _ in range(MEMBERS)]
        self.foreign: set[tuple[str, int, bytes | None]] = set()
        """(stream, generation, offset) of every record of others that a committed batch has held."""
        self.backup: tuple[dict[str, bytes], dict[str, int]] | None = None
        self.consumer_backup: tuple[dict[str, bytes], set[tuple[str, int, bytes | None]]] | None = None
        self.newest: dict[str, bytes] | None = None
        self.fenced = False
        CONTRACTS.pop(FutureHousehold.event_type, None)

    def run(self, work: Any) -> Any:
        return self.mechanism.run(work)

    # Append

    async def _transaction(self, wanted: list[str], *, commit: bool, future: bool = False) -> None:
        """Append facts about `wanted` keys in one transaction; the truth is told while the streams are locked."""
        told: list[tuple[str, tuple[str, int]]] = []
        drafts = []
        for key in wanted:
            number = self.truth.take_number()
            drafts.append(fact(key, number, future=future))
            told.append((stream_of(key), (key, number)))
        with contextlib.suppress(_RolledBack):
            async with self.mechanism.registry.db.transaction() as conn:
                await self.mechanism.registry.store.append(conn, drafts)
                if not commit:
                    raise _RolledBack
                for stream, item in told:
                    self.truth.facts[stream].append(item)
                if future:
                    self.truth.unknown |= {number for _, (_, number) in told}

    @precondition(lambda self: not self.fenced)
    @rule(wanted=batches, commit=st.sampled_from([True, True, True, False]))
    def append(self, wanted: list[str], commit: bool) -> None:
        self.run(self._transaction(wanted, commit=commit))

    @precondition(lambda self: not self.fenced)
    @rule(plans=st.lists(st.tuples(batches, st.booleans()), min_size=2, max_size=4))
    def append_concurrently(self, plans: list[tuple[list[str], bool]]) -> None:
        async def all_at_once() -> None:
            await asyncio.gather(*(self._transaction(wanted, commit=commit) for wanted, commit in plans))

        self.run(all_at_once())

    @precondition(lambda self: not self.fenced)
    @rule(key=keys)
    def append_a_version_unknown_to_the_consumer(self, key: str) -> None:
        self.run(self._transaction([key], commit=True, future=True))

    @precondition(lambda self: self.fenced)
    @rule(key=keys)
    def append_while_behind_the_published_past(self, key: str) -> None:
        with pytest.raises(Unavailable, match="recover"):
            self.run(self._transaction([key], commit=True))

    # Relay

    def _owner(self) -> RelayProcess | None:
        return next((relay for relay in self.relays if relay.conn is not None and not relay.cut_off), None)

    @rule(number=relay_numbers)
    def a_relay_tries_to_take_over(self, number: int) -> None:
        relay = self.relays[number]
        if relay.cut_off:
            self.a_relay_goes_on(number)
        if relay.conn is not None:
            return
        if self._owner() is not None or self.fenced:
            assert not self.run(relay.take_over()), "two owners, or an owner of a database behind its past"
            return
        deadline = time.monotonic() + WAIT_S  # the server frees the last owner's lock in its own time
        while not self.run(relay.take_over()):
            assert time.monotonic() < deadline, "nobody holds the lock and nobody gets it"

    @precondition(lambda self: not self.fenced)
    @rule(number=relay_numbers, windows=windows, hang_at=st.none() | st.integers(0, 3))
    def a_relay_works(self, number: int, windows: list[list[str]], hang_at: int | None) -> None:
        """The owner (or this one, when there is none) publishes windows; in the last one a send may hang."""
        owner = self._owner()
        if owner is None:
            self.a_relay_tries_to_take_over(number)
            owner = self._owner()
        for place, fate in enumerate(windows, start=1):
            if owner is None or owner.conn is None or owner.hangs():
                return
            hangs = place == len(windows) and hang_at is not None
            self.run(owner.publish(self.broker, [*fate[:hang_at], "hangs", *fate[hang_at:]] if hangs else list(fate)))
            if owner.hangs():
                event("a relay hangs in a send")

    @precondition(lambda self: self._owner() is not None)
    @rule(number=relay_numbers)
    def a_relay_is_cut_off_from_its_database(self, number: int) -> None:
        relay = self.relays[number]
        if relay.conn is not None and not relay.cut_off:
            self.run(relay.cut(self.mechanism.registry))

    @precondition(lambda self: any(relay.cut_off or relay.hangs() for relay in self.relays))
    @rule(number=relay_numbers)
    def a_relay_goes_on(self, number: int) -> None:
        """A hanging relay wakes; when it was cut off meanwhile, it sends what it had and moves nothing."""
        relay = self.relays[number]
        if relay.conn is None or (not relay.hangs() and not relay.cut_off):
            return
        before, cut_off = self.run(self.mechanism.heads()), relay.cut_off
        if not relay.hangs():
            self.run(relay.publish(self.broker, []))
        failure = self.run(relay.finish()) if relay.hangs() else None
        if cut_off:
            event("a relay that lost its turn wakes")
            assert relay.conn is None, f"it went on without its lock: {failure}"
            assert self.run(self.mechanism.heads()) == before, "a relay without its lock moved `published`"
        assert failure is None or cut_off or isinstance(failure, SendFailed)

    @precondition(lambda self: bool(self.broker.late))
    @rule()
    def late_records_land(self) -> None:
        self.broker.land_late()

    @precondition(lambda self: not self.fenced)
    @rule(wanted=batches, number=relay_numbers, windows=windows, member=members, most=st.integers(1, PAGE))
    def life_goes_on(self, wanted: list[str], number: int, windows: list[list[str]], member: int, most: int) -> None:
        """The usual course in one step, so that troubles meet a mechanism at work."""
        self.append(wanted, True)
        self.a_relay_works(number, windows, None)
        self.consume(member, STREAMS, most)

    # Kafka's own troubles

    @rule(stream=streams, value=bytes_of_others)
    def somebody_else_writes_into_a_stream(self, stream: str, value: bytes | None) -> None:
        self.broker.append_bytes(stream, value)

    @precondition(lambda self: any(self.broker.landed.values()))
    @rule(stream=streams, other=streams)
    def an_event_is_written_into_another_stream(self, stream: str, other: str) -> None:
        known = self.broker.events(other)
        if stream != other and known:
            record, _ = known[0]
            self.broker.append_bytes(stream, record.value, record.headers)

    @precondition(lambda self: any(self.broker.landed.values()))
    @rule(stream=streams, count=st.integers(1, 6))
    def retention_passes(self, stream: str, count: int) -> None:
        """Old records go, but not the highest event: a stream of which Kafka holds nothing cannot show a lost past."""
        log = self.broker.partitions[stream]
        known = self.broker.events(stream)
        if known:
            highest = max(known, key=lambda item: item[1].sequence)[0]
            count = min(count, next(n for n, record in enumerate(log.records) if record is highest))
        self.broker.truncate(stream, min(count, len(log.records)))

    @precondition(lambda self: not self.fenced and any(self.broker.landed.values()))
    @rule(stream=streams, sequence=st.integers(1, 4))
    def the_topic_is_made_anew_and_republished(self, stream: str, sequence: int) -> None:
        self.broker.make_anew(stream)
        self.backup = None  # until Kafka holds the past again, it cannot show that a database lost it
        self._republish(stream, sequence)

    @precondition(lambda self: not self.fenced and any(self.broker.landed.values()))
    @rule(stream=streams, sequence=st.integers(1, 10))
    def operations_republish(self, stream: str, sequence: int) -> None:
        self._republish(stream, sequence)

    @precondition(lambda self: not self.fenced)
    @rule(wanted=batches, number=relay_numbers, hang_at=st.integers(0, 2))
    def operations_republish_while_a_window_is_on_its_way(self, wanted: list[str], number: int, hang_at: int) -> None:
        self.append(wanted, True)
        self.a_relay_works(number, [[]], hang_at)
        self._republish(stream_of(wanted[0]), 1)

    def _republish(self, stream: str, sequence: int) -> None:
        async def command() -> None:
            async with self.mechanism.registry.db.transaction() as conn:
                await queries.republish_from(conn, stream=stream, sequence=sequence)

        self.run(command())
        owner = self._owner()
        if owner is not None and owner.hangs():
            # A window is on its way: what it saves at its end must not undo the command.
            event("republished while a window is on its way")
            self.run(owner.finish())
            assert self.run(self.mechanism.heads())[stream][1] <= max(sequence - 1, 0), "the republish is undone"

    # Consume

    def _fetch(self, member: int, stream: str, most: int) -> list[Any]:
        log = self.broker.partitions[stream]
        position = self.positions[member][stream]
        return log.read(position, most)

    async def _process(self, member: int, wanted: list[str], most: int) -> None:
        records = [record for stream in wanted for record in self._fetch(member, stream, most)]
        if not records:
            return
        outcome = await self.mechanism.processors[member].process(records)
        if outcome.holes:
            event("a hole")
        for record in records:
            stream = f"{record.topic}/{record.partition}"
            self.positions[member][stream] = record.offset + 1
            if self._is_foreign(record):
                # The same bytes at the same place of a topic made anew are the same record: nothing of them is lost.
                self.foreign.add((stream, record.offset, record.value))

    def _is_foreign(self, record: Any) -> bool:
        events = self.broker.events(f"{record.topic}/{record.partition}")
        return all(known is not record for known, _ in events)

    @rule(member=members, wanted=st.lists(streams, min_size=1, unique=True), most=st.integers(1, PAGE))
    def consume(self, member: int, wanted: list[str], most: int) -> None:
        self.run(self._process(member, wanted, most))

    @rule(wanted=st.lists(streams, min_size=1, unique=True), most=st.integers(1, PAGE))
    def two_members_consume_the_same_partitions(self, wanted: list[str], most: int) -> None:
        """A rebalance: one of them is a zombie, whichever comes second."""

        async def both() -> None:
            await asyncio.gather(*(self._process(member, wanted, most) for member in range(MEMBERS)))

        self.run(both())

    @rule(member=members, stream=streams, most=st.integers(1, PAGE))
    def a_batch_is_lost_before_its_commit(self, member: int, stream: str, most: int) -> None:
        self.mechanism.handler.crash = True
        before = self.run(self._consumer_state())
        lost = False
        try:
            self.run(self._process(member, [stream], most))
        except ConnectionError:
            lost = True
        finally:
            self.mechanism.handler.crash = False
        # Without an event for the handler in it, the batch commits.
        if lost:
            assert self.run(self._consumer_state()) == before, "half a batch stayed"

    @rule(member=members, wanted=st.lists(streams, min_size=1, unique=True), from_start=st.booleans())
    def partitions_are_assigned(self, member: int, wanted: list[str], from_start: bool) -> None:
        """On assignment a member goes to its marks; behind a hole that stays, it reads from the start."""
        self._assign(member, wanted, from_start=from_start)

    def _assign(self, member: int, wanted: list[str], *, from_start: bool) -> None:
        marks: dict[str, Mark] = self.run(self.mechanism.processors[member].marks(wanted))
        for stream in wanted:
            self.positions[member][stream] = 0 if from_start else max(marks[stream].offset + 1, 0)

    # Poison and replay

    @rule(key=keys, how=st.sampled_from(["refused", "bug", "constraint", "too large"]), divisor=st.integers(1, 3))
    def a_key_becomes_poison(self, key: str, how: str, divisor: int) -> None:
        self.mechanism.handler.poison[key] = how, divisor

    @precondition(lambda self: bool(self.mechanism.handler.poison))
    @rule(key=keys)
    def a_key_is_mended(self, key: str) -> None:
        self.mechanism.handler.poison.pop(key, None)

    @rule(key=keys)
    def a_blocked_key_is_replayed(self, key: str) -> None:
        waiting = self.run(self._waiting(key))
        if not waiting:
            return
        before = self.run(self._consumer_state())
        known = FutureHousehold.event_type in CONTRACTS
        numbers = {self._number(row["stream"], row["sequence"]) for row in waiting}
        poisoned = any(self.mechanism.handler.refuses(key, number) for number in numbers)
        if poisoned or (not known and numbers & self.truth.unknown):
            with pytest.raises(Conflict, match="mend the cause"):
                self.run(self._replay(waiting[0]["id"]))
            assert self.run(self._consumer_state()) == before, "a refused replay changed something"
        else:
            event("a key is replayed")
            assert self.run(self._replay(waiting[-1]["id"])) == len(waiting)
            assert self.run(self._waiting(key)) == []

    async def _replay(self, letter_id: Any) -> int:
        m = self.mechanism
        handlers = {CONSUMER: m.handler}
        return await replay_key(
            m.consumer.db, m.consumer.store, m.keys, handlers, letter_id, actor="person:ops", reason="mended"
        )

    @precondition(lambda self: bool(self.truth.unknown))
    @rule()
    def the_consumer_learns_the_new_version(self) -> None:
        CONTRACTS[FutureHousehold.event_type] = FutureHousehold

    # Backups

    @precondition(lambda self: not self.fenced)
    @rule()
    def back_up_the_registry(self) -> None:
        self.backup = self.run(self.mechanism.registry.snapshot()), {s: len(f) for s, f in self.truth.facts.items()}

    @precondition(lambda self: self.backup is not None and not self.fenced)
    @rule()
    def restore_the_registry(self) -> None:
        """An older backup comes back; the service starts, and compares with Kafka before it writes anything."""
        assert self.backup is not None
        for relay in self.relays:
            self.run(relay.finish())
            self.run(relay.let_go())
        self.broker.land_late()
        rows, heads = self.backup
        self.newest = self.run(self.mechanism.registry.snapshot())
        self.run(self.mechanism.registry.restore(rows))
        lost = {s for s in STREAMS if max(self.broker.held(s), default=0) > heads[s]}
        found = self.run(self._fence())
        assert set(found) == lost
        self.fenced = bool(lost)
        if lost:
            event("behind its published past")
        else:
            self._forget_above(heads)
        self.backup = None

    @precondition(lambda self: not self.fenced)
    @rule(wanted=batches, number=relay_numbers, windows=windows, member=members)
    def a_backup_comes_back_after_more_was_published(
        self, wanted: list[str], number: int, windows: list[list[str]], member: int
    ) -> None:
        self.back_up_the_registry()
        self.life_goes_on(wanted, number, windows, member, PAGE)
        self.restore_the_registry()

    async def _fence(self) -> dict[str, Any]:
        async with self.mechanism.registry.db.connection() as conn:
            return await fence_if_behind(conn, self.broker.read_tails)

    def _forget_above(self, heads: dict[str, int]) -> None:
        """Facts that never reached Kafka are gone with the database that held them."""
        for stream, head in heads.items():
            del self.truth.facts[stream][head:]

    @precondition(lambda self: self.fenced)
    @rule()
    def operations_recover(self) -> None:
        m = self.mechanism
        heads = {stream: head for stream, (head, _, _) in self.run(m.heads()).items()}
        tails = {s: max([heads[s], *self.broker.held(s)]) for s in STREAMS}
        whole = all(set(range(heads[s] + 1, tails[s] + 1)) <= self.broker.held(s) for s in STREAMS)
        code = self.run(recover(m.registry.db, m.registry.store, self.broker.read_tails, self.broker.read_stream))
        assert code == (0 if whole else 1)
        if whole:
            event("recovered")
            self._forget_above(tails)
        else:
            event("recover needs a newer backup")
            assert self.newest is not None
            self.run(m.registry.restore(self.newest))
            assert self.run(self._fence()) == {}
        self.fenced = False

    @rule()
    def back_up_the_consumer(self) -> None:
        self.consumer_backup = self.run(self.mechanism.consumer.snapshot()), set(self.foreign)

    @precondition(lambda self: self.consumer_backup is not None)
    @rule(restarted=st.booleans())
    def restore_the_consumer(self, restarted: bool) -> None:
        """Marks go back with the effects. A restarted member seeks back; one that runs on meets a hole first."""
        assert self.consumer_backup is not None
        rows, foreign = self.consumer_backup
        self.run(self.mechanism.consumer.restore(rows))
        self.foreign = set(foreign)
        if restarted:
            for member in range(MEMBERS):
                self._assign(member, STREAMS, from_start=False)

    # Looking

    def _number(self, stream: str, sequence: int) -> int:
        return self.truth.facts[stream][sequence - 1][1]

    async def _consumer_state(self) -> tuple[list[Any], ...]:
        side = self.mechanism.consumer
        return (
            await side.fetch("SELECT stream, sequence, kafka_offset FROM mark WHERE stream = ANY($1) ORDER BY stream",
                             STREAMS),
            await side.fetch("SELECT stream, sequence, key, number FROM effect ORDER BY id"),
            await side.fetch("SELECT stream, sequence, key, state, kafka_offset FROM dead_letter ORDER BY stream,"
                             " sequence, kafka_offset"),
            await side.fetch("SELECT count(*) FILTER (WHERE type = 'salur.action.refused.v1') AS answers,"
                             " count(*) FILTER (WHERE type = 'salur.dead-letter.raised.v1') AS raised FROM event"),
        )  # fmt: skip

    async def _waiting(self, key: str) -> list[Any]:
        return await self.mechanism.consumer.fetch(
            "SELECT id, stream, sequence FROM dead_letter WHERE key = $1 AND state IN ('raised', 'parked')"
            " ORDER BY stream, sequence",
            key,
        )


class _RolledBack(Exception):
    """The transaction does not commit."""

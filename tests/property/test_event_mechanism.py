"""The event mechanism as one machine: whatever happens in whatever order, nothing is lost, doubled or out of order.

Real: append, relay, consume, dead letters, replay, recover, on two real PostgreSQL databases. A model: the broker,
which must misbehave on command (tests/support/broker_model.py). The truth is a list of facts per stream, in the order
in which their transactions held the stream's lock. After every step the event table is that list, numbered 1..n;
`published` stands only over what Kafka has had without a break; the consumer's effects and its waiting letters together
are exactly a prefix of the list, each event once, in the order of its key. In the end, when faults stop, it is all.
"""

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from salur.common.contracts.base import CONTRACTS
from salur.common.database import migrate
from salur.common.secrets import Secrets
from support.mechanism import KEYS, STREAMS, FutureHousehold, Mechanism
from support.mechanism_rules import PAGE, EventRules
from support.pair import Addresses

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

EXAMPLES = 30
STEPS = 35


class EventMechanism(EventRules):
    """The rules with what must hold after every step and in the end."""

    @invariant()
    def the_event_table_is_the_committed_facts_in_their_order(self) -> None:
        heads = self.run(self.mechanism.heads())
        events = self.run(self.mechanism.events())
        for stream in STREAMS:
            facts = self.truth.facts[stream]
            known = facts[: len(events[stream])] if self.fenced else facts
            assert events[stream] == [(n, key, number) for n, (key, number) in enumerate(known, start=1)]
            head, published, fenced = heads[stream]
            assert (head, fenced) == (len(known), self.fenced)
            assert published <= head
            # Recover counts what it found in Kafka as published, acknowledged or not.
            there = self.broker.acknowledged[stream] | self.broker.landed[stream]
            assert set(range(1, published + 1)) <= there, "published stands over what Kafka never had"

    @invariant()
    def effects_and_waiting_letters_are_a_prefix_each_once_in_order(self) -> None:
        marks, effects, letters, counts = self.run(self._consumer_state())
        waiting: dict[str, int] = {}
        for letter in letters:
            if letter["state"] in ("raised", "parked"):
                first = waiting.setdefault(letter["key"], letter["sequence"])
                waiting[letter["key"]] = min(first, letter["sequence"])
        for mark in marks:
            stream, taken = mark["stream"], mark["sequence"]
            facts = self.truth.facts[stream]
            assert taken <= len(facts)
            expected = [(n, key, number) for n, (key, number) in enumerate(facts[:taken], start=1)]
            done = [(e["sequence"], e["key"], e["number"]) for e in effects if e["stream"] == stream]
            left = [
                (n, key, number)
                for n, key, number in expected
                if any(
                    (w["stream"], w["sequence"], w["key"]) == (stream, n, key) and w["state"] in ("raised", "parked")
                    for w in letters
                )
            ]
            assert sorted(done + left) == expected, "an event is lost, doubled or another one's"
        by_key: dict[str, list[int]] = {}
        for effect in effects:
            by_key.setdefault(effect["key"], []).append(effect["sequence"])
        for key, sequences in by_key.items():
            assert sequences == sorted(sequences), "a key's events are out of order"
            assert sequences[-1] < waiting.get(key, sequences[-1] + 1), "an event overtook its blocked key"
        foreign = [letter for letter in letters if letter["state"] == "foreign"]
        raised = [letter for letter in letters if letter["state"] != "foreign"]
        assert len(foreign) == len(self.foreign)
        assert counts[0]["answers"] == len(effects)
        assert len(foreign) <= counts[0]["raised"] <= len(foreign) + len(raised)

    # In the end

    def teardown(self) -> None:
        """Faults stop: within a bounded number of steps every fact has its effect."""
        if not hasattr(self, "broker"):
            return
        try:
            self._drain()
        finally:
            for relay in self.relays:
                self.run(relay.finish())
                self.run(relay.let_go())
            CONTRACTS.pop(FutureHousehold.event_type, None)

    def _drain(self) -> None:
        if self.fenced:
            self.operations_recover()
        self.mechanism.handler.poison.clear()
        self.the_consumer_learns_the_new_version()
        for relay in self.relays:
            self.run(relay.finish())
            self.run(relay.let_go())
        self.broker.land_late()
        self.a_relay_tries_to_take_over(0)
        for from_start, republish in ((False, False), (True, False), (True, True)):
            if republish and self._complete():
                break
            if republish:
                event("only a republish fills the hole")
                for mark in self.run(self.mechanism.processors[0].marks(STREAMS)).items():
                    self._republish(mark[0], mark[1].sequence + 1)
            self._publish_all()
            self._assign(0, STREAMS, from_start=from_start)
            while any(self._fetch(0, stream, 1) for stream in STREAMS):
                self.consume(0, STREAMS, PAGE)
        for key in KEYS:
            self.a_blocked_key_is_replayed(key)
        self.effects_and_waiting_letters_are_a_prefix_each_once_in_order()
        assert self._complete(), "an event never arrived"
        _, effects, _, _ = self.run(self._consumer_state())
        assert len(effects) == sum(map(len, self.truth.facts.values()))

    def _publish_all(self) -> None:
        for _ in range(200):
            if all(head == published for head, published, _ in self.run(self.mechanism.heads()).values()):
                return
            self.a_relay_works(0, [[]], None)
        raise AssertionError("the relay never comes to an end")

    def _complete(self) -> bool:
        marks = self.run(self.mechanism.processors[0].marks(STREAMS))
        return all(marks[stream].sequence == len(self.truth.facts[stream]) for stream in STREAMS)


@pytest.fixture
def mechanism(pair: Addresses, keys: Secrets) -> Iterator[Mechanism]:
    """Two databases for all examples. Without waiting for the disk: no example stops the server."""
    names = [f"mechanism_{side}" for side in ("registry", "consumer")]
    with psycopg.connect(pair.postgres, autocommit=True) as admin:
        for name in names:
            admin.execute(f"CREATE DATABASE {name}")
            admin.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    urls = [pair.postgres.rsplit("/", 1)[0] + f"/{name}" for name in names]
    for url in urls:
        migrate(url, [])
    made = Mechanism(urls[0], urls[1], keys)
    yield made
    made.close()
    with psycopg.connect(pair.postgres, autocommit=True) as admin:
        for name in names:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_nothing_is_lost_doubled_or_out_of_order_whatever_happens(mechanism: Mechanism) -> None:
    EventMechanism.mechanism = mechanism
    run_state_machine_as_test(
        EventMechanism,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # Without `explain`, whose tracing takes longer than the search.
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        ),
    )

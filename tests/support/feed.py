"""Records for a consumer of a service under test: what it published itself, and what other services would say."""

from collections import Counter
from typing import Any

from salur.common.contracts.base import Fact
from salur.common.contracts.topics import topic_named
from salur.common.events import Consumer, Draft, partition_for, personal, stream_name
from salur.common.events.consumer import BatchProcessor, Outcome
from salur.common.events.envelope import encode, utc_now
from salur.common.secrets import open_with
from salur.common.service import Runtime, Service
from support.facts import Record


class Feed:
    """One consumer fed by hand, in order, with the real mechanism behind it."""

    def __init__(self, runtime: Runtime, service: Service, name: str) -> None:
        self._runtime = runtime
        consumer = next(consumer for consumer in service.consumers if consumer.name == name)
        assert isinstance(consumer, Consumer)
        self._topics = consumer.topics
        self._processor = BatchProcessor(consumer, runtime.db, runtime.store, runtime.secrets)
        self._heads: Counter[str] = Counter()

    async def declare(self) -> "Feed":
        await self._processor.declare()
        return self

    async def own(self) -> Outcome:
        """Everything the service has published on the consumer's topics so far; repeats are absorbed."""
        topics = tuple(f"{topic}/%" for topic in self._topics if topic_named(topic).writer == self._runtime.name)
        async with self._runtime.db.connection() as conn:
            rows = await conn.fetch(
                "SELECT e.*, p.sealed, k.sealed AS subject_key FROM event e LEFT JOIN event_personal p"
                " USING (stream, sequence) LEFT JOIN subject_key k USING (subject) WHERE e.stream LIKE ANY($1)"
                " ORDER BY stream, sequence",
                topics,
            )
        return await self._processor.process([self._stored(row) for row in rows])

    async def said(self, topic: str, *facts: tuple[Fact, str]) -> Outcome:
        """Events of another service, as (fact, key)."""
        return await self._processor.process([self._record(topic, fact, key) for fact, key in facts])

    def _stored(self, row: Any) -> Record:
        topic, _, partition = row["stream"].rpartition("/")
        headers = []
        if row["sealed"] is not None:
            key = self._runtime.secrets.open(row["subject_key"], row["key"].encode())
            headers = [(personal.HEADER, open_with(key, row["sealed"], row["stream"].encode()))]
        return Record(topic, int(partition), row["sequence"] - 1, row["body"], headers=headers)

    def _record(self, topic: str, fact: Fact, key: str) -> Record:
        partition = partition_for(key)
        stream = stream_name(topic, partition)
        self._heads[stream] += 1
        writer = topic_named(topic).writer
        encoded = encode(Draft(fact, key, f"service:{writer}", "cause-1", topic=topic), f"/salur/{writer}", utc_now())
        headers = [(personal.HEADER, encoded.personal)] if encoded.personal else []
        return Record(
            topic, partition, self._heads[stream] - 1, encoded.at(stream, self._heads[stream]), headers=headers
        )

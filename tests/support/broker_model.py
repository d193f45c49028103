"""A broker that misbehaves on command, for the stateful test of the event mechanism. Everything else there is real.

A partition is a list of records with the offset of its first one. What happens to a record handed over is its fate:
`taken` (appended and acknowledged), `refused` (not appended, its delivery fails, later ones go on), `ack lost`
(appended, but its delivery fails), `late` (its delivery fails, it is appended some time later), `send fails` (send()
itself raises), `hangs` (send() waits until the gate opens, then as taken).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from salur.common.contracts.topics import topic_named
from salur.common.events.envelope import Envelope, Undecodable, parse
from salur.common.events.relay import Outgoing, Tail
from support.facts import Record

FATES = ("taken", "taken", "taken", "refused", "ack lost", "late", "send fails")


@dataclass
class Partition:
    """`generation` counts how often the topic was made anew."""

    start: int = 0
    records: list[Record] = field(default_factory=list)
    generation: int = 0

    @property
    def end(self) -> int:
        return self.start + len(self.records)

    def read(self, offset: int, most: int) -> list[Record]:
        """Records from an offset on; outside the log a consumer begins at the earliest (`auto_offset_reset`)."""
        first = offset - self.start if self.start <= offset <= self.end else 0
        return self.records[first : first + most]


class BrokerModel:
    """`landed` and `acknowledged`: the sequences of a stream that were ever appended, ever acknowledged."""

    def __init__(self, streams: Sequence[str]) -> None:
        self.partitions = {stream: Partition() for stream in streams}
        self.landed: dict[str, set[int]] = {stream: set() for stream in streams}
        self.acknowledged: dict[str, set[int]] = {stream: set() for stream in streams}
        self.late: list[Outgoing] = []

    def append(self, record: Outgoing) -> None:
        self.landed[record.stream].add(record.sequence)
        self.append_bytes(record.stream, record.value, record.headers)

    def append_bytes(self, stream: str, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()) -> Record:
        partition = self.partitions[stream]
        topic, _, number = stream.rpartition("/")
        record = Record(topic, int(number), partition.end, value, headers=list(headers))
        partition.records.append(record)
        return record

    def land_late(self) -> None:
        """What old producers still had on the way arrives now."""
        for record in self.late:
            self.append(record)
        self.late.clear()

    def truncate(self, stream: str, count: int) -> None:
        """Retention: the first `count` records are gone, offsets stay."""
        partition = self.partitions[stream]
        del partition.records[:count]
        partition.start += count

    def make_anew(self, stream: str) -> None:
        """The topic was deleted and made again: empty, offsets from zero."""
        self.partitions[stream] = Partition(generation=self.partitions[stream].generation + 1)

    def events(self, stream: str) -> list[tuple[Record, Envelope]]:
        found = []
        for record in self.partitions[stream].records:
            try:
                writer = topic_named(record.topic).writer
                event = parse(record.value, topic=record.topic, partition=record.partition, writer=writer)
                found.append((record, event))
            except Undecodable:
                continue
        return found

    def held(self, stream: str) -> set[int]:
        """The sequences the log holds now."""
        return {event.sequence for _, event in self.events(stream)}

    async def read_tails(self, places: Sequence[tuple[str, int]]) -> dict[str, Tail]:
        tails = {}
        for topic, number in places:
            stream = f"{topic}/{number}"
            events = [event for _, event in self.events(stream)] if stream in self.partitions else []
            if events:
                highest = max(events, key=lambda event: event.sequence)
                tails[stream] = Tail(highest.sequence, highest.id)
        return tails

    async def read_stream(self, topic: str, number: int) -> AsyncIterator[tuple[Record, Envelope]]:
        for record, event in self.events(f"{topic}/{number}"):
            yield record, event


@dataclass
class ModelProducer:
    """Hands records to the broker; `fates` are used up in order, afterwards everything is taken."""

    broker: BrokerModel
    fates: list[str]
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waits: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, record: Outgoing) -> "asyncio.Future[object]":
        fate = self.fates.pop(0) if self.fates else "taken"
        if fate == "send fails":
            raise ConnectionError("the broker is away")
        if fate == "hangs":
            self.waits.set()
            await self.gate.wait()
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if fate in ("taken", "hangs", "ack lost"):
            self.broker.append(record)
        if fate == "late":
            self.broker.late.append(record)
        if fate in ("taken", "hangs"):
            self.broker.acknowledged[record.stream].add(record.sequence)
            future.set_result(None)
        else:
            future.set_exception(ConnectionError(fate))
        return future

    async def close(self) -> None:
        """Nothing to free."""

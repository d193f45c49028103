"""Marks: which records of a batch are taken, which are repeats, which stand behind a hole. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Positioned(Protocol):
    """A record with its stream, its sequence in it and its Kafka offset."""

    @property
    def stream(self) -> str: ...
    @property
    def sequence(self) -> int: ...
    @property
    def offset(self) -> int: ...


R = TypeVar("R", bound=Positioned)


@dataclass(slots=True)
class Mark:
    """How far a consumer has taken a stream."""

    sequence: int
    offset: int


@dataclass(slots=True)
class Sorted(Generic[R]):
    """A batch, sorted: `taken` in order, the repeats that are dropped, counts of the rest, and the marks after it."""

    taken: list[R] = field(default_factory=list)
    repeats: list[R] = field(default_factory=list)
    holes: dict[str, int] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)

    @property
    def duplicates(self) -> int:
        """How many repeats."""
        return len(self.repeats)


def sort_batch(records: Iterable[R], marks: Mapping[str, Mark]) -> Sorted[R]:
    """Take sequence = mark + 1; drop smaller ones as duplicates; drop larger ones as behind a hole.

    A hole stops its stream and never loses an event: the mark stays, the relay's re-send fills it. The offset of a mark
    is the place of the last record taken, nothing else: from there on a restart reads everything again.
    """
    result: Sorted[R] = Sorted(marks={name: Mark(mark.sequence, mark.offset) for name, mark in marks.items()})
    for record in records:
        mark = result.marks[record.stream]
        if record.sequence == mark.sequence + 1:
            mark.sequence = record.sequence
            result.taken.append(record)
            # The hole before it is filled; what was dropped behind it is sent again, so the offset may move on.
            result.holes.pop(record.stream, None)
            mark.offset = record.offset
        elif record.sequence <= mark.sequence:
            result.repeats.append(record)
        else:
            result.holes[record.stream] = result.holes.get(record.stream, 0) + 1
    return result


def sort_outside(records: Iterable[R], marks: Mapping[str, Mark]) -> Sorted[R]:
    """Outside topics carry no sequence: the mark is the Kafka offset."""
    result: Sorted[R] = Sorted(marks={name: Mark(mark.sequence, mark.offset) for name, mark in marks.items()})
    for record in records:
        mark = result.marks[record.stream]
        if record.offset <= mark.offset:
            result.repeats.append(record)
            continue
        mark.offset = record.offset
        result.taken.append(record)
    return result

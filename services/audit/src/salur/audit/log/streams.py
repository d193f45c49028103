"""Completeness of the trail: per stream the sequences 1..n, each once and in order, as far as its service sealed it."""

from dataclasses import dataclass, field

import orjson

from salur.audit.log.seals import Seals


@dataclass(slots=True)
class _Stream:
    last: int = 0
    holes: list[tuple[int, int]] = field(default_factory=list)

    def fill(self, sequence: int) -> bool:
        """Take a late sequence out of the holes. False when it was not missing."""
        for place, (first, last) in enumerate(self.holes):
            if first <= sequence <= last:
                rest = [(first, sequence - 1), (sequence + 1, last)]
                self.holes[place : place + 1] = [(a, b) for a, b in rest if a <= b]
                return True
        return False


class Streams:
    """Follows leaves in log order. `breaks` counts places where a stream does not go on with its next sequence,
    `duplicates` second leaves of a sequence, `outside` commitments of outside topics, `malformed` all others.
    """

    def __init__(self) -> None:
        self.breaks = self.duplicates = self.outside = self.malformed = 0
        self.first_problem: tuple[int, str] | None = None
        self.seals = Seals()
        self._streams: dict[str, _Stream] = {}

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def lasts(self) -> dict[str, int]:
        """The last sequence of each stream."""
        return {name: stream.last for name, stream in self._streams.items()}

    @property
    def missing(self) -> int:
        """Sequences below a stream's last one that no leaf holds."""
        return sum(last - first + 1 for stream in self._streams.values() for first, last in stream.holes)

    def take(self, index: int, leaf: bytes) -> None:
        """Follow the leaf at `index`."""
        try:
            event = orjson.loads(leaf)
        except ValueError:
            event = None
        name = event.get("stream") if type(event) is dict else None
        sequence = event.get("sequence") if type(event) is dict else None
        if type(name) is not str or type(sequence) is not int or sequence < 1:
            self._take_other(index, event)
            return
        self.seals.take(index, name, sequence, event)
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = _Stream()
        if sequence == stream.last + 1:
            stream.last = sequence
        elif sequence > stream.last:
            self._note(index, f"{name} goes from {stream.last} to {sequence}")
            self.breaks += 1
            stream.holes.append((stream.last + 1, sequence - 1))
            stream.last = sequence
        elif stream.fill(sequence):
            self._note(index, f"{name} has {sequence} after {stream.last}")
            self.breaks += 1
        else:
            self._note(index, f"{name} has {sequence} twice")
            self.duplicates += 1

    def _take_other(self, index: int, event: object) -> None:
        if isinstance(event, dict) and "stream" not in event and type(event.get("commitment")) is str:
            self.outside += 1
        else:
            self._note(index, "an entry is neither an event with stream and sequence nor a commitment")
            self.malformed += 1

    def _note(self, index: int, problem: str) -> None:
        if self.first_problem is None:
            self.first_problem = (index, problem)

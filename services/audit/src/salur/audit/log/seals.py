"""What services sealed of their streams against what the log holds: a withheld tail, a left out stream, other bytes.

A seal may stand in the log before its events, and seals may overlap (a service with a restored database seals again).
So the places of all entries are kept (8 bytes an entry), and every seal is compared at the end, in the log's order.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

SEALED = "salur.service.sealed.v1"
"""The type of a seal's event."""


@dataclass(frozen=True, slots=True)
class Seal:
    """One line of a seal event: `range_hash` = SHA-256 over the leaf hashes of `first`..`head`. `index`: its entry."""

    index: int
    stream: str
    first: int
    head: int
    range_hash: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A seal the log does not bear out. `index`: the first entry of the range, or the seal where one is missing."""

    index: int
    withheld: bool
    said: str


@dataclass(slots=True)
class _Places:
    """The entry of each sequence of one stream: 1..n in a row, what came out of order apart."""

    row: "array[int]" = field(default_factory=lambda: array("q"))
    apart: dict[int, int] = field(default_factory=dict)

    def add(self, sequence: int, index: int) -> None:
        if sequence == len(self.row) + 1:
            self.row.append(index)
        elif sequence > len(self.row):
            self.apart.setdefault(sequence, index)

    def held(self, first: int, head: int) -> int:
        """How many of first..head the log holds."""
        in_row = max(0, min(head, len(self.row)) - first + 1)
        return in_row + sum(first <= sequence <= head for sequence in self.apart if sequence > len(self.row))

    def of(self, first: int, head: int) -> Iterator[int]:
        """The entries of first..head, all of which are held."""
        yield from self.row[first - 1 : head]
        for sequence in range(max(first, len(self.row) + 1), head + 1):
            yield self.apart[sequence]


class Seals:
    """Follows the events of a log in its order; `findings` compares at the end."""

    def __init__(self) -> None:
        self.malformed: list[int] = []
        self._places: dict[str, _Places] = {}
        self._seals: list[Seal] = []

    def __len__(self) -> int:
        return len(self._seals)

    @property
    def heads(self) -> dict[str, int]:
        """The highest head that was sealed, by stream."""
        heads: dict[str, int] = {}
        for seal in self._seals:
            heads[seal.stream] = max(seal.head, heads.get(seal.stream, 0))
        return heads

    def take(self, index: int, stream: str, sequence: int, event: dict[str, Any]) -> None:
        """Follow the event at `index`."""
        places = self._places.get(stream)
        if places is None:
            places = self._places[stream] = _Places()
        places.add(sequence, index)
        if event.get("type") == SEALED:
            self._seals += self._lines(index, event)

    def _lines(self, index: int, event: dict[str, Any]) -> Iterable[Seal]:
        data = event.get("data")
        lines = data.get("seals") if type(data) is dict else None
        if type(lines) is not list:
            self.malformed.append(index)
            return
        for line in lines:
            seal = _seal(index, line)
            if seal is None:
                self.malformed.append(index)
            else:
                yield seal

    def findings(self, hash_at: Callable[[int], bytes]) -> Iterator[Finding]:
        """Every seal that the log contradicts. `hash_at`: the leaf hash of an entry."""
        for index in self.malformed:
            yield Finding(index, False, f"the seal at entry {index} is not understood")
        for seal in self._seals:
            places = self._places.get(seal.stream, _Places())
            sealed, held = seal.head - seal.first + 1, places.held(seal.first, seal.head)
            if held < sealed:
                yield Finding(
                    seal.index, True,
                    f"{seal.stream}: the seal at entry {seal.index} states {seal.first}..{seal.head}, the log holds "
                    f"{held} of these {sealed}",
                )  # fmt: skip
                continue
            digest = sha256()
            for place in places.of(seal.first, seal.head):
                digest.update(hash_at(place))
            if digest.hexdigest() != seal.range_hash:
                first = next(places.of(seal.first, seal.head))
                yield Finding(
                    first, False,
                    f"{seal.stream}: {seal.first}..{seal.head}, from entry {first} on, are not the events that the "
                    f"seal at entry {seal.index} states",
                )  # fmt: skip


def _seal(index: int, line: object) -> Seal | None:
    if type(line) is not dict:
        return None
    stream, first, head, digest = (line.get(name) for name in ("stream", "first", "head", "range_hash"))
    if not (type(stream) is str and type(first) is int and type(head) is int and type(digest) is str):
        return None
    if not 1 <= first <= head or line.get("count") != head - first + 1:
        return None
    return Seal(index, stream, first, head, digest)

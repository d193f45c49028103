"""Terms of a run of entries turned round: per term and block the places of the entries that have it. Pure."""

from collections.abc import Iterable, Iterator, Sequence

Row = tuple[str, int, list[int]]
"""(term, block, places)"""


class Postings:
    """Gathers, then gives rows block by block, the terms of each in order: neighbours share pages."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._blocks: dict[int, dict[str, list[int]]] = {}

    def add(self, leaf_index: int, terms: Iterable[str]) -> None:
        """An entry with its terms, each once; entries come in order."""
        block, place = divmod(leaf_index, self._width)
        if (by_term := self._blocks.get(block)) is None:
            by_term = self._blocks[block] = {}
        for term in terms:
            if (places := by_term.get(term)) is None:
                by_term[term] = [place]
            else:
                places.append(place)

    def add_places(self, term: str, block: int, places: Sequence[int]) -> None:
        """Places of one block that have a term, in any order and any number of times."""
        by_term = self._blocks.setdefault(block, {})
        by_term[term] = sorted({*by_term.get(term, ()), *places})

    def from_block(self, first: int) -> Iterator[Row]:
        """The rows of that block and those after it."""
        for block, by_term in sorted(self._blocks.items()):
            if block >= first:
                yield from ((term, block, by_term[term]) for term in sorted(by_term))

    def before_block(self, first: int) -> list[Row]:
        """The rows of the blocks before it, in the order of the key."""
        return sorted(
            (term, block, places)
            for block, by_term in self._blocks.items() if block < first
            for term, places in by_term.items()
        )  # fmt: skip

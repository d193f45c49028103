"""Terms of a run of entries turned round: per term and block the places of the entries that have it. Pure."""

from collections.abc import Iterable, Sequence


class Postings:
    """Gathers, then gives columns for one statement."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._blocks: dict[int, dict[str, list[int]]] = {}

    def add(self, leaf_index: int, terms: Iterable[str]) -> None:
        """An entry with its terms."""
        block, place = divmod(leaf_index, self._width)
        by_term = self._blocks.setdefault(block, {})
        for term in terms:
            if (places := by_term.get(term)) is None:
                by_term[term] = [place]
            else:
                places.append(place)

    def add_places(self, term: str, block: int, places: Sequence[int]) -> None:
        """Places of one block that have a term."""
        self._blocks.setdefault(block, {}).setdefault(term, []).extend(places)

    def columns(self) -> tuple[list[str], list[int], list[str]]:
        """(terms, blocks, places as PostgreSQL writes an array), in the order of the key: neighbours share pages."""
        rows = sorted((term, block) for block, terms in self._blocks.items() for term in terms)
        return [term for term, _ in rows], [block for _, block in rows], [self._array(*row) for row in rows]

    def _array(self, term: str, block: int) -> str:
        places = self._blocks[block][term]
        return f"{{{','.join(map(str, sorted(set(places))))}}}" if len(places) > 1 else f"{{{places[0]}}}"

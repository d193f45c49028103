"""Merkle tree hashing and proofs. Source: RFC 6962 §2.1, RFC 9162 §2.1.3 and §2.1.4."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from salur.audit.log.errors import ProofBroken

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()
HashReader = Callable[[int, int], bytes]
"""Hash of the complete subtree at (level, number): level 0 are the leaves, subtree n of level l covers
leaves n*2^l up to (n+1)*2^l."""


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 ‖ leaf)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


def leaf_hashes(leaves: Iterable[bytes]) -> list[bytes]:
    """Hashes of many leaves, in order."""
    return [sha256(b"\x00" + leaf).digest() for leaf in leaves]


def parents(row: bytes) -> bytes:
    """The row of nodes above a row of an even number of hashes, both as one byte string."""
    return b"".join([sha256(b"\x01" + row[at : at + 64]).digest() for at in range(0, len(row), 64)])


def perfect_root(row: bytes) -> bytes:
    """Root over a row of 1, 2, 4 … hashes."""
    while len(row) > HASH_SIZE:
        row = parents(row)
    return row


def complete_subtrees(first: int, end: int) -> list[tuple[int, int]]:
    """The fewest complete subtrees (level, number) that cover leaves [first, end), left to right."""
    parts = []
    while first < end:
        level = (first & -first).bit_length() - 1 if first else (end - first).bit_length() - 1
        while first + (1 << level) > end:
            level -= 1
        parts.append((level, first >> level))
        first += 1 << level
    return parts


def range_root(first: int, end: int, read: HashReader) -> bytes:
    """MTH of leaves [first, end), where `first` is a multiple of the power of two that covers the range."""
    if first == end:
        return EMPTY_ROOT
    hashes = [read(level, number) for level, number in complete_subtrees(first, end)]
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


class Prover:
    """Builds inclusion proofs within one tree size; the few nodes over an incomplete range are computed once."""

    def __init__(self, size: int, read: HashReader) -> None:
        self.size = size
        self._read = read
        self._incomplete: dict[int, bytes] = {}

    def inclusion(self, index: int) -> list[bytes]:
        """PATH(index, D[size]), from the leaf's sibling to the root's child. Raises ValueError outside the tree."""
        size, read = self.size, self._read
        if not 0 <= index < size:
            raise ValueError(f"index {index} is outside a tree of size {size}")
        # Below `turn` this leaf's path and the last one's differ: there all siblings but the top one are complete.
        turn = (index ^ (size - 1)).bit_length()
        path = [read(level, (index >> level) ^ 1) for level in range(turn - 1)]
        if turn:
            path.append(self._up_to_end(((index >> (turn - 1)) ^ 1) << (turn - 1)))
        rest, level = index >> turn, turn
        while rest:
            if rest & 1:
                path.append(read(level, rest - 1))
            rest >>= 1
            level += 1
        return path

    def _up_to_end(self, first: int) -> bytes:
        if first not in self._incomplete:
            self._incomplete[first] = range_root(first, self.size, self._read)
        return self._incomplete[first]


def inclusion_proof(index: int, size: int, read: HashReader) -> list[bytes]:
    """PATH(index, D[size]). Raises ValueError for an index outside the tree."""
    return Prover(size, read).inclusion(index)


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 §2.1.3.2. `leaf` is a leaf hash. Raises ProofBroken."""
    if not 0 <= index < size:
        raise ProofBroken(f"index {index} is outside a tree of size {size}")
    fn, sn, computed = index, size - 1, leaf
    for item in proof:
        if sn == 0:
            raise ProofBroken("the proof is too long")
        if fn & 1 or fn == sn:
            computed = node_hash(item, computed)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            computed = node_hash(computed, item)
        fn >>= 1
        sn >>= 1
    if sn != 0 or computed != root:
        raise ProofBroken(f"the inclusion proof of index {index} does not lead to the root of size {size}")


def consistency_proof(first: int, second: int, read: HashReader) -> list[bytes]:
    """PROOF(first, D[second]). Raises ValueError unless 0 < first <= second."""
    if not 0 < first <= second:
        raise ValueError(f"no consistency proof from size {first} to {second}")
    start, end, whole = 0, second, True
    path: list[tuple[int, int]] = []
    while first - start != end - start:
        middle = start + _split(end - start)
        if first <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start, whole = middle, False
    tail = [] if whole else [(start, end)]
    return [range_root(a, b, read) for a, b in [*tail, *reversed(path)]]


def verify_consistency(first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes) -> None:
    """RFC 9162 §2.1.4.2. Raises ProofBroken."""
    if first == second:
        if proof or first_root != second_root:
            raise ProofBroken(f"two roots for size {first}")
        return
    if not 0 < first < second or not proof:
        raise ProofBroken(f"no consistency proof from size {first} to {second}")
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    old = new = path[0]
    for item in path[1:]:
        if sn == 0:
            raise ProofBroken("the proof is too long")
        if fn & 1 or fn == sn:
            old, new = node_hash(item, old), node_hash(item, new)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            new = node_hash(new, item)
        fn >>= 1
        sn >>= 1
    if sn != 0 or old != first_root or new != second_root:
        raise ProofBroken(f"the tree of size {second} does not extend the one of size {first}")

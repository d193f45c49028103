"""Merkle tree hashing and proofs. Source: RFC 6962 §2.1, RFC 9162 §2.1.3 and §2.1.4."""

from collections.abc import Callable, Sequence
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


def inclusion_proof(index: int, size: int, read: HashReader) -> list[bytes]:
    """PATH(index, D[size]). Raises ValueError for an index outside the tree."""
    if not 0 <= index < size:
        raise ValueError(f"index {index} is outside a tree of size {size}")
    first, end = 0, size
    siblings: list[tuple[int, int]] = []
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            siblings.append((middle, end))
            end = middle
        else:
            siblings.append((first, middle))
            first = middle
    return [range_root(start, stop, read) for start, stop in reversed(siblings)]


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

"""Proofs against published vectors, and every proof of every size up to 300 against the definitions."""

import pytest

from salur.audit.log.errors import ProofBroken
from salur.audit.log.tree import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    range_root,
    verify_consistency,
    verify_inclusion,
)
from support.reference_tree import CT_CONSISTENCY, CT_INCLUSION, CT_LEAVES, CT_ROOTS, Tree

SIZE = 300
TREE = Tree([leaf_hash(b"%d" % n) for n in range(SIZE)])
CT = Tree([leaf_hash(leaf) for leaf in CT_LEAVES])


def reader(tree: Tree):  # type: ignore[no-untyped-def]
    return lambda level, number: tree.mth(number << level, (number + 1) << level)


READ, READ_CT = reader(TREE), reader(CT)


def test_roots_are_the_published_ones() -> None:
    assert [range_root(0, size, READ_CT) for size in range(1, 9)] == CT_ROOTS
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(("index", "size", "proof"), CT_INCLUSION)
def test_inclusion_proofs_are_the_published_ones(index: int, size: int, proof: list[bytes]) -> None:
    assert inclusion_proof(index, size, READ_CT) == proof
    verify_inclusion(index, size, CT.hashes[index], proof, CT_ROOTS[size - 1])


@pytest.mark.parametrize(("first", "second", "proof"), CT_CONSISTENCY)
def test_consistency_proofs_are_the_published_ones(first: int, second: int, proof: list[bytes]) -> None:
    assert consistency_proof(first, second, READ_CT) == proof
    verify_consistency(first, second, proof, CT_ROOTS[first - 1], CT_ROOTS[second - 1])


def test_every_inclusion_proof_up_to_300_is_the_one_of_the_definition_and_verifies() -> None:
    for size in range(1, SIZE + 1):
        root = TREE.root(size)
        assert range_root(0, size, READ) == root
        for index in range(size):
            proof = inclusion_proof(index, size, READ)
            assert proof == TREE.path(index, size)
            verify_inclusion(index, size, TREE.hashes[index], proof, root)


def test_every_consistency_proof_up_to_300_is_the_one_of_the_definition_and_verifies() -> None:
    for second in range(1, SIZE + 1):
        for first in range(1, second + 1):
            proof = consistency_proof(first, second, READ)
            assert proof == TREE.proof(first, second)
            verify_consistency(first, second, proof, TREE.root(first), TREE.root(second))


def corrupted(proof: list[bytes]) -> list[list[bytes]]:
    """Each hash changed, dropped or doubled; one too many at either end."""
    changed = [[*proof[:n], bytes([proof[n][0] ^ 8]) + proof[n][1:], *proof[n + 1 :]] for n in range(len(proof))]
    dropped = [[*proof[:n], *proof[n + 1 :]] for n in range(len(proof))]
    return [*changed, *dropped, [*proof, bytes(32)], [bytes(32), *proof], [*proof, b""]]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 64, 129, 300])
def test_no_changed_inclusion_proof_verifies(size: int) -> None:
    root = TREE.root(size)
    for index in {0, size // 3, size // 2, size - 1}:
        proof = TREE.path(index, size)
        wrong = [(index, size, other, root) for other in corrupted(proof)]
        wrong += [(i, size, proof, root) for i in (index - 1, index + 1, index ^ 2)]
        wrong += [(index, size * 2 + 1, proof, root), (index, size // 2, proof, root), (index, size, proof, EMPTY_ROOT)]
        for i, of, hashes, to in wrong:
            with pytest.raises(ProofBroken):
                verify_inclusion(i, of, TREE.hashes[index], hashes, to)
        with pytest.raises(ProofBroken):
            verify_inclusion(index, size, bytes(32), proof, root)


@pytest.mark.parametrize("second", [1, 2, 3, 7, 8, 64, 129, 300])
def test_no_changed_consistency_proof_verifies(second: int) -> None:
    new = TREE.root(second)
    for first in {1, second // 2 or 1, second - 1 or 1, second}:
        proof, old = TREE.proof(first, second), TREE.root(first)
        wrong = [(first, second, other, old, new) for other in corrupted(proof)]
        wrong += [(first, second, proof, bytes(32), new), (first, second, proof, old, bytes(32))]
        if first < second:
            wrong += [
                (first + 1, second, proof, old, new),
                (0, second, proof, old, new),
                (second, first, proof, old, new),
            ]
        for a, b, hashes, one, two in wrong:
            with pytest.raises(ProofBroken):
                verify_consistency(a, b, hashes, one, two)

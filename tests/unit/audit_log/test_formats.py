"""Hashes, notes, checkpoints and receipts against published values, and what they refuse."""

import base64
import hashlib

import pytest

from salur.audit.log.errors import MalformedNote, ProofBroken, SignatureBroken
from salur.audit.log.note import Checkpoint, Signer, VerifierKey, open_checkpoint
from salur.audit.log.proof import Receipt
from salur.audit.log.tree import EMPTY_ROOT, inclusion_proof, leaf_hash, node_hash, range_root

SIGNER = Signer("audit.salur.example", bytes(range(32)))
WITNESS = Signer("witness.example", bytes(32))

# Leaves and roots of the Certificate Transparency reference test (certificate-transparency-go, merkletree_test).
CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def mth(hashes: list[bytes]) -> bytes:
    """MTH by its definition in RFC 6962 §2.1."""
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node_hash(mth(hashes[:k]), mth(hashes[k:]))


def path_by_definition(index: int, hashes: list[bytes]) -> list[bytes]:
    """PATH by its definition in RFC 6962 §2.1.1."""
    if len(hashes) == 1:
        return []
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    if index < k:
        return [*path_by_definition(index, hashes[:k]), mth(hashes[k:])]
    return [*path_by_definition(index - k, hashes[k:]), mth(hashes[:k])]


def test_roots_are_those_of_the_reference_tree() -> None:
    hashes = [leaf_hash(leaf) for leaf in CT_LEAVES]
    for size, root in enumerate(CT_ROOTS, 1):
        read = lambda level, number: mth(hashes[number << level : (number + 1) << level])  # noqa: E731
        assert range_root(0, size, read).hex() == root
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_inclusion_paths_are_those_of_the_definition() -> None:
    hashes = [leaf_hash(str(n).encode()) for n in range(70)]
    nodes: dict[tuple[int, int], bytes] = {}

    def read(level: int, number: int) -> bytes:
        if (level, number) not in nodes:
            nodes[level, number] = mth(hashes[number << level : (number + 1) << level])
        return nodes[level, number]

    for size in range(1, 71):
        for index in range(size):
            assert inclusion_proof(index, size, read) == path_by_definition(index, hashes[:size])


def test_a_published_key_and_note_are_understood() -> None:
    # The example of golang.org/x/mod/sumdb/note.
    key = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    assert str(key) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signature = base64.b64decode(
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    assert signature[:4] == key.key_id
    assert key.verify(text.encode(), signature[4:])
    assert not key.verify(text.encode() + b"\n", signature[4:])


HEAD = Checkpoint(SIGNER.name, 7, hashlib.sha256(b"root").digest())


def test_signatures_of_others_are_ignored_and_a_wrong_own_one_refuses_the_note() -> None:
    note = SIGNER.sign(HEAD.text())
    other = WITNESS.sign(HEAD.text()).rpartition("\n\n")[2]
    assert open_checkpoint(note + other, SIGNER.verifier) == HEAD
    text, _, line = note.rpartition("\n\n")
    assert open_checkpoint(f"{text}\n\n{other}{line}", SIGNER.verifier) == HEAD
    with pytest.raises(SignatureBroken):
        open_checkpoint(f"{text}\n\n{other}", SIGNER.verifier)
    bad = SIGNER.sign(HEAD.text().replace("7", "8")).rpartition("\n\n")[2]
    with pytest.raises(SignatureBroken):
        open_checkpoint(note + bad, SIGNER.verifier)


@pytest.mark.parametrize(
    "text",
    [
        f"{SIGNER.name}\n07\n{base64.b64encode(HEAD.root).decode()}\n",
        f"{SIGNER.name}\n{2**63}\n{base64.b64encode(HEAD.root).decode()}\n",
        f"{SIGNER.name}\n0\n{base64.b64encode(HEAD.root).decode()}\n",
        f"{SIGNER.name}\n7\n{base64.b64encode(HEAD.root[:31]).decode()}\n",
        f"{SIGNER.name}\n7\n{base64.b64encode(HEAD.root).decode()}\nextension\n",
        f"another.example\n7\n{base64.b64encode(HEAD.root).decode()}\n",
        f"{SIGNER.name}\n7\n",
    ],
)
def test_signed_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(MalformedNote):
        open_checkpoint(SIGNER.sign(text), SIGNER.verifier)


@pytest.mark.parametrize("change", ["\r", "\t", "\0"])
def test_control_characters_are_refused(change: str) -> None:
    note = SIGNER.sign(HEAD.text())
    with pytest.raises(MalformedNote):
        open_checkpoint(note + f"— other{change} AAAAAAAA\n", SIGNER.verifier)
    with pytest.raises(MalformedNote):
        SIGNER.sign(f"text{change}\n")


def test_a_signer_never_shows_its_key() -> None:
    assert repr(SIGNER.private) not in repr(SIGNER)


def test_receipts_have_one_form() -> None:
    hashes = [leaf_hash(leaf) for leaf in CT_LEAVES]
    head = Checkpoint(SIGNER.name, 8, bytes.fromhex(CT_ROOTS[7]))
    receipt = Receipt(CT_LEAVES[3], 3, tuple(path_by_definition(3, hashes)), SIGNER.sign(head.text()))
    assert Receipt.parse(receipt.text()).verify(SIGNER.verifier) == head
    lines = receipt.text().split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra " + base64.b64encode(CT_LEAVES[3]).decode(), "index 3"]
    for other in ("index 03", "index +3", "index \N{FULLWIDTH DIGIT THREE}", f"index {2**63}", "index -1", "index "):
        with pytest.raises(MalformedNote):
            Receipt.parse(receipt.text().replace("index 3", other))
    with pytest.raises(ProofBroken):
        Receipt.parse(receipt.text().replace("index 3", "index 4")).verify(SIGNER.verifier)
    with pytest.raises(ProofBroken):
        Receipt.parse(receipt.text().replace(lines[4] + "\n", "")).verify(SIGNER.verifier)

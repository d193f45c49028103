"""Hashes, notes, checkpoints and receipts against published values, and what they refuse."""

import base64
import hashlib

import pytest

from salur.audit.log.errors import MalformedNote, ProofBroken, SignatureBroken
from salur.audit.log.note import Checkpoint, Signer, VerifierKey, open_checkpoint
from salur.audit.log.proof import Receipt
from salur.audit.log.tree import leaf_hash
from support.reference_tree import CT_LEAVES, CT_ROOTS, Tree

SIGNER = Signer("audit.salur.example", bytes(range(32)))
WITNESS = Signer("witness.example", bytes(32))


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
    head = Checkpoint(SIGNER.name, 8, CT_ROOTS[7])
    receipt = Receipt(CT_LEAVES[3], 3, tuple(Tree(hashes).path(3, 8)), SIGNER.sign(head.text()))
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

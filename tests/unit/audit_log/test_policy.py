"""Policies: who must have signed, what is refused, and rotated keys that keep old proofs good."""

import base64
from pathlib import Path

import pytest

import salur.audit.log.keys as keys_module
from salur.audit.log.errors import MalformedPolicy, QuorumMissing, SignatureBroken
from salur.audit.log.keys import follow_handovers, load_keys, retire, rotate
from salur.audit.log.note import COSIGNATURE, Checkpoint, Signer, open_checkpoint, parse_keys
from salur.audit.log.policy import Policy

LOG = Signer("audit.salur.example", bytes(range(32)))
WITNESSES = {name: Signer(f"{name}.example", bytes([n]) * 32, COSIGNATURE) for n, name in enumerate("abcd", 1)}
HEAD = Checkpoint(LOG.name, 7, bytes(32))
LINES = f"log {LOG.verifier}\n" + "".join(f"witness {name} {key.verifier}\n" for name, key in WITNESSES.items())


def signed_by(*names: str) -> str:
    return LOG.sign(HEAD.text()) + "".join(WITNESSES[name].line(HEAD.text(), 1_700_000_000) for name in names)


@pytest.mark.parametrize(
    ("rule", "enough", "short"),
    [
        ("quorum none", ["", "a"], []),
        ("quorum a", ["a", "ab"], ["", "b", "bcd"]),
        ("group g any a b\nquorum g", ["a", "b"], ["", "cd"]),
        ("group g 2 a b c\nquorum g", ["ab", "bc", "abc"], ["", "a", "ad"]),
        ("group x all a b\ngroup y any c d\ngroup g all x y\nquorum g", ["abc", "abd"], ["ab", "acd", "cd"]),
    ],
)
def test_a_head_counts_with_its_quorum_only(rule: str, enough: list[str], short: list[str]) -> None:
    policy = Policy.parse(f"# trust\n\n{LINES}\t{rule} \n")
    for names in enough:
        assert policy.open(signed_by(*names)) == HEAD
    for names in short:
        with pytest.raises(QuorumMissing, match="no quorum"):
            policy.open(signed_by(*names))


def test_a_cosignature_counts_once_for_its_own_text_and_key() -> None:
    policy = Policy.parse(f"{LINES}group g 2 a b\nquorum g\n")
    with pytest.raises(QuorumMissing):
        policy.open(signed_by("a", "a"))
    other = WITNESSES["b"].line(Checkpoint(LOG.name, 8, bytes(32)).text(), 1)
    with pytest.raises(QuorumMissing):
        policy.open(signed_by("a") + other)
    same_key_as_log = Signer(WITNESSES["b"].name, WITNESSES["b"].private).line(HEAD.text())
    with pytest.raises(QuorumMissing):
        policy.open(signed_by("a") + same_key_as_log)
    with pytest.raises(SignatureBroken):
        policy.open(Signer(LOG.name, bytes(32)).sign(HEAD.text()) + WITNESSES["a"].line(HEAD.text(), 1))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "one line `quorum"),
        (LINES, "one line `quorum"),
        (f"{LINES}quorum none\nquorum none\n", "line 7"),
        (f"{LINES}quorum e\n", "line 6: e is not defined"),
        (f"{LINES}group g 3 a b\nquorum g\n", "line 6: 3 of 2"),
        (f"{LINES}group g 0 a\nquorum g\n", "line 6"),
        (f"{LINES}group g any\nquorum g\n", "line 6"),
        (f"{LINES}group g any a\ngroup h any a\nquorum h\n", "line 7"),
        (f"{LINES}group g any a a\nquorum g\n", "line 6"),
        (f"{LINES}group a any b\nquorum a\n", "line 6"),
        (f"{LINES}group none any b\nquorum none\n", "line 6"),
        (f"{LINES}{LINES}quorum none\n", "line 6"),
        (f"witness a {LOG.verifier}\nquorum a\n", "line 1"),
        (f"log {WITNESSES['a'].verifier}\nquorum none\n", "line 1"),
        ("witness a x\nquorum a\n", "line 1"),
        ("quorum none\r\n", "control"),
        ("sign everything\nquorum none\n", "line 1"),
    ],
)
def test_a_policy_that_means_nothing_is_refused_by_line(text: str, line: str) -> None:
    with pytest.raises(MalformedPolicy, match=line):
        Policy.parse(text)


def test_a_cosignature_is_over_header_time_and_text() -> None:
    """The key type and message of C2SP tlog-cosignature: header, time, text."""
    signer = WITNESSES["a"]
    assert str(signer.verifier).split("+")[1] == signer.verifier.key_id.hex()
    plain = Signer(signer.name, signer.private).verifier
    assert plain.verify(
        b"cosignature/v1\ntime 5\n" + HEAD.text().encode(),
        base64.b64decode(signer.line(HEAD.text(), 5).split(" ")[2])[12:],
    )


def test_a_rotated_key_is_reached_from_the_old_one_and_old_proofs_stay(tmp_path: Path) -> None:
    first = load_keys(tmp_path, LOG.name)
    old_note = first.sign(HEAD.text())
    both = rotate(tmp_path, LOG.name)
    during = both.sign(HEAD.text())
    assert open_checkpoint(during, *first.verifiers) == HEAD, "who knows the old key only"
    assert open_checkpoint(during, both.verifiers[0]) == HEAD, "who knows the new key only"
    alone = retire(tmp_path, LOG.name)
    after = alone.sign(HEAD.text())
    assert [signer.verifier for signer in alone.signers] == [both.verifiers[0]]
    with pytest.raises(SignatureBroken):
        open_checkpoint(after, *first.verifiers)
    third = rotate(tmp_path, LOG.name)
    known = follow_handovers(first.verifiers, third.handovers)
    assert set(known) == set(third.verifiers)
    for note in (old_note, during, after, third.sign(HEAD.text())):
        assert open_checkpoint(note, *known) == HEAD
    assert parse_keys("".join(f"{key}\n" for key in third.verifiers)) == third.verifiers
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("log.key*")} == {0o600}


def test_a_key_nobody_handed_over_is_not_followed(tmp_path: Path) -> None:
    keys = rotate(tmp_path, LOG.name)
    assert follow_handovers([LOG.verifier], keys.handovers) == (LOG.verifier,)
    stranger = Signer(keys.name, bytes(32))
    lines = keys.handovers.rpartition("\n\n")
    forged = lines[0].replace(str(keys.verifiers[0]), str(stranger.verifier))
    note = f"{forged}\n\n{keys.signers[0].line(forged + chr(10))}{stranger.line(forged + chr(10))}"
    with pytest.raises(SignatureBroken):
        follow_handovers(keys.verifiers, note)


@pytest.mark.parametrize("steps", range(1, 4))
@pytest.mark.parametrize("touched", [False, True], ids=["before the file", "in the file"])
def test_a_rotation_that_breaks_off_anywhere_leaves_keys_that_load_and_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, touched: bool
) -> None:
    """Crash at each of the three writes of a rotation, before or after the file beside it is made: the audit starts,
    every note has one signature a key, and a rotation again goes through."""
    first = load_keys(tmp_path, LOG.name)
    write, done = keys_module._write, 0

    def broken(path: Path, data: bytes, mode: int = 0o644) -> None:
        nonlocal done
        done += 1
        if done == steps:
            if touched:
                path.with_name(f"{path.name}.new").touch(mode)
            raise OSError("power cut")
        write(path, data, mode)

    monkeypatch.setattr(keys_module, "_write", broken)
    with pytest.raises(OSError, match="power cut"):
        rotate(tmp_path, LOG.name)
    monkeypatch.setattr(keys_module, "_write", write)
    again = load_keys(tmp_path, LOG.name)
    assert again.verifiers == first.verifiers
    assert open_checkpoint(again.sign(HEAD.text()), *first.verifiers) == HEAD
    rotated = rotate(tmp_path, LOG.name)
    assert set(rotated.verifiers) > set(first.verifiers) and len(rotated.signers) == 2
    assert follow_handovers(first.verifiers, rotated.handovers)[-1] == rotated.verifiers[0]

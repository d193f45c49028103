"""Evidence bundles: what a question takes in, and that the verifier inside believes nothing that was changed."""

import io
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salur.audit.evidence import verify_bundle
from salur.audit.evidence.bundle import write_bundle
from salur.audit.evidence.select import Question, answers
from salur.audit.log.tiles import TileReader
from support.story import LOG, POLICY, Story, many_payments, write_log

FAMILIES = 300


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    write_log(folder, many_payments(FAMILIES).leaves)
    return folder


def ask(folder: Path, kind: str, value: str) -> list[int]:
    size = int((folder / "checkpoint").read_text().split("\n")[1])
    return answers(TileReader(folder, size), Question(kind, value))


def types(folder: Path, indexes: list[int]) -> list[str]:
    reader = TileReader(folder, int((folder / "checkpoint").read_text().split("\n")[1]))
    events = [json.loads(next(reader.leaves(index, index + 1))) for index in indexes]
    return [event.get("type", "outside").removeprefix("salur.").removesuffix(".v1") for event in events]


def made(folder: Path, path: Path, kind: str = "payment", value: str = "p7") -> Path:
    write_bundle(folder, Question(kind, value), ask(folder, kind, value), (folder / "policy").read_text(), path)
    return path


WAY = [
    "programme.published", "decision.made", "registry.cut", "cycle.opened", "entitlement.granted", "fund.opened",
    "payment-list.submitted", "payment-list.approved", "payment.instructed", "outside", "payment.settled",
]  # fmt: skip


def test_a_payment_comes_with_all_it_rests_on(log: Path) -> None:
    assert types(log, ask(log, "payment", "p7")) == WAY


def test_a_beneficiary_comes_with_their_payments(log: Path) -> None:
    assert types(log, ask(log, "beneficiary", "h7")) == [WAY[0], "household.registered", *WAY[1:]]


def test_a_cycle_takes_in_every_payment_and_a_period_what_happened_in_it(log: Path) -> None:
    assert types(log, ask(log, "cycle", "c1")).count("payment.settled") == FAMILIES
    assert types(log, ask(log, "period", "2026-01-02T03:00:00Z/2026-01-02T03:00:01Z")) == ["programme.published"]
    assert "payment-list.approved" in types(log, ask(log, "actor", "person:two"))
    assert ask(log, "payment", "nobody") == []


@pytest.mark.parametrize("value", ["", "x y", "a" * 201, "a\n", "(.*)"])
def test_a_question_of_no_known_form_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="question"):
        Question("payment", value)


def verified(path: Path, policy: str | None = POLICY) -> dict[str, Any]:
    return verify_bundle.verify(verify_bundle._open(path), policy)


def test_the_bundle_tells_the_story_of_the_payment(log: Path, tmp_path: Path) -> None:
    result = verified(made(log, tmp_path / "b.zip"))
    assert (result["entries"], result["cosigners"], result["cosigned_at"]) == (11, ["bank", "board"], 1_700_000_000)
    assert result["complete_streams"] > 5
    (story,) = result["payments"]
    assert [(step["step"], step["what"]) for step in story["steps"]] == [
        ("rules published", "programme family-hope"),
        ("decided", f"rules {result_version(result)}"),
        ("granted", "1007 IDR"),
        ("list submitted", "by person:one"),
        ("approved", "by person:two"),
        ("instructed", "1007 IDR at bank-1"),
        ("confirmed", f"bank's message is entry {result['events'][9]['index']}"),
    ]


def result_version(result: dict[str, Any]) -> str:
    return str(result["payments"][0]["steps"][1]["what"]).removeprefix("rules ")


def test_the_verifier_runs_alone_from_the_unpacked_bundle(log: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(made(log, tmp_path / "b.zip")) as bundle:
        bundle.extractall(tmp_path / "out")
    (tmp_path / "mine").write_text(POLICY)
    command = [sys.executable, "-I", "verify_bundle.py", ".", "--policy", str(tmp_path / "mine")]
    done = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "PROVEN: 11 entries" in done.stdout
    assert "CAUTION" not in done.stdout
    source = (tmp_path / "out" / "verify_bundle.py").read_text()
    assert "salur." not in [line.split()[1][:6] for line in source.splitlines() if line.startswith(("import", "from"))]


def test_a_thousand_entries_take_less_than_a_second(log: Path, tmp_path: Path) -> None:
    path = made(log, tmp_path / "b.zip", "cycle", "c1")
    began = time.process_time()
    entries = verified(path)["entries"]
    assert (time.process_time() - began) / entries * 1000 < 1.0


def changed(path: Path, edit: Callable[[dict[str, bytes]], None]) -> Path:
    """A copy of the bundle with other files."""
    with zipfile.ZipFile(path) as bundle:
        files = {name: bundle.read(name) for name in bundle.namelist()}
    edit(files)
    out = path.with_name("changed.zip")
    with zipfile.ZipFile(out, "w") as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
    return out


def first(files: dict[str, bytes], folder: str, at: int = 3) -> str:
    return sorted(name for name in files if name.startswith(folder))[at]


def flip_entry(files: dict[str, bytes]) -> None:
    name = first(files, "entries/")
    files[name] = files[name].replace(b"c1", b"c2")


def swap_entries(files: dict[str, bytes]) -> None:
    a, b = first(files, "entries/", 1), first(files, "entries/", 4)
    files[a], files[b] = files[b], files[a]


def drop_entry(files: dict[str, bytes]) -> None:
    del files[first(files, "entries/")]


def drop_from_everything(files: dict[str, bytes]) -> None:
    manifest = json.loads(files["manifest.json"])
    index = manifest["indexes"].pop(3)
    files["manifest.json"] = json.dumps(manifest).encode()
    del files[f"proofs/{index:012d}.tlog-proof"]


def add_entry(files: dict[str, bytes]) -> None:
    files["entries/000000000099.json"] = b"{}"


def flip_proof(files: dict[str, bytes]) -> None:
    name = first(files, "proofs/")
    head, _, rest = files[name].partition(b"\n\n")
    lines = head.split(b"\n")
    lines[2], lines[3] = lines[3], lines[2]
    files[name] = b"\n".join(lines) + b"\n\n" + rest


def flip_head(files: dict[str, bytes]) -> None:
    files["checkpoint"] = files["checkpoint"].replace(b"audit.salur.example", b"audit.salur.exemple", 1)


def drop_cosignature(files: dict[str, bytes]) -> None:
    note = files["checkpoint"]
    shorter = b"\n".join(line for line in note.split(b"\n") if not line.startswith("— board".encode()))
    for name, data in list(files.items()):
        files[name] = data.replace(note, shorter)


def flip_completeness(files: dict[str, bytes]) -> None:
    files["completeness"] = files["completeness"].replace(b" 300 300", b" 299 299", 1)


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (flip_entry, "entry "),
        (swap_entries, "entry "),
        (drop_entry, "missing"),
        (drop_from_everything, "not listed"),
        (add_entry, "not listed"),
        (flip_proof, "entry "),
        (flip_head, "not signed"),
        (drop_cosignature, "no quorum"),
        (flip_completeness, "completeness"),
        (lambda files: files.update({"manifest.json": b"[1"}), "manifest"),
        (lambda files: files.pop("checkpoint"), "checkpoint is missing"),
    ],
)
def test_what_was_changed_is_not_proven(
    log: Path, tmp_path: Path, edit: Callable[[dict[str, bytes]], None], word: str
) -> None:
    path = changed(made(log, tmp_path / "b.zip"), edit)
    with pytest.raises(verify_bundle.NotProven, match=word):
        verified(path)
    assert verify_bundle.main([str(path)]) == 1


def rewritten(tmp_path: Path, story: Story) -> Path:
    write_log(tmp_path / "log", story.leaves)
    return made(tmp_path / "log", tmp_path / "b.zip")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"approved_by": "person:one"}, "who submitted the list approved it"),
        ({"content_hash": "bb"}, "not the one submitted"),
    ],
)
def test_a_log_that_is_whole_but_tells_of_a_breach_is_not_proven(
    tmp_path: Path, changes: dict[str, str], word: str
) -> None:
    with pytest.raises(verify_bundle.NotProven, match=word):
        verified(rewritten(tmp_path, many_payments(20, **changes)))


def test_a_bundle_of_another_log_is_not_proven(tmp_path: Path) -> None:
    story = many_payments(20)
    other = type(LOG)(LOG.name, bytes(32))
    write_log(tmp_path / "log", story.leaves, signer=other)
    path = made(tmp_path / "log", tmp_path / "b.zip")
    with pytest.raises(verify_bundle.NotProven, match="not signed by the log you trust"):
        verified(path)


def test_what_is_no_bundle_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\x05")
    assert verify_bundle.main([str(tmp_path / "x.zip")]) == 2
    assert verify_bundle.main([str(tmp_path / "none")]) == 2
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    (tmp_path / "e.zip").write_bytes(empty.getvalue())
    assert verify_bundle.main([str(tmp_path / "e.zip"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["proven"] is False


def kept(tmp_path: Path, story: Story, *kinds: str, kind: str = "payment") -> Path:
    """A genuine log and a bundle in which only entries of these types, and records of banks, were put."""
    write_log(tmp_path / "log", story.leaves)
    events = [json.loads(leaf) for leaf in story.leaves]
    chosen = [n for n, event in enumerate(events)
              if not kinds or "commitment" in event or str(event["type"])[6:-3] in kinds]  # fmt: skip
    path = tmp_path / "b.zip"
    write_bundle(tmp_path / "log", Question(kind, "p0"), chosen, POLICY, path)
    return path


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (("payment.instructed", "payment.settled"), "rules published, decided, granted, list submitted, approved"),
        (("payment.settled",), "confirmed without an instruction"),
        (tuple(kind for kind in WAY if kind not in ("outside", "payment-list.approved")), "list submitted, approved"),
        (tuple(kind for kind in WAY if kind not in ("outside", "entitlement.granted")), "decided, granted"),
        (tuple(kind for kind in WAY if kind not in ("outside", "programme.published")), "rules published"),
    ],
)
@pytest.mark.parametrize("kind", ["payment", "beneficiary"])
def test_a_genuine_bundle_from_which_a_step_was_taken_is_not_proven(
    tmp_path: Path, kinds: tuple[str, ...], said: str, kind: str
) -> None:
    """Every entry is in the log and has its proof; what is missing would have shown why money moved."""
    assert verified(kept(tmp_path / "whole", many_payments(1), kind=kind))["proven"]
    with pytest.raises(verify_bundle.NotProven, match=said):
        verified(kept(tmp_path, many_payments(1), *kinds, kind=kind))


def test_a_bundle_of_a_period_says_what_it_does_not_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = kept(tmp_path, many_payments(1), "payment.instructed", "payment.settled", kind="actor")
    (story,) = verified(path)["payments"]
    assert story["not_shown"] == ["rules published", "decided", "granted", "list submitted", "approved"]
    assert verify_bundle.main([str(path)]) == 0
    assert "not shown in this bundle: rules published, decided" in capsys.readouterr().out


def paid_again(attempt: str = "p0-002", end: str = "settled", **changes: Any) -> Story:
    """One family's payment, and a second attempt of the same entitlement."""
    story = many_payments(1)
    data: dict[str, Any] = {
        "payment_id": "p0", "instruction_id": attempt, "entitlement_id": "e0", "amount_minor": 1000, "currency": "IDR",
        "bank": "bank-0",
    }  # fmt: skip
    story.tell("payment.instructed", "p0", "approve-1", **data)
    story.tell(f"payment.{end}", "p0", "x", **{"beneficiary_id": "h0", **data, **changes})
    return story


def test_one_grant_is_not_paid_twice_nor_to_somebody_else(tmp_path: Path) -> None:
    """1,000 were granted. A second attempt that is rejected is well, one that is settled pays twice, unless the first
    came back; money of another beneficiary or another entitlement belongs to no story of this one."""
    for name, story, said in (
        ("rejected", paid_again(end="rejected"), ""),
        ("twice", paid_again(), "more was paid for entitlement e0"),
        ("other", paid_again(end="rejected", beneficiary_id="h9"), "another beneficiary than the grant"),
        ("elsewhere", paid_again(end="rejected", entitlement_id="e9"), "another entitlement than the instruction"),
    ):
        path = kept(tmp_path / name, story)
        if said:
            with pytest.raises(verify_bundle.NotProven, match=said):
                verified(path)
        else:
            assert verified(path)["proven"]
    back = paid_again()
    data: dict[str, Any] = {
        "payment_id": "p0", "instruction_id": "p0-001", "entitlement_id": "e0", "amount_minor": 1000, "currency": "IDR",
        "bank": "bank-0", "beneficiary_id": "h0",
    }  # fmt: skip
    back.tell("payment.returned", "p0", "y", **data)
    assert verified(kept(tmp_path / "back", back))["proven"]
    raised = paid_again()
    raised.tell("entitlement.amended", "h0", entitlement_id="e0", beneficiary_id="h0", amount_minor=2000)
    assert verified(kept(tmp_path / "raised", raised))["proven"]
    granted = many_payments(1)
    granted.tell("entitlement.granted", "h0", entitlement_id="e0", beneficiary_id="h0", decision_id="d0",
                 amount_minor=9000)  # fmt: skip
    with pytest.raises(verify_bundle.NotProven, match="granted twice"):
        verified(kept(tmp_path / "granted", granted))

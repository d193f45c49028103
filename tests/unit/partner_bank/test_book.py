"""The bank's book: never a second transfer, whatever arrives, however often, whenever the process dies."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from partner_bank.book import Arrived, book_path, book_summary, most_live, transfers
from partner_bank.profile import PROFILES, Profile
from partner_bank.wire import commitment
from support.bank_book import answers, inquired, instructed, opened


def test_a_re_sent_instruction_is_answered_again_and_never_paid_again(tmp_path: Path) -> None:
    book = opened(tmp_path)
    first = instructed("family")
    book.take([first, first])
    book.take([instructed("family")])  # fresh salts, same content
    values = {answer.value for answer in book.due(10)}
    assert len(book.due(10)) == 3
    assert len(values) == 1, "an answer sent again is the same message, byte for byte"
    summary = book_summary(book_path(tmp_path))
    assert (summary["accepted"], summary["repeats"], summary["most_at_once"]) == (1, 2, 1)


@pytest.mark.parametrize("other", [{"amount_minor": 19_001}, {"account_number": "0099999999"}, {"currency": "IDR"}])
def test_the_same_id_with_other_content_is_refused(tmp_path: Path, other: dict[str, Any]) -> None:
    book = opened(tmp_path)
    book.take([instructed("family")])
    book.take([instructed("family", **other)])
    assert answers(book) == [("ACCC", None), ("RJCT", "AM05")]
    summary = book_summary(book_path(tmp_path))
    assert (summary["accepted"], summary["accepted_minor"], summary["conflicts"]) == (1, 19_000, 1)


def test_not_executed_closes_the_id_for_ever(tmp_path: Path) -> None:
    book = opened(tmp_path)
    book.take([inquired("family")])
    book.close()
    book = opened(tmp_path)
    book.take([instructed("family"), inquired("family", 2)])
    assert answers(book) == [("RJCT", "NOOR")] * 3
    assert transfers(book_path(tmp_path)) == []
    book.take([instructed("family", attempt=2)])
    assert len(transfers(book_path(tmp_path))) == 1


def test_too_late_is_refused(tmp_path: Path) -> None:
    book = opened(tmp_path)
    book.take([instructed("family", valid_s=-1)])
    assert answers(book) == [("RJCT", "TM01")]
    assert transfers(book_path(tmp_path)) == []


@pytest.mark.parametrize("field", ["account_number", "account_holder", "salt", "header"])
def test_an_account_the_body_does_not_commit_to_is_refused(tmp_path: Path, field: str) -> None:
    record = instructed("family")
    header = json.loads(record.personal or b"")
    if field == "salt":
        header["salt"] = base64.b64encode(bytes(32)).decode()
    elif field != "header":
        header["values"][field] += "1"
    personal = None if field == "header" else json.dumps(header).encode()
    book = opened(tmp_path)
    book.take([Arrived(0, 0, record.value, personal)])
    assert answers(book) == [("RJCT", "FF01")]
    assert transfers(book_path(tmp_path)) == []


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b'{"type":"x","data":{}}', b"x" * 70_000, b"[" * 60_000])
def test_what_cannot_be_read_is_counted_and_stops_nothing(tmp_path: Path, value: bytes | None) -> None:
    book = opened(tmp_path)
    book.take([Arrived(3, 41, value, None), instructed("family")])
    summary = book_summary(book_path(tmp_path))
    assert (summary["unreadable"], summary["accepted"]) == (1, 1)
    assert book.offsets()[3] == 42


def test_a_silent_credit_is_told_when_asked(tmp_path: Path) -> None:
    book = opened(tmp_path, Profile(silent=10_000))
    book.take([instructed("family")])
    assert answers(book) == []
    book.take([inquired("family")])
    assert answers(book) == [("ACCC", None)]
    assert book_summary(book_path(tmp_path))["accepted"] == 1


@pytest.mark.parametrize("profile", [Profile(), Profile(returned=10_000), Profile(silent=10_000)], ids=str)
def test_every_answer_about_a_credit_names_the_account_as_it_was_instructed(tmp_path: Path, profile: Profile) -> None:
    book = opened(tmp_path, profile)
    order = instructed("family")
    book.take([order, inquired("family")])
    named = {json.loads(answer.value)["data"]["account_commitment"] for answer in book.due(9, 1e12)}
    assert named == {json.loads(order.value or b"")["data"]["account_number"]}


def test_a_return_follows_its_credit(tmp_path: Path) -> None:
    book = opened(tmp_path, Profile(returned=10_000))
    book.take([instructed("family")], now=1000.0)
    assert [json.loads(a.value)["data"]["status"] for a in book.due(9, 1000.0)] == ["ACCC"]
    assert answers(book) == [("ACCC", None), ("RTRN", "AC06")]
    book.take([inquired("family")])
    ids = [json.loads(a.value)["id"] for a in book.due(9, 1e12) if json.loads(a.value)["data"]["status"] == "RTRN"]
    assert len(ids) == 2 and len(set(ids)) == 1, "the return said again keeps its message id"
    assert book_summary(book_path(tmp_path))["returned"] == 1


def test_the_profile_keeps_its_shares() -> None:
    drawn = [PROFILES["default"].behaviour(7, hashlib.sha256(str(n).encode()).hexdigest()) for n in range(20_000)]
    shares = {name: drawn.count(name) / len(drawn) for name in set(drawn)}
    assert shares["credited"] == pytest.approx(0.93, abs=0.01)
    assert shares["closed_account"] == pytest.approx(0.02, abs=0.005)
    assert shares["silent"] == pytest.approx(0.01, abs=0.004)
    assert {"returned", "late", "twice_same_id", "twice_new_id"} <= shares.keys()


def test_the_witness_sees_two_live_payments_over_two_books() -> None:
    one = [(1.0, 1, "p-001", "e", 1, "credit", 5), (2.0, 2, "p-001", "e", 1, "return", 5)]
    assert max(most_live([one, [(3.0, 1, "p-002", "e", 1, "credit", 5)]]).values()) == 1
    assert max(most_live([one, [(1.5, 1, "p-002", "e", 1, "credit", 5)]]).values()) == 2


def test_the_commitment_is_the_published_rule() -> None:
    from salur.common.events import personal

    seed = os.urandom(32)
    for value in ("0012345678", 'Jos\u00e9 "\u6d4b" \u20ac \\', "\U0001f600 tab\t"):
        assert commitment(seed, "account_holder", value) == personal.commitment(seed, "account_holder", value)


CRASHING = """
import json, sys, pathlib
from partner_bank.book import Arrived, Book, book_path
from partner_bank.profile import PROFILES
folder, lines = pathlib.Path(sys.argv[1]), sys.stdin.read().splitlines()
records = [Arrived(0, n, *(part.encode() for part in json.loads(line))) for n, line in enumerate(lines)]
book = Book(book_path(folder), "bank-a", PROFILES["default"], 7)
print("open", flush=True)
start = book.offsets().get(0, 0)
for at in range(start, len(records), 5):
    book.take(records[at:at + 5])
    print(at, flush=True)
"""


def test_a_killed_bank_goes_on_where_its_book_ends(tmp_path: Path) -> None:
    records = [instructed(f"family {number}") for number in range(400)]
    lines = "\n".join(json.dumps([(r.value or b"").decode(), (r.personal or b"").decode()]) for r in records)
    for stop_after in (3, 17, 30, None):
        process = subprocess.Popen(
            [sys.executable, "-c", CRASHING, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(lines)
        process.stdin.close()
        for seen, _ in enumerate(process.stdout):
            if stop_after is not None and seen >= stop_after:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
        process.wait()
    summary = book_summary(book_path(tmp_path))
    assert summary["instructions"] == 400
    assert summary["accepted"] + summary["rejected"] == 400
    assert summary["doubled_instructions"] == []
    assert summary["repeats"] == 0, "offsets move with the book"

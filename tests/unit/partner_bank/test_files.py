"""A bank that works with files alone, one whose reader lags, and the statement every bank makes of its book."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from partner_bank.book import Book, book_path, book_summary, transfers
from partner_bank.files import FileBank
from partner_bank.profile import PROFILES, Profile
from partner_bank.statement import write_statement
from salur.common.values import derived_id, instruction_id, payment_id
from salur.payments.banks.iso20022 import CreditTransfer, Initiation, Told, inspect, told, write_pain001
from support.bank_book import answers, inquired, instructed, opened

NOW = datetime.now(UTC)
ACCOUNT = "0012345"


def order(name: str) -> str:
    return instruction_id(payment_id(derived_id(name), 1), 1)


def pain001(outbox: Path, message: str, *names: str) -> None:
    """Instructions as payments puts them."""
    transfers = [
        CreditTransfer(order(name), 19_000, "IDR", f"77{number:08d}", "Holder", "help", NOW + timedelta(days=1))
        for number, name in enumerate(names)
    ]
    outbox.mkdir(parents=True, exist_ok=True)
    with (outbox / f"pain001-{message}.xml").open("wb") as file:
        write_pain001(file, Initiation(message, "bank-x", "Salur", ACCOUNT, NOW), transfers)


def bank(folder: Path, profile: Profile) -> tuple[FileBank, Book]:
    book = Book(book_path(folder / "book"), "bank-x", profile, 7, keep_accounts=True)
    return FileBank(book, folder, ACCOUNT), book


def heard(inbox: Path) -> dict[str, set[Told]]:
    """What payments reads in each kind of document."""
    found: dict[str, set[Told]] = {}
    for path in inbox.iterdir():
        with path.open("rb") as file:
            kind = inspect(file).kind
        with path.open("rb") as file:
            found.setdefault(kind[:8], set()).update(told(file))
    return found


def test_every_instruction_of_a_file_is_answered_once_with_the_account_it_named(tmp_path: Path) -> None:
    one, book = bank(tmp_path, PROFILES["all-credited"])
    pain001(tmp_path / "outbox", "m-1", "a", "b")
    one.turn()
    one.turn()
    said = heard(tmp_path / "inbox")["camt.054"]
    assert {(item.reference, item.status, item.amount_minor, item.account) for item in said} == {
        (order("a"), "ACCC", 19_000, "7700000000"), (order("b"), "ACCC", 19_000, "7700000001"),
    }  # fmt: skip
    assert len(list((tmp_path / "inbox").iterdir())) == 1, "a file is taken once"
    pain001(tmp_path / "outbox", "m-2", "a")
    one.turn()
    assert book_summary(book_path(tmp_path / "book"))["accepted"] == 2, "a known id is never paid again"
    book.close()


@pytest.mark.parametrize(
    ("profile", "kinds"),
    [(Profile(closed_account=10_000), {"pain.002"}), (Profile(returned=10_000), {"camt.054", "pacs.004"})],
    ids=["refused", "returned"],
)
def test_refusals_and_returns_come_in_their_own_documents(tmp_path: Path, profile: Profile, kinds: set[str]) -> None:
    one, book = bank(tmp_path, profile)
    pain001(tmp_path / "outbox", "m-1", "a")
    one.turn()
    while book.next_due_at() is not None:
        one.turn()
    assert heard(tmp_path / "inbox").keys() == kinds
    book.close()


def test_an_inquiry_in_a_file_closes_an_id_that_was_never_read(tmp_path: Path) -> None:
    one, book = bank(tmp_path, PROFILES["all-credited"])
    asked = inquired("family")
    (tmp_path / "outbox" / "requests-1.jsonl").write_bytes((asked.value or b"") + b"\nrubbish\n")
    one.turn()
    pain001(tmp_path / "outbox", "m-1", "family")
    one.turn()
    said = heard(tmp_path / "inbox")["pain.002"]
    assert {(item.status, item.reason) for item in said} == {("RJCT", "NOOR")}
    assert transfers(book_path(tmp_path / "book")) == []
    book.close()


def test_what_is_read_after_not_executed_is_never_paid(tmp_path: Path) -> None:
    """F: the inquiry overtakes the instruction in the bank. Its own word must close the id for ever."""
    book = opened(tmp_path, Profile(lagging=10_000))
    book.take([instructed("family")], now=100.0)
    assert answers(book) == [], "received, not read"
    book.take([inquired("family")], now=101.0)
    assert not book.lags(105.0)
    assert book.lags(111.0)
    book.take([], now=111.0)
    assert answers(book) == [("RJCT", "NOOR"), ("RJCT", "NOOR")]
    assert transfers(book_path(tmp_path)) == []
    assert book_summary(book_path(tmp_path))["closed"] == 1
    book.close()


def test_an_instruction_read_late_and_not_asked_about_is_paid_once(tmp_path: Path) -> None:
    book = opened(tmp_path, Profile(lagging=10_000))
    book.take([instructed("family")], now=100.0)
    book.take([instructed("family")], now=111.0)
    book.take([], now=125.0)
    assert [status for status, _ in answers(book)] == ["ACCC", "ACCC"]
    assert len(transfers(book_path(tmp_path))) == 1
    book.close()


def test_the_statement_shows_what_was_booked_and_nothing_a_liar_only_said(tmp_path: Path) -> None:
    one, book = bank(tmp_path, Profile(returned=10_000))
    pain001(tmp_path / "outbox", "m-1", "a")
    one.turn()
    book.close()
    liar, book = bank(tmp_path, Profile(lied=10_000))
    pain001(tmp_path / "outbox", "m-2", "b")
    liar.turn()
    book.close()
    for path in (tmp_path / "inbox").iterdir():
        path.unlink()
    assert write_statement("bank-x", book_path(tmp_path / "book"), tmp_path / "inbox", ACCOUNT, NOW + timedelta(1)) == 2
    booked = heard(tmp_path / "inbox")["camt.053"]
    assert {(item.reference, item.status) for item in booked} == {(order("a"), "ACCC"), (order("a"), "RTRN")}

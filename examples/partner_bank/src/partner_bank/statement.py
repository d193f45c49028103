"""`python -m partner_bank.statement --bank bank-a --state-dir DIR --files DIR`: a camt.053 of everything in the book.

The statement is the bank's true word, whatever it answered: it is made from its transfers alone.
"""

import argparse
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from partner_bank import iso
from partner_bank.book import book_path
from partner_bank.files import put
from partner_bank.rules import reference_of

OPENING_MINOR = 10**15
BOOKED = (
    "SELECT t.instruction_id, t.kind, i.reason, t.amount_minor, t.currency, i.account, t.booked_at FROM transfer t"
    " JOIN instruction i USING (instruction_id) WHERE t.booked_at <= ? ORDER BY t.transfer_id"
)


def write_statement(bank: str, book: Path, inbox: Path, account: str, now: datetime | None = None) -> int:
    """Put the statement up to `now` into the inbox; returns how many bookings stand in it."""
    until = (now or datetime.now(UTC)).replace(microsecond=0)
    moment = until.isoformat().replace("+00:00", "Z")
    with closing(sqlite3.connect(f"{book.resolve().as_uri()}?mode=ro", uri=True)) as db:
        lines = [
            iso.Line(
                instruction, "RTRN" if kind == "return" else "ACCC", reason if kind == "return" else None, amount,
                currency, credited, reference_of(bank, instruction),
                datetime.fromtimestamp(booked_at, UTC).date().isoformat(),
            )
            for instruction, kind, reason, amount, currency, credited, booked_at in db.execute(
                BOOKED, (until.timestamp(),)
            )
        ]  # fmt: skip
    message_id = f"stmt-{bank}-{until:%Y%m%d%H%M%S}"[:35]
    put(inbox, f"{message_id}.xml", iso.camt053(message_id, moment, account, OPENING_MINOR, lines))
    return len(lines)


def main() -> None:
    """Write one statement."""
    parser = argparse.ArgumentParser(prog="python -m partner_bank.statement", description="A camt.053 from the book.")
    parser.add_argument("--bank", required=True)
    parser.add_argument("--state-dir", type=Path, required=True, help="where the bank keeps its book")
    parser.add_argument("--files", type=Path, required=True, help="the bank's folder, with outbox and inbox")
    parser.add_argument("--account", default="0012345", help="the account that pays")
    asked = parser.parse_args()
    write_statement(asked.bank, book_path(asked.state_dir), asked.files / "inbox", asked.account)


if __name__ == "__main__":
    main()

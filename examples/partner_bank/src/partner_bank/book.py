"""The bank's own book in SQLite: one transaction per batch holds entries, transfers, answers and consumed offsets.

`python -m partner_bank.book --state-dir DIR` prints its totals as JSON. WAL with synchronous=FULL: what is committed
survives a power cut; after a SIGKILL the batch is there whole or not at all.
"""

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from partner_bank.profile import Profile
from partner_bank.rules import LAG_S, Answer, Clerk, Entry, Outcome
from partner_bank.wire import Instruction, Message, Unreadable, read

FILE_NAME = "book.sqlite"
BUSY_TIMEOUT_S = 10.0
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Arrived:
    """A record of the instructions topic."""

    partition: int
    offset: int
    value: bytes | None
    personal: bytes | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An answer that waits to be sent."""

    position: int
    key: str
    value: bytes


class Book:
    """The open book of one bank. One process writes it.

    `keep_accounts`: for documents that must name them. `lag_s`: how late a lagging instruction is read.
    """

    def __init__(
        self, path: Path, bank: str, profile: Profile, seed: int, *, keep_accounts: bool = False, lag_s: float = LAG_S
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.bank, self._profile, self._seed, self._keep_accounts = bank, profile, seed, keep_accounts
        self._lag_s = lag_s
        self._db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript((Path(__file__).parent / "schema.sql").read_text(encoding="utf-8"))
        if "account" not in {row[1] for row in self._db.execute("PRAGMA table_info(instruction)")}:
            self._db.execute("ALTER TABLE instruction ADD COLUMN account TEXT NOT NULL DEFAULT ''")  # an older book

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def offsets(self) -> dict[int, int]:
        """Where to read on, per partition."""
        return dict(self._db.execute("SELECT partition, next_offset FROM consumed"))

    def take(self, records: Sequence[Arrived], now: float | None = None) -> Outcome:
        """Handle a batch in one transaction."""
        moment = time.time() if now is None else now
        messages: list[Message] = []
        unreadable: list[tuple[int, int, str]] = []
        next_offsets: dict[int, int] = {}
        for record in records:
            next_offsets[record.partition] = record.offset + 1
            try:
                messages.append(read(record.value, record.personal))
            except Unreadable as reason:
                unreadable.append((record.partition, record.offset, str(reason)))
        with self._transaction() as db:
            outcome = self._handle(db, messages, moment)
            db.executemany("INSERT OR IGNORE INTO unreadable VALUES (?, ?, ?)", unreadable)
            db.executemany("INSERT OR REPLACE INTO consumed VALUES (?, ?)", next_offsets.items())
        return outcome

    def taken_files(self) -> set[str]:
        """Names of the files that have had their effect."""
        return {row[0] for row in self._db.execute("SELECT name FROM taken_file")}

    def take_file(self, name: str, messages: Sequence[Message], now: float | None = None) -> Outcome:
        """Handle a whole file in one transaction."""
        moment = time.time() if now is None else now
        with self._transaction() as db:
            outcome = self._handle(db, messages, moment)
            db.execute("INSERT INTO taken_file VALUES (?)", (name,))
        return outcome

    def _handle(self, db: sqlite3.Connection, messages: Sequence[Message], moment: float) -> Outcome:
        rows = db.execute("DELETE FROM delayed WHERE due_at <= ? RETURNING position, message", (moment,)).fetchall()
        lagged = [Instruction(**json.loads(message)) for _, message in sorted(rows)]
        known = self._known(db, [message.instruction_id for message in (*lagged, *messages)])
        outcome = Clerk(self.bank, self._profile, self._seed, known, moment).handle(messages, lagged)
        self._write(db, outcome, moment)
        return outcome

    def lags(self, now: float | None = None) -> bool:
        """Whether something that was received earlier is to be read now."""
        moment = time.time() if now is None else now
        return bool(
            self._db.execute("SELECT EXISTS (SELECT 1 FROM delayed WHERE due_at <= ?)", (moment,)).fetchone()[0]
        )

    def accounts(self, ids: Sequence[str]) -> dict[str, str]:
        """The account each instruction named, as far as the book keeps them."""
        with self._transaction() as db:
            return {name: entry.account for name, entry in self._known(db, ids).items()}

    def _known(self, db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Entry]:
        known: dict[str, Entry] = {}
        for start in range(0, len(ids), CHUNK):
            chunk = ids[start : start + CHUNK]
            marks = ",".join("?" * len(chunk))
            for row in db.execute(f"SELECT * FROM instruction WHERE instruction_id IN ({marks})", chunk):
                known[row[0]] = Entry(*row)
        return known

    def _write(self, db: sqlite3.Connection, outcome: Outcome, now: float) -> None:
        db.executemany(
            "INSERT INTO instruction VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [astuple(entry if self._keep_accounts else replace(entry, account="")) for entry in outcome.entries],
        )
        db.executemany(
            "INSERT INTO delayed (due_at, message) VALUES (?, ?)",
            [
                (
                    now + self._lag_s,
                    json.dumps(asdict(message if self._keep_accounts else replace(message, account=""))),
                )
                for message in outcome.delayed
            ],
        )
        db.executemany(
            "UPDATE instruction SET state = ?, reason = ? WHERE instruction_id = ?",
            [(entry.state, entry.reason, entry.instruction_id) for entry in outcome.changed],
        )
        db.executemany(
            "INSERT INTO untouched VALUES (?, ?)", [(entry.instruction_id, now) for entry in outcome.untouched]
        )
        db.executemany(
            "DELETE FROM untouched WHERE instruction_id = ?", [(entry.instruction_id,) for entry in outcome.changed]
        )
        db.executemany(
            "INSERT INTO transfer (instruction_id, entitlement_id, part, kind, amount_minor, currency, booked_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(*astuple(transfer), now) for transfer in outcome.transfers],
        )
        db.executemany(
            "INSERT OR IGNORE INTO message VALUES (?, ?, ?)",
            [(answer.message_id, answer.key, answer.value) for answer in outcome.answers if answer.value is not None],
        )
        db.executemany(
            "INSERT INTO outbox (due_at, message_id) SELECT ?, message_id FROM message WHERE message_id = ?",
            [_due(answer) for answer in outcome.answers],
        )
        db.executemany(
            "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [("repeats", outcome.repeats), ("conflicts", outcome.conflicts)],
        )

    def due(self, most: int, now: float | None = None) -> list[Outgoing]:
        """Answers whose time has come, in order."""
        rows = self._db.execute(
            "SELECT position, key, value FROM outbox JOIN message USING (message_id) WHERE due_at <= ?"
            " ORDER BY due_at, position LIMIT ?",
            (time.time() if now is None else now, most),
        )
        return [Outgoing(*row) for row in rows]

    def next_due_at(self) -> float | None:
        """When the next waiting answer is due (Unix seconds), or None."""
        row = self._db.execute("SELECT min(due_at) FROM outbox").fetchone()
        return None if row[0] is None else float(row[0])

    def sent(self, answers: Sequence[Outgoing]) -> None:
        """Kafka has acknowledged these."""
        with self._transaction() as db:
            db.executemany("DELETE FROM outbox WHERE position = ?", [(answer.position,) for answer in answers])


def _due(answer: Answer) -> tuple[float, str]:
    return answer.due_at, answer.message_id


def book_path(state_dir: Path) -> Path:
    """The file of the book below a bank's state folder."""
    return state_dir / FILE_NAME


def transfers(path: Path) -> list[tuple[float, int, str, str, int, str, int]]:
    """Every movement, oldest first: booked_at, transfer_id, instruction_id, entitlement_id, part, kind, amount_minor.

    Read-only: safe while the bank runs. Raises sqlite3.OperationalError when there is no book.
    """
    with closing(_reader(path)) as db:
        return list(
            db.execute(
                "SELECT booked_at, transfer_id, instruction_id, entitlement_id, part, kind, amount_minor"
                " FROM transfer ORDER BY transfer_id"
            )
        )


def unclaimed(path: Path) -> list[dict[str, str]]:
    """What nobody has taken, as a statement's `unclaimed` tells it."""
    with closing(_reader(path)) as db:
        rows = db.execute("SELECT instruction_id, since FROM untouched ORDER BY instruction_id").fetchall()
    days = [(instruction_id, datetime.fromtimestamp(since, UTC).date().isoformat()) for instruction_id, since in rows]
    return [{"instruction_id": key, "standing": "untouched", "since": day} for key, day in days]


def book_summary(path: Path) -> dict[str, Any]:
    """Totals of a book, amounts in minor units. `doubled_instructions` and `most_at_once` bear witness:

    the ids credited more than once, and the most an entitlement part ever had at once (credits - returns; 1 is right).
    """
    with closing(_reader(path)) as db:
        moved = {kind: (count, minor) for kind, count, minor in db.execute(
            "SELECT kind, count(*), sum(amount_minor) FROM transfer GROUP BY kind")}  # fmt: skip
        states = dict(db.execute("SELECT state, count(*) FROM instruction GROUP BY state"))
        counters = dict(db.execute("SELECT name, value FROM counter"))
        doubled = [row[0] for row in db.execute(
            "SELECT instruction_id FROM transfer WHERE kind = 'credit' GROUP BY instruction_id HAVING count(*) > 1"
            " ORDER BY instruction_id")]  # fmt: skip
        waiting = db.execute("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM delayed)").fetchone()[0]
        unreadable = db.execute("SELECT count(*) FROM unreadable").fetchone()[0]
    live = most_live([transfers(path)])
    return {
        "instructions": sum(states.values()),
        "accepted": moved.get("credit", (0, 0))[0],
        "accepted_minor": moved.get("credit", (0, 0))[1],
        "returned": moved.get("return", (0, 0))[0],
        "returned_minor": moved.get("return", (0, 0))[1],
        "rejected": states.get("rejected", 0),
        "closed": states.get("closed", 0),
        "repeats": counters.get("repeats", 0),
        "conflicts": counters.get("conflicts", 0),
        "unreadable": unreadable,
        "waiting_answers": waiting,
        "doubled_instructions": doubled,
        "most_at_once": max(live.values(), default=0),
    }


def most_live(books: Sequence[Sequence[tuple[float, int, str, str, int, str, int]]]) -> Mapping[tuple[str, int], int]:
    """Per entitlement and part: the most credits - returns ever at once, over the books of several banks together."""
    now: dict[tuple[str, int], int] = {}
    most: dict[tuple[str, int], int] = {}
    for row in sorted(movement for book in books for movement in book):
        part = (row[3], row[4])
        now[part] = now.get(part, 0) + (1 if row[5] == "credit" else -1)
        most[part] = max(most.get(part, 0), now[part])
    return most


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)


def main() -> None:
    """Print the totals of one book as JSON."""
    parser = argparse.ArgumentParser(prog="python -m partner_bank.book", description="Totals of a bank's own book.")
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--unclaimed", action="store_true", help="what nobody has taken instead of the totals")
    given = parser.parse_args()
    path = book_path(given.state_dir)
    if not path.exists():
        sys.exit(f"no book at {path}: has this bank ever run?")
    told = unclaimed(path) if given.unclaimed else book_summary(path)
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()

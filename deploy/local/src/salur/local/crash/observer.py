"""How far every process has come: counters read from the databases and the banks' books while the run goes on."""

import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg

from partner_bank.book import book_path
from salur.common.contracts.topics import is_bank_topic
from salur.local.platform import Platform

INTERVAL_S = 0.2
CONNECT_TIMEOUT_S = 2
STATEMENT_TIMEOUT = "5s"

_STREAMS = """
SELECT s.name, s.sequence, r.published FROM stream s JOIN relay r ON r.stream = s.name
"""
_MARKS = "SELECT consumer, stream, sequence, kafka_offset FROM mark"
_RELAY_LOCK = """
SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND objid::bigint = hashtext('salur.relay')::bigint & 4294967295)
"""
_IMPORTS = "SELECT count(*) FROM bulk_import WHERE state IN ('queued', 'running')"
_IN_FLIGHT = "SELECT bank, count(*) FROM payment WHERE state IN ('instructed', 'unknown') GROUP BY bank"
_UNINSTRUCTED = "SELECT coalesce(sum(last_rank - instructed_rank), 0) FROM payment_list WHERE state = 'approved'"
_BOOK = """
SELECT (SELECT coalesce(sum(next_offset), 0) FROM consumed) + (SELECT count(*) FROM message)
     + (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox') - (SELECT count(*) FROM outbox),
       (SELECT count(*) FROM outbox)
"""


@dataclass(frozen=True, slots=True)
class Position:
    """A consumer's mark: the last sequence taken, and the Kafka offset it stood at."""

    sequence: int
    offset: int


@dataclass(slots=True)
class Snapshot:
    """One look at everything; `began` in seconds of the monotonic clock, before the first read."""

    began: float
    heads: dict[str, int] = field(default_factory=dict)
    published: dict[str, int] = field(default_factory=dict)
    marks: dict[tuple[str, str], Position] = field(default_factory=dict)
    relay_held: dict[str, bool] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)
    """Service by stream."""
    imports: int = 0
    uninstructed: int = 0
    in_flight: dict[str, int] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    unsent: dict[str, int] = field(default_factory=dict)

    def work(self, target: str) -> int:
        """A number that grows with whatever `target` does."""
        if target in self.answered:
            return self.answered[target]
        if target.endswith("-relay"):
            service = target.removesuffix("-relay")
            return sum(n for stream, n in self.published.items() if self.owner[stream] == service)
        taken = {key: mark.sequence + max(mark.offset, 0) for key, mark in self.marks.items()}
        if target == "kafka":
            return sum(self.published.values()) + sum(taken.values())
        heads, mine = self.heads, taken
        if target != "postgres":
            heads = {stream: n for stream, n in heads.items() if self.owner[stream] == target}
            mine = {key: n for key, n in taken.items() if key[0].startswith(f"{target}.")}
        return sum(heads.values()) + sum(mine.values())

    def pending(self, target: str) -> int:
        """What waits for `target` right now."""
        if target in self.answered:
            return self.unsent[target] + self.in_flight.get(target, 0)
        if target.endswith("-relay"):
            return self.unpublished(target.removesuffix("-relay"))
        if target in {"kafka", "postgres"}:
            return self.unpublished() + self.untaken() + self.imports + sum(self.in_flight.values())
        own = {"registry": self.imports, "payments": self.uninstructed + sum(self.in_flight.values())}
        return self.untaken(target) + own.get(target, 0)

    def unpublished(self, service: str | None = None) -> int:
        """Events Kafka has not acknowledged yet."""
        return sum(
            head - self.published[stream]
            for stream, head in self.heads.items()
            if service is None or self.owner[stream] == service
        )

    def untaken(self, service: str | None = None) -> int:
        """Events that consumers have not taken yet, each counted once per consumer; without the banks' answers."""
        return sum(
            self.heads[stream] - mark.sequence
            for (consumer, stream), mark in self.marks.items()
            if stream in self.heads and (service is None or consumer.startswith(f"{service}."))
        )


class Observer:
    """Takes snapshots in a thread of its own: a database that is paused blocks nobody else."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._connections: dict[str, psycopg.Connection[Any]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self.latest: Snapshot | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; waits for a look that is under way."""
        self._stop.set()
        self._thread.join()
        for conn in self._connections.values():
            conn.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(psycopg.Error, sqlite3.Error):
                self.latest = self.look()
            self._stop.wait(INTERVAL_S)

    def look_once(self) -> Snapshot:
        """A look from another thread, over connections of its own. Raises psycopg.Error, sqlite3.Error."""
        other = Observer(self._platform)
        try:
            return other.look()
        finally:
            for conn in other._connections.values():
                conn.close()

    def look(self) -> Snapshot:
        """Read every counter now. Raises psycopg.Error, sqlite3.Error when something does not answer."""
        snapshot = Snapshot(time.monotonic())
        for service in self._platform.options.services:
            self._service(service, snapshot)
        for bank in self._platform.options.banks:
            snapshot.answered[bank], snapshot.unsent[bank] = _book(self._platform, bank)
        return snapshot

    def _service(self, service: str, snapshot: Snapshot) -> None:
        conn = self._connections.get(service)
        if conn is None or conn.closed:
            conn = self._connections[service] = self._connect(service)
        try:
            for stream, head, published in conn.execute(_STREAMS).fetchall():
                snapshot.heads[stream], snapshot.published[stream] = head, published
                snapshot.owner[stream] = service
            for consumer, stream, sequence, offset in conn.execute(_MARKS).fetchall():
                snapshot.marks[consumer, stream] = Position(sequence, offset)
            snapshot.relay_held[service] = _one(conn, _RELAY_LOCK)
            if service == "registry":
                snapshot.imports = _one(conn, _IMPORTS)
            if service == "payments":
                snapshot.in_flight = dict(conn.execute(_IN_FLIGHT).fetchall())
                snapshot.uninstructed = int(_one(conn, _UNINSTRUCTED))
        except psycopg.Error:
            conn.close()
            raise

    def _connect(self, service: str) -> psycopg.Connection[Any]:
        options = f"-c statement_timeout={STATEMENT_TIMEOUT} -c application_name=crash-observer"
        url = self._platform.postgres.url(service)
        return psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, options=options)


def _one(conn: psycopg.Connection[Any], query: str) -> Any:
    row = conn.execute(query).fetchone()
    assert row is not None
    return row[0]


def _book(platform: Platform, bank: str) -> tuple[int, int]:
    path = book_path(platform.bank_dir(bank))
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as book:
        done, unsent = book.execute(_BOOK).fetchone()
        return int(done), int(unsent)


def outside_lag(snapshot: Snapshot, ends: Mapping[str, int]) -> int:
    """Answers of banks that consumers have not taken. `ends`: Kafka's end offset by stream of the results topics."""
    return sum(
        max(0, ends.get(stream, 0) - 1 - mark.offset)
        for (_, stream), mark in snapshot.marks.items()
        if is_bank_topic(stream) and stream not in snapshot.heads
    )

"""`python -m salur.local.search_bench`: fill a log, index it, and measure search and what indexing costs appends.

Runs on a PostgreSQL of its own with all durability on. Prints one JSON object; ends with 1 when p95 is over the limit.
A log longer than `FILLED_FROM` is filled inside the database up to its last entries, which are appended and indexed.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from salur.audit import main as audit_main
from salur.audit import store
from salur.audit.search.indexer import PARTITION_ENTRIES, Indexer
from salur.audit.search.question import Question
from salur.audit.store import Entry
from salur.audit.usecases.money import READ, personal_reads
from salur.audit.usecases.search import find
from salur.common.auth import Caller
from salur.common.database import Database, migrate
from salur.common.values import derived_id
from salur.local.ports import free_ports
from salur.local.postgres import Postgres
from salur.local.search_fill import WIDTH, Shape, fill

BATCH = 2_000
P95_LIMIT_MS = 100.0
EVENTS_PER_HOUSEHOLD = 5
APPEND_CHECK = 40_000
FILLED_FROM = 2_000_000
CYCLES, PROGRAMMES, BANKS = 24, 4, 4
READ_EVERY, READERS = 200, 7
"""Of so many households one has a value opened in place of its last event, by one of so many people."""
ALWAYS = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
AUDITOR = Caller("person:auditor", frozenset({"auditor"}))
KINDS = (
    ("registry.households", "salur.household.registered.v1"),
    ("eligibility.decisions", "salur.decision.made.v1"),
    ("eligibility.entitlements", "salur.entitlement.granted.v1"),
    ("payments.instructions.bank-0", "salur.payment.instructed.v1"),
    ("payments.payments", "salur.payment.settled.v1"),
)

SHAPE = Shape(KINDS, CYCLES, PROGRAMMES, BANKS, READ, READ_EVERY, READERS)


def entry(index: int) -> Entry:
    """The index-th entry: five events of one household after the other, as the platform's main path leaves them."""
    number, step = divmod(index, EVENTS_PER_HOUSEHOLD)
    topic, kind = KINDS[step]
    actor = f"service:{topic.partition('.')[0]}"
    is_read = step == EVENTS_PER_HOUSEHOLD - 1 and number % READ_EVERY == 0
    if is_read:
        topic, kind, actor = "registry.activity", READ, f"person:reader-{number // READ_EVERY % READERS}"
    ids = {name: derived_id(name, str(number)) for name in ("household", "decision", "entitlement", "payment")}
    region = f"{31 + number % 9}.{1 + number % 20:02d}.{1 + number % 30:02d}"
    named: dict[str, Any] = {"cycle_id": derived_id("cycle", str(number % CYCLES))}
    match step:
        case 0:
            named = {"household_id": ids["household"], "region": region}
        case 1:
            named = {
                "household_id": ids["household"],
                "decision_id": ids["decision"],
                "programme_id": _programme(number),
            }
        case 2:
            named |= {"entitlement_id": ids["entitlement"], "beneficiary_id": ids["household"], "region": region}
            named |= {"programme_id": _programme(number), "amount_minor": 75_000_000}
        case _ if is_read:
            named = {"subject": ids["household"], "kind": "event-field", "field": "account_holder", "reason": "case"}
        case _:
            named |= {
                "payment_id": ids["payment"][:30],
                "entitlement_id": ids["entitlement"],
                "bank": f"bank-{number % BANKS}",
                "instruction_id": f"{ids['payment'][:30]}-001",
                "fund_id": "central",
                "amount_minor": 75_000_000,
                "currency": "IDR",
            }
    event_id, stream = derived_id("event", str(index)), f"{topic}/{number % 8}"
    moment = f"2026-{1 + number % 12:02d}-01T10:{number % 60:02d}:{index % 60:02d}.000000Z"
    document = {
        "specversion": "1.0", "id": event_id, "source": f"/salur/{topic.partition('.')[0]}", "type": kind,
        "subject": ids["household"], "time": moment, "actor": actor,
        "cause": derived_id("event", str(index - 1)), "data": named, "stream": stream, "sequence": index + 1,
    }  # fmt: skip
    leaf = orjson.dumps(document)
    return Entry(index, leaf, topic, 0, index, stream, index + 1, event_id, kind, ids["household"], moment)


def _programme(number: int) -> str:
    return f"programme-{number % CYCLES % PROGRAMMES}"


async def append(db: Database, count: int) -> float:
    """Append entries in batches as the audit's consumer does; entries per second of the writing alone."""
    spent, done = 0.0, 0
    while done < count:
        async with db.connection() as conn:
            first = int(await store.size(conn))
        batch = [entry(first + number) for number in range(min(BATCH, count - done))]
        began = time.perf_counter()
        async with db.transaction() as conn:
            await store.lock_size(conn)
            await store.insert_entries(conn, batch)
        spent += time.perf_counter() - began
        done += len(batch)
    return count / spent if spent else 0.0


def questions(entries: int, each: int) -> Iterator[tuple[str, Question]]:
    """Questions of every dimension, and pairs of them, about things that are there."""
    draw = random.Random(1)  # noqa: S311 - figures that can be repeated
    for _ in range(each):
        number = draw.randrange(entries // EVENTS_PER_HOUSEHOLD)
        cycle, region = derived_id("cycle", str(number % CYCLES)), f"{31 + number % 9}.{1 + number % 20:02d}"
        asked: dict[str, dict[str, Any]] = {
            "household": {"household": derived_id("household", str(number))},
            "subject": {"subject": derived_id("household", str(number))},
            "payment": {"payment": derived_id("payment", str(number))[:30]},
            "programme": {"programme": _programme(number)},
            "cycle": {"cycle": cycle},
            "actor": {"actor": "service:payments"},
            "type": {"type": KINDS[number % 5][1]},
            "region": {"region": region},
            "bank": {"bank": f"bank-{number % BANKS}"},
            "cause": {"cause": derived_id("event", str(number))},
            "time": {
                "since": f"2026-{1 + number % 12:02d}-01T10:00:00Z",
                "until": f"2026-{1 + number % 12:02d}-02T00:00:00Z",
            },
            "cycle+type": {"cycle": cycle, "type": KINDS[4][1]},
            "region+type": {"region": region, "type": KINDS[2][1]},
        }
        for name, fields in asked.items():
            yield name, Question(**fields)


async def measure(db: Database, entries: int, each: int) -> dict[str, float]:
    """95th percentile of a page of 50, in milliseconds, by dimension and over all."""
    took: dict[str, list[float]] = {}
    draw = random.Random(2)  # noqa: S311
    async with db.connection() as conn:
        for name, question in questions(entries, each):
            after = draw.choice((-1, draw.randrange(entries)))
            began = time.perf_counter()
            await find(conn, AUDITOR, question, after, 50)
            took.setdefault(name, []).append((time.perf_counter() - began) * 1_000)
    took["all"] = [value for values in took.values() for value in values]
    return {name: round(sorted(values)[int(len(values) * 0.95)], 2) for name, values in took.items()}


async def breach_report(db: Database) -> dict[str, float]:
    """Seconds for whose fields one person read in the log's whole time, and how many."""
    began = time.perf_counter()
    async with db.connection() as conn:
        report = await personal_reads(conn, "person:reader-0", *ALWAYS)
    return {"breach_report_s": round(time.perf_counter() - began, 3), "breach_report_reads": len(report["reads"])}


async def run(url: str, entries: int, each: int) -> dict[str, Any]:
    """Fill, index, measure."""
    migrate(url, [Path(audit_main.__file__).parent / "migrations"])
    filled = fill(url, entries - 2 * APPEND_CHECK, SHAPE, PARTITION_ENTRIES // WIDTH) if entries > FILLED_FROM else 0
    db = Database(url, pool_size=4, statement_timeout_s=120)
    await db.open()
    try:
        alone = await append(db, min(APPEND_CHECK, entries))
        await append(db, max(0, entries - filled - 2 * APPEND_CHECK))
        indexer = Indexer(db)
        began = time.perf_counter()
        stop = asyncio.Event()
        indexing = asyncio.create_task(_index_until(stop, indexer))
        beside = await append(db, min(APPEND_CHECK, entries))
        stop.set()
        await indexing
        await indexer.catch_up()
        seconds = time.perf_counter() - began
        async with db.connection() as conn:
            size = await store.size(conn)
            await conn.execute("ANALYZE search_posting, search_block")
        p95 = await measure(db, size, each)
        breach = await breach_report(db)
    finally:
        await db.close()
    return {
        "entries": size,
        "filled": filled,
        "indexed_per_second": round((size - filled) / seconds),
        "appends_per_second_alone": round(alone),
        "appends_per_second_while_indexing": round(beside),
        "query_p95_ms": p95["all"],
        **breach,
        "query_p95_ms_by_dimension": p95,
    }


async def _index_until(stop: asyncio.Event, indexer: Indexer) -> None:
    while not stop.is_set():
        await indexer.step()


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m salur.local.search_bench")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--each", type=int, default=40, help="questions per dimension")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="salur-search-") as folder:
        postgres = Postgres(Path(folder) / "postgres" / "data", Path(folder) / "postgres.log", free_ports(1)[0])
        postgres.start()
        try:
            url = postgres.create_database("audit", "bench")
            report = asyncio.run(run(url, options.entries, options.each))
        finally:
            postgres.stop()
    sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() + "\n")
    sys.exit(0 if report["query_p95_ms"] < P95_LIMIT_MS else 1)


if __name__ == "__main__":
    main()

"""`python -m salur.local.eligibility_bench`: families a second through a simulation; how soon a disaster is granted.

On a PostgreSQL of its own with all durability on, over a generated population. Beside each figure stands a limit of the
machine: how fast PostgreSQL alone hands over the same rows, and how fast it alone writes the same events.
"""

import asyncio
import itertools
import secrets
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from salur.common.contracts.topics import PARTITIONS, topics_written_by
from salur.common.database import Database, migrate
from salur.common.events import EventStore, partition_for
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.eligibility import main as eligibility_main
from salur.eligibility.domain.simulation import Question, Version
from salur.eligibility.simulating import simulate
from salur.eligibility.store import HouseholdRow, copy_households, queries
from salur.eligibility.usecases.cycles import CycleWork
from salur.eligibility.usecases.emergencies import Declare, approve_declaration, declare
from salur.eligibility.usecases.programmes import Rules, approve, propose
from salur.local.population.files import body
from salur.local.population.generate import households
from salur.local.ports import free_ports
from salur.local.postgres import Postgres

MIGRATIONS = Path(eligibility_main.__file__).parent / "migrations"
PROGRAMMES = Path("services/eligibility/programmes")
STATE = Path("var/eligibility-bench")
DISTINCT = 20_000
"""Families generated; a larger population repeats them under other ids, for generating takes longer than deciding."""
BATCH = 1_000
STATEMENT_TIMEOUT_S = 600
OFFICER, APPROVER, CAUSE = "person:officer", "person:approver", "request-bench"
CUT = derived_id("cut", "bench")


def rows_of(families: int, seed: int) -> Iterator[HouseholdRow]:
    """Families as eligibility keeps them."""
    distinct = [body(family) for family in households(min(families, DISTINCT), seed)]
    for number, family in enumerate(itertools.islice(itertools.cycle(distinct), families)):
        household_id = derived_id("bench", str(number))
        members = [
            {"member_id": derived_id(household_id, str(place)), "attributes": member["attributes"]}
            for place, member in enumerate(family["members"])
        ]
        yield HouseholdRow(
            household_id, 1, partition_for(household_id), number + 1, None, family["region"], family["attributes"],
            members,
        )  # fmt: skip


async def fill(db: Database, families: int, seed: int) -> None:
    """Every family, and a cut behind them in each partition."""
    rows = rows_of(families, seed)
    while batch := list(itertools.islice(rows, 10 * BATCH)):
        async with db.transaction() as conn:
            await copy_households(conn, batch)
    async with db.transaction() as conn:
        await queries.save_cut_marks(
            conn, cut_ids=[CUT] * PARTITIONS, partitions=list(range(PARTITIONS)),
            sequences=[families + 1] * PARTITIONS, households=[families] * PARTITIONS,
        )  # fmt: skip
        await conn.execute("ANALYZE household")


async def simulated(db: Database, url: str, families: int, processes: int) -> dict[str, Any]:
    """A stricter PKH against PKH, over everybody."""
    pkh = (PROGRAMMES / "pkh.yaml").read_text(encoding="utf-8")
    question = Question(Version(pkh), Version(pkh.replace("when: decile <= 4", "when: decile <= 3")))
    began = time.perf_counter()
    whole = await simulate(url, question, processes)
    seconds = time.perf_counter() - began
    if whole.families != families or not whole.result()["lose"]["all"]["families"]:
        raise RuntimeError(f"the simulation saw {whole.families} of {families} families")
    size = 0

    async def count(data: bytes) -> None:
        nonlocal size
        size += len(data)

    began = time.perf_counter()
    async with db.connection() as conn:
        await conn.copy_from_query("SELECT household_id, region, attributes, members FROM household", output=count)
    read = time.perf_counter() - began
    return {
        "families": families, "processes": processes, "seconds": round(seconds, 2),
        "families_per_second": round(families / seconds), "rows_read_per_second": round(families / read),
        "bytes_read": size, "ratio_to_reading": round(read / seconds, 3),
    }  # fmt: skip


async def helped(db: Database, store: EventStore, families: int) -> dict[str, Any]:
    """Everybody lives where a disaster is declared: from the approval until everything is granted."""
    rules, text = Rules(), (PROGRAMMES / "bencana.yaml").read_text(encoding="utf-8")
    async with db.transaction() as conn:
        compiled, _, drafts = await propose(conn, text, actor=OFFICER, cause=CAUSE)
        drafts += await approve(
            conn, "bencana", compiled.version, people=frozenset({APPROVER}), actor=APPROVER, cause=CAUSE
        )
        regions = tuple(
            sorted({row["r"] for row in await conn.fetch("SELECT DISTINCT left(region, 2) r FROM household")})
        )
        command = Declare("bencana", "bench", regions, date(2026, 1, 5), CUT, "bench", OFFICER, CAUSE)
        declared, more = await declare(conn, rules, command)
        await store.append(conn, drafts + more)
    began = time.perf_counter()
    async with db.transaction() as conn:
        people = frozenset({APPROVER})
        _, drafts = await approve_declaration(
            conn, rules, declared["declaration_id"], people=people, actor=APPROVER, cause=CAUSE
        )
        await store.append(conn, drafts)
    work, more_to_do = CycleWork(rules, BATCH), True
    while more_to_do:
        async with db.transaction() as conn:
            more_to_do, drafts = await work.step(conn)
            await store.append(conn, drafts)
        work.committed()
    seconds = time.perf_counter() - began
    async with db.transaction() as conn:
        granted = await conn.fetchval("SELECT count(*) FROM entitlement WHERE entitlement_id IS NOT NULL")
        events = await conn.fetchval("SELECT count(*) FROM event")
        began = time.perf_counter()
        await conn.execute("CREATE TABLE probe AS SELECT * FROM event")
    write = time.perf_counter() - began
    if granted != families:
        raise RuntimeError(f"{granted} of {families} families are helped")
    return {
        "families": families, "seconds": round(seconds, 2), "families_per_second": round(families / seconds),
        "events": events, "seconds_to_write_the_events_alone": round(write, 2),
        "ratio_to_writing": round(write / seconds, 3),
    }  # fmt: skip


async def measure(url: str, families: int, emergency: int, processes: int, seed: int) -> dict[str, Any]:
    """Both figures, each on a registry of its own size. Raises RuntimeError when a promise is broken."""
    migrate(url, [MIGRATIONS])
    db = Database(url, pool_size=2, statement_timeout_s=STATEMENT_TIMEOUT_S)
    await db.open()
    try:
        store = EventStore("eligibility", Secrets(secrets.token_bytes(32)))
        async with db.transaction() as conn:
            await store.declare(conn, topics_written_by("eligibility"))
            await store.load_partitions(conn)
        await fill(db, emergency, seed)
        disaster = await helped(db, store, emergency)
        async with db.transaction() as conn:
            await conn.execute("TRUNCATE household, cut_mark")
        await fill(db, families, seed)
        return {"simulation": await simulated(db, url, families, processes), "emergency": disaster}
    finally:
        await db.close()


def main(
    families: Annotated[int, typer.Option(min=1_000, help="How many are simulated.")] = 1_000_000,
    emergency: Annotated[int, typer.Option(min=1_000, help="How many a disaster helps.")] = 100_000,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Processes of the simulation.")] = 2,
    seed: Annotated[int, typer.Option(help="Of the population.")] = 1,
    state_dir: Annotated[Path, typer.Option(help="Folder of the run; emptied before.")] = STATE,
) -> None:
    """Measure simulation and emergency on this machine."""
    (port,) = free_ports(1)
    postgres = Postgres(state_dir / "data", state_dir / "postgres.log", port)
    postgres.start()
    try:
        url = postgres.create_database(f"bench_{secrets.token_hex(4)}", secrets.token_hex(16))
        report = asyncio.run(measure(url, families, emergency, processes, seed))
    finally:
        postgres.stop()
    typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    typer.run(main)

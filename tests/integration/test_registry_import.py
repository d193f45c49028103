"""The import on the real file: every household, every doubtful row reported, resumable at the row."""

from pathlib import Path

import pytest
import yaml

from salur.common.contracts.topics import ALL_TOPICS
from salur.common.database import Database, migrate
from salur.common.events import EventStore
from salur.common.secrets import Secrets
from salur.registry import main as registry_main
from salur.registry.store import queries
from salur.registry.usecases.import_file import import_batch, spool_path

pytestmark = pytest.mark.integration
PROGRESA = Path(__file__).parents[2] / "examples" / "progresa"
MIGRATIONS = Path(registry_main.__file__).parent / "migrations"


@pytest.fixture
async def store(db: Database, database_url: str, keys: Secrets) -> EventStore:
    migrate(database_url, [MIGRATIONS])
    store = EventStore("registry", keys)
    async with db.transaction() as conn:
        await store.declare(conn, [topic for topic in ALL_TOPICS if topic.writer == "registry"])
        await store.load_partitions(conn)
    return store


async def _queue(db: Database, state_dir: Path, content: bytes) -> None:
    path = spool_path(state_dir, "a" * 32)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    mapping = yaml.safe_load((PROGRESA / "mapping.yaml").read_text())
    async with db.transaction() as conn:
        await queries.insert_import(
            conn, import_id="a" * 32, sha256="b" * 64, name="file.csv", size=len(content), mapping=mapping, actor="p:1"
        )
        await queries.set_import_state(conn, import_id="a" * 32, state="queued", reason=None)


async def _run(db: Database, store: EventStore, state_dir: Path, keys: Secrets, batches: int = 100) -> None:
    for _ in range(batches):
        async with db.transaction() as conn:
            more, drafts = await import_batch(conn, state_dir, keys)
            await store.append(conn, drafts)
        if not more:
            return


async def test_8325_real_households_are_registered_and_26_contradictions_reported(
    db: Database, store: EventStore, keys: Secrets, tmp_path: Path
) -> None:
    await _queue(db, tmp_path, (PROGRESA / "households-1998.csv").read_bytes())
    await _run(db, store, tmp_path, keys, batches=2)
    async with db.connection() as conn:
        assert 0 < await queries.count_households(conn) < 8325
    await _run(db, store, tmp_path, keys)
    async with db.connection() as conn:
        job = await queries.import_by_id(conn, import_id="a" * 32)
        issues = await queries.issues_after(conn, import_id="a" * 32, row=0, column="", reason="", most=100)
        events = await conn.fetchval("SELECT count(*) FROM event WHERE type = 'salur.household.registered.v1'")
        members = await conn.fetchval("SELECT sum(jsonb_array_length(members)) FROM household")
    assert {(issue["column"], issue["severity"]) for issue in issues} == {("indigenous", "warning")}, issues
    assert (job["state"], job["households"], job["refused_rows"], job["warnings"]) == ("done", 8325, 0, 27)
    assert (events, members) == (8325, 12579)


async def test_bad_rows_are_reported_by_place_and_stop_no_good_row(
    db: Database, store: EventStore, keys: Secrets, tmp_path: Path
) -> None:
    lines = (PROGRESA / "households-1998.csv").read_bytes().splitlines(keepends=True)[:7]
    bad = [
        b"not,enough,fields\n",
        b'900001,1,"open quote,30,1,2,3,male,1,9,male,1,1,1,1\n',
        b"900002,2,3,30,many,759.36,60,male,1,9,male,1,1,1,1\n",
        b"900003,\xff\xfe,3,30,1,2,3,male,1,9,male,1,1,1,1\n",
        b"900004,4,5,nowhere,600,759.36,60,male,1,9,male,1,1,1,1\n",
    ]
    # Between two families: rows of one household that are torn apart would be a trouble of their own.
    at = next(n for n in range(2, 7) if lines[n].split(b",")[0] != lines[n - 1].split(b",")[0])
    await _queue(db, tmp_path, b"".join([*lines[:at], *bad, *lines[at:]]))
    await _run(db, store, tmp_path, keys)
    async with db.connection() as conn:
        job = await queries.import_by_id(conn, import_id="a" * 32)
        issues = await queries.issues_after(conn, import_id="a" * 32, row=0, column="", reason="", most=100)
    households = len({line.split(b",")[0] for line in lines[1:]})
    assert (job["state"], job["households"], job["refused_rows"]) == ("done", households, 5)
    assert [(issue["row"], issue["column"]) for issue in issues] == [
        (at + 1, ""), (at + 2, ""), (at + 3, "poverty_index"), (at + 4, ""), (at + 5, "state"),
    ]  # fmt: skip


async def test_a_missing_column_refuses_the_file_before_its_first_row(
    db: Database, store: EventStore, keys: Secrets, tmp_path: Path
) -> None:
    content = (PROGRESA / "households-1998.csv").read_bytes().replace(b"poverty_index", b"score", 1)
    await _queue(db, tmp_path, content)
    await _run(db, store, tmp_path, keys)
    async with db.connection() as conn:
        job = await queries.import_by_id(conn, import_id="a" * 32)
    assert job["state"] == "failed"
    assert "poverty_index" in job["reason"]

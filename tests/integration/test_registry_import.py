"""The import on real files: every household, every doubtful row reported, resumable at the row, nothing doubled."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import yaml

from salur.common.service import Runtime, Service
from salur.registry.spool import spool_path, spooled_ids
from salur.registry.store import queries
from salur.registry.usecases import import_file, read_import
from support.registry import announced, api, event_counts, imports_worker, open_registry, run_imports

pytestmark = pytest.mark.integration
PROGRESA = Path(__file__).parents[2] / "examples" / "progresa"
REAL = PROGRESA / "households-1998.csv"
MAPPING: dict[str, Any] = yaml.safe_load((PROGRESA / "mapping.yaml").read_text())
REGISTERED, CHANGED, PAYEE = (
    "salur.household.registered.v1",
    "salur.household.changed.v1",
    "salur.payee.registered.v1",
)
Registry = tuple[Runtime, Service, httpx.AsyncClient]


@pytest.fixture
async def registry(database_url: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with open_registry(database_url, tmp_path) as (runtime, service), api(runtime, service) as client:
        yield runtime, service, client


async def send(client: httpx.AsyncClient, content: bytes, mapping: dict[str, Any] = MAPPING) -> str:
    answer = await client.post("/imports", json=announced(content, mapping))
    assert answer.status_code in (200, 201), answer.text
    import_id: str = answer.json()["import_id"]
    sent = await client.put(f"/imports/{import_id}/content", content=content)
    assert sent.status_code == 202, sent.text
    return import_id


async def take(registry: Registry, content: bytes, mapping: dict[str, Any] = MAPPING) -> dict[str, Any]:
    _, service, client = registry
    import_id = await send(client, content, mapping)
    await run_imports(service)
    status: dict[str, Any] = (await client.get(f"/imports/{import_id}")).json()
    return status


async def report(client: httpx.AsyncClient, import_id: str) -> list[dict[str, str]]:
    answer = await client.get(f"/imports/{import_id}/report")
    return list(csv.DictReader(io.StringIO(answer.text)))


async def counts(runtime: Runtime) -> dict[str, int]:
    async with runtime.db.connection() as conn:
        return await event_counts(conn)


def rows(*lines: str) -> bytes:
    """A file of the real file's columns: household, child, age, and `indigenous`."""
    header = REAL.read_bytes().split(b"\n", 1)[0]
    body = [
        f"{household},{child},30055031,30,660,759.36,60,male,{indigenous},{age},male,1,1,1,1".encode()
        for household, child, age, indigenous in (line.split(",") for line in lines)
    ]
    return b"\n".join([header, *body, b""])


async def test_8325_real_households_are_registered_and_27_contradictions_reported(registry: Registry) -> None:
    runtime, _, client = registry
    status = await take(registry, REAL.read_bytes())
    assert status | {"import_id": "", "name": ""} == {
        "import_id": "", "name": "", "state": "done", "reason": None,
        "rows": 12579, "share": 1.0, "households": 8325, "changed": 0, "unchanged": 0, "absent": None,
        "refused_rows": 0, "warnings": 27,
    }  # fmt: skip
    lines = await report(client, status["import_id"])
    told = {(line["column"], line["severity"], line["who_must_act"]) for line in lines}
    assert told == {("indigenous", "warning", "registrar")}
    assert len(lines) == 27
    assert await counts(runtime) == {REGISTERED: 8325, PAYEE: 8325}
    async with runtime.db.connection() as conn:
        members = await conn.fetchval("SELECT sum(jsonb_array_length(members)) FROM household")
        identifiers = await conn.fetchval("SELECT count(*) FROM identifier")
    assert (members, identifiers) == (12579, 12579 + 8325)
    assert (await client.get("/counts")).json() == {"households": 8325}


async def test_the_same_file_again_is_the_same_import_and_changes_nothing(registry: Registry) -> None:
    runtime, service, client = registry
    content = REAL.read_bytes()[:40_000]
    content = content[: content.rindex(b"\n") + 1]
    first = await take(registry, content)
    before = await counts(runtime)
    again = await client.post("/imports", json=announced(content, MAPPING))
    assert again.status_code == 200
    assert again.json() == {"import_id": first["import_id"], "state": "done"}
    sent = await client.put(f"/imports/{first['import_id']}/content", content=content)
    assert sent.json()["state"] == "done"
    await run_imports(service)
    assert await counts(runtime) == before
    other = await client.post("/imports", json=announced(content, MAPPING | {"region": "village_id"}))
    assert (other.status_code, other.json()["code"]) == (409, "import-exists")
    assert not spooled_ids(runtime.settings.state_dir)  # personal data does not stay behind


async def test_a_process_that_dies_between_and_within_batches_goes_on_at_the_row(
    registry: Registry, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes over; the batch whose commit failed leaves no trace; the end is the same."""
    runtime, service, client = registry
    monkeypatch.setattr(read_import, "FAMILIES_PER_BATCH", 97)
    import_id = await send(client, b"".join(REAL.read_bytes().splitlines(keepends=True)[:1_500]))
    worker = imports_worker(service)
    for _ in range(3):
        assert await worker.step()
    async with runtime.db.connection() as conn:
        await conn.execute(
            "CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend("
            "pg_backend_pid()); RETURN NULL; END $$; CREATE TRIGGER dies AFTER INSERT ON event_personal "
            "FOR EACH STATEMENT EXECUTE FUNCTION dies()"
        )
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
        await worker.step()
    async with runtime.db.connection() as conn:
        await conn.execute("DROP TRIGGER dies ON event_personal")
        assert await queries.count_households(conn) == 3 * 97
    async with open_registry(database_url, tmp_path) as (_, successor):
        await run_imports(successor)
    status = (await client.get(f"/imports/{import_id}")).json()
    households = len({line.split(b",")[0] for line in REAL.read_bytes().splitlines()[1:1_500]})
    assert (status["state"], status["households"], status["rows"]) == ("done", households, 1_499)
    assert await counts(runtime) == {REGISTERED: households, PAYEE: households}


async def test_bad_rows_are_reported_by_place_and_stop_no_good_row(registry: Registry) -> None:
    lines = REAL.read_bytes().splitlines(keepends=True)[:7]
    bad = [
        b"not,enough,fields\n",
        b'900001,1,"open quote,30,1,2,3,male,1,9,male,1,1,1,1\n',
        b"900002,2,3,30,many,759.36,60,male,1,9,male,1,1,1,1\n",
        b"900003,\xff\xfe,3,30,1,2,3,male,1,9,male,1,1,1,1\n",
        b"900004,4,5,nowhere,600,759.36,60,male,1,9,male,1,1,1,1\n",
        b"900005,5," + b"5" * 2_000 + b",30,600,759.36,60,male,1,9,male,1,1,1,1\n",
    ]
    status = await take(registry, b"".join([*lines[:3], *bad, *lines[3:]]))
    households = len({line.split(b",")[0] for line in lines[1:]})
    assert (status["state"], status["households"], status["refused_rows"]) == ("done", households, 6)
    assert [(line["row"], line["column"]) for line in await report(registry[2], status["import_id"])] == [
        ("4", ""), ("5", ""), ("6", "poverty_index"), ("7", ""), ("8", "state"), ("9", "village_id"),
    ]  # fmt: skip


async def test_rows_of_a_household_that_stand_apart_are_put_together(registry: Registry) -> None:
    """In one batch and across batches: the members join, each such row is a warning, members known are refused."""
    runtime, _, client = registry
    content = rows("1,11,9,1", "2,21,9,1", "1,12,8,0", "2,21,9,1", "1,11,9,1", "1,13,7,1")
    status = await take(registry, content)
    assert (status["households"], status["refused_rows"], status["warnings"]) == (2, 2, 3)
    found = [(line["row"], line["column"], line["severity"]) for line in await report(client, status["import_id"])]
    assert found == [
        ("4", "", "warning"), ("4", "indigenous", "warning"), ("5", "", "error"), ("6", "", "error"),
        ("7", "", "warning"),
    ]  # fmt: skip
    answer = await client.post("/households/find", json={"scheme": "progresa-household", "value": "1"})
    household = (await client.get(f"/households/{answer.json()['household_id']}")).json()
    assert [member["attributes"]["age"] for member in household["members"]] == [9, 8, 7]
    assert household["version"] == 2
    assert household["attributes"]["indigenous"] is True
    assert await counts(runtime) == {REGISTERED: 2, PAYEE: 2, CHANGED: 1}


async def test_torn_households_are_put_together_across_batches(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_import, "FAMILIES_PER_BATCH", 1)
    status = await take(registry, rows("1,11,9,1", "2,21,9,1", "1,12,8,1"))
    assert (status["households"], status["refused_rows"], status["warnings"]) == (2, 0, 1)
    assert (await counts(registry[0]))[CHANGED] == 1


async def test_known_households_and_members_of_others_are_refused_row_by_row(registry: Registry) -> None:
    first = await take(registry, rows("1,11,9,1", "1,12,8,1", "2,21,9,1"))
    assert first["households"] == 2
    second = await take(registry, rows("1,11,9,1", "1,12,8,1", "2,21,10,1", "3,31,9,1", "3,12,8,1", "4,21,9,1"))
    assert (second["households"], second["refused_rows"], second["warnings"]) == (1, 3, 1)
    assert [
        (line["row"], line["column"], line["severity"]) for line in await report(registry[2], second["import_id"])
    ] == [
        ("2", "household_id", "warning"),  # the same household with the same content
        ("4", "household_id", "error"),  # known with other content
        ("6", "child_id", "error"),  # a child of household 1
        ("7", "child_id", "error"),  # a child of household 2: nothing is left of household 4
    ]
    found = await registry[2].post("/households/find", json={"scheme": "progresa-household", "value": "4"})
    assert found.status_code == 404


async def test_a_missing_column_refuses_the_file_before_its_first_row_and_a_mended_mapping_takes_it(
    registry: Registry,
) -> None:
    content = rows("1,11,9,1").replace(b"poverty_index", b"score", 1)
    status = await take(registry, content)
    assert (status["state"], status["rows"], status["households"]) == ("failed", 0, 0)
    assert "poverty_index" in status["reason"]
    mended = MAPPING | {"attributes": MAPPING["attributes"] | {"poverty_index": {"column": "score", "type": "float"}}}
    status = await take(registry, content, mended)
    assert (status["state"], status["households"]) == ("done", 1)


async def test_other_content_than_announced_fails_the_import_until_the_right_content_comes(registry: Registry) -> None:
    runtime, _, client = registry
    content = rows("1,11,9,1")
    import_id = (await client.post("/imports", json=announced(content, MAPPING))).json()["import_id"]
    for wrong, status, code in ((content[:-3] + b"2,1", 422, "hash-differs"), (content + b"x", 413, "too-large")):
        answer = await client.put(f"/imports/{import_id}/content", content=wrong)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    failed = (await client.get(f"/imports/{import_id}")).json()
    assert (failed["state"], failed["rows"]) == ("failed", 0)
    assert "must send that file again" in failed["reason"]
    assert not list((runtime.settings.state_dir / "spool").iterdir())
    assert (await take(registry, content))["state"] == "done"


async def test_content_lost_from_the_spool_fails_the_import_and_sending_it_again_goes_on(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, service, client = registry
    monkeypatch.setattr(read_import, "FAMILIES_PER_BATCH", 1)
    content = rows("1,11,9,1", "2,21,9,1", "3,31,9,1")
    import_id = await send(client, content)
    worker = imports_worker(service)
    assert await worker.step()
    spool_path(runtime.settings.state_dir, import_id).unlink()
    async with open_registry(runtime.settings.database_url, runtime.settings.jwks_file.parents[1]) as (_, successor):
        await run_imports(successor)
    status = (await client.get(f"/imports/{import_id}")).json()
    assert (status["state"], status["households"], status["reason"]) == ("failed", 1, read_import.GONE)
    assert (await take(registry, content))["households"] == 3
    assert (await counts(runtime))[REGISTERED] == 3


async def test_a_fault_of_ours_fails_its_import_and_not_the_next(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, service, client = registry
    broken = await send(client, rows("1,11,9,1"))
    monkeypatch.setattr(import_file, "insert_new", None)
    worker = imports_worker(service)
    assert await worker.step()
    monkeypatch.undo()
    fine = await send(client, rows("2,21,9,1"))
    await run_imports(service)
    states = [(await client.get(f"/imports/{import_id}")).json() for import_id in (broken, fine)]
    assert [state["state"] for state in states] == ["failed", "done"]
    assert "operations must look" in states[0]["reason"]


async def test_rows_outside_the_senders_regions_are_refused(registry: Registry) -> None:
    runtime, service, client = registry
    async with api(runtime, service, ["31"], "person:regional") as regional:
        import_id = await send(regional, rows("1,11,9,1"))
        await run_imports(service)
        status = (await regional.get(f"/imports/{import_id}")).json()
        assert (status["households"], status["refused_rows"]) == (0, 1)
        other = await send(client, rows("2,21,9,1"))
        assert (await regional.get(f"/imports/{other}")).status_code == 404


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({}, "household"),
        (MAPPING | {"payee": {"synthetic": {"banks": ["bank-z"]}}}, "bank-z"),
        (MAPPING | {"surprise": 1}, "surprise"),
    ],
)
async def test_a_wrong_mapping_is_refused_at_once(registry: Registry, mapping: dict[str, Any], says: str) -> None:
    answer = await registry[2].post("/imports", json=announced(b"x", mapping))
    assert (answer.status_code, answer.json()["code"]) == (422, "mapping-invalid")
    assert says in answer.json()["detail"]

"""Single registrations, changes, accounts and cuts over HTTP, on the real database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from salur.common.events import PARTITIONS
from salur.common.service import Runtime, Service
from support.registry import api, event_counts, open_registry

pytestmark = pytest.mark.integration
Registry = tuple[Runtime, Service, httpx.AsyncClient]
NUMBER, HOLDER = "9988776655", "Siti Example"


@pytest.fixture
async def registry(database_url: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with open_registry(database_url, tmp_path) as (runtime, service), api(runtime, service) as client:
        yield runtime, service, client


def body(number: int, **changes: Any) -> dict[str, Any]:
    household: dict[str, Any] = {
        "identifiers": [{"scheme": "kk", "value": f"31710000{number:08d}"}],
        "region": "31.71",
        "attributes": {"poverty_index": 600.5, "village_treated": True},
        "members": [{"attributes": {"age": 9}, "identifiers": [{"scheme": "nik", "value": f"3171011212{number:06d}"}]}],
        "payee": {"bank": "bank-a", "number": NUMBER, "holder": HOLDER},
    }
    return household | changes


async def post(client: httpx.AsyncClient, household: dict[str, Any]) -> httpx.Response:
    # httpx refuses NaN; a careless client does not.
    content = orjson.dumps(household).replace(b'"<nan>"', b"NaN")
    return await client.post("/households", content=content, headers={"content-type": "application/json"})


async def counts(runtime: Runtime) -> dict[str, int]:
    async with runtime.db.connection() as conn:
        return await event_counts(conn)


async def test_the_same_registration_again_is_the_same_household_and_other_content_a_conflict(
    registry: Registry,
) -> None:
    runtime, _, client = registry
    first = await post(client, body(1))
    again = await post(client, body(1))
    other = await post(client, body(1, region="31.72"))
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json() == again.json() == {"household_id": first.json()["household_id"], "version": 1}
    assert (other.json()["code"], other.json()["who_must_act"]) == ("household-exists", "registrar")
    assert await counts(runtime) == {"salur.household.registered.v1": 1, "salur.payee.registered.v1": 1}
    await client.put(f"/households/{first.json()['household_id']}", json={"region": "31.73"})
    assert (await post(client, body(1))).json() == first.json()  # a late retry still meets its own answer


async def test_one_bad_command_spoils_no_other_of_its_transaction(registry: Registry) -> None:
    """Sixty commands at once, coalesced: each gets its own answer."""
    runtime, _, client = registry
    twice = body(7)["members"][0]["identifiers"][0]
    bad = [
        (body(100, attributes={"a": "x\x00"}), 422),
        (body(101, attributes={"a": "<nan>"}), 422),
        (body(102, members=[{"identifiers": [twice]}, {"identifiers": [twice]}]), 422),
        (body(103, payee={"bank": "bank-z", "number": NUMBER, "holder": HOLDER}), 422),
        (body(104, attributes={"a": 2**60}), 422),
    ]
    good = [post(client, body(number)) for number in range(50)]
    answers = await asyncio.gather(*good, *(post(client, household) for household, _ in bad))
    assert [answer.status_code for answer in answers[:50]] == [201] * 50
    assert [answer.status_code for answer in answers[50:]] == [status for _, status in bad]
    assert NUMBER not in "".join(answer.text for answer in answers)
    assert (await counts(runtime))["salur.household.registered.v1"] == 50


async def test_a_nul_in_any_text_is_the_callers_fault_and_spoils_no_other_command(registry: Registry) -> None:
    _, _, client = registry
    household_id = (await post(client, body(1))).json()["household_id"]
    change = {"attributes": {"age": 1}}
    mapping = {"name": "a\x00", "household": {"scheme": "kk", "column": "kk"}, "region": "region"}
    answers = await asyncio.gather(
        client.put("/households/%00", json=change),
        client.get("/imports/%00"),
        client.post("/cuts", json={"name": "2026\x00"}),
        client.post("/imports", json={"name": "f", "sha256": "0" * 64, "size": 1, "mapping": mapping}),
        client.put(f"/households/{household_id}", json=change),
    )
    assert [answer.status_code for answer in answers] == [422, 422, 422, 422, 200]
    assert {answer.json()["who_must_act"] for answer in answers[:4]} == {"caller"}


async def test_an_identifier_belongs_to_one_household(registry: Registry) -> None:
    _, _, client = registry
    assert (await post(client, body(1))).status_code == 201
    member = body(1)["members"]
    answers = await asyncio.gather(*(post(client, body(number, members=member)) for number in (2, 3)))
    assert {(a.status_code, a.json()["code"]) for a in answers} == {(409, "identifier-taken")}


async def test_two_processes_registering_the_same_identifiers_at_once_agree(
    registry: Registry, database_url: str, tmp_path: Path
) -> None:
    """Each household names the same child: exactly one of each pair wins, the other gets a conflict, nobody a fault."""
    runtime, _, client = registry
    async with open_registry(database_url, tmp_path) as (other, service), api(other, service) as second:
        answers = await asyncio.gather(
            *(post(client, body(number)) for number in range(40)),
            *(post(second, body(1_000 + number, members=body(number)["members"])) for number in reversed(range(40))),
        )
    assert sorted(answer.status_code for answer in answers) == [201] * 40 + [409] * 40
    assert (await counts(runtime))["salur.household.registered.v1"] == 40


async def test_find_and_read_never_show_identity(registry: Registry) -> None:
    _, _, client = registry
    household_id = (await post(client, body(1))).json()["household_id"]
    by_kk = await client.post("/households/find", json=body(1)["identifiers"][0])
    by_nik = await client.post("/households/find", json=body(1)["members"][0]["identifiers"][0])
    read = await client.get(f"/households/{household_id}")
    assert by_kk.json() == {"household_id": household_id, "member_id": None}
    assert by_nik.json() == {"household_id": household_id, "member_id": read.json()["members"][0]["member_id"]}
    assert read.json()["payee"] == {"bank": "bank-a", "version": 1, "status": "active"}
    for secret in (NUMBER, HOLDER, "3171000000000001", "3171011212000001"):
        assert secret not in read.text + by_kk.text + by_nik.text


async def test_a_change_is_a_new_version_with_the_whole_snapshot(registry: Registry) -> None:
    runtime, _, client = registry
    url = f"/households/{(await post(client, body(1))).json()['household_id']}"
    changed = await client.put(url, json={"attributes": {"poverty_index": 1.0}, "version": 1})
    assert changed.json()["version"] == 2
    same = await client.put(url, json={"attributes": {"poverty_index": 1.0}})
    assert same.json()["version"] == 2
    passed = await client.put(url, json={"region": "31.72", "version": 1})
    assert (passed.status_code, passed.json()["code"]) == (409, "version-passed")
    now = (await client.get(url)).json()
    assert now["attributes"] == {"poverty_index": 1.0, "village_treated": True}
    assert (await counts(runtime))["salur.household.changed.v1"] == 1


async def test_changes_of_one_household_at_once_are_all_kept(registry: Registry) -> None:
    runtime, _, client = registry
    url = f"/households/{(await post(client, body(1))).json()['household_id']}"
    answers = await asyncio.gather(*(client.put(url, json={"attributes": {f"a{n}": n}}) for n in range(30)))
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 32))
    assert {f"a{n}": n for n in range(30)}.items() <= (await client.get(url)).json()["attributes"].items()
    assert (await counts(runtime))["salur.household.changed.v1"] == 30


async def test_what_committed_before_a_cut_stands_before_it_in_every_partition(registry: Registry) -> None:
    """Registrations and four cuts at once: each cut counts exactly the households that stand before its marks."""
    runtime, _, client = registry

    async def registrations(start: int) -> None:
        for number in range(start, start + 40):
            assert (await post(client, body(number))).status_code == 201

    async def cuts() -> list[dict[str, Any]]:
        return [(await client.post("/cuts", json={"name": f"cut-{n}"})).json() for n in range(4)]

    made, *_ = await asyncio.gather(cuts(), asyncio.gather(*(registrations(1_000 * n) for n in range(8))))
    async with runtime.db.connection() as conn:
        marks = await conn.fetch("SELECT stream, sequence, key FROM event WHERE type = 'salur.registry.cut.v1'")
        for cut in made:
            heads = {row["stream"]: row["sequence"] for row in marks if row["key"] == cut["cut_id"]}
            assert len(heads) == 2 * PARTITIONS
            for kind in ("household", "payee"):
                before = await conn.fetchval(
                    "SELECT count(*) FROM event JOIN unnest($1::text[], $2::bigint[]) AS m (stream, sequence) "
                    "USING (stream) WHERE event.sequence < m.sequence AND type = $3",
                    list(heads), list(heads.values()), f"salur.{kind}.registered.v1",
                )  # fmt: skip
                assert before == cut["households"]


async def test_the_same_cut_made_by_many_at_once_is_one_cut(registry: Registry) -> None:
    runtime, _, client = registry
    await post(client, body(1))
    answers = await asyncio.gather(*(client.post("/cuts", json={"name": "2026-Q1"}) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert (await counts(runtime))["salur.registry.cut.v1"] == 2 * PARTITIONS

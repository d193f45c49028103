"""Groups, communities and institutions: two people for every version, members the registry knows, accreditation."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from salur.common.service import Runtime
from support.households import group, household, nik
from support.registry import api, event_counts, open_registry

pytestmark = pytest.mark.integration
Registry = tuple[Runtime, httpx.AsyncClient, httpx.AsyncClient]
VOUCHED = {"authority": "Dinas Sosial", "number": "12/2026", "until": "2099-12-31"}
ACCOUNT = {"bank": "bank-a", "number": "5544332211", "holder": "Kelompok Melati"}


@pytest.fixture
async def registry(database_url: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with (
        open_registry(database_url, tmp_path) as (runtime, service),
        api(runtime, service) as first,
        api(runtime, service, sub="person:second") as second,
    ):
        await first.post("/households", json=household(1, 3))
        yield runtime, first, second


async def test_a_group_holds_when_a_second_person_accepts_it(registry: Registry) -> None:
    runtime, first, second = registry
    proposed = await first.post("/groups", json=group(10, 11, payee=ACCOUNT))
    assert proposed.status_code == 201, proposed.text
    path = f"/groups/{proposed.json()['group_id']}"
    assert (await first.get("/groups")).json()["groups"] == []
    assert (await first.post(f"{path}/accept", json={})).json()["code"] == "same-person"
    assert (await second.post(f"{path}/accept", json={})).json()["version"] == 1
    waiting = await first.put(path, json=group(11, 12, payee=ACCOUNT, name="Kelompok Mawar"))
    assert waiting.json() == {"group_id": proposed.json()["group_id"], "version": 2, "state": "proposed"}
    another = await second.put(path, json=group(10))
    assert (another.status_code, another.json()["code"]) == (409, "proposal-waits")
    (shown,) = (await first.get("/groups")).json()["groups"]
    assert (shown["version"], shown["name"], len(shown["members"])) == (1, "Kelompok Melati", 2)
    assert (await second.post(f"{path}/accept", json={})).status_code == 200
    versions = (await first.get(path)).json()["versions"]
    assert [(v["version"], v["name"], v["decided_by"]) for v in versions] == [
        (2, "Kelompok Mawar", "person:second"), (1, "Kelompok Melati", "person:second"),
    ]  # fmt: skip
    then = {"as_of": versions[1]["decided_at"]}
    assert [v["version"] for v in (await first.get(path, params=then)).json()["versions"]] == [1]
    assert (await second.post(f"{path}/refuse", json={})).json()["code"] == "nothing-proposed"
    again = await first.post("/groups", json=group(10))
    assert (again.status_code, again.json()["code"]) == (409, "group-exists")
    async with runtime.db.connection() as conn:
        events = await event_counts(conn)
        rows = " ".join(row[0] for row in await conn.fetch("SELECT v::text FROM group_version v"))
    assert (events["salur.group.registered.v1"], events["salur.group.changed.v1"]) == (1, 1)
    assert events["salur.payee.registered.v1"] == 2  # the family's and the group's, which did not change
    assert ACCOUNT["number"] not in rows
    assert nik(10) not in rows


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "institution"}, "group-invalid"),
        ({"kind": "institution", "accreditation": VOUCHED | {"until": "2020-01-01"}}, "accreditation-ended"),
        ({"kind": "institution", "accreditation": VOUCHED | {"until": "2026-02-30"}}, "date-invalid"),
        ({"payee": ACCOUNT | {"bank": "bank-z"}}, "group-invalid"),
        ({"members": [{"identifier": {"scheme": "nik", "value": nik(999)}}]}, "member-unknown"),
        ({"members": [{"identifier": {"scheme": "nik", "value": nik(10)}}] * 2}, "group-invalid"),
        ({"attributes": {"a": "x\x00"}}, "group-invalid"),
        ({"kind": "bank"}, "invalid-request"),
    ],
)
async def test_what_cannot_be_a_group_is_refused(registry: Registry, changes: dict[str, Any], code: str) -> None:
    _, first, _ = registry
    answer = await first.post("/groups", json=group() | changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (await first.get("/groups", params={"state": "proposed"})).json()["groups"] == []


async def test_institutions_whose_accreditation_ends_soon_are_listed(registry: Registry) -> None:
    _, first, second = registry
    for name, until in (("Panti A", "2098-01-01"), ("Panti B", "2099-06-01")):
        body = group(kind="institution", name=name, accreditation=VOUCHED | {"until": until})
        group_id = (await first.post("/groups", json=body)).json()["group_id"]
        await second.post(f"/groups/{group_id}/accept", json={})
    found = await first.get("/groups", params={"accreditation_ends_before": "2099-01-01"})
    assert [shown["name"] for shown in found.json()["groups"]] == ["Panti A"]
    wrong = await first.get("/groups", params={"accreditation_ends_before": "soon"})
    assert wrong.status_code == 422

"""Duplicates in the registry: found behind an import, judged by people, merged and taken back. On the real database."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from salur.common.service import Runtime, Service
from salur.local.population import write_population
from salur.local.population.registered import judge, truth_pairs
from support.households import household, member, nik
from support.registry import announced, api, changed, open_registry, run_imports, run_matching

pytestmark = pytest.mark.integration
FAMILIES = 3_000
Registry = tuple[Runtime, Service, httpx.AsyncClient, httpx.AsyncClient]


@pytest.fixture
async def registry(database_url: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with (
        open_registry(database_url, tmp_path) as (runtime, service),
        api(runtime, service) as first,
        api(runtime, service, sub="person:second") as second,
    ):
        yield runtime, service, first, second


async def all_pairs(client: httpx.AsyncClient, page: int = 100) -> list[dict[str, Any]]:
    pairs: list[dict[str, Any]] = []
    query: dict[str, Any] = {"most": page}
    while True:
        found = (await client.get("/duplicates", params=query)).json()["pairs"]
        pairs += found
        if len(found) < page:
            return pairs
        query |= {"score": found[-1]["score"], "after": found[-1]["pair_id"]}


async def test_planted_duplicates_are_found_with_nine_tenths_precision_and_recall(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A population of its own seed: nothing was tuned on it."""
    runtime, service, client, _ = registry
    folder = tmp_path / "people"
    write_population(folder, FAMILIES, 7)
    content = (folder / "population.csv").read_bytes()
    mapping = yaml.safe_load((folder / "mapping.yaml").read_text(encoding="utf-8"))
    job = (await client.post("/imports", json=announced(content, mapping))).json()
    await client.put(f"/imports/{job['import_id']}/content", content=content)
    await run_imports(service)
    await run_matching(service)
    truth = truth_pairs(folder)
    niks = sorted({value for _, one, other in truth for value in (one, other)})
    answer = await client.post("/households/find-many", json={"scheme": "nik", "values": niks})
    members = dict(zip(niks, answer.json()["member_ids"], strict=True))
    pairs = await all_pairs(client)
    shown = {frozenset((pair["first"]["member_id"], pair["second"]["member_id"])) for pair in pairs}
    assert len(shown) == len(pairs), "a pair stands twice"
    found = judge(shown, members, truth)
    with capsys.disabled():
        print(f"\n{found.planted} planted, {found.shown} shown, {found.exact} refused at the door: "
              f"precision {found.precision:.3f}, recall {found.recall:.3f}")  # fmt: skip
    assert found.planted > 50
    assert min(found.precision, found.recall) >= 0.9
    await client.post("/cuts", json={"name": "2026-Q1"})  # a mark of another kind behind everybody
    await run_matching(service)
    progress = (await client.get("/duplicates/progress")).json()
    assert (progress["waiting"], progress["behind"], progress["open_pairs"]) == (0, 0, len(pairs))
    clear = {row.split(",")[16] for row in content.decode().splitlines()[1:200]}
    async with runtime.db.connection() as conn:
        for table in ("match_person", "match_key", "match_name", "match_pair"):
            rows = " ".join(row[0] for row in await conn.fetch(f"SELECT t::text FROM {table} t LIMIT 20000"))
            assert not [name for name in clear if name in rows], f"a name stands in {table}"


async def twins_of_the_register(client: httpx.AsyncClient, service: Service) -> tuple[str, str, dict[str, Any]]:
    """Family 1 of two people is registered again as family 2 under other numbers; one more lives there."""
    bodies = [household(1, people=2), household(2, people=2)]
    bodies[1]["members"][0]["person"] = bodies[0]["members"][0]["person"]
    bodies[1]["members"][1]["person"] = {"name": "Hasan Basri", "birth_date": "1980-02-03", "sex": "male"}
    ids = [(await client.post("/households", json=body)).json()["household_id"] for body in bodies]
    await run_matching(service)
    (pair,) = (await client.get("/duplicates")).json()["pairs"]
    return ids[0], ids[1], pair


async def test_a_person_twice_is_merged_by_two_people_and_taken_back(registry: Registry) -> None:
    _, service, first, second = registry
    one, other, pair = await twins_of_the_register(first, service)
    keep = "first" if pair["first"]["household_id"] == one else "second"
    proposed = (await first.post(f"/duplicates/{pair['pair_id']}/merge", json={"reason": "r", "keep": keep})).json()
    assert (proposed["whole"], len(proposed["same"])) == (False, 1)
    own = await first.post(f"/changes/{proposed['change_id']}/accept", json={})
    assert own.status_code == 403
    merged = await second.post(f"/changes/{proposed['change_id']}/accept", json={})
    assert merged.status_code == 200, merged.text
    await run_matching(service)
    assert await all_pairs(first) == []
    left = (await first.get(f"/households/{other}")).json()
    assert (left["status"], len(left["members"])) == ("active", 1)
    homes = await first.post("/households/find-many", json={"scheme": "nik", "values": [nik(10), nik(20), nik(21)]})
    assert homes.json()["household_ids"] == [one, one, other]
    assert homes.json()["member_ids"][0] == homes.json()["member_ids"][1]
    undo = {"kind": "undo-merge", "household_id": other, "merge_id": merged.json()["merge_id"]}
    assert (await changed(first, second, undo)).status_code == 200
    await run_matching(service)
    back = (await first.get(f"/households/{other}")).json()
    assert len(back["members"]) == 2
    assert [found["pair_id"] for found in await all_pairs(first)] == [pair["pair_id"]]


async def test_a_pair_dismissed_with_a_reason_is_not_shown_again(registry: Registry) -> None:
    _, service, first, _ = registry
    one, _, pair = await twins_of_the_register(first, service)
    fields = {found["field"] for found in pair["evidence"]}
    assert {"name", "birth_date", "phone", "account"} <= fields
    path = f"/duplicates/{pair['pair_id']}"
    assert (await first.post(f"{path}/dismiss", json={})).status_code == 422
    assert (await first.post(f"{path}/dismiss", json={"reason": "two cousins"})).status_code == 200
    await first.put(f"/households/{one}", json={"attributes": {"a": 1}})  # everybody there is compared again
    await run_matching(service)
    assert await all_pairs(first) == []
    dismissed = (await first.get("/duplicates", params={"state": "dismissed"})).json()["pairs"]
    assert [(found["reason"], found["decided_by"]) for found in dismissed] == [("two cousins", "person:registrar")]
    again = await first.post(f"{path}/merge", json={"reason": "r"})
    assert (again.status_code, again.json()["code"]) == (409, "pair-decided")


async def test_who_comes_later_is_compared_with_everybody_known(registry: Registry) -> None:
    _, service, first, _ = registry
    known = household(1, people=5)
    await first.post("/households", json=known)
    await run_matching(service)
    assert await all_pairs(first) == []
    await first.post("/households", json=household(9, members=[member(93)]))
    await run_matching(service)
    (pair,) = await all_pairs(first)
    found = {item["field"]: item["finding"] for item in pair["evidence"]}
    assert (found["name"], found["birth_date"]) == ("same", "same")


async def test_accounts_that_many_families_share_are_listed(registry: Registry) -> None:
    _, _, first, _ = registry
    ids = [(await first.post("/households", json=household(number))).json()["household_id"] for number in range(4)]
    alone = household(9, payee={"bank": "bank-a", "number": "1112223334", "holder": "X"})
    await first.post("/households", json=alone)
    (account,) = (await first.get("/shared-accounts", params={"families": 3})).json()["accounts"]
    assert (account["families"], account["household_ids"]) == (4, sorted(ids))
    assert (await first.get("/shared-accounts", params={"families": 4})).json()["accounts"] == []

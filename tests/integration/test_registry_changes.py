"""Changes to identity, composition and payee: two people, history kept, merges undone. On the real database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from salur.common.service import Runtime
from support.households import HOLDER, NUMBER, PHONE, household, member, nik
from support.registry import api, changed, event_counts, open_registry

pytestmark = pytest.mark.integration


@dataclass
class Office:
    """Two registrars of one registry."""

    runtime: Runtime
    first: httpx.AsyncClient
    second: httpx.AsyncClient

    async def register(self, number: int, people: int = 1, **changes: Any) -> str:
        answer = await self.first.post("/households", json=household(number, people, **changes))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["household_id"])

    async def make(self, proposal: dict[str, Any]) -> httpx.Response:
        return await changed(self.first, self.second, proposal)

    async def read(self, household_id: str, **query: str) -> dict[str, Any]:
        answer = await self.first.get(f"/households/{household_id}", params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def people(self, household_id: str) -> list[str]:
        return [found["member_id"] for found in (await self.read(household_id))["members"]]

    async def home_of(self, number: int) -> str:
        """The household in which a NIK is found."""
        answer = await self.first.post("/households/find", json={"scheme": "nik", "value": nik(number)})
        return str(answer.json()["household_id"])

    async def events(self) -> dict[str, int]:
        async with self.runtime.db.connection() as conn:
            return await event_counts(conn)


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    async with (
        open_registry(database_url, tmp_path) as (runtime, service),
        api(runtime, service) as first,
        api(runtime, service, sub="person:second") as second,
    ):
        yield Office(runtime, first, second)


def members(household_id: str, *people: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"kind": "members", "household_id": household_id, "members": list(people), **more}


async def test_who_proposes_a_change_cannot_accept_it_and_what_is_decided_stays_decided(office: Office) -> None:
    household_id = await office.register(1)
    proposal = members(household_id, member(77)) | {"reason": "new card"}
    change_id = (await office.first.post("/changes", json=proposal)).json()["change_id"]
    own = await office.first.post(f"/changes/{change_id}/accept", json={})
    assert (own.status_code, own.json()["code"]) == (403, "same-person")
    assert (await office.read(household_id))["version"] == 1
    not_theirs = await office.second.post(f"/changes/{change_id}/withdraw", json={})
    assert (not_theirs.status_code, not_theirs.json()["code"]) == (403, "not-yours")
    answers = await asyncio.gather(
        *(office.second.post(f"/changes/{change_id}/{what}", json={"note": "ok"}) for what in ("accept", "refuse"))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    shown = (await office.first.get(f"/changes/{change_id}")).json()
    assert shown["state"] in ("accepted", "refused")
    assert (shown["proposed_by"], shown["decided_by"]) == ("person:registrar", "person:second")
    assert (await office.events())["salur.change.decided.v1"] == 1


async def test_a_proposal_shows_no_number_or_name_and_lists_are_paged(office: Office) -> None:
    household_id = await office.register(1)
    for number in range(3):
        await office.first.post("/changes", json=members(household_id, member(70 + number)) | {"reason": "r"})
    first = (await office.second.get("/changes", params={"most": 2})).json()["changes"]
    rest = (await office.second.get("/changes", params={"after": first[-1]["change_id"]})).json()["changes"]
    assert [len(first), len(rest)] == [2, 1]
    shown = (await office.second.get(f"/changes/{first[0]['change_id']}")).text
    assert nik(70) not in shown
    assert "Budi" not in shown
    async with office.runtime.db.connection() as conn:
        rows = await conn.fetch("SELECT h::text AS shown, h.identity FROM household h")
    assert rows
    assert not any("Budi" in row["shown"] or b"Budi" in row["identity"] for row in rows)


async def test_what_cannot_be_made_stays_open_and_changes_nothing(office: Office) -> None:
    first, second = await office.register(1), await office.register(2)
    before = await office.read(second)
    taken = await office.make(members(second, member(10)))
    assert (taken.status_code, taken.json()["code"]) == (409, "identifier-taken")
    passed = await office.make(members(first, version=9))
    assert (passed.status_code, passed.json()["code"]) == (409, "version-passed")
    assert await office.read(second) == before
    assert len((await office.first.get("/changes")).json()["changes"]) == 2
    assert "salur.change.decided.v1" not in await office.events()


async def test_a_person_is_in_one_family_at_a_time_and_moves_with_number_and_name(office: Office) -> None:
    source, target = await office.register(1, people=3), await office.register(2)
    going = (await office.people(source))[1]
    answer = await office.make({"kind": "move", "household_id": source, "member_ids": [going], "target_id": target})
    assert [item["version"] for item in answer.json()["households"]] == [2, 2]
    assert going in await office.people(target)
    assert going not in await office.people(source)
    assert await office.home_of(11) == target
    again = await office.make({"kind": "move", "household_id": source, "member_ids": [going], "target_id": target})
    assert (again.status_code, again.json()["code"]) == (422, "member-unknown")
    assert (await office.events())["salur.household.changed.v1"] == 2


async def test_a_split_makes_a_family_of_its_own_with_its_card_and_head(office: Office) -> None:
    source = await office.register(1, people=4)
    people = await office.people(source)
    card = {"scheme": "kk", "value": "3171000099999999"}
    proposal = {
        "kind": "split", "household_id": source, "member_ids": people[2:], "head_id": people[2],
        "identifiers": [card], "region": "32.01",
    }  # fmt: skip
    answer = await office.make(proposal)
    assert answer.status_code == 200, answer.text
    new = await office.read(answer.json()["household_id"])
    assert (new["region"], new["version"], new["status"]) == ("32.01", 1, "active")
    assert [m["attributes"]["relation"] for m in new["members"]] == ["head", "child"]
    assert await office.people(source) == people[:2]
    assert await office.home_of(12) == new["household_id"]
    found = await office.first.post("/households/find", json=card)
    assert found.json()["household_id"] == new["household_id"]
    again = await office.make(proposal | {"member_ids": people[:1], "head_id": people[0]})
    assert (again.status_code, again.json()["code"]) == (409, "identifier-taken")
    events = await office.events()
    assert (events["salur.household.split.v1"], events["salur.household.registered.v1"]) == (1, 2)


async def test_a_merge_closes_one_family_and_undoing_it_brings_everybody_back(office: Office) -> None:
    """One person stands in both records: afterwards once, under both numbers; undone, in both again."""
    absorbed, survivor = await office.register(1, people=2), await office.register(2, people=2)
    before = {name: await office.read(name) for name in (absorbed, survivor)}
    theirs, ours = await office.people(absorbed), await office.people(survivor)
    answer = await office.make(
        {"kind": "merge", "household_id": absorbed, "into": survivor, "same": {theirs[0]: ours[0]}}
    )
    assert answer.status_code == 200, answer.text
    merged = await office.read(absorbed)
    assert (merged["status"], merged["merged_into"], merged["members"]) == ("merged", survivor, [])
    assert merged["payee"]["status"] == "closed"
    assert await office.people(survivor) == [*ours, theirs[1]]
    assert [await office.home_of(number) for number in (10, 11, 20)] == [survivor] * 3
    refused = await office.first.put(f"/households/{absorbed}", json={"attributes": {"a": 1}})
    assert (refused.status_code, refused.json()["code"]) == (409, "household-merged")
    undone = await office.make({"kind": "undo-merge", "household_id": absorbed, "merge_id": answer.json()["merge_id"]})
    assert undone.status_code == 200, undone.text
    for name, old in before.items():
        now = await office.read(name)
        assert (now["members"], now["status"], now["payee"]["status"]) == (old["members"], "active", "active")
    assert [await office.home_of(number) for number in (10, 11, 20, 21)] == [absorbed, absorbed, survivor, survivor]
    twice = await office.make({"kind": "undo-merge", "household_id": absorbed, "merge_id": answer.json()["merge_id"]})
    assert (twice.status_code, twice.json()["code"]) == (409, "merge-undone")
    events = await office.events()
    assert (events["salur.household.merged.v1"], events["salur.household.restored.v1"]) == (1, 1)


async def test_every_version_can_be_read_as_it_stood(office: Office) -> None:
    household_id = await office.register(1, people=2)
    moments = [datetime.now(UTC)]
    for index in (1.0, 2.0):
        await office.first.put(f"/households/{household_id}", json={"attributes": {"poverty_index": index}})
        moments.append(datetime.now(UTC))
    await office.make(members(household_id))
    found = [(await office.read(household_id, as_of=moment.isoformat())) for moment in moments]
    assert [(f["version"], f["attributes"]["poverty_index"], len(f["members"])) for f in found] == [
        (1, 600.5, 2), (2, 1.0, 2), (3, 2.0, 2),
    ]  # fmt: skip
    versions = (await office.first.get(f"/households/{household_id}/versions")).json()["versions"]
    assert [(v["version"], v["changed_by"]) for v in versions] == [
        (4, "person:second"), (3, "person:registrar"), (2, "person:registrar"), (1, None),
    ]  # fmt: skip
    assert all(new["valid_from"] == old["valid_until"] for new, old in pairwise(versions))
    for moment, status in (("2001-01-01T00:00:00Z", 404), ("2026-02-30T00:00:00Z", 422), ("yesterday", 422)):
        answer = await office.first.get(f"/households/{household_id}", params={"as_of": moment})
        assert answer.status_code == status


async def test_a_new_account_or_holder_is_a_new_version_and_the_same_is_not(office: Office) -> None:
    household_id = await office.register(1)
    payee = household(1)["payee"]
    versions = [
        (await office.make({"kind": "payee", "household_id": household_id, "payee": payee | change})).json()["version"]
        for change in ({}, {"number": "1112223334"}, {"number": "1112223334"}, {"number": "1112223334", "holder": "B"})
    ]
    assert versions == [1, 2, 2, 3]
    assert (await office.events())["salur.payee.registered.v1"] == 3
    refused = await office.make({"kind": "payee", "household_id": household_id, "payee": payee | {"bank": "bank-z"}})
    assert (refused.status_code, refused.json()["code"]) == (422, "household-invalid")
    for secret in (NUMBER, HOLDER, PHONE):
        assert secret not in (await office.first.get(f"/households/{household_id}")).text


BAD_NAMES = ["", "x" * 100_000, "Budi \u202example", "Bu\u200ddi", "Bu\x00di", "Budi \U0001f600", "=cmd|x", "Budi\nx",
             "<b>Budi</b>", "'; DROP TABLE household;--"]  # fmt: skip
FULL_WIDTH = "".join(chr(0xFF10 + int(digit)) for digit in "3171011212000001")
BAD_NIKS = ["317101121200001", "31710112120000011", "3171011212A00001", FULL_WIDTH,
            "3171017212000001", "3171011213850001", "0" * 16]  # fmt: skip


@pytest.mark.parametrize("wrong", [*({"name": name} for name in BAD_NAMES), {"birth_date": "2025-02-30"},
                                   {"birth_date": "0000-01-01"}, {"birth_date": "2999-01-01"}])  # fmt: skip
async def test_a_bad_name_or_date_is_refused_without_repeating_it(office: Office, wrong: dict[str, str]) -> None:
    body = household(1)
    body["members"][0]["person"] |= wrong
    answer = await office.first.post("/households", json=body)
    assert answer.status_code == 422
    assert not any(value and value in answer.text for value in wrong.values())
    assert await office.events() == {}


@pytest.mark.parametrize("wrong", BAD_NIKS)
async def test_a_bad_nik_is_refused_without_repeating_it(office: Office, wrong: str) -> None:
    body = household(1)
    body["members"][0]["identifiers"][0]["value"] = wrong
    answer = await office.first.post("/households", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "household-invalid")
    assert wrong not in answer.text
    assert await office.events() == {}


async def test_a_name_in_composed_and_decomposed_letters_is_the_same_statement(office: Office) -> None:
    composed, decomposed = household(1), household(1)
    composed["members"][0]["person"]["name"] = "Ren\u00e9 Budi"
    decomposed["members"][0]["person"]["name"] = "Rene\u0301  Budi"
    answers = [await office.first.post("/households", json=body) for body in (composed, decomposed)]
    assert [answer.status_code for answer in answers] == [201, 200]

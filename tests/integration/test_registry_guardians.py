"""Who acts for a child and receives for it; who died by mistake lives again. Both by two people, with history."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from salur.common.service import Runtime, Service
from support.households import group, household, nik
from support.registry import api, buried, changed, open_registry, run_worker

pytestmark = pytest.mark.integration
Registry = tuple[Runtime, Service, httpx.AsyncClient, httpx.AsyncClient]
VOUCHED = {"authority": "Dinas Sosial", "number": "12/2026", "until": "2099-12-31"}
HOME_ACCOUNT = {"bank": "bank-b", "number": "5544332211", "holder": "Panti Melati"}


@pytest.fixture
async def registry(database_url: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with (
        open_registry(database_url, tmp_path) as (runtime, service),
        api(runtime, service) as first,
        api(runtime, service, sub="person:second") as second,
    ):
        yield runtime, service, first, second


async def registered(client: httpx.AsyncClient, number: int, people: int = 2) -> tuple[str, list[str]]:
    household_id = (await client.post("/households", json=household(number, people))).json()["household_id"]
    members = (await client.get(f"/households/{household_id}")).json()["members"]
    return household_id, [member["member_id"] for member in members]


async def told(runtime: Runtime, kind: str) -> list[dict[str, Any]]:
    async with runtime.db.connection() as conn:
        rows = await conn.fetch("SELECT body FROM event WHERE type = $1 ORDER BY id", kind)
    return [orjson.loads(row["body"])["data"] for row in rows]


def guardian(household_id: str, member_id: str, **more: Any) -> dict[str, Any]:
    return {"kind": "guardian", "household_id": household_id, "member_id": member_id, "evidence": "order 7/2026"} | more


async def payee_states(runtime: Runtime, beneficiary_id: str) -> list[tuple[int, str]]:
    found = await told(runtime, "salur.payee.registered.v1")
    return [(p["version"], p["status"]) for p in found if p["beneficiary_id"] == beneficiary_id]


async def test_a_guardian_receives_until_another_does_and_history_stays(registry: Registry) -> None:
    runtime, _, first, second = registry
    home, (_, child) = await registered(first, 1)
    _, (aunt, _) = await registered(first, 2)
    before = (await first.get(f"/households/{home}/versions")).json()["versions"][0]["valid_from"]
    asked = guardian(home, child, person={"scheme": "nik", "value": nik(20)}, receives=True, until="2099-01-31")
    made = await changed(first, second, asked)
    assert made.status_code == 200, made.text
    assert await payee_states(runtime, child) == [(1, "active")]
    (shown,) = (await first.get(f"/households/{home}/guardians")).json()["guardians"]
    assert (shown["member_id"], shown["guardian_id"], shown["receives"]) == (child, aunt, True)

    ended = await changed(first, second, guardian(home, child))
    assert ended.status_code == 200, ended.text
    assert await payee_states(runtime, child) == [(1, "active"), (2, "closed")]
    assert (await first.get(f"/households/{home}/guardians")).json()["guardians"] == []
    then = (await first.get(f"/households/{home}/guardians", params={"as_of": shown["made_at"]})).json()["guardians"]
    assert [row["guardianship_id"] for row in then] == [shown["guardianship_id"]]
    earlier = (await first.get(f"/households/{home}/guardians", params={"as_of": before})).json()["guardians"]
    assert earlier == []
    facts = await told(runtime, "salur.guardian.changed.v1")
    assert [(fact["guardian_id"], fact["receives"]) for fact in facts] == [(aunt, True), (None, False)]


async def test_what_a_guardian_receives_follows_their_account(registry: Registry) -> None:
    runtime, _, first, second = registry
    home, (_, child) = await registered(first, 1)
    other, _ = await registered(first, 2)
    await changed(first, second, guardian(home, child, person={"scheme": "nik", "value": nik(20)}, receives=True))
    account = {"kind": "payee", "household_id": other, "payee": HOME_ACCOUNT}
    assert (await changed(first, second, account)).status_code == 200
    assert await payee_states(runtime, child) == [(1, "active"), (2, "active")]


async def test_guardian_and_ward_may_move_and_what_is_received_goes_along(registry: Registry) -> None:
    runtime, _, first, second = registry
    home, (_, child) = await registered(first, 1)
    other, (aunt, _) = await registered(first, 2)
    third, _ = await registered(first, 3)
    await changed(first, second, guardian(home, child, person={"scheme": "nik", "value": nik(20)}, receives=True))

    async def goes(household_id: str, member_id: str, target_id: str) -> None:
        move = {"kind": "move", "household_id": household_id, "member_ids": [member_id], "target_id": target_id}
        answer = await changed(first, second, move)
        assert answer.status_code == 200, answer.text

    await goes(other, aunt, third)
    assert await payee_states(runtime, child) == [(1, "active"), (2, "active")]
    account = {"kind": "payee", "household_id": other, "payee": HOME_ACCOUNT}
    assert (await changed(first, second, account)).status_code == 200
    assert len(await payee_states(runtime, child)) == 2, "the account of a family the guardian has left"
    account["household_id"] = third
    assert (await changed(first, second, account)).status_code == 200
    assert (await payee_states(runtime, child))[-1] == (3, "active")
    await goes(home, child, other)
    (shown,) = (await first.get(f"/households/{other}/guardians")).json()["guardians"]
    assert (shown["member_id"], shown["guardian_id"]) == (child, aunt)
    async with runtime.db.connection() as conn:
        (row,) = await conn.fetch("SELECT household_id, payer_id FROM guardianship")
    assert tuple(row) == (other, third)

    card = {"scheme": "kk", "value": "3171015501900009"}
    parts = {"kind": "split", "household_id": third, "member_ids": [aunt], "identifiers": [card], "head_id": aunt}
    assert (await changed(first, second, parts)).status_code == 200
    assert (await payee_states(runtime, child))[-1] == (4, "closed"), "her own family has no account yet"


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({}, 409, "no-guardian"),
        ({"person": {"scheme": "nik", "value": nik(99)}}, 404, "guardian-unknown"),
        ({"institution_id": "0" * 32}, 404, "guardian-unknown"),
        ({"person": {"scheme": "nik", "value": nik(11)}}, 422, "guardian-invalid"),
    ],
)
async def test_who_cannot_be_a_guardian_changes_nothing(
    registry: Registry, more: dict[str, Any], status: int, code: str
) -> None:
    runtime, _, first, second = registry
    home, (_, child) = await registered(first, 1)
    answer = await changed(first, second, guardian(home, child, **more))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await told(runtime, "salur.guardian.changed.v1") == []


async def test_a_guardianship_needs_two_people_and_an_end_after_its_beginning(registry: Registry) -> None:
    _, _, first, second = registry
    home, (_, child) = await registered(first, 1)
    asked = guardian(home, child, person={"scheme": "nik", "value": nik(10)})
    own = await changed(first, first, asked)
    assert (own.status_code, own.json()["code"]) == (403, "same-person")
    past = await first.post("/changes", json=asked | {"until": "2020-01-01", "reason": "r"})
    assert (past.status_code, past.json()["code"]) == (422, "guardian-invalid")
    assert (await changed(first, second, asked)).status_code == 200


async def test_an_institution_receives_only_while_it_is_accredited(registry: Registry) -> None:
    runtime, service, first, second = registry
    home, (_, child) = await registered(first, 1)
    body = group(kind="institution", name="Panti Melati", accreditation=VOUCHED, payee=HOME_ACCOUNT)
    panti = (await first.post("/groups", json=body)).json()["group_id"]
    asked = guardian(home, child, institution_id=panti, receives=True)
    assert (await changed(first, second, asked)).json()["code"] == "guardian-unknown"
    await second.post(f"/groups/{panti}/accept", json={})
    assert (await changed(first, second, asked)).status_code == 200
    ends = """UPDATE group_version SET content = jsonb_set(content, '{accreditation,until}', '"2020-01-01"')"""
    async with runtime.db.transaction() as conn:
        await conn.execute(ends)
    await run_worker(service, "run-out")
    assert (await payee_states(runtime, panti))[-1] == (2, "suspended")
    assert (await payee_states(runtime, child))[-1] == (2, "suspended")
    again = await changed(first, second, asked)
    assert (again.status_code, again.json()["code"]) == (409, "accreditation-ended")
    await first.put(f"/groups/{panti}", json=body)
    assert (await second.post(f"/groups/{panti}/accept", json={})).status_code == 200
    assert (await payee_states(runtime, panti))[-1] == (3, "active")
    assert (await payee_states(runtime, child))[-1] == (3, "active")


async def test_a_guardianship_ends_on_its_last_day(registry: Registry) -> None:
    runtime, service, first, second = registry
    home, (_, child) = await registered(first, 1)
    asked = guardian(home, child, person={"scheme": "nik", "value": nik(10)}, receives=True)
    await changed(first, second, asked)
    await run_worker(service, "run-out")
    assert len((await first.get(f"/households/{home}/guardians")).json()["guardians"]) == 1
    async with runtime.db.transaction() as conn:
        await conn.execute("UPDATE guardianship SET since = '2020-01-01', until = current_date - 1")
    await run_worker(service, "run-out")
    assert (await first.get(f"/households/{home}/guardians")).json()["guardians"] == []
    assert (await payee_states(runtime, child))[-1] == (2, "closed")


async def test_a_wrong_death_is_taken_back_by_a_second_person(registry: Registry) -> None:
    runtime, _, first, second = registry
    home, (head, child) = await registered(first, 1)
    await changed(first, second, guardian(home, child, person={"scheme": "nik", "value": nik(10)}, receives=True))
    match_id = await buried(first, second, nik(10))
    assert len((await first.get(f"/households/{home}")).json()["members"]) == 1
    assert (await first.get(f"/households/{home}/guardians")).json()["guardians"] == []
    undo = {"kind": "undo-death", "household_id": home, "match_id": match_id}
    own = await changed(first, first, undo)
    assert (own.status_code, own.json()["code"]) == (403, "same-person")
    back = await changed(first, second, undo)
    assert back.status_code == 200, back.text
    assert back.json()["member_id"] == head
    family = (await first.get(f"/households/{home}")).json()
    assert [(m["member_id"], m["attributes"]["relation"]) for m in family["members"]] == [
        (child, "child"), (head, "head"),
    ]  # fmt: skip
    assert family["payee"]["status"] == "active"
    found = await first.post("/households/find", json={"scheme": "nik", "value": nik(10)})
    assert found.json() == {"household_id": home, "member_id": head}
    again = await changed(first, second, undo)
    assert (again.status_code, again.json()["code"]) == (409, "death-undone")
    (fact,) = await told(runtime, "salur.person.restored.v1")
    assert (fact["member_id"], fact["match_id"]) == (head, match_id)
    async with runtime.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM deceased_identifier") == 0


async def test_who_is_left_of_a_family_is_told_at_each_death_and_at_its_undoing(registry: Registry) -> None:
    runtime, _, first, second = registry
    home, _ = await registered(first, 1)
    deaths = [await buried(first, second, nik(10)), await buried(first, second, nik(11), name="2026-03")]

    async def living() -> list[tuple[str, str]]:
        facts = await told(runtime, "salur.payee.registered.v1")
        return [(f["status"], f["living"]) for f in facts if f["beneficiary_id"] == home]

    assert await living() == [("active", "alive"), ("suspended", "alive"), ("suspended", "deceased")]
    for match_id in reversed(deaths):
        undo = {"kind": "undo-death", "household_id": home, "match_id": match_id}
        assert (await changed(first, second, undo)).status_code == 200
    assert (await living())[3:] == [("suspended", "alive"), ("active", "alive")]


async def test_a_death_of_an_earlier_version_is_refused_with_what_can_be_done(registry: Registry) -> None:
    runtime, _, first, second = registry
    home, _ = await registered(first, 1)
    match_id = await buried(first, second, nik(10))
    async with runtime.db.transaction() as conn:
        await conn.execute("DELETE FROM person_death")
    answer = await changed(first, second, {"kind": "undo-death", "household_id": home, "match_id": match_id})
    assert (answer.status_code, answer.json()["code"]) == (409, "death-not-kept")


async def acted_for(first: httpx.AsyncClient, household_id: str) -> list[tuple[str, str, bool]]:
    """(ward, guardian, whether they receive) of a family."""
    rows = (await first.get(f"/households/{household_id}/guardians")).json()["guardians"]
    return [(row["member_id"], row["guardian_id"], row["receives"]) for row in rows]


async def made(registry: Registry, proposal: dict[str, Any]) -> dict[str, Any]:
    _, _, first, second = registry
    answer = await changed(first, second, proposal)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def aunt_receives(home: str, child: str, number: int = 20) -> dict[str, Any]:
    return guardian(home, child, person={"scheme": "nik", "value": nik(number)}, receives=True, until="2099-01-31")


async def newest(runtime: Runtime, member_id: str) -> str:
    return (await payee_states(runtime, member_id))[-1][1]


async def test_the_guardian_of_a_merged_ward_is_who_they_turned_out_to_be_s_until_the_merge_is_undone(
    registry: Registry,
) -> None:
    runtime, _, first, _ = registry
    home, (_, child) = await registered(first, 1)
    _, (aunt, _) = await registered(first, 2)
    third, (_, same) = await registered(first, 3)
    await made(registry, aunt_receives(home, child))
    merge = {"kind": "merge", "household_id": home, "into": third, "same": {child: same}, "whole": False}
    merged = await made(registry, merge)
    assert await acted_for(first, third) == [(same, aunt, True)]
    assert await acted_for(first, home) == []
    assert (await newest(runtime, child), await newest(runtime, same)) == ("closed", "active")
    facts = [fact for fact in await told(runtime, "salur.guardian.changed.v1") if fact["member_id"] == same]
    assert [(fact["household_id"], fact["guardian_id"], fact["until"]) for fact in facts] == [
        (third, aunt, "2099-01-31")
    ]  # fmt: skip

    await made(registry, {"kind": "undo-merge", "household_id": home, "merge_id": merged["merge_id"]})
    assert await acted_for(first, home) == [(child, aunt, True)]
    assert await acted_for(first, third) == []
    assert (await newest(runtime, child), await newest(runtime, same)) == ("active", "closed")


async def test_a_guardian_who_is_merged_acts_under_the_new_id_and_is_back_with_the_undoing(registry: Registry) -> None:
    runtime, _, first, _ = registry
    home, (_, child) = await registered(first, 1)
    other, (aunt, _) = await registered(first, 2)
    third, (same, _) = await registered(first, 3)
    await made(registry, aunt_receives(home, child))
    merge = {"kind": "merge", "household_id": other, "into": third, "same": {aunt: same}, "whole": False}
    merged = await made(registry, merge)
    assert await acted_for(first, home) == [(child, same, True)]
    assert await payers(runtime) == [third]
    await made(registry, {"kind": "undo-merge", "household_id": other, "merge_id": merged["merge_id"]})
    assert await acted_for(first, home) == [(child, aunt, True)]
    assert await payers(runtime) == [other]
    assert await newest(runtime, child) == "active"


async def payers(runtime: Runtime) -> list[str]:
    async with runtime.db.connection() as conn:
        rows = await conn.fetch("SELECT payer_id FROM guardianship WHERE ended_at IS NULL")
    return [row["payer_id"] for row in rows]


async def test_a_ward_taken_for_somebody_with_a_guardian_keeps_that_one(registry: Registry) -> None:
    runtime, _, first, _ = registry
    home, (_, child) = await registered(first, 1)
    _, (aunt, _) = await registered(first, 2)
    third, (head, same) = await registered(first, 3)
    await made(registry, aunt_receives(home, child))
    await made(registry, guardian(third, same, person={"scheme": "nik", "value": nik(30)}))
    merge = {"kind": "merge", "household_id": home, "into": third, "same": {child: same}, "whole": False}
    merged = await made(registry, merge)
    assert await acted_for(first, third) == [(same, head, False)]
    assert await newest(runtime, child) == "closed"
    await made(registry, {"kind": "undo-merge", "household_id": home, "merge_id": merged["merge_id"]})
    assert await acted_for(first, third) == [(same, head, False)]
    assert await acted_for(first, home) == [(child, aunt, True)]


async def test_a_ward_taken_for_their_guardian_has_none(registry: Registry) -> None:
    _, _, first, _ = registry
    home, (_, child) = await registered(first, 1)
    other, (aunt, _) = await registered(first, 2)
    await made(registry, aunt_receives(home, child))
    merge = {"kind": "merge", "household_id": home, "into": other, "same": {child: aunt}, "whole": False}
    merged = await made(registry, merge)
    assert await acted_for(first, other) == []
    await made(registry, {"kind": "undo-merge", "household_id": home, "merge_id": merged["merge_id"]})
    assert await acted_for(first, home) == [(child, aunt, True)]


async def test_what_was_ended_since_does_not_come_back_with_the_undoing(registry: Registry) -> None:
    runtime, _, first, _ = registry
    home, (_, child) = await registered(first, 1)
    await registered(first, 2)
    third, (_, same) = await registered(first, 3)
    await made(registry, aunt_receives(home, child))
    merge = {"kind": "merge", "household_id": home, "into": third, "same": {child: same}, "whole": False}
    merged = await made(registry, merge)
    await made(registry, guardian(third, same))
    await made(registry, {"kind": "undo-merge", "household_id": home, "merge_id": merged["merge_id"]})
    assert await acted_for(first, home) == await acted_for(first, third) == []
    assert await newest(runtime, child) == "closed"


async def test_the_guardianships_before_a_merge_can_be_erased_with_their_family(registry: Registry) -> None:
    """What a merge began follows what it ended; the erasure of the old family takes only its own."""
    runtime, _, first, _ = registry
    home, (_, child) = await registered(first, 1)
    _, (aunt, _) = await registered(first, 2)
    third, (_, same) = await registered(first, 3)
    await made(registry, aunt_receives(home, child))
    await made(registry, {"kind": "merge", "household_id": home, "into": third, "same": {child: same}, "whole": False})
    async with runtime.db.transaction() as conn:
        await conn.execute("SELECT erase_households($1)", [home])
    assert await acted_for(first, third) == [(same, aunt, True)]

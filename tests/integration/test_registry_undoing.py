"""Merges and deaths taken back: no account of somebody dead opens, nobody is in two families. On the real database."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import salur.registry.store
from salur.common.service import Runtime
from support.households import household, member, nik
from support.registry import api, buried, changed, open_registry

pytestmark = pytest.mark.integration
NEW_ACCOUNT = {"bank": "bank-b", "number": "5544332211", "holder": "Putra Halim"}
MIGRATION = Path(salur.registry.store.__file__).parent / "migrations" / "0095.undoing-keeps-standing.sql"


@dataclass
class Office:
    """Two registrars of one registry."""

    runtime: Runtime
    first: httpx.AsyncClient
    second: httpx.AsyncClient

    async def register(self, number: int, people: int = 2, **changes: Any) -> tuple[str, list[str]]:
        answer = await self.first.post("/households", json=household(number, people, **changes))
        assert answer.status_code == 201, answer.text
        household_id = str(answer.json()["household_id"])
        return household_id, await self.people(household_id)

    async def make(self, kind: str, household_id: str, **more: Any) -> dict[str, Any]:
        answer = await changed(self.first, self.second, {"kind": kind, "household_id": household_id, **more})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def refused(self, kind: str, household_id: str, **more: Any) -> tuple[int, str]:
        answer = await changed(self.first, self.second, {"kind": kind, "household_id": household_id, **more})
        return answer.status_code, answer.json()["code"]

    async def merged(self, absorbed: str, survivor: str, same: dict[str, str] | None = None) -> str:
        answer = await self.make("merge", absorbed, into=survivor, same=same or {})
        return str(answer["merge_id"])

    async def bury(self, *numbers: int, name: str = "2026-02") -> str:
        return await buried(self.first, self.second, *(nik(number) for number in numbers), name=name)

    async def family(self, household_id: str) -> dict[str, Any]:
        return dict((await self.first.get(f"/households/{household_id}")).json())

    async def people(self, household_id: str) -> list[str]:
        return [found["member_id"] for found in (await self.family(household_id))["members"]]

    async def account(self, household_id: str) -> str:
        return str((await self.family(household_id))["payee"]["status"])

    async def families_of(self, member_id: str) -> list[str]:
        """Households whose members name this person."""
        async with self.runtime.db.connection() as conn:
            rows = await conn.fetch(
                "SELECT household_id FROM household WHERE members @> jsonb_build_array(jsonb_build_object("
                "'member_id', $1::text))", member_id,
            )  # fmt: skip
        return [row["household_id"] for row in rows]


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    async with (
        open_registry(database_url, tmp_path) as (runtime, service),
        api(runtime, service) as first,
        api(runtime, service, sub="person:second") as second,
    ):
        yield Office(runtime, first, second)


async def test_an_account_suspended_before_a_merge_is_suspended_after_its_undoing(office: Office) -> None:
    """The head has died, the family is merged, the merge undone: the account is still that of somebody dead."""
    (one, _), (other, _) = await office.register(1), await office.register(2)
    match_id = await office.bury(10)
    merge_id = await office.merged(one, other)
    assert await office.account(one) == "closed"
    await office.make("undo-merge", one, merge_id=merge_id)
    assert await office.account(one) == "suspended"
    await office.make("undo-death", one, match_id=match_id)
    assert await office.account(one) == "active"


async def test_a_closed_account_stays_closed_through_a_merge_and_its_undoing(office: Office) -> None:
    (one, _), (other, _) = await office.register(1), await office.register(2)
    async with office.runtime.db.transaction() as conn:
        await conn.execute("UPDATE payee SET status = 'closed' WHERE household_id = $1", one)
    merge_id = await office.merged(one, other)
    await office.make("undo-merge", one, merge_id=merge_id)
    assert await office.account(one) == "closed"


async def test_undoing_a_death_does_not_open_the_account_of_who_died_later(office: Office) -> None:
    """The head dies, another has a new account and dies: the first lives, the second does not."""
    home, (first_head, child) = await office.register(1)
    one = await office.bury(10)
    lives = [{"member_id": child, "attributes": {"age": 30, "relation": "head"}}, member(17)]
    await office.make("members", home, members=lives)
    await office.make("payee", home, payee=NEW_ACCOUNT)
    assert await office.account(home) == "active"
    two = await office.bury(11, name="2026-03")
    assert await office.account(home) == "suspended"
    await office.make("undo-death", home, match_id=one)
    assert first_head in await office.people(home)
    assert await office.account(home) == "suspended"
    await office.make("undo-death", home, match_id=two)
    assert await office.account(home) == "active"


async def test_undoing_the_later_death_first_opens_the_account_it_had_stopped(office: Office) -> None:
    home, (_, child) = await office.register(1)
    await office.bury(10)
    lives = [{"member_id": child, "attributes": {"age": 30, "relation": "head"}}, member(17)]
    await office.make("members", home, members=lives)
    await office.make("payee", home, payee=NEW_ACCOUNT)
    two = await office.bury(11, name="2026-03")
    await office.make("undo-death", home, match_id=two)
    assert await office.account(home) == "active"


@pytest.mark.parametrize("as_same", [True, False])
@pytest.mark.parametrize("evidence_is_kept", [True, False])
async def test_a_head_who_died_while_merged_stays_dead_and_their_account_rests(
    office: Office, as_same: bool, evidence_is_kept: bool
) -> None:
    """As somebody the survivor knew, or as a member of their own; also when retention has taken the evidence."""
    (one, (head, child)), (other, (their_head, _)) = await office.register(1), await office.register(2)
    merge_id = await office.merged(one, other, {head: their_head} if as_same else {})
    await office.bury(10)
    if not evidence_is_kept:
        async with office.runtime.db.transaction() as conn:
            await conn.execute("DELETE FROM person_death")
    await office.make("undo-merge", one, merge_id=merge_id)
    assert await office.people(one) == [child]
    assert await office.account(one) == "suspended"
    assert await office.families_of(head) == []
    found = await office.first.post("/households/find", json={"scheme": "nik", "value": nik(10)})
    assert found.status_code == 404


async def test_who_is_of_a_third_family_since_does_not_come_back(office: Office) -> None:
    """Taken for somebody who has moved on: with them went the number; they are one person there, and stay it."""
    one, (head, child) = await office.register(1)
    other, (_, same) = await office.register(2)
    third, _ = await office.register(3)
    merge_id = await office.merged(one, other, {head: same})
    await office.make("move", other, member_ids=[same], target_id=third)
    await office.make("undo-merge", one, merge_id=merge_id)
    assert await office.people(one) == [child]
    assert await office.families_of(head) == []
    assert await office.families_of(same) == [third]
    found = await office.first.post("/households/find", json={"scheme": "nik", "value": nik(10)})
    assert found.json() == {"household_id": third, "member_id": same}
    assert await office.account(one) == "active", "nobody has died"


async def test_the_guardianship_of_who_does_not_come_back_stays_that_of_who_they_are(office: Office) -> None:
    one, (_, child) = await office.register(1)
    other, (_, same) = await office.register(2)
    third, _ = await office.register(3)
    guardian = {"person": {"scheme": "nik", "value": nik(30)}, "receives": True, "evidence": "order 7/2026"}
    await office.make("guardian", one, member_id=child, **guardian)
    merge_id = await office.merged(one, other, {child: same})
    await office.make("move", other, member_ids=[same], target_id=third)
    await office.make("undo-merge", one, merge_id=merge_id)
    async with office.runtime.db.connection() as conn:
        rows = await conn.fetch("SELECT ward_id, household_id FROM guardianship WHERE ended_at IS NULL")
    assert [tuple(row) for row in rows] == [(same, third)]


@pytest.mark.parametrize("where", ["another family", "the surviving family"])
async def test_a_merge_whose_number_somebody_else_has_since_is_not_undone(office: Office, where: str) -> None:
    """The number was taken off the survivor's member and registered anew: two people, or one in two families."""
    one, (head, _) = await office.register(1)
    other, (their_head, their_child) = await office.register(2)
    merge_id = await office.merged(one, other, {head: their_head})
    kept = [member(20, head=True) | {"member_id": their_head}, member(21) | {"member_id": their_child}]
    if where == "another family":
        await office.make("members", other, members=kept)
        await office.register(4, members=[member(10, head=True)])
    else:
        kept[1]["identifiers"] = [{"scheme": "nik", "value": nik(10)}]
        await office.make("members", other, members=kept)
    before = await office.family(other)
    assert await office.refused("undo-merge", one, merge_id=merge_id) == (409, "identifier-taken")
    assert await office.family(other) == before
    assert (await office.family(one))["status"] == "merged"
    assert len(await office.families_of(head)) == (where == "another family")


async def test_nobody_is_twice_in_a_family(office: Office) -> None:
    """A person whose number was taken off them and registered elsewhere under the same id cannot join themselves."""
    one, (head, child) = await office.register(1)
    renamed = [member(50, head=True) | {"member_id": head}, member(11) | {"member_id": child}]
    await office.make("members", one, members=renamed)
    other, again = await office.register(4, members=[member(10, head=True)])
    assert again == [head], "the id comes from the number"
    asked = {"member_ids": [head], "target_id": other}
    assert await office.refused("move", one, **asked) == (422, "household-invalid")
    assert await office.people(other) == [head]


@pytest.mark.parametrize("before", ["active", "suspended", "closed"])
async def test_merges_of_before_the_upgrade_keep_how_the_account_stood(office: Office, before: str) -> None:
    """The migration reads it from the version the merge replaced; an account closed already got none."""
    (one, _), (other, _) = await office.register(1), await office.register(2)
    if before == "suspended":
        await office.bury(10)
    if before == "closed":
        async with office.runtime.db.transaction() as conn:
            await conn.execute("UPDATE payee SET status = 'closed', version = 2 WHERE household_id = $1", one)
    merge_id = await office.merged(one, other)
    (fill,) = [part for part in MIGRATION.read_text().split(";\n") if "UPDATE household_merge" in part]
    async with office.runtime.db.transaction() as conn:
        await conn.execute("UPDATE household_merge SET payee_status = NULL")
        await conn.execute(fill)
    await office.make("undo-merge", one, merge_id=merge_id)
    assert await office.account(one) == before

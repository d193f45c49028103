"""Groups, communities and institutions as beneficiaries: decided from the registry's groups."""

from pathlib import Path
from typing import Any

import pytest

from salur.common.auth import Caller
from salur.common.contracts.registry import GroupChanged, GroupMember, GroupRegistered, PersonMerged
from salur.common.database import Database
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.eligibility.usecases.cycle_views import place_view
from salur.eligibility.usecases.replay import replay_page
from salur.eligibility.usecases.views import decision_view, progress_view
from support.eligibility import Office, household

pytestmark = pytest.mark.integration
FOLDER = Path(__file__).parents[2] / "services" / "eligibility" / "programmes" / "groups"
KUBE, PANTI, KAT = ((FOLDER / f"{name}.yaml").read_text(encoding="utf-8") for name in ("kube", "panti", "kat"))
CENTRAL = Caller("person:officer", frozenset({"programme-officer"}), (), "request-1")


@pytest.fixture
async def office(db: Database, database_url: str, keys: Secrets) -> Office:
    return await Office.build(db, database_url, keys)


def group(name: str, kind: str, roles: list[str], *, version: int = 1, until: str | None = None, **told: Any) -> Any:
    members = [GroupMember(member_id=derived_id(name, str(n)), role=role) for n, role in enumerate(roles)]
    contract = GroupRegistered if version == 1 else GroupChanged
    return contract(
        group_id=derived_id(name), version=version, kind=kind, region="33.01", name=name, attributes=told,
        members=members, accredited_until=until,
    )  # fmt: skip


async def take(office: Office, *facts: Any) -> None:
    keys = [fact.group_id if hasattr(fact, "group_id") else fact.household_id for fact in facts]
    outcome = await office.process([office.record(fact, key) for fact, key in zip(facts, keys, strict=True)])
    assert (outcome.taken, outcome.dead) == (len(facts), 0)


async def entitled(office: Office, text: str, programme_id: str, families: int = 1) -> dict[str, int]:
    """What a cycle on a cut of today grants, by beneficiary."""
    await office.publish(text)
    await office.backfill()
    name = f"{programme_id} {derived_id(text)[:6]} {len(await office.events('salur.cycle.opened.v1'))}"
    cycle = await office.open(await office.cut(name, families), name, programme_id)
    await office.grant(2)
    rows = await office.rows(
        "SELECT beneficiary_id, amount_minor FROM entitlement WHERE cycle_id = $1", cycle["cycle_id"]
    )
    return {row["beneficiary_id"]: row["amount_minor"] for row in rows}


async def test_groups_are_decided_by_programmes_for_them_and_families_by_theirs(office: Office) -> None:
    """Also those known before the programme; each explains itself and comes out the same when made again."""
    five = ["leader", *["member"] * 4]
    good: dict[str, Any] = {"proposal_approved": True, "poor_members": 4}
    await office.publish()
    await take(
        office, household("family"), group("kube", "group", five, **good),
        group("rich", "group", five, **good | {"poor_members": 1}),
        group("panti", "institution", ["carer"], until="2099-01-01"),
    )  # fmt: skip
    assert await entitled(office, KUBE, "kube") == {derived_id("kube"): 2_000_000_000}
    await take(office, group("late", "group", five, **good), group("kube", "group", five, version=3, **good))
    assert await entitled(office, KUBE, "kube") == {derived_id("late"): 2_000_000_000}, "once"
    async with office.db.connection() as conn:
        told = await decision_view(conn, office.rules, CENTRAL, "kube", derived_id("rich"))
        progress = await progress_view(conn, office.rules, "kube")
        replayed = await replay_page(conn, office.rules, None, (0, "", 0, ""), 100)
    assert (told["outcome"], told["unmet"], told["reproduced"]) == ("not-enrolled", ["mostly-poor"], True)
    assert (progress["known"], progress["decided"], progress["enrolled"]) == (3, 3, 2)
    assert replayed["agreed"] == replayed["replayed"] == 5
    assert [e["data"]["household_id"] for e in await office.events("salur.decision.made.v1")
            if e["data"]["programme_id"] == "progresa"] == [derived_id("family")]  # fmt: skip


async def test_an_institution_is_paid_for_who_is_in_its_care_as_long_as_it_is_accredited(office: Office) -> None:
    people = ["carer", "resident", "resident"]
    await take(
        office, household("family"), group("now", "institution", people, until="2099-01-01"),
        group("past", "institution", people, until="2020-01-01"), group("never", "institution", people),
    )  # fmt: skip
    assert await entitled(office, PANTI, "panti") == {derived_id("now"): 150_000_000}
    (cycle,) = await office.events("salur.cycle.opened.v1")
    async with office.db.connection() as conn:
        told = await place_view(conn, office.rules, CENTRAL, cycle["data"]["cycle_id"], derived_id("past"))
    assert (told["outcome"], told["told"]["en"]) == (
        "renewal-due", "The accreditation has expired or is not known: have it renewed.",
    )  # fmt: skip
    await take(office, group("past", "institution", people, version=2, until="2098-01-01"))
    assert derived_id("past") in await entitled(office, PANTI, "panti")


async def test_a_community_is_granted_for_its_families_up_to_the_cap(office: Office) -> None:
    await take(office, group("kat", "community", [], remote=True, families=120, meeting_held=True),
               group("big", "community", [], remote=True, families=900, meeting_held=True))  # fmt: skip
    assert await entitled(office, KAT, "kat", families=0) == {
        derived_id("kat"): 12_000_000_000, derived_id("big"): 50_000_000_000,
    }  # fmt: skip


async def test_people_who_turn_out_to_be_one_block_nobody(office: Office) -> None:
    merged = PersonMerged(household_id=derived_id("a"), version=2, into=derived_id("b"), merge_id="e" * 32, same=[])
    await take(office, household("a"), household("b"), merged)

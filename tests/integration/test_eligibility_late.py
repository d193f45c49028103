"""What happens to families between grant and pay-out: amended or cancelled with a cause, undone when undone."""

from typing import Any

import orjson
import pytest

from salur.common.contracts.eligibility import EntitlementAmended, EntitlementCancelled
from salur.common.contracts.feeds import PersonDeceased
from salur.common.contracts.registry import (
    HouseholdMerged,
    HouseholdRegistered,
    HouseholdRestored,
    HouseholdSplit,
    SamePerson,
)
from salur.common.contracts.topics import PARTITIONS
from salur.common.database import Database
from salur.common.events import Received
from salur.common.events.envelope import accept, parse
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.eligibility.usecases.late import LateWork
from salur.eligibility.usecases.replay import replay_page
from support.eligibility import RULES, Office, household
from support.payments import House

pytestmark = pytest.mark.integration
FOOD, CHILD = 20_000, 14_000
"""What the example programme gives a family and each child at school."""
SEEN: list[Any] = []
MERGE = "e" * 32
A, B, C = derived_id("a"), derived_id("b"), derived_id("c")
PERSONS = """\
id: orphans
name: {en: t, id: t}
kind: person
function: protection
approach: categorical
legal: none
currency: IDR
cycle_months: 1
inputs: {household: {poverty_index: float}, member: {enrolled: bool}}
criteria: [{code: at-school, text: {en: t, id: t}, legal: l, when: enrolled}]
benefit: [{code: cash, text: {en: t, id: t}, per: member, unit_minor: 500}]
"""


@pytest.fixture
async def office(db: Database, database_url: str, keys: Secrets) -> Office:
    SEEN.clear()
    return await Office.build(db, database_url, keys)


async def granted(office: Office, *facts: Any, text: str | None = None, programme_id: str = "progresa") -> None:
    await (office.publish() if text is None else office.publish(text))
    await office.take(*facts)
    await office.open(await office.cut("intake", len(facts)), programme_id=programme_id)
    await office.grant()


async def look(office: Office) -> None:
    await office.work(LateWork(office.rules, 50, 180))


async def told(office: Office) -> list[tuple[str, str, int, bool]]:
    """(beneficiary, reason, worth now, whether even if paid) of every change told since last asked, in order."""
    rows = await office.rows(
        "SELECT body FROM event WHERE type = ANY($1) ORDER BY recorded_at, key, stream, sequence",
        [EntitlementAmended.event_type, EntitlementCancelled.event_type],
    )
    new = [orjson.loads(row["body"])["data"] for row in rows[len(SEEN) :]]
    SEEN.extend(new)
    return [(one["beneficiary_id"], one["reason"], one.get("amount_minor", 0), one["retroactive"]) for one in new]


async def supplements(office: Office) -> list[Any]:
    granted = [event["data"] for event in await office.events("salur.entitlement.granted.v1")]
    return [one for one in granted if one["kind"] == "supplement"]


def now(name: str, version: int, *keep: int, changed: str = "members", region: str = "31.71", **more: Any) -> Any:
    """A later version of the family: only these of its first members."""
    fact = household(name, version=version, enrolled=[True] * (max(keep, default=0) + 1), region=region, **more)
    members = [fact.members[place] for place in keep]
    return fact.model_copy(update={"members": members, "member_count": len(members), "changed": [changed]})


def died(name: str, place: int, on: str = "") -> PersonDeceased:
    member_id = derived_id(name, str(place))
    return PersonDeceased(household_id=derived_id(name), member_id=member_id, match_id=MERGE, died_on=on)


async def test_a_death_lowers_what_is_due_and_its_undoing_restores_it(office: Office) -> None:
    """Looked at twice, told once; the cause is the event of the death."""
    await granted(office, household("a", enrolled=[True, True]), household("b"))
    await office.take(died("a", 1), now("a", 2, 0))
    await look(office)
    assert await told(office) == [(A, "death", FOOD + CHILD, False)]
    (change,) = await office.events(EntitlementAmended.event_type)
    (noted,) = await office.rows("SELECT cause FROM late_change WHERE reason = 'death'")
    assert change["cause"] == noted["cause"]
    await office.rows("UPDATE late_change SET done = false")
    await look(office)
    assert await told(office) == []
    await office.take(now("a", 3, 0, 1))
    await look(office)
    assert await told(office) == [(A, "returned", FOOD + 2 * CHILD, True)]
    async with office.db.connection() as conn:
        replayed = await replay_page(conn, office.rules, None, (0, "", 0, ""), 10)
    assert replayed["agreed"] == replayed["replayed"]


async def test_when_the_last_of_a_family_has_died_nothing_is_due_and_who_died_before_was_never_owed(
    office: Office,
) -> None:
    await granted(office, household("a"), household("b"))
    await office.take(died("a", 0), now("a", 2), died("b", 0, "1999-01-01"), now("b", 2))
    await look(office)
    assert await told(office) == sorted([(A, "death", 0, False), (B, "death", 0, True)])


async def test_other_facts_that_change_wait_for_the_next_cycle(office: Office) -> None:
    """Richer, or one more child: what stood at the cut is paid."""
    await granted(office, household("a"), household("b"))
    await office.take(
        now("a", 2, 0, changed="attributes", poverty_index=900.0), now("b", 2, 0, 1),
        now("a", 3, 0, region="32.04", changed="region", poverty_index=900.0),
    )  # fmt: skip
    await look(office)
    assert await told(office) == []


async def test_who_moves_out_of_the_programmes_region_is_owed_nothing_more(office: Office) -> None:
    there = RULES.replace("    when: village_treated", "    when: region.startsWith('31')").replace(
        "village_treated: bool", "region: string"
    )
    await granted(office, household("a"), household("b"), text=there)
    await office.take(now("a", 2, 0, region="32.04", changed="region"))
    await look(office)
    assert await told(office) == [(A, "moved", 0, False)]


async def test_two_families_that_are_one_are_paid_once_and_twice_again_when_the_merge_is_undone(office: Office) -> None:
    await granted(office, household("a", enrolled=[True, True]), household("b"))
    both = now("b", 2, 0)
    mine = household("a", enrolled=[True, True]).members
    same = [SamePerson(member_id=mine[1].member_id, same_as=both.members[0].member_id)]
    await office.take(
        HouseholdMerged(household_id=A, version=2, into=B, merge_id=MERGE, same=same),
        both.model_copy(update={"members": [*both.members, mine[0]], "member_count": 2}),
    )
    await look(office)
    assert sorted(await told(office)) == sorted([(A, "merged", 0, True), (B, "merged", FOOD + 2 * CHILD, True)])
    whole = household("a", version=3, enrolled=[True, True]).model_dump(exclude={"changed"})
    await office.take(HouseholdRestored(**whole, merge_id=MERGE), now("b", 3, 0))
    await look(office)
    assert sorted(await told(office)) == sorted(
        [(A, "merge-undone", FOOD + 2 * CHILD, True), (B, "merge-undone", FOOD + CHILD, True)]
    )


async def test_a_family_merged_into_one_that_was_granted_nothing_takes_its_money_along(office: Office) -> None:
    """As a supplement in a cycle of its own; cancelled when the merge is undone."""
    await granted(office, household("a"), household("b", enrolled=[]))
    await office.rows("DELETE FROM entitlement WHERE beneficiary_id = $1", B)
    mine = household("a").members
    await office.take(
        HouseholdMerged(household_id=A, version=2, into=B, merge_id=MERGE, same=[]),
        now("b", 2).model_copy(update={"members": mine, "member_count": 1}),
    )
    await look(office)
    assert await told(office) == [(A, "merged", 0, True)]
    given = [
        e["data"] for e in await office.events("salur.entitlement.granted.v1") if e["data"]["kind"] == "supplement"
    ]
    assert [(one["beneficiary_id"], one["amount_minor"]) for one in given] == [(B, FOOD + CHILD)]
    marks = [e for e in await office.events("salur.cycle.granted.v1") if e["data"]["cycle_id"] == given[0]["cycle_id"]]
    assert len(marks) == PARTITIONS
    whole = household("a", version=3).model_dump(exclude={"changed"})
    await office.take(HouseholdRestored(**whole, merge_id=MERGE), now("b", 3))
    await look(office)
    assert sorted(change[2] for change in await told(office)) == [FOOD, FOOD + CHILD]


async def test_what_a_part_of_a_family_takes_along_is_granted_to_it_and_no_more(office: Office) -> None:
    """The new family may be heard of before or after the old one's change: the same comes out."""
    whole = household("a", enrolled=[True, True, True])
    await granted(office, whole, household("b"))
    part = household("c").model_copy(update={"members": whole.members[1:], "member_count": 2})
    split = HouseholdSplit(
        household_id=A, version=2, new_household_id=C, member_ids=[m.member_id for m in part.members]
    )
    await office.take(now("a", 2, 0), split)
    await look(office)
    assert await told(office) == [(A, "split", FOOD + CHILD, False)], "the new family is still on its way"
    await office.take(HouseholdRegistered(**part.model_dump()))
    await look(office)
    await look(office)
    given = [
        e["data"] for e in await office.events("salur.entitlement.granted.v1") if e["data"]["kind"] == "supplement"
    ]
    assert [(one["beneficiary_id"], one["amount_minor"]) for one in given] == [(C, 2 * CHILD)]
    assert await told(office) == []


async def test_a_person_who_goes_to_another_family_keeps_what_is_theirs_and_is_paid_there(office: Office) -> None:
    await granted(office, household("a", enrolled=[True, True]), household("b"), text=PERSONS, programme_id="orphans")
    gone = household("a", enrolled=[True, True]).members[1]
    target = now("b", 2, 0)
    await office.take(now("a", 2, 0), target.model_copy(update={"members": [*target.members, gone]}))
    await look(office)
    assert await told(office) == [(gone.member_id, "left", 500, False)]
    (change,) = await office.events(EntitlementAmended.event_type)
    assert change["data"]["payee_id"] == B
    await office.take(died("b", 0), now("b", 3))
    await look(office)
    lost = await told(office)
    assert (derived_id("b", "0"), "death", 0, False) in lost


async def test_what_happens_while_a_cycle_is_being_granted_is_looked_at_when_it_is(office: Office) -> None:
    await office.publish()
    await office.take(household("a", enrolled=[True, True]), household("b"))
    await office.open(await office.cut("intake", 2))
    await office.take(died("a", 1), now("a", 2, 0))
    await look(office)
    assert await told(office) == []
    await office.grant()
    await look(office)
    assert await told(office) == [(A, "death", FOOD + CHILD, False)]


async def test_payments_takes_the_changes_as_they_were_written(office: Office, other_database_url: str) -> None:
    """A list built afterwards holds the dead person's family and pays the other what is due now."""
    await granted(office, household("a"), household("b", enrolled=[True, True]))
    await office.take(died("a", 0), now("a", 2), died("b", 1), now("b", 2, 0))
    await look(office)
    rows = await office.rows("SELECT body, stream FROM event WHERE stream LIKE 'eligibility.entitlements/%'")
    database = Database(other_database_url, pool_size=2, statement_timeout_s=20)
    await database.open()
    try:
        house = await House.build(database, other_database_url, office.keys)
        await house.take_entitlements([_received(row["stream"], row["body"]) for row in rows])
        due = await house.fetch("SELECT beneficiary_id, amount_minor, due_minor FROM entitlement")
    finally:
        await database.close()
    assert {tuple(row) for row in due} == {(A, FOOD + CHILD, 0), (B, FOOD + 2 * CHILD, FOOD + CHILD)}


def _received(stream: str, body: bytes) -> Received:
    topic, _, partition = stream.rpartition("/")
    envelope = parse(body, topic=topic, partition=int(partition), writer="eligibility")
    return accept(envelope, None, topic=topic, partition=int(partition), offset=0)

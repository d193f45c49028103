"""Eligibility on a real PostgreSQL: decisions, cycles on a cut, entitlements; nothing lost, nothing twice."""

import asyncio
from typing import Any

import orjson
import pytest

from salur.common.contracts.registry import HouseholdMerged, HouseholdRestored
from salur.common.contracts.topics import PARTITIONS
from salur.common.database import Database
from salur.common.errors import Conflict, NotFound
from salur.common.events import partition_for
from salur.common.events.deadletters import replay_key
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.eligibility.domain.compiling import compile_programme
from salur.eligibility.domain.decide import decide
from salur.eligibility.store import HOUSEHOLDS_CONSUMER
from salur.eligibility.usecases.cycles import CycleWork
from salur.eligibility.usecases.decide import Backfill, facts_of
from salur.eligibility.usecases.households import take_households
from support.eligibility import RULES, Office, household, progresa_households
from support.waiting import eventually

pytestmark = pytest.mark.integration

POOR_IN_1998, ENROLLED_IN_1998 = 5445, 3420


@pytest.fixture
async def office(db: Database, database_url: str, keys: Secrets) -> Office:
    return await Office.build(db, database_url, keys)


async def _refused(office: Office, cut_id: str, code: str, name: str = "1998-1") -> Conflict:
    with pytest.raises(Conflict) as caught:
        await office.open(cut_id, name)
    assert caught.value.code == code, caught.value
    assert not await office.rows("SELECT 1 FROM cycle WHERE name = $1", name)
    return caught.value


async def test_8325_real_households_are_decided_and_granted_as_published(office: Office) -> None:
    households = progresa_households()
    # Half are known before the programme is published, half come after: both ways decide alike.
    await office.take(*households[:4_000])
    await office.publish()
    await office.take(*households[4_000:])
    await office.backfill()
    decided = await office.rows(
        "SELECT count(*) AS decided, count(*) FILTER (WHERE NOT 'poverty' = ANY(unmet)) AS poor,"
        " count(*) FILTER (WHERE enrolled) AS enrolled FROM decision"
    )
    assert dict(decided[0]) == {"decided": 8325, "poor": POOR_IN_1998, "enrolled": ENROLLED_IN_1998}
    assert len(await office.events("salur.decision.made.v1")) == 8325

    cut_id = await office.cut("intake", 8325)
    cycle = await office.open(cut_id)
    assert (cycle["decided"], cycle["enrolled"]) == (8325, ENROLLED_IN_1998)
    await office.grant()

    granted = [event["data"] for event in await office.events("salur.entitlement.granted.v1")]
    children = {h.household_id: [m.attributes["enrolled"] for m in h.members] for h in households}
    assert len({item["entitlement_id"] for item in granted}) == len(granted) == ENROLLED_IN_1998
    for item in granted:
        enrolled = children[item["beneficiary_id"]].count(True)
        assert item["amount_minor"] == 20_000 + 14_000 * enrolled
        assert item["amount_minor"] == sum(line["amount_minor"] for line in item["components"])
        told = {reason["reason"]: reason["count"] for reason in item["not_due"]}
        assert told.get("enrolment not reported", 0) == children[item["beneficiary_id"]].count(None)
        assert told.get("not enrolled in school", 0) == children[item["beneficiary_id"]].count(False)
    await _check_marks(office, cycle["cycle_id"], len(granted), sum(item["amount_minor"] for item in granted))


async def _check_marks(office: Office, cycle_id: str, entitlements: int, amount_minor: int) -> None:
    """One mark in each partition, behind every entitlement of it, with the totals of all."""
    marks = await office.events("salur.cycle.granted.v1")
    assert [mark["data"]["partition"] for mark in marks] == list(range(PARTITIONS))
    last = await office.rows(
        "SELECT stream, max(sequence) AS head FROM event WHERE type LIKE 'salur.entitlement.%' GROUP BY stream"
    )
    heads = {row["stream"]: row["head"] for row in last}
    for mark in marks:
        assert mark["stream"] == f"eligibility.entitlements/{mark['data']['partition']}"
        assert mark["sequence"] > heads.get(mark["stream"], 0)
        assert (mark["data"]["entitlements"], mark["data"]["amount_minor"]) == (entitlements, amount_minor)
    row = (await office.rows("SELECT * FROM cycle WHERE cycle_id = $1", cycle_id))[0]
    assert (row["state"], row["entitlements"], row["amount_minor"]) == ("granted", entitlements, amount_minor)


async def test_every_stored_decision_comes_out_the_same_when_made_again(office: Office) -> None:
    await office.publish()
    await office.take(*progresa_households()[:500])
    rows = await office.rows(
        "SELECT h.*, d.input_hash, d.criteria, d.components, d.not_due FROM household h"
        " JOIN decision d ON d.household_id = h.household_id AND d.household_version = h.version"
    )
    compiled = compile_programme(RULES)
    assert len(rows) == 500
    for row in rows:
        again = orjson.loads(orjson.dumps(decide(compiled, facts_of(row))))
        assert {name: again[name] for name in ("input_hash", "criteria", "components", "not_due")} == {
            name: row[name] for name in ("input_hash", "criteria", "components", "not_due")
        }


async def test_a_change_is_decided_again_and_a_cycle_keeps_what_stood_at_its_cut(office: Office) -> None:
    await office.publish()
    await office.take(household("a", enrolled=[True]), household("b", poverty_index=900.0), household("c"))
    cut_id = await office.cut("intake", 3)
    # After the cut: a has another child and c is no longer poor; d is new. Two versions of a come in one batch.
    await office.take(
        household("a", version=2, enrolled=[True, True]),
        household("c", version=2, poverty_index=900.0),
        household("d"),
        household("a", version=3, enrolled=[True, True, True]),
    )
    cycle = await office.open(cut_id)
    assert (cycle["decided"], cycle["enrolled"]) == (3, 2)
    await office.grant()
    granted = {e["data"]["beneficiary_id"]: e["data"] for e in await office.events("salur.entitlement.granted.v1")}
    assert {name: granted[derived_id(name)]["amount_minor"] for name in "ac"} == {"a": 34_000, "c": 34_000}
    assert len(granted) == 2

    later = await office.cut("later", 4)
    second = await office.open(later, "1998-2")
    assert (second["decided"], second["enrolled"]) == (4, 2)
    await office.grant()
    amounts = await office.rows(
        "SELECT beneficiary_id, amount_minor FROM entitlement WHERE cycle_id = $1", second["cycle_id"]
    )
    assert {r["beneficiary_id"]: r["amount_minor"] for r in amounts} == {
        derived_id("a"): 62_000,
        derived_id("d"): 34_000,
    }


async def test_nothing_due_is_told_with_its_reason(office: Office) -> None:
    text = RULES.replace("per: household\n", "per: household\n    when: village_treated && poverty_index < 1.0\n")
    await office.publish(text)
    await office.take(household("a", enrolled=[None, False]))
    cycle = await office.open(await office.cut("intake", 1))
    await office.grant()
    event = (await office.events("salur.entitlement.not-due.v1"))[0]["data"]
    assert [(item["code"], item["reason"], item["count"]) for item in event["not_due"]] == [
        ("food-support", "its condition is not met", 1),
        ("scholarship", "enrolment not reported", 1),
        ("scholarship", "not enrolled in school", 1),
    ]
    await _check_marks(office, cycle["cycle_id"], 0, 0)


async def test_a_cycle_waits_for_the_cut_and_for_every_decision(office: Office) -> None:
    with pytest.raises(NotFound, match="publish it first"):
        await office.open("c" * 32)
    await office.take(household("a"), household("b"))
    await office.publish()
    cut_id = await office.cut("intake", 2, range(PARTITIONS - 1))
    waiting = await _refused(office, cut_id, "cut-not-passed")
    assert waiting.retry_after_s
    await office.cut("intake", 2, [PARTITIONS - 1])
    waiting = await _refused(office, cut_id, "decisions-pending")
    assert waiting.retry_after_s
    await office.backfill()
    assert (await office.open(cut_id))["enrolled"] == 2


async def test_a_household_the_registry_counted_but_never_sent_stops_the_cycle(office: Office) -> None:
    await office.publish()
    await office.take(household("a"))
    refusal = await _refused(office, await office.cut("intake", 2), "cut-incomplete")
    assert (refusal.who, refusal.retry_after_s) == ("operations", None)


async def test_a_blocked_household_holds_the_cycle_until_it_is_replayed(office: Office) -> None:
    await office.publish()
    wrong = household("b").model_copy(update={"household_id": derived_id("other")})
    records = [
        office.record(household("a"), derived_id("a")),
        office.record(wrong, derived_id("b")),
        office.record(household("b", version=2), derived_id("b")),
        office.record(household("c"), derived_id("c")),
    ]
    outcome = await office.process(records)
    assert (outcome.dead, outcome.parked) == (1, 1)
    cut_id = await office.cut("intake", 2)
    await _refused(office, cut_id, "input-blocked")
    # Operations settle the first event by hand (here: it is taken out), then the key goes through, late.
    async with office.db.transaction() as conn:
        await conn.execute("UPDATE dead_letter SET state = 'replayed' WHERE state = 'raised'")
        letter = await conn.fetchval("SELECT id FROM dead_letter WHERE state = 'parked'")
    handlers = {HOUSEHOLDS_CONSUMER: office.handler}
    await replay_key(office.db, office.store, office.keys, handlers, letter, actor="person:ops", reason="mended")
    await _refused(office, cut_id, "cut-incomplete")
    third = await office.cut("again", 3)
    assert (await office.open(third))["decided"] == 3


async def test_of_two_openings_at_once_one_wins(office: Office) -> None:
    await office.publish()
    await office.take(household("a"))
    cut_id = await office.cut("intake", 1)
    answers = await asyncio.gather(*(office.open(cut_id) for _ in range(4)), return_exceptions=True)
    refusals = [answer for answer in answers if isinstance(answer, BaseException)]
    assert len(refusals) == 3
    assert all(isinstance(refusal, Conflict) and refusal.code == "cycle-exists" for refusal in refusals)
    assert len(await office.events("salur.cycle.opened.v1")) == 1


async def test_a_cut_is_granted_once_whatever_the_cycle_is_called(office: Office) -> None:
    await office.publish()
    await office.take(household("a"))
    cut_id = await office.cut("intake", 1)
    names = ("twin", "twin again", "another twin")
    answers = await asyncio.gather(*(office.open(cut_id, name=name) for name in names), return_exceptions=True)
    refusals = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [getattr(refusal, "code", refusal) for refusal in refusals] == ["cut-paid", "cut-paid"]
    await office.grant()
    assert len(await office.rows("SELECT 1 FROM entitlement")) == 1
    assert (await office.open(await office.cut("next", 1), name="next"))["decided"] == 1


async def test_a_programme_younger_than_a_change_decides_only_the_latest_cut(office: Office) -> None:
    await office.take(household("a"))
    old = await office.cut("old", 1)
    await office.take(household("a", version=2, enrolled=[True, True]))
    latest = await office.cut("latest", 1)
    await office.take(household("a", version=3, enrolled=[]))
    await office.publish()
    await office.backfill(1)
    assert [row["household_version"] for row in await office.rows("SELECT * FROM decision ORDER BY 3")] == [2, 3]
    refusal = await _refused(office, old, "cut-superseded")
    assert refusal.retry_after_s is None
    await office.open(latest)
    await office.grant()
    assert [row["amount_minor"] for row in await office.rows("SELECT amount_minor FROM entitlement")] == [48_000]


async def test_a_new_version_decides_everyone_again_and_an_old_one_may_return(office: Office) -> None:
    stricter = RULES.replace("poverty_index <= state_cutoff", "poverty_index <= state_cutoff - 50.0")
    await office.take(*(household(str(n), poverty_index=600.0 + 20 * n) for n in range(5)))
    enrolled = (
        "SELECT count(*) FILTER (WHERE enrolled) AS n FROM decision JOIN programme p ON number = programme AND in_force"
    )
    expected = [(RULES, True, 5), (RULES, False, 5), (stricter, True, 3), (RULES, True, 5)]
    for text, changed, count in expected:
        assert await office.publish(text) is changed
        await office.backfill()
        assert (await office.rows(enrolled))[0]["n"] == count
    assert len(await office.events("salur.programme.published.v1")) == 3
    # The rules that returned found their decisions standing: none was made twice.
    assert len(await office.events("salur.decision.made.v1")) == 10


class Torn(Exception):
    """The process dies before it commits."""


async def _torn_step(office: Office, worker: Backfill | CycleWork) -> None:
    with pytest.raises(Torn):
        async with office.db.transaction() as conn:
            _, drafts = await worker.step(conn)
            await office.store.append(conn, drafts)
            raise Torn


async def test_workers_that_die_between_any_two_commits_lose_and_double_nothing(office: Office) -> None:
    await office.take(*(household(str(n)) for n in range(25)))
    await office.publish()
    cut_id = await office.cut("intake", 25)

    async def limp(make: Any, done: str) -> None:
        survivor = make()
        for _ in range(100):
            if (await office.rows(done))[0]["done"]:
                return
            # One dies with its batch; one lives on after a failed commit and must not skip what it believed done.
            await _torn_step(office, make())
            await _torn_step(office, survivor)
            async with office.db.transaction() as conn:
                _, drafts = await survivor.step(conn)
                await office.store.append(conn, drafts)
            survivor.committed()
        raise AssertionError("the work never ends")

    await limp(lambda: Backfill(office.rules, 4), "SELECT decided AS done FROM programme")
    assert len(await office.events("salur.decision.made.v1")) == 25
    cycle = await office.open(cut_id)
    await limp(lambda: CycleWork(office.rules, 4), "SELECT state = 'granted' AS done FROM cycle")
    granted = [event["data"]["beneficiary_id"] for event in await office.events("salur.entitlement.granted.v1")]
    assert len(set(granted)) == len(granted) == 25
    await _check_marks(office, cycle["cycle_id"], 25, 25 * 34_000)


async def test_two_workers_at_once_grant_each_beneficiary_once(office: Office) -> None:
    await office.publish()
    await office.take(*(household(str(n)) for n in range(60)))
    cycle = await office.open(await office.cut("intake", 60))
    await asyncio.gather(*(office.grant(7) for _ in range(3)))
    await office.grant(7)
    assert len(await office.events("salur.entitlement.granted.v1")) == 60
    await _check_marks(office, cycle["cycle_id"], 60, 60 * 34_000)


async def test_no_household_falls_between_a_consumer_at_work_and_a_publication(office: Office) -> None:
    """The consumer read the programmes in force before the publication: it holds it back, the worker finds its rows."""
    async with office.db.transaction() as conn:
        fact = household("a")
        assert await take_households(conn, [office.received(fact)], office.rules, office.keys) == []
        published = asyncio.create_task(office.publish())

        async def publication_waits() -> bool:
            return bool(await office.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))

        await eventually(publication_waits, what="the publication waiting for the consumer")
    assert await published
    await office.backfill()
    await office.take(household("b"))
    assert len(await office.rows("SELECT 1 FROM decision")) == 2


async def test_events_that_contradict_what_is_known_become_dead_letters(office: Office) -> None:
    await office.publish()
    await office.take(household("a"), household("b"), household("b", version=2))
    outcome = await office.take(household("a", poverty_index=1.0), household("c"))
    assert (outcome.taken, outcome.dead) == (2, 1)
    outcome = await office.take(household("b", version=2, poverty_index=1.0))
    assert outcome.dead == 1
    reasons = {row["reason"] for row in await office.rows("SELECT reason FROM dead_letter")}
    assert all("came again as version" in reason and "registry must act" in reason for reason in reasons), reasons
    assert len(await office.rows("SELECT 1 FROM household WHERE replaced_by IS NULL")) == 3


async def test_replayed_records_change_nothing(office: Office) -> None:
    await office.publish()
    records = [office.record(household(str(n)), derived_id(str(n))) for n in range(10)]
    assert (await office.process(records)).taken == 10
    again = await office.process(records)
    assert (again.taken, again.duplicates, again.appended) == (0, 10, 0)


async def test_personal_values_of_decisions_stand_in_no_event_body(office: Office) -> None:
    await office.publish()
    await office.take(household("a", poverty_index=612.3456789))
    bodies = await office.rows("SELECT convert_from(body, 'UTF8') AS body FROM event")
    assert bodies
    assert not any("612.3456789" in row["body"] for row in bodies)
    event = (await office.events("salur.decision.made.v1"))[0]
    assert event["stream"] == f"eligibility.decisions/{partition_for(derived_id('a'))}"


PERSONS = """\
id: pupils
name: {en: Pupils, id: Pelajar}
kind: person
function: prevention
approach: targeted
legal: none
currency: IDR
cycle_months: 3
inputs:
  household: {poverty_index: float}
  member: {enrolled: bool}
criteria:
  - {code: poor, text: {en: t, id: t}, legal: l, when: poverty_index <= 700.0}
  - {code: pupil, text: {en: t, id: t}, legal: l, when: enrolled}
benefit:
  - {code: grant, text: {en: t, id: t}, per: member, unit_minor: 5000}
"""


async def test_a_programme_for_persons_grants_to_each_who_qualifies_and_names_whose_account_is_paid(
    office: Office,
) -> None:
    await office.publish(PERSONS)
    await office.take(
        household("a", enrolled=[True, False, True]), household("b", enrolled=[None]),
        household("c", poverty_index=900.0), household("d", enrolled=[]),
    )  # fmt: skip
    made = {event["data"]["household_id"]: event["data"] for event in await office.events("salur.decision.made.v1")}
    pupils = [derived_id("a", "0"), derived_id("a", "2")]
    assert made[derived_id("a")]["enrolled_members"] == pupils
    assert {name: made[derived_id(name)]["unmet"] for name in "abcd"} == {
        "a": [], "b": ["pupil"], "c": ["poor"], "d": ["pupil"],
    }  # fmt: skip
    cycle = await office.open(await office.cut("intake", 4), programme_id="pupils")
    assert (cycle["decided"], cycle["enrolled"]) == (4, 2)
    await office.grant(1)
    granted = [event["data"] for event in await office.events("salur.entitlement.granted.v1")]
    assert {(g["beneficiary_id"], g["payee_id"], g["amount_minor"]) for g in granted} == {
        (pupil, derived_id("a"), 5_000) for pupil in pupils
    }
    await _check_marks(office, cycle["cycle_id"], 2, 10_000)


async def test_a_household_that_became_another_is_owed_nothing_until_it_is_restored(office: Office) -> None:
    await office.publish()
    a, b = derived_id("a"), derived_id("b")
    await office.take(household("a"), household("b"))
    await office.take(HouseholdMerged(household_id=a, version=2, into=b, merge_id="e" * 32, same=[]))
    cycle = await office.open(await office.cut("intake", 2))
    assert (cycle["decided"], cycle["enrolled"]) == (1, 1)
    await office.grant()
    assert [row["beneficiary_id"] for row in await office.rows("SELECT * FROM entitlement")] == [b]
    whole = household("a", version=3).model_dump(exclude={"changed"})
    await office.take(HouseholdRestored(**whole, merge_id="e" * 32))
    assert (await office.open(await office.cut("later", 2), "1998-2"))["enrolled"] == 2

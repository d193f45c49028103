"""Cycles that choose: places and ranking, conditions, one-time help, exclusions, graduation, fairness."""

from typing import Any

import pytest

from salur.common.auth import Caller
from salur.common.contracts.registry import HouseholdConfirmed
from salur.common.database import Database
from salur.common.errors import Conflict, Forbidden, Invalid, NotFound
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.eligibility.domain.reports import Report
from salur.eligibility.usecases.conditions import report_conditions, take_report_file
from salur.eligibility.usecases.cycle_views import indicators_view, place_view
from salur.eligibility.usecases.fairness import release
from support.eligibility import Office, household

pytestmark = pytest.mark.integration

WORDS = "{en: t, id: t}"
HEAD = f"""\
id: grant
name: {WORDS}
kind: household
function: assistance
approach: targeted
legal: none
currency: IDR
cycle_months: 3
inputs:
  household: {{poverty_index: float, disabled: int}}
criteria: [{{code: poor, text: {WORDS}, legal: l, when: poverty_index <= 700.0}}]
benefit: [{{code: food, text: {WORDS}, per: household, unit_minor: 1000}}]
"""
QUOTA = """\
ranking: {score: poverty_index, vulnerability: disabled}
quota: {level: province, places: {"31": 2}, others: 1}
"""
CONDITION = f"""\
conditions:
  - {{code: school, text: {WORDS}, legal: l, per: household, value: days,
      at_least: 85, suspend_after: 2, exit_after: 3}}
"""
CENTRAL = Caller("person:school", frozenset({"programme-officer"}), (), "request-9")


@pytest.fixture
async def office(db: Database, database_url: str, keys: Secrets) -> Office:
    return await Office.build(db, database_url, keys)


async def cycle_of(office: Office, name: str, households: int) -> str:
    cycle = await office.open(await office.cut(name, households), name, "grant")
    await office.grant(2)
    return str(cycle["cycle_id"])


async def outcomes(office: Office, cycle_id: str) -> dict[str, str]:
    rows = await office.rows("SELECT beneficiary_id, outcome FROM place WHERE cycle_id = $1", cycle_id)
    return {row["beneficiary_id"]: row["outcome"] for row in rows}


def poor(name: str, index: float, disabled: int = 0, region: str = "31.71", version: int = 1) -> Any:
    return household(name, version=version, region=region, poverty_index=index, disabled=disabled)


async def test_places_go_to_the_poorest_then_the_most_vulnerable_and_the_others_wait_and_are_told(
    office: Office,
) -> None:
    await office.publish(HEAD + QUOTA)
    await office.take(
        poor("a", 500.0), poor("b", 400.0, 1), poor("c", 400.0, 3), poor("d", 600.0),
        poor("e", 650.0, region="32.01"), poor("f", 690.0, region="32.02"), poor("g", 900.0),
    )  # fmt: skip
    cycle_id = await cycle_of(office, "2026-Q1", 7)
    found = await outcomes(office, cycle_id)
    assert {name: found.get(derived_id(name)) for name in "abcdefg"} == {
        "c": "selected", "b": "selected", "a": "waiting", "d": "waiting", "e": "selected", "f": "waiting", "g": None,
    }  # fmt: skip
    granted = {event["data"]["beneficiary_id"] for event in await office.events("salur.entitlement.granted.v1")}
    assert granted == {derived_id(name) for name in "bce"}
    told = {e["data"]["beneficiary_id"]: e["data"] for e in await office.events("salur.enrolment.changed.v1")}
    assert {(told[derived_id(n)]["state"], told[derived_id(n)]["rank"]) for n in "ad"} == {
        ("waiting", 3),
        ("waiting", 4),
    }
    async with office.db.connection() as conn:
        view = await place_view(conn, office.rules, CENTRAL, cycle_id, derived_id("a"))
        assert (view["rank"], view["candidates"], view["places"]) == (3, 4, 2)
        assert "You stand 3 of 4 in 31; there are 2 places." in view["told"]["en"]
        assert "urutan 3 dari 4" in view["told"]["id"]
        elsewhere = Caller("person:x", frozenset(), ("32",))
        with pytest.raises(NotFound, match="whom you may see"):
            await place_view(conn, office.rules, elsewhere, cycle_id, derived_id("a"))


async def test_who_waits_longer_comes_first_among_equals_and_a_draw_decides_the_rest_the_same_way_again(
    office: Office,
) -> None:
    await office.publish(HEAD + QUOTA)
    names = "abcdef"
    await office.take(*(poor(name, 500.0) for name in names[:4]))
    first = await cycle_of(office, "1", 4)
    waiting = {b for b, outcome in (await outcomes(office, first)).items() if outcome == "waiting"}
    assert len(waiting) == 2
    draws = await office.rows("SELECT beneficiary_id, draw FROM place WHERE cycle_id = $1 ORDER BY rank", first)
    assert [row["draw"] for row in draws] == sorted(row["draw"] for row in draws)
    # Two are new and equal to those who wait: these come first now.
    await office.take(*(poor(name, 500.0) for name in names[4:]))
    served = await office.rows("SELECT beneficiary_id FROM place WHERE cycle_id = $1 AND outcome = 'selected'", first)
    await office.take(
        *(poor(n, 650.0, version=2) for n in names if derived_id(n) in {r["beneficiary_id"] for r in served})
    )
    second = await outcomes(office, await cycle_of(office, "2", 6))
    assert {b for b, outcome in second.items() if outcome == "selected"} == waiting


async def report(office: Office, period: str, *reports: Report, caller: Caller = CENTRAL) -> int:
    async with office.db.transaction() as conn:
        added, drafts = await report_conditions(conn, office.rules, caller, "grant", period, reports)
        await office.store.append(conn, drafts)
    return added


async def test_broken_conditions_suspend_then_end_a_place_and_a_kept_one_begins_anew(office: Office) -> None:
    await office.publish(HEAD + CONDITION)
    await office.take(poor("a", 500.0), poor("b", 500.0), poor("c", 500.0))
    a, b = derived_id("a"), derived_id("b")
    expected = [("2026-Q1", "selected"), ("2026-Q2", "suspended"), ("2026-Q3", "left")]
    for period, outcome in expected:
        # c is never reported: that is not broken. b breaks it, keeps it, breaks it.
        kept = 90 if period == "2026-Q2" else 80
        assert await report(office, period, Report(a, "school", 60), Report(b, "school", kept)) == 2
        found = await outcomes(office, await cycle_of(office, period, 3))
        assert found == {a: outcome, b: "selected", derived_id("c"): "selected"}
    # Who has left does not come back by keeping a condition once.
    await report(office, "2026-Q4", Report(a, "school", 100))
    assert (await outcomes(office, await cycle_of(office, "2026-Q4", 3)))[a] == "left"
    values = [event["data"]["value"] for event in await office.events("salur.condition.reported.v1")]
    assert all(str(value).startswith("sha256:") for value in values), "what was reported of a family is personal"


async def test_reports_are_taken_all_or_none(office: Office) -> None:
    await office.publish(HEAD + CONDITION)
    await office.take(poor("a", 500.0), poor("b", 500.0, region="32.01"))
    a, b = derived_id("a"), derived_id("b")
    good = Report(a, "school", 60)
    assert (await report(office, "2026-Q1", good), await report(office, "2026-Q1", good)) == (1, 0)
    narrow = Caller("person:school", frozenset(), ("31",), "r")
    refused: list[tuple[Report, Caller, type[Exception], str]] = [
        (Report(a, "school", 61), CENTRAL, Conflict, "reported-otherwise"),
        (Report(a, "health", 1), CENTRAL, Invalid, "condition-unknown"),
        (Report("f" * 32, "school", 1), CENTRAL, Invalid, "subject-unknown"),
        (Report(a, "school", 1, derived_id("a", "0")), CENTRAL, Invalid, "subject-unknown"),
        (Report(b, "school", 1), narrow, Invalid, "subject-unknown"),
    ]
    for bad, caller, kind, code in refused:
        with pytest.raises(kind) as caught:
            await report(office, "2026-Q1", Report(a, "school", 60), bad, caller=caller)
        assert getattr(caught.value, "code", "") == code
    assert len(await office.rows("SELECT 1 FROM condition_report")) == 1


async def test_a_file_of_reports_is_taken_row_by_row(office: Office) -> None:
    """What is wrong is told by its line without the value; the rest stands; the same file again adds nothing."""
    await office.publish(HEAD + CONDITION)
    await office.take(poor("a", 500.0), poor("b", 500.0, region="32.01"))
    a, b = derived_id("a"), derived_id("b")
    narrow = Caller("person:school", frozenset(), ("31",), "r")
    text = "\n".join(
        ["household_id,member_id,code,value", f"{a},,school,60", f"{a},,school,61", f"{b},,school,70", f"{a},,health,1",
         f"{a},,school,-1", "3171234501010001,,school,5", f"{a},school"]
    )  # fmt: skip
    for added in (1, 0):
        async with office.db.transaction() as conn:
            told, drafts = await take_report_file(conn, office.rules, narrow, "grant", "2026-Q1", text)
            await office.store.append(conn, drafts)
        assert {(one["line"], one["code"]) for one in told["errors"]} == {
            (3, "reported-otherwise"), (4, "subject-unknown"), (5, "condition-unknown"), (6, "row-invalid"),
            (7, "row-invalid"), (8, "row-invalid"),
        }  # fmt: skip
        assert (told["rows"], told["reported"], told["added"]) == (7, 1, added)
    assert "3171234501010001" not in str(told)
    assert len(await office.events("salur.condition.reported.v1")) == 1
    for bad in ("name,value\n", "", 'household_id,code,value\n"', "household_id,code,value,household_id\n"):
        with pytest.raises(Invalid, match="cannot be taken"):
            async with office.db.transaction() as conn:
                await take_report_file(conn, office.rules, CENTRAL, "grant", "2026-Q1", bad)


async def test_help_given_once_an_excluding_programme_old_data_and_graduation(office: Office) -> None:
    other = HEAD.replace("id: grant", "id: other").replace("<= 700.0", "<= 450.0")
    rules = HEAD + "once: true\nrecertify_months: 24\n"
    rules += f"exclusions: [{{programme: other, text: {WORDS}}}]\ngraduation: {{criteria: [poor], text: {WORDS}}}\n"
    await office.publish(other)
    await office.publish(rules)
    await office.take(poor("a", 400.0), poor("b", 500.0), poor("c", 600.0), poor("d", 650.0))
    await office.rows(
        "UPDATE household SET taken_at = now() - interval '3 years' WHERE household_id = $1", derived_id("d")
    )
    await office.open(await office.cut("intake", 4), "o-1", "other")
    await office.grant()
    first = await outcomes(office, await cycle_of(office, "1", 4))
    assert {name: first[derived_id(name)] for name in "abcd"} == {
        "a": "excluded", "b": "selected", "c": "selected", "d": "renewal-due",
    }  # fmt: skip
    await office.take(poor("c", 800.0, version=2))
    second = await outcomes(office, await cycle_of(office, "2", 4))
    assert {name: second[derived_id(name)] for name in "abcd"} == {
        "a": "excluded", "b": "had-already", "c": "graduated", "d": "renewal-due",
    }  # fmt: skip


async def test_data_stated_again_unchanged_are_new_again_and_nothing_is_decided_again(office: Office) -> None:
    """Two families whose data are too old; of one a later list says the same, of the other only what stood before."""
    await office.publish(HEAD + "recertify_months: 24\n")
    await office.take(poor("a", 400.0), poor("b", 500.0), poor("b", 510.0, version=2))
    await office.rows("UPDATE household SET taken_at = now() - interval '3 years'")
    decided = len(await office.events("salur.decision.made.v1"))
    assert decided == 3
    await office.take(
        HouseholdConfirmed(household_id=derived_id("a"), version=1),
        HouseholdConfirmed(household_id=derived_id("b"), version=1),
    )
    found = await outcomes(office, await cycle_of(office, "1", 2))
    assert {name: found[derived_id(name)] for name in "ab"} == {"a": "selected", "b": "renewal-due"}
    assert len(await office.events("salur.decision.made.v1")) == decided


FAIR = "fairness: {reference: 'poverty_index <= 700.0', most_change_points: 20}\n"


async def test_a_cycle_that_reaches_far_fewer_is_held_until_another_person_lets_it_go_on(office: Office) -> None:
    await office.publish(HEAD + FAIR)
    await office.take(*(poor(str(n), 500.0) for n in range(120)))
    first = await cycle_of(office, "1", 120)
    await office.publish(HEAD.replace("poverty_index <= 700.0", "poverty_index <= 700.0 && disabled > 0") + FAIR)
    await office.backfill()
    held = await cycle_of(office, "2", 120)
    assert not await office.rows("SELECT 1 FROM entitlement WHERE cycle_id = $1", held)
    (event,) = await office.events("salur.cycle.held.v1")
    alarms = {(alarm["code"], alarm["dimension"]): alarm for alarm in event["data"]["alarms"]}
    assert alarms["coverage-change", "province"] | {"group": ""} == {
        "code": "coverage-change", "dimension": "province", "group": "", "found": 100.0, "limit": 20,
    }  # fmt: skip

    async def let_go(cycle_id: str, actor: str) -> None:
        async with office.db.transaction() as conn:
            drafts = await release(
                conn, cycle_id, "checked with the districts", people=frozenset({actor}), actor=actor, cause="r"
            )
            await office.store.append(conn, drafts)

    with pytest.raises(Forbidden, match="you opened this cycle"):
        await let_go(held, "person:officer")
    with pytest.raises(Conflict, match="not held back"):
        await let_go(first, "person:approver")
    await let_go(held, "person:approver")
    await office.grant()
    states = await office.rows("SELECT state FROM cycle ORDER BY name")
    assert [row["state"] for row in states] == ["granted", "granted"]
    async with office.db.connection() as conn:
        view = await indicators_view(conn, office.rules, first)
        second = await indicators_view(conn, office.rules, held)
    assert (view["last"], second["last"]) == (None, view["indicators"])
    assert view["indicators"]["all"]["families"] | {"coverage": 0} == {
        "known": 120, "reached": 120, "coverage": 0, "ought": 120, "exclusion_error": 0.0, "inclusion_error": 0.0,
    }  # fmt: skip

"""Declared disasters and appeals: two people each, residents helped at once, a wrong decision paid back. PostgreSQL."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from salur.common.auth import Caller
from salur.common.contracts.topics import PARTITIONS
from salur.common.database import Database
from salur.common.errors import Conflict, Forbidden, Invalid, NotFound
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.eligibility.usecases import appeals, emergencies
from salur.eligibility.usecases.replay import replay_page
from support.eligibility import RULES, Office, household

pytestmark = pytest.mark.integration

DISASTER = (Path(__file__).parents[2] / "services/eligibility/programmes/bencana.yaml").read_text(encoding="utf-8")
OFFICER = Caller("person:officer", frozenset({"programme-officer"}), (), "request-1")
REVIEWER = Caller("person:reviewer", frozenset({"approver"}), (), "request-2")


@pytest.fixture
async def office(db: Database, database_url: str, keys: Secrets) -> Office:
    return await Office.build(db, database_url, keys)


def resident(name: str, region: str, version: int = 1, dead: int = 0) -> Any:
    fact = household(name, region=region, version=version, reported_dead=dead)
    return fact.model_copy(update={"members": [m.model_copy(update={"attributes": {"age": 30}}) for m in fact.members]})


async def declare(office: Office, cut_id: str, name: str = "flood", programme_id: str = "bencana") -> str:
    async with office.db.transaction() as conn:
        command = emergencies.Declare(
            programme_id, name, ("31.71", "32"), date(2026, 1, 5), cut_id, "river", "person:officer", "r"
        )
        answer, drafts = await emergencies.declare(conn, office.rules, command)
        await office.store.append(conn, drafts)
    return str(answer["declaration_id"])


async def approve(office: Office, declaration_id: str, actor: str = "person:approver") -> dict[str, Any]:
    async with office.db.transaction() as conn:
        answer, drafts = await emergencies.approve_declaration(
            conn, office.rules, declaration_id, people=frozenset({actor}), actor=actor, cause="r"
        )
        await office.store.append(conn, drafts)
    return answer


async def test_a_declared_disaster_helps_who_lives_there_at_the_cut_and_nobody_else(office: Office) -> None:
    await office.publish(DISASTER)
    await office.take(
        resident("a", "31.71.01"), resident("b", "31.72"), resident("c", "32.01", dead=1), resident("d", "31.71"),
    )  # fmt: skip
    assert not await office.events("salur.decision.made.v1"), "an emergency programme decides when it is called"
    cut_id = await office.cut("flood", 4)
    await office.take(resident("d", "33.01", version=2), resident("b", "32.01", version=2), resident("e", "32.01"))
    declaration_id = await declare(office, cut_id)
    with pytest.raises(Forbidden, match="you declared this disaster"):
        await approve(office, declaration_id, "person:officer")
    await office.grant()
    assert not await office.events("salur.entitlement.granted.v1")
    first, again = await approve(office, declaration_id), await approve(office, declaration_id)
    assert first == again
    await office.grant(2)
    granted = {e["data"]["beneficiary_id"]: e["data"] for e in await office.events("salur.entitlement.granted.v1")}
    assert {name: granted.get(derived_id(name), {}).get("amount_minor") for name in "abcde"} == {
        "a": 180_000_000, "b": None, "c": 1_680_000_000, "d": 180_000_000, "e": None,
    }  # fmt: skip
    (opened,) = await office.events("salur.cycle.opened.v1")
    assert (opened["data"]["decided"], opened["data"]["enrolled"]) == (3, 3)
    assert len(await office.events("salur.cycle.granted.v1")) == PARTITIONS
    assert len(await office.events("salur.decision.made.v1")) == 3


async def test_a_disaster_waits_for_its_cut_and_for_an_emergency_programme(office: Office) -> None:
    await office.publish(DISASTER)
    await office.publish(RULES)
    await office.take(resident("a", "31.71"))
    with pytest.raises(Conflict, match="not for emergencies"):
        await declare(office, "c" * 32, programme_id="progresa")
    with pytest.raises(Conflict, match="pays after a declared disaster"):
        await office.open(await office.cut("intake", 1), "1", "bencana")
    declaration_id = await declare(office, derived_id("cut", "late"))
    with pytest.raises(Conflict, match="named 'flood' is declared"):
        await declare(office, derived_id("cut", "late"))
    with pytest.raises(Conflict) as waiting:
        await approve(office, declaration_id)
    assert waiting.value.code == "cut-not-passed"
    await office.cut("late", 1)
    assert (await approve(office, declaration_id))["state"] == "approved"


async def appeal(office: Office, decision_id: str, name: str = "a", caller: Caller = OFFICER) -> str:
    objection = appeals.Objection(
        derived_id(name), decision_id, "wrong-data", "Kami tidak pernah punya mobil.",
        [{"kind": "photo", "sha256": "a" * 64}],
    )  # fmt: skip
    async with office.db.transaction() as conn:
        answer, drafts = await appeals.open_appeal(conn, office.rules, office.keys, caller, objection)
        await office.store.append(conn, drafts)
    return str(answer["appeal_id"])


async def review(
    office: Office, appeal_id: str, upheld: bool, caller: Caller = REVIEWER, **household: Any
) -> dict[str, Any]:
    members = household.pop("members", {})
    async with office.db.transaction() as conn:
        found = appeals.Review(appeal_id, upheld, "seen the house", household, members)
        answer, drafts = await appeals.decide_appeal(conn, office.rules, caller, found)
        await office.store.append(conn, drafts)
    return answer


async def decision_id(office: Office, name: str) -> str:
    rows = await office.rows(
        "SELECT decision_id FROM decision WHERE household_id = $1 AND overturned_by IS NULL", derived_id(name)
    )
    return str(rows[0]["decision_id"])


async def test_an_upheld_appeal_decides_again_and_pays_back_every_cycle_of_the_wrong_decision(office: Office) -> None:
    await office.publish()
    await office.take(household("a", poverty_index=900.0, enrolled=[True]), household("b"))
    for name in ("1998-1", "1998-2"):
        await office.open(await office.cut(name, 2), name)
        await office.grant()
    wrong = await decision_id(office, "a")
    appeal_id = await appeal(office, wrong)
    with pytest.raises(Conflict, match="waits for the answer"):
        await appeal(office, wrong)
    with pytest.raises(Forbidden, match="you opened this appeal"):
        await review(office, appeal_id, True, caller=OFFICER, poverty_index=600.0)
    with pytest.raises(Conflict, match="comes out the same"):
        await review(office, appeal_id, True, poverty_index=800.0)
    answer = await review(office, appeal_id, True, poverty_index=600.0)
    assert (answer["state"], answer["back_pay_minor"]) == ("upheld", 2 * 34_000)
    with pytest.raises(Conflict, match="closed"):
        await review(office, appeal_id, False)

    paid = [e["data"] for e in await office.events("salur.entitlement.granted.v1") if e["data"]["kind"] == "back-pay"]
    assert [(p["beneficiary_id"], p["amount_minor"], len(p["components"])) for p in paid] == [
        (derived_id("a"), 68_000, 2)
    ]
    marks = [
        e["data"] for e in await office.events("salur.cycle.granted.v1") if e["data"]["cycle_id"] == paid[0]["cycle_id"]
    ]
    assert [(mark["partition"], mark["amount_minor"]) for mark in marks] == [(n, 68_000) for n in range(PARTITIONS)]
    (decided,) = await office.events("salur.appeal.decided.v1")
    assert (decided["data"]["new_decision_id"], decided["data"]["back_pay_minor"]) == (
        await decision_id(office, "a"),
        68_000,
    )

    # The next cycle pays by the new decision; both decisions come out the same when made again.
    await office.open(await office.cut("1998-3", 2), "1998-3")
    await office.grant()
    third = await office.rows(
        "SELECT e.amount_minor FROM entitlement e JOIN cycle y USING (cycle_id) WHERE y.name = '1998-3'"
    )
    assert [row["amount_minor"] for row in third] == [34_000, 34_000]
    async with office.db.connection() as conn:
        replayed = await replay_page(conn, office.rules, None, (0, "", 0, ""), 10)
        told = (await appeals.statistics_view(conn, REVIEWER))["statistics"]
        view = await appeals.appeal_view(conn, office.keys, REVIEWER, appeal_id)
    assert (replayed["replayed"], replayed["agreed"]) == (3, 3)
    assert [(row["appeals"], row["upheld"], row["overturned_share"], row["back_pay_minor"]) for row in told] == [
        (1, 1, 1.0, 68_000)
    ]
    assert view["statement"] == "Kami tidak pernah punya mobil."
    sealed = await office.rows("SELECT 1 FROM event WHERE position(convert_to('mobil', 'UTF8') IN body) > 0")
    assert not sealed


async def test_a_decision_overturned_against_the_family_lowers_what_was_granted_even_if_it_is_paid(
    office: Office,
) -> None:
    """Not while the cycle is being granted: who is counted in it must not change."""
    await office.publish()
    await office.take(household("a", enrolled=[True, True]))
    cycle = await office.open(await office.cut("1998-1", 1))
    appeal_id = await appeal(office, await decision_id(office, "a"))
    with pytest.raises(Conflict, match="is being granted"):
        await review(office, appeal_id, True, poverty_index=900.0)
    await office.grant()
    answer = await review(office, appeal_id, True, poverty_index=900.0)
    assert answer["back_pay_minor"] == 0
    (change,) = await office.events("salur.entitlement.cancelled.v1")
    told = {name: change["data"][name] for name in ("cycle_id", "beneficiary_id", "reason", "retroactive")}
    assert told == {
        "cycle_id": cycle["cycle_id"], "beneficiary_id": derived_id("a"), "reason": "decision-overturned",
        "retroactive": True,
    }  # fmt: skip
    assert change["cause"] == appeal_id


async def test_what_was_paid_already_is_not_paid_back_and_a_dismissed_appeal_pays_nothing(office: Office) -> None:
    await office.publish()
    await office.take(household("a", enrolled=[True, None]))
    await office.open(await office.cut("1998-1", 1))
    await office.grant()
    dismissed = await review(office, await appeal(office, await decision_id(office, "a")), False)
    assert (dismissed["state"], dismissed["back_pay_minor"], dismissed["new_decision_id"]) == ("dismissed", 0, None)
    appeal_id = await appeal(office, await decision_id(office, "a"))
    with pytest.raises(Invalid, match="do not belong to the household"):
        await review(office, appeal_id, True, members={"f" * 32: {"enrolled": True}})
    answer = await review(office, appeal_id, True, members={derived_id("a", "1"): {"enrolled": True}})
    assert answer["back_pay_minor"] == 14_000


async def test_an_appeal_comes_in_time_and_from_somebody_who_may_see_the_decision(office: Office) -> None:
    await office.publish()
    await office.take(household("a", poverty_index=900.0))
    mine = await decision_id(office, "a")
    elsewhere = Caller("person:registrar", frozenset({"registrar"}), ("35",), "r")
    for wrong, caller in ((mine, elsewhere), ("f" * 32, OFFICER)):
        with pytest.raises(NotFound):
            await appeal(office, wrong, caller=caller)
    await office.rows("UPDATE decision SET decided_at = now() - interval '91 days'")
    with pytest.raises(Conflict, match="the 90 days to object"):
        await appeal(office, mine)

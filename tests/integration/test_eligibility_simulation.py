"""A simulation counts what a publication would do, and touches nothing. Real PostgreSQL, real processes."""

from pathlib import Path
from typing import Any

import pytest

from salur.common.contracts.registry import HouseholdMerged
from salur.common.database import Database
from salur.common.errors import Invalid
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.eligibility.simulating import simulate
from salur.eligibility.usecases.simulations import answer, ask, next_question, question_of, simulation_view
from salur.local.population.files import body
from salur.local.population.generate import households
from support.eligibility import Office, registered

pytestmark = pytest.mark.integration

FOLDER = Path(__file__).parents[2] / "services" / "eligibility" / "programmes"
PKH = (FOLDER / "pkh.yaml").read_text(encoding="utf-8")
STRICTER = PKH.replace("when: decile <= 4", "when: decile <= 2")
FAMILIES = 400


@pytest.fixture
async def office(db: Database, database_url: str, keys: Secrets) -> Office:
    office = await Office.build(db, database_url, keys)
    await office.publish(PKH)
    await office.take(*(registered(number, body(family)) for number, family in enumerate(households(FAMILIES, 1))))
    return office


async def simulated(office: Office, url: str, rules: str, **more: str) -> dict[str, Any]:
    async with office.db.transaction() as conn:
        asked = await ask(conn, rules, more.get("against"), more.get("reference"), actor="person:officer", cause="r")
        question = await next_question(conn)
    assert question is not None
    whole = await simulate(url, question_of(question), processes=2)
    async with office.db.transaction() as conn:
        await office.store.append(conn, await answer(conn, question, whole.result()))
        view = await simulation_view(conn, str(asked["simulation_id"]))
    assert view["state"] == "done"
    result: dict[str, Any] = view["result"]
    return result


async def decided(office: Office) -> tuple[int, int]:
    row = (
        await office.rows(
            "SELECT count(*) FILTER (WHERE enrolled) AS n, sum(amount_minor)::bigint AS amount FROM decision"
            " JOIN programme p ON number = programme AND in_force"
        )
    )[0]
    return row["n"], row["amount"]


async def test_it_says_what_publishing_then_does_and_writes_nothing_else(office: Office, database_url: str) -> None:
    before = await office.rows("SELECT count(*) FROM decision UNION ALL SELECT count(*) FROM programme")
    result = await simulated(office, database_url, STRICTER)
    assert await office.rows("SELECT count(*) FROM decision UNION ALL SELECT count(*) FROM programme") == before
    current, proposed = result["current"], result["proposed"]
    assert (current["beneficiaries"], current["amount_minor"]) == await decided(office)
    await office.publish(STRICTER)
    await office.backfill()
    assert (proposed["beneficiaries"], proposed["amount_minor"]) == await decided(office)

    assert result["families"] == FAMILIES
    assert result["gain"] == {}
    lost = result["lose"]
    assert lost["all"]["families"] == current["beneficiaries"] - proposed["beneficiaries"] > 0
    assert lost["decile"].keys() == {"3", "4"}
    for dimension in ("sex", "age", "disability"):
        assert sum(lost[dimension].values()) == lost["all"]["persons"]
    assert proposed["funds_minor"] == {"apbn": proposed["amount_minor"]}
    # The programme's reference is decile 1 to 4: leaving 3 and 4 out is an error of exclusion, never of inclusion.
    indicators = proposed["indicators"]
    assert indicators["decile"]["3"]["exclusion_error"] == 1.0
    assert indicators["all"]["families"]["inclusion_error"] == 0.0
    (event,) = await office.events("salur.simulation.done.v1")
    assert event["data"]["families_lose"] == lost["all"]["families"]


async def test_two_versions_may_be_compared_against_any_reference(office: Office, database_url: str) -> None:
    result = await simulated(office, database_url, PKH, against=STRICTER, reference="decile <= 1")
    assert result["lose"] == {}
    assert result["gain"]["decile"].keys() == {"3", "4"}
    assert result["proposed"]["indicators"]["decile"]["2"]["inclusion_error"] == 1.0
    assert result["current"]["indicators"]["decile"]["1"]["inclusion_error"] == 0.0


async def test_a_programme_nobody_has_published_helps_nobody_today(office: Office, database_url: str) -> None:
    pip = (FOLDER / "pip.yaml").read_text(encoding="utf-8")
    result = await simulated(office, database_url, pip)
    assert result["current"]["beneficiaries"] == 0
    assert result["proposed"]["beneficiaries"] == result["gain"]["all"]["persons"] > result["gain"]["all"]["families"]
    assert result["gain"]["age"].keys() <= {"6-14", "15-24"}


async def test_households_that_ended_are_not_counted(office: Office, database_url: str) -> None:
    gone = HouseholdMerged(
        household_id=derived_id("family-0"), version=2, into=derived_id("family-1"), merge_id="e" * 32, same=[]
    )
    await office.take(gone)
    assert (await simulated(office, database_url, STRICTER))["families"] == FAMILIES - 1


@pytest.mark.parametrize(
    ("rules", "reference", "reason"),
    [(PKH.replace("decile <= 4", "decil <= 4"), None, "reads 'decil'"), (PKH, "age > 60", "reference: reads 'age'")],
)
async def test_a_question_that_does_not_check_is_refused(
    office: Office, rules: str, reference: str | None, reason: str
) -> None:
    async with office.db.transaction() as conn:
        with pytest.raises(Invalid, match=reason):
            await ask(conn, rules, None, reference, actor="person:officer", cause="r")

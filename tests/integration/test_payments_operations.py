"""What waits and for whom, and what recipients say, on the real database."""

import pytest

from salur.common.database import Database
from salur.common.secrets import Secrets
from salur.common.values import payment_id
from salur.payments.usecases import confirmations, views
from salur.payments.usecases.confirmations import Answer
from support.payments import AMOUNT_MINOR, BANKS, CYCLE, IMPATIENT, House, answer, entitlement

pytestmark = pytest.mark.integration


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    return await House.build(db, database_url, keys)


async def test_the_backlog_names_each_bank_and_the_age_of_its_oldest(house: House) -> None:
    """Bank A is silent about 2 and asked about them; bank B still has time for 1 and sent something we cannot use."""
    await house.instructed(4)
    await house.answers([answer(1), (BANKS[1], b"rubbish")])
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE payment SET answer_due_at = now() WHERE bank = $1", BANKS[0])
    await house.inquire(IMPATIENT)
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE payment SET changed_at = now() - interval '90 s' WHERE state = 'unknown'")
        rows = (await views.backlog(conn))["backlog"]
    seen = {(row["what"], row["bank"]): row["count"] for row in rows}
    assert seen == {("unknown", BANKS[0]): 2, ("instructed", BANKS[1]): 1, ("suspense", BANKS[1]): 1}
    assert next(row["age_s"] for row in rows if row["what"] == "unknown") in range(89, 120)


async def test_recipients_are_asked_and_a_difference_becomes_a_case(house: House) -> None:
    """All six are asked; five answer, one of them twice; one got half, one nothing."""
    await house.instructed(6)
    await house.answers([answer(number) for number in range(6)])
    async with house.db.transaction() as conn:
        assert (await confirmations.ask(conn, CYCLE, 100))["asked"] == 6
        assert (await confirmations.ask(conn, CYCLE, 100))["asked"] == 0
    said = {0: AMOUNT_MINOR, 1: AMOUNT_MINOR, 2: AMOUNT_MINOR, 3: AMOUNT_MINOR // 2, 4: 0}
    told = [Answer(payment_id(entitlement(number), 1), "agent", amount) for number, amount in said.items()]
    taken = await house.run(confirmations.take, [*told, Answer(told[0].payment_id, "upload", 0)])
    assert taken == {"taken": 5, "differing": 2}
    assert (await house.run(confirmations.take, told))["taken"] == 0
    async with house.db.connection() as conn:
        rate = await confirmations.rate(conn, CYCLE)
        assert (await views.cycle_standing(conn, CYCLE))["receipts"] | {"cycle_id": CYCLE} == rate
        assert await confirmations.recent_rates(conn, 5) == [
            {"cycle_id": CYCLE, "asked": 6, "answered": 5, "confirmed": 3}
        ]
    assert (rate["asked"], rate["answered"], rate["confirmed"], rate["confirmed_share"]) == (6, 5, 3, 0.6)
    cases = await house.events("salur.money-case.opened.v1")
    assert sorted(case["amount_minor"] for case in cases) == [AMOUNT_MINOR // 2, AMOUNT_MINOR]
    assert set((await house.states()).values()) == {"settled"}


async def test_a_sample_is_the_same_whoever_asks(house: House) -> None:
    await house.instructed(40)
    await house.answers([answer(number) for number in range(40)])
    async with house.db.transaction() as conn:
        asked = (await confirmations.ask(conn, CYCLE, 25))["asked"]
        assert 0 < asked < 30
        assert (await confirmations.ask(conn, CYCLE, 25))["asked"] == 0

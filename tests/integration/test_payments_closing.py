"""The daily close, what was put aside, withdrawals and re-routes, and why somebody is not paid in every state."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from salur.common.auth import Caller
from salur.common.database import Database
from salur.common.errors import Conflict
from salur.common.secrets import Secrets
from salur.common.values import payment_id
from salur.payments.domain.lists import WHO_MUST_ACT
from salur.payments.domain.machine import MOVES
from salur.payments.usecases import closing, gate, reconcile, views, withdraw
from salur.payments.usecases.proposals import Person
from support.payments import (
    AMOUNT_MINOR,
    BANKS,
    CHECKER,
    CURRENCY,
    IMPATIENT,
    House,
    answer,
    beneficiary,
    entitlement,
    instruction,
    line,
    payee,
)

pytestmark = pytest.mark.integration
TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)
SIGNER = Person(CHECKER, "request-c")
ANYBODY = Caller("person:x", frozenset(), (), "r")


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    return await House.build(db, database_url, keys)


async def test_a_day_is_closed_when_it_adds_up_and_every_break_has_an_owner(house: House) -> None:
    """One disputed, one returned, one in flight: carried over by name. Closed once, and as it was read."""
    await house.instructed(6)
    await house.answers([answer(number) for number in range(5)])
    await house.answers([answer(1, "RTRN", reason="AC04", bank_reference="RET-1")])
    lines = [line(number) for number in (2, 4)]
    assert (await house.statement(BANKS[0], lines))["breaks"] == 1
    with pytest.raises(Conflict) as raised:
        await house.run(closing.close_day, YESTERDAY, SIGNER)
    assert raised.value.code == "break-without-owner"
    ((break_id,),) = await house.fetch("SELECT break_id FROM recon_break")
    async with house.db.transaction() as conn:
        await reconcile.own_break(conn, break_id, "person:owner")
    closed = await house.run(closing.close_day, YESTERDAY, SIGNER)
    (total,) = closed["totals"]
    assert set(total["differences"].values()) == {0}
    assert (total["settled_minor"], total["in_flight_minor"]) == (3 * AMOUNT_MINOR, AMOUNT_MINOR)
    assert [(row["owner"], row["count"]) for row in closed["carried_breaks"]] == [("person:owner", 1)]
    (fact,) = await house.events("salur.day.closed.v1")
    assert (fact["carried_breaks"], fact["settled_minor"]) == (1, {CURRENCY: 3 * AMOUNT_MINOR})
    await house.answers([answer(5)])
    again = await house.run(closing.close_day, YESTERDAY, Person("person:late", "r"))
    assert (again["closed_by"], again["totals"]) == (CHECKER, closed["totals"])
    for day in (TODAY, YESTERDAY - timedelta(days=1)):
        with pytest.raises(Conflict) as refused:
            await house.run(closing.close_day, day, SIGNER)
        assert refused.value.code == "day-not-closable"


async def test_what_does_not_add_up_is_never_closed(house: House) -> None:
    """A superuser's hand in the payments' table: the ledger disagrees."""
    await house.instructed(2)
    await house.answers([answer(0), answer(1)])
    async with house.db.transaction() as conn:
        await conn.execute(
            "UPDATE payment SET amount_minor = amount_minor - 1 WHERE instruction_id = $1", instruction(0)
        )
    with pytest.raises(Conflict) as raised:
        await house.run(closing.close_day, YESTERDAY, SIGNER)
    assert raised.value.code == "totals-differ"
    assert await house.fetch("SELECT day FROM day_close") == []


async def test_what_was_put_aside_ends_with_a_finding_and_moves_nothing(house: House) -> None:
    await house.instructed(1)
    await house.answers([answer(0, amount_minor=1)])
    ((suspense_id,),) = await house.fetch("SELECT suspense_id FROM suspense")
    await house.run(closing.end_suspense, suspense_id, "the bank withdrew it", SIGNER)
    await house.run(closing.end_suspense, suspense_id, "the bank withdrew it", SIGNER)
    with pytest.raises(Conflict):
        await house.run(closing.end_suspense, suspense_id, "another finding", SIGNER)
    assert len(await house.events("salur.bank-result.suspense-ended.v1")) == 1
    assert set((await house.states()).values()) == {"instructed"}
    async with house.db.connection() as conn:
        assert {row["what"] for row in (await views.backlog(conn))["backlog"]} == {"instructed"}


async def test_two_people_withdraw_or_re_route_what_a_bank_was_told_and_its_word_decides(house: House) -> None:
    """0 is withdrawn for good; 1 goes to another bank, once there is another account; 2 the bank had paid already."""
    await house.act(gate.SET_RULE, "test-programme", cool_off_s=0)
    await house.instructed(3)
    payments = [payment_id(entitlement(number), 1) for number in range(3)]
    await house.act(withdraw.WITHDRAW, payments[0])
    with pytest.raises(Conflict) as raised:
        await house.act(withdraw.REROUTE, payments[1])
    assert (raised.value.code, raised.value.who) == ("same-account", "registrar")
    await house.fetch("UPDATE proposal SET state = 'refused', decided_by = 'person:x' WHERE state = 'open' RETURNING 1")
    await house.take_payees([payee(1, version=2, bank=BANKS[0], account_token="e" * 64)])
    await house.act(withdraw.REROUTE, payments[1])
    await house.act(withdraw.WITHDRAW, payments[2])
    await house.inquire(IMPATIENT)
    closed: dict[str, Any] = {"reason": "NOOR", "inquiry": 1, "bank_reference": None}
    await house.answers([answer(0, "RJCT", **closed), answer(1, "RJCT", **closed), answer(2, inquiry=1)])
    assert (await house.paid_by_follow_up())["items"] == 1
    rows = await house.fetch("SELECT instruction_id, bank, state FROM payment ORDER BY state, instruction_id")
    told = {row["instruction_id"]: (row["bank"], row["state"]) for row in rows}
    assert told[f"{instruction(1)[:-3]}002"] == (BANKS[0], "instructed")
    assert (told[instruction(0)][1], told[instruction(2)][1]) == ("rejected", "settled")
    with pytest.raises(Conflict):
        await house.act(withdraw.WITHDRAW, payments[0])
    await house.check_books()


async def test_every_state_says_why_and_who_must_act(house: House) -> None:
    states = {*MOVES, "not-listed", "building", "locked", "submitted", "held"}
    for state in states:
        for hold in WHO_MUST_ACT if state == "held" else [None]:
            why, who = views.explain(state, hold, "AC04")
            assert why, state
            assert who, state
    await house.instructed(1)
    await house.answers([answer(0, "RJCT", reason="AC04", bank_reference=None)])
    async with house.db.connection() as conn:
        (row,) = (await views.beneficiary_view(conn, ANYBODY, beneficiary(0)))["entitlements"]
    assert (row["state"], row["who_must_act"], row["reason"]) == ("rejected", "registrar", "AC04")
    assert row["age_s"] >= 0

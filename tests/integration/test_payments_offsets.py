"""An agreed offset is taken from a person's next payments until it is paid off; books and trail agree."""

from typing import Any

import pytest

from salur.audit.domain.ledger import Ledger
from salur.common.auth import Caller
from salur.common.database import Database
from salur.common.secrets import Secrets
from salur.common.values import derived_id, payment_id
from salur.payments import ledger
from salur.payments.usecases import claims, money_cases, views
from salur.payments.usecases.late import Change, take_changes
from support.payments import AMOUNT_MINOR, CYCLE, House, answer, entitlement, instruction, line

pytestmark = pytest.mark.integration
HALF = AMOUNT_MINOR // 2
SECOND, THIRD, FOURTH = (derived_id("cycle", str(number)) for number in (2, 3, 4))
EVERYTHING = Caller("person:x", frozenset(), (), "r")


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    house = await House.build(db, database_url, keys)
    await house.instructed(3)
    await house.answers([answer(number) for number in range(3)])
    return house


async def changed(house: House, number: int, due_minor: int, change: str = "c", cycle: str = CYCLE) -> None:
    async with house.db.transaction() as conn:
        told = Change(f"{change}-{number}", entitlement(number, cycle), due_minor, "wrong-count")
        await house.store.append(conn, await take_changes(conn, [told]))


async def offset(house: House, number: int, percent: int = 30, notice_days: int = 0) -> str:
    """Half of a person's first payment was not due; two people let it be offset. Returns the case."""
    await changed(house, number, HALF)
    (row,) = await house.fetch(
        "SELECT case_id FROM money_case WHERE payment_id = $1 AND state = 'open'", payment_id(entitlement(number), 1)
    )
    agreed: dict[str, Any] = {"resolution": "offset", "percent_max": percent, "notice_days": notice_days}
    await house.act(money_cases.CASE_RESOLVE, row["case_id"], **agreed)
    return str(row["case_id"])


async def cycle_paid(house: House, cycle: str) -> dict[int, int]:
    """A cycle of three equal entitlements is listed, paid and credited. Returns minor units by person."""
    await house.pay(await house.next_cycle(cycle, [AMOUNT_MINOR] * 3))
    paid = await amounts(house, cycle)
    await house.answers([credit(number, cycle, paid[number]) for number in range(3)])
    return paid


async def amounts(house: House, cycle: str) -> dict[int, int]:
    rows = await house.fetch("SELECT entitlement_id, amount_minor FROM payment WHERE cycle_id = $1", cycle)
    by_entitlement = {row["entitlement_id"]: row["amount_minor"] for row in rows}
    return {number: by_entitlement[entitlement(number, cycle)] for number in range(3)}


def credit(number: int, cycle: str, amount_minor: int, status: str = "ACCC", **more: Any) -> tuple[str, bytes]:
    named: dict[str, Any] = {"instruction_id": instruction(number, cycle), "amount_minor": amount_minor} | more
    message = f"{status}-{named['instruction_id']}"
    return answer(number, status, message=message, **named)


async def open_of(house: House, case: str) -> int:
    (row,) = await house.fetch("SELECT open_minor FROM claim WHERE case_id = $1", case)
    return int(row["open_minor"])


async def books(house: House) -> dict[str, Any]:
    """The fund's figures, once its books hold and the trail alone leads to the same movements."""
    fund = await house.check_books()
    async with house.db.connection() as conn:
        bodies = [row["body"] for row in await conn.fetch("SELECT body FROM event ORDER BY id")]
        assert Ledger.of(bodies).hash() == await ledger.moved_hash(conn)
    return fund


async def test_it_is_taken_from_the_next_payments_until_it_is_paid_off(house: House) -> None:
    """5,000 are owed, at most 30 % of 10,000 is kept back: 3,000, then 2,000, then nothing. Nobody else is paid less,
    no money leaves the fund for what was kept back, and each payment says what it is less by and why.
    """
    case = await offset(house, 0)
    assert await cycle_paid(house, SECOND) == {0: 7_000, 1: AMOUNT_MINOR, 2: AMOUNT_MINOR}
    assert await open_of(house, case) == 2_000
    after = await books(house)
    assert (after["claims_minor"], after["recovered_minor"]) == (2_000, 0)
    assert after["settled_minor"] == 6 * AMOUNT_MINOR - 3_000
    assert await cycle_paid(house, THIRD) == {0: 8_000, 1: AMOUNT_MINOR, 2: AMOUNT_MINOR}
    assert await open_of(house, case) == 0
    assert await cycle_paid(house, FOURTH) == dict.fromkeys(range(3), AMOUNT_MINOR)
    assert (await books(house))["claims_minor"] == 0
    async with house.db.connection() as conn:
        view = await views.payment_view(conn, EVERYTHING, payment_id(entitlement(0, SECOND), 1))
    assert (view["amount_minor"], view["offset_minor"]) == (7_000, 3_000)
    assert [(cut["case_id"], cut["taken_minor"], cut["state"]) for cut in view["offsets"]] == [(case, 3_000, "taken")]
    told = await house.events("salur.payment.settled.v1")
    assert sorted(fact["offset_minor"] for fact in told if fact.get("offset_minor")) == [2_000, 3_000]
    reduced = await house.events("salur.claim.reduced.v1")
    assert sorted((fact["how"], fact["number"], fact["amount_minor"]) for fact in reduced) == [
        ("set-off", 1, 3_000), ("set-off", 2, 2_000),
    ]  # fmt: skip
    assert (await house.fetch("SELECT 1 FROM money_case WHERE state = 'open'")) == []


async def test_before_its_notice_is_over_nothing_is_taken(house: House) -> None:
    case = await offset(house, 0, notice_days=1)
    assert await cycle_paid(house, SECOND) == dict.fromkeys(range(3), AMOUNT_MINOR)
    assert await open_of(house, case) == HALF


async def test_what_a_failed_or_returned_payment_bore_is_owed_again_and_taken_by_its_next_attempt(house: House) -> None:
    refused, back = await offset(house, 0), await offset(house, 1)
    await house.pay(await house.next_cycle(SECOND, [AMOUNT_MINOR] * 3))
    await house.answers([
        credit(0, SECOND, 7_000, "RJCT", reason="AC04", bank_reference=None), credit(1, SECOND, 7_000),
        credit(1, SECOND, 7_000, "RTRN", reason="AC04", bank_reference="RET"), credit(2, SECOND, AMOUNT_MINOR),
    ])  # fmt: skip
    assert (await open_of(house, refused), await open_of(house, back)) == (HALF, HALF)
    await books(house)
    for number in (0, 1):
        await house.decide_item(number, "retry", cycle=SECOND)
    await house.pay(await house.follow_up(cycle=SECOND))
    again = {number: f"{instruction(number, SECOND)[:-3]}002" for number in (0, 1)}
    await house.answers([credit(number, SECOND, 7_000, instruction_id=name) for number, name in again.items()])
    assert (await open_of(house, refused), await open_of(house, back)) == (2_000, 2_000)
    assert (await books(house))["claims_minor"] == 4_000


async def test_two_lists_never_take_the_same_money_and_a_held_item_frees_it(house: House) -> None:
    """Two lists wait at once: together they plan no more than is owed; a change that holds an item frees its part."""
    case = await offset(house, 0)
    second = await house.next_cycle(SECOND, [AMOUNT_MINOR] * 3)
    third = await house.next_cycle(THIRD, [AMOUNT_MINOR] * 3)
    planned = await house.fetch("SELECT amount_minor FROM list_offset WHERE case_id = $1 ORDER BY amount_minor", case)
    assert [row["amount_minor"] for row in planned] == [2_000, 3_000]
    await changed(house, 0, AMOUNT_MINOR - 1, "later", SECOND)
    fourth = await house.next_cycle(FOURTH, [AMOUNT_MINOR] * 3)
    for built in (second, third, fourth):
        await house.pay(built)
    assert [(await amounts(house, cycle))[0] for cycle in (THIRD, FOURTH)] == [8_000, 7_000]


async def test_what_is_kept_back_is_no_difference_to_what_is_due(house: House) -> None:
    """A later change of a payment that bore an offset counts what was kept back as paid."""
    await offset(house, 0)
    await cycle_paid(house, SECOND)
    await changed(house, 0, AMOUNT_MINOR - 500, "later", SECOND)
    rows = await house.fetch("SELECT kind, amount_minor FROM money_case WHERE state = 'open'")
    assert [(row["kind"], row["amount_minor"]) for row in rows] == [("overpayment", 500)]


async def test_what_was_kept_back_and_is_owed_no_more_belongs_to_the_person(house: House) -> None:
    """The person paid back at the counter while a list was under way: what it kept back is a case, and is paid."""
    case = await offset(house, 0)
    await house.pay(await house.next_cycle(SECOND, [AMOUNT_MINOR] * 3))
    await house.act(claims.REDUCE, case, how="recovered", amount_minor=HALF)
    await house.answers([credit(0, SECOND, 7_000), credit(1, SECOND, AMOUNT_MINOR), credit(2, SECOND, AMOUNT_MINOR)])
    await paid_out(house, SECOND, 3_000, "set-off-not-owed")
    fund = await books(house)
    assert fund["settled_minor"] == 6 * AMOUNT_MINOR


async def paid_out(house: House, cycle: str, amount_minor: int, reason: str) -> None:
    """The one open case is a surplus; two people let it be paid, and a follow-up list pays it whole."""
    (found,) = await house.fetch("SELECT case_id, kind, amount_minor, reason FROM money_case WHERE state = 'open'")
    assert (found["kind"], found["amount_minor"], found["reason"]) == ("surplus", amount_minor, reason)
    await house.act(money_cases.CASE_RESOLVE, found["case_id"], resolution="paid")
    await house.pay(await house.follow_up(cycle=cycle))
    part = await house.fetch("SELECT instruction_id, amount_minor FROM payment WHERE part = 2")
    assert [row["amount_minor"] for row in part] == [amount_minor]
    await house.answers([credit(0, cycle, amount_minor, instruction_id=part[0]["instruction_id"])])


async def test_what_was_paid_back_for_a_payment_that_then_came_back_is_a_case(house: House) -> None:
    """5,000 were paid back and the bank returned the whole payment: the person has nothing of it and 5,000 too little.
    The case pays it out once, the corrected payment is paid beside it, and no later change takes it for an overpayment.
    """
    case = await offset(house, 0)
    await house.act(claims.REDUCE, case, how="recovered", amount_minor=HALF)
    assert (await books(house))["recovered_minor"] == HALF
    await house.answers([answer(0, "RTRN", reason="AC04", bank_reference="R-0")])
    await house.decide_item(0, "retry")
    (found,) = await house.fetch("SELECT case_id, kind, amount_minor FROM money_case WHERE state = 'open'")
    assert (found["kind"], found["amount_minor"]) == ("surplus", HALF)
    await house.act(money_cases.CASE_RESOLVE, found["case_id"], resolution="paid")
    await house.pay(await house.follow_up())
    waiting = await house.fetch(
        "SELECT instruction_id, amount_minor FROM payment WHERE state = 'instructed' ORDER BY part"
    )
    assert [row["amount_minor"] for row in waiting] == [HALF, HALF], "what is due, and what was paid back"
    await house.answers([
        answer(0, message=f"again-{place}", instruction_id=row["instruction_id"], amount_minor=HALF)
        for place, row in enumerate(waiting)
    ])  # fmt: skip
    fund = await books(house)
    assert (fund["settled_minor"], fund["recovered_minor"]) == (3 * AMOUNT_MINOR, HALF)
    await changed(house, 0, HALF - 1, "later")
    (late,) = await house.fetch("SELECT kind, amount_minor FROM money_case WHERE state = 'open'")
    assert (late["kind"], late["amount_minor"]) == ("overpayment", 1)


async def test_a_payment_proven_never_paid_by_the_statement_bore_nothing(house: House) -> None:
    """The bank lied: its statement does not show the payment. What it bore of the claim is owed again."""
    case = await offset(house, 0)
    await cycle_paid(house, SECOND)
    assert await open_of(house, case) == 2_000
    lines = [line(number) for number in (0, 2)] + [
        line(2, line_id="second-2", instruction_id=instruction(2, SECOND))
    ]  # fmt: skip
    await house.statement("bank-a", lines)
    (row,) = await house.fetch("SELECT break_id FROM recon_break WHERE state = 'open'")
    await house.act("break-resolve", row["break_id"], resolution="not-paid")
    assert await open_of(house, case) == HALF
    await books(house)

"""What crosses on its way: a change while banks are being told, a bank's answer while a change is taken, a list while
the one before is still being instructed. One of them is first, and the other one knows."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import patch

import pytest

from salur.common.contracts.eligibility import EntitlementCancelled
from salur.common.database import Database
from salur.common.errors import Conflict
from salur.common.events import Received
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.payments.usecases import gate, inputs, reissue
from support.payments import AMOUNT_MINOR, CYCLE, House, answer, beneficiary, entitlement, instruction, payee, received
from support.waiting import eventually

pytestmark = pytest.mark.integration
PROGRAMME = "test-programme"
ORDER = {"max_minor": AMOUNT_MINOR, "attempts_max": 3, "retry_after_s": 0}


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    house = await House.build(db, database_url, keys)
    await house.act(gate.SET_RULE, PROGRAMME, cool_off_s=0)
    return house


def cancelled(number: int) -> Received:
    fact = EntitlementCancelled(
        change_id=derived_id("change", str(number)), entitlement_id=entitlement(number), cycle_id=CYCLE,
        beneficiary_id=beneficiary(number), reason="deceased", retroactive=True,
    )  # fmt: skip
    return received("eligibility.entitlements", beneficiary(number), fact)


def moved(number: int) -> list[Received]:
    return [payee(number, version=2, account_token=f"{number + 2000:064x}")]


def again(number: int) -> str:
    return f"{instruction(number)[:-3]}002"


async def crossing(house: House, first: Callable[[], Awaitable[Any]], second: Callable[[], Awaitable[Any]]) -> None:
    """`second` begins when `first` has written everything and not committed; it must wait for that."""
    append, written, go_on = house.store.append, asyncio.Event(), asyncio.Event()

    async def held(conn: Any, drafts: Any) -> None:
        await append(conn, drafts)
        if not written.is_set():
            written.set()
            await go_on.wait()

    with patch.object(house.store, "append", held):
        earlier = asyncio.ensure_future(first())
        await written.wait()
        later = asyncio.ensure_future(second())
        await eventually(lambda: somebody_waits(house))
        go_on.set()
        await earlier
        await later


async def somebody_waits(house: House) -> bool:
    return bool(await house.fetch("SELECT 1 FROM pg_locks WHERE NOT granted"))


async def approved(house: House, count: int) -> None:
    await house.open_fund(10**9)
    await house.grant([AMOUNT_MINOR] * count)
    built = await house.build_list()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])


async def test_a_cancelled_entitlement_whose_bank_is_being_told_is_asked_about(house: House) -> None:
    """Its reserve stays until the bank's word; the answers of all banks go on."""
    await approved(house, 2)
    await crossing(house, house.instruct, lambda: house.take_entitlements([cancelled(0)]))
    (asked,) = await house.fetch(
        "SELECT instruction_id, answer_due_at <= now() AS due FROM payment WHERE cancel_reason IS NOT NULL"
    )
    assert (asked["instruction_id"], asked["due"]) == (instruction(0), True)
    await house.check_books()
    await house.answers([answer(0, "RJCT", reason="NOOR", bank_reference=None), answer(1)])
    assert await house.states() == {instruction(0): "rejected", instruction(1): "settled"}
    await house.check_books()


async def test_a_new_account_while_the_bank_is_being_told_the_old_one_is_asked_about(house: House) -> None:
    await approved(house, 1)
    await crossing(house, house.instruct, lambda: house.take_payees(moved(0)))
    (payment,) = await house.fetch("SELECT cancel_reason, answer_due_at <= now() AS due FROM payment")
    assert (payment["cancel_reason"], payment["due"]) == ("payee-changed", True)


async def test_a_bank_is_not_told_the_old_account_when_the_new_one_came_first(house: House) -> None:
    await approved(house, 1)
    written, go_on = asyncio.Event(), asyncio.Event()

    async def change() -> None:
        async with house.db.transaction() as conn:
            await inputs.take_payees(conn, moved(0), house.keys)
            written.set()
            await go_on.wait()

    earlier = asyncio.create_task(change())
    await written.wait()
    later = asyncio.create_task(house.instruct())
    await eventually(lambda: somebody_waits(house))
    go_on.set()
    await earlier
    await later
    assert await house.states() == {}
    (item,) = await house.fetch("SELECT hold FROM list_item")
    assert item["hold"] == "payee-changed"
    await house.check_books()


async def test_what_settles_while_its_cancellation_is_taken_becomes_a_case(house: House) -> None:
    await house.instructed(2)
    await crossing(house, lambda: house.answers([answer(0)]), lambda: house.take_entitlements([cancelled(0)]))
    assert (await house.states())[instruction(0)] == "settled"
    (case,) = await house.fetch("SELECT kind, amount_minor FROM money_case")
    assert tuple(case) == ("overpayment", AMOUNT_MINOR)


async def reissue_listed(house: House) -> dict[str, Any]:
    """The first attempt was rejected; the second stands on a submitted follow-up list."""
    await house.instructed(2)
    await house.answers([answer(0, "RJCT", reason="AC04", bank_reference=None), answer(1)])
    await house.take_payees(moved(0))
    built = await house.follow_up()
    await house.submit(built["list_id"])
    return built


async def test_a_cancelled_entitlement_is_not_issued_again_though_it_was_listed(house: House) -> None:
    built = await reissue_listed(house)
    await house.take_entitlements([cancelled(0)])
    (item,) = await house.fetch("SELECT hold FROM list_item WHERE list_id = $1", built["list_id"])
    assert item["hold"] == "entitlement-changed"
    await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()
    assert again(0) not in await house.states()
    await house.check_books()


@pytest.mark.parametrize(("act", "hold"), [("hold", "held-by-person"), ("cancel", "cancelled")])
async def test_a_person_can_stop_a_payment_that_is_listed_to_be_issued_again(house: House, act: str, hold: str) -> None:
    built = await reissue_listed(house)
    await house.decide_item(0, act)
    (item,) = await house.fetch("SELECT hold FROM list_item WHERE list_id = $1", built["list_id"])
    assert item["hold"] == hold
    await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()
    assert again(0) not in await house.states()
    await house.check_books()


async def test_nothing_is_listed_again_before_the_approved_list_is_instructed(house: House) -> None:
    """Else both lists would hold the same attempt, and nobody's list could be instructed any more."""
    await house.act(reissue.SET_ORDER, PROGRAMME, **ORDER)
    await house.instructed(2)
    await house.answers([answer(0, "RJCT", reason="AC04", bank_reference=None), answer(1)])
    await house.take_payees(moved(0))
    async with house.db.connection() as conn:
        order = await reissue.next_order(conn, "")
    assert await house.run(reissue.reissue, order, house.banks, 3600)
    async with house.db.connection() as conn:
        assert await reissue.next_order(conn, "") is None
    with pytest.raises(Conflict):
        await house.run(reissue.reissue, order, house.banks, 3600)
    with pytest.raises(Conflict):
        await house.follow_up()
    await house.instruct()
    assert (await house.states())[again(0)] == "instructed"

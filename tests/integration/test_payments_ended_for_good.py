"""What people ended, withdrew or stopped is not paid again, whatever comes after; on the real database."""

from collections.abc import Sequence

import pytest

from salur.common.database import Database
from salur.common.errors import Conflict
from salur.common.events import Received
from salur.common.secrets import Secrets
from salur.common.values import payment_id
from salur.payments.usecases import endings, gate, stop, withdraw
from support.payments import AMOUNT_MINOR, CYCLE, House, answer, entitlement, instruction, payee

pytestmark = pytest.mark.integration
PROGRAMME = "test-programme"


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    house = await House.build(db, database_url, keys)
    await house.act(gate.SET_RULE, PROGRAMME, cool_off_s=0)
    return house


def moved(number: int, version: int = 2) -> list[Received]:
    """The payee has another account."""
    return [payee(number, version=version, account_token=f"{number + 1000 * version:064x}")]


def again(number: int, attempt: int = 2) -> str:
    return f"{instruction(number)[:-3]}{attempt:03d}"


def paid(number: int) -> str:
    return payment_id(entitlement(number), 1)


async def returned(house: House) -> None:
    """Two payments settled; the first came back and its payee has another account."""
    await house.instructed(2)
    await house.answers([answer(0), answer(1)])
    await house.answers([answer(0, "RTRN", reason="AC04", bank_reference="RET-0")])
    await house.take_payees(moved(0))


async def nothing_follows(house: House) -> None:
    with pytest.raises(Conflict) as nothing:
        await house.follow_up()
    assert nothing.value.code == "list-empty"


async def closed_by_the_bank(house: House, numbers: Sequence[int]) -> None:
    await house.answers([answer(number, "RJCT", reason="NOOR", bank_reference=None) for number in numbers])


@pytest.mark.parametrize("news_first", [True, False])
async def test_a_withdrawn_payment_stays_withdrawn_when_its_payee_changes(house: House, news_first: bool) -> None:
    """Two people withdraw it, a new payee version comes before or after the bank closed it. Only `retry` pays it."""
    await house.instructed(2)
    await house.act(withdraw.WITHDRAW, paid(0))
    if news_first:
        await house.take_payees([payee(0, version=2)])
    await closed_by_the_bank(house, [0])
    await house.answers([answer(1)])
    if not news_first:
        await house.take_payees([payee(0, version=2)])
    await nothing_follows(house)
    await house.decide_item(0, "retry")
    assert (await house.paid_by_follow_up())["items"] == 1
    assert (await house.states())[again(0)] == "instructed"
    await house.check_books()


async def test_a_stopped_list_stays_stopped_when_its_payees_change(house: House) -> None:
    """Banks close what was in flight; new accounts of its payees bring none of it back."""
    list_id = await house.instructed(2)
    await house.act(stop.STOP, list_id)
    await house.take_payees([*moved(0), *moved(1)])
    await closed_by_the_bank(house, [0, 1])
    assert {row["cancel_reason"] for row in await house.fetch("SELECT cancel_reason FROM payment")} == {"list-stopped"}
    await nothing_follows(house)


async def test_people_may_still_re_route_what_was_withdrawn(house: House) -> None:
    """A newer decision of two people counts: withdrawn, then re-routed, it goes to the other account."""
    await house.instructed(1)
    await house.act(withdraw.WITHDRAW, paid(0))
    await house.take_payees(moved(0))
    await house.act(withdraw.REROUTE, paid(0))
    await closed_by_the_bank(house, [0])
    assert (await house.paid_by_follow_up())["items"] == 1


@pytest.mark.parametrize("approved", [True, False])
@pytest.mark.parametrize("act", [endings.TO_TREASURY, endings.CANCEL_FAILED])
async def test_what_a_list_is_about_to_pay_again_does_not_end(house: House, act: str, approved: bool) -> None:
    """The next attempt stands on a list that is undecided, or that no bank was told of: neither way to end is open.

    The fund pays once: to the beneficiary.
    """
    await returned(house)
    built = await house.follow_up()
    await house.submit(built["list_id"])
    if approved:
        await house.approve(built["list_id"], built["content_hash"])
    with pytest.raises(Conflict) as listed:
        await house.act(act, paid(0))
    assert listed.value.code == "listed-again"
    if not approved:
        await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()
    await house.answers([answer(0, message="second", instruction_id=again(0))])
    assert await house.states() == {
        instruction(0): "returned", again(0): "settled", instruction(1): "settled",
    }  # fmt: skip
    fund = await house.check_books()
    assert (fund["settled_minor"], fund["to_treasury_minor"]) == (2 * AMOUNT_MINOR, 0)


async def test_once_that_list_is_refused_the_payment_ends_and_stays_ended(house: House) -> None:
    """The list is refused, the money goes to the treasury, another account comes: no list pays it."""
    await returned(house)
    built = await house.follow_up()
    await house.submit(built["list_id"])
    await house.refuse(built["list_id"])
    await house.act(endings.TO_TREASURY, paid(0))
    await house.take_payees(moved(0, 3))
    await nothing_follows(house)
    fund = await house.check_books()
    assert (fund["settled_minor"], fund["to_treasury_minor"]) == (AMOUNT_MINOR, AMOUNT_MINOR)


async def test_a_held_next_attempt_is_not_paid_after_the_cycle_ended_its_failed_payments(house: House) -> None:
    """The next attempt was held when it was to be instructed; then the cycle's failed payments end for good."""
    await returned(house)
    built = await house.follow_up()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    await house.take_payees(moved(0, 3))
    await house.instruct()
    assert [row["hold"] for row in await house.fetch("SELECT hold FROM list_item WHERE attempt = 2")] == [
        "payee-changed"
    ]
    assert (await house.act(endings.END_CYCLE, CYCLE))["to_treasury"] == 1
    await nothing_follows(house)
    assert await house.states() == {instruction(0): "treasury", instruction(1): "settled"}
    await house.check_books()


async def test_a_held_next_attempt_is_paid_when_nobody_ended_the_payment(house: House) -> None:
    """The same without the end: the follow-up list pays the attempt that was held, once."""
    await returned(house)
    built = await house.follow_up()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    await house.take_payees(moved(0, 3))
    await house.instruct()
    assert (await house.paid_by_follow_up())["items"] == 1
    assert (await house.states())[again(0)] == "instructed"

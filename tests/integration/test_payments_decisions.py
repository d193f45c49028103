"""How long a decision on a payment counts: for the account it was about, and beyond the list it was made on."""

from typing import Any

import pytest

from salur.common.database import Database
from salur.common.errors import Conflict
from salur.common.events import Received
from salur.common.secrets import Secrets
from salur.payments.usecases import checks, gate
from support.payments import AMOUNT_MINOR, House, entitlement, instruction, payee

pytestmark = pytest.mark.integration
PROGRAMME = "test-programme"


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    """Two payments are due."""
    house = await House.build(db, database_url, keys)
    await house.open_fund(10**9)
    await house.grant([AMOUNT_MINOR] * 2)
    return house


def moved(number: int, version: int) -> list[Received]:
    """The payee has another account."""
    return [payee(number, version=version, account_token=f"{number + 1000 * version:064x}")]


async def nothing_follows(house: House) -> None:
    with pytest.raises(Conflict) as nothing:
        await house.follow_up()
    assert nothing.value.code == "list-empty"


async def refused(house: House, list_id: str) -> None:
    await house.submit(list_id)
    await house.refuse(list_id)


async def paid(house: House, built: dict[str, Any]) -> None:
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()


async def test_a_release_counts_for_the_account_it_was_about(house: House) -> None:
    """Held for a new account, released, and the account changes once more: it is held until somebody looks again."""
    await house.act(gate.SET_RULE, PROGRAMME, cool_off_s=3600)
    await house.take_payees(moved(0, 2))
    built = await house.build_list()
    assert built["held"] == {"account-changed": 1}
    await paid(house, built)
    await house.decide_item(0, "release")
    await house.take_payees(moved(0, 3))
    await nothing_follows(house)
    await house.decide_item(0, "release")
    await house.decide_item(0, "release")
    told = await house.events("salur.payment.decided.v1")
    assert [fact["act"] for fact in told] == ["release", "release"], "the same again is a repeat"
    assert (await house.paid_by_follow_up())["items"] == 1
    (row,) = await house.fetch("SELECT payee_version FROM list_item WHERE rank IS NOT NULL AND payee_version > 1")
    assert row["payee_version"] == 3


async def test_a_release_that_is_not_about_the_account_outlives_a_change_of_it(house: House) -> None:
    """A closed region was released; another account changes nothing about that."""
    await house.act(gate.SET_RULE, PROGRAMME, cool_off_s=0)
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE entitlement SET region = '32.01' WHERE entitlement_id = $1", entitlement(0))
    await house.act(gate.CLOSE_REGION, "32")
    built = await house.build_list()
    assert built["held"] == {"region-closed": 1}
    await paid(house, built)
    await house.decide_item(0, "release")
    await house.take_payees(moved(0, 2))
    assert (await house.paid_by_follow_up())["items"] == 1


@pytest.mark.parametrize("expires", [False, True])
@pytest.mark.parametrize(("act", "hold"), [("cancel", "cancelled"), ("hold", "held-by-person")])
async def test_a_decision_outlives_the_list_it_was_made_on(house: House, act: str, hold: str, expires: bool) -> None:
    """A person cancels or holds one of two; the list is refused or expires. The cycle's next list holds it too."""
    built = await house.build_list()
    await house.decide_item(0, act)
    if expires:
        await house.submit(built["list_id"], within_s=0)
        while await house.run(checks.expire_list):
            pass
    else:
        await refused(house, built["list_id"])
    built = await house.build_list()
    assert (built["items"], built["held"]) == (1, {hold: 1})
    await paid(house, built)
    assert list(await house.states()) == [instruction(1)]
    await nothing_follows(house)
    assert len(await house.events("salur.payment.cancelled.v1")) == (1 if act == "cancel" else 0), "told once"
    await house.check_books()


async def test_what_a_person_held_before_a_refusal_is_paid_when_released(house: House) -> None:
    """Held on a list that was refused, held again on the next, released: the follow-up list pays it."""
    built = await house.build_list()
    await house.decide_item(0, "hold")
    await refused(house, built["list_id"])
    await paid(house, await house.build_list())
    await house.decide_item(0, "release")
    assert (await house.paid_by_follow_up())["items"] == 1


async def test_a_cancellation_outlives_a_follow_up_list(house: House) -> None:
    """Held by the gate, released, cancelled on the follow-up list; that list is refused. No list pays it."""
    await house.act(gate.SET_RULE, PROGRAMME, cool_off_s=3600)
    await house.take_payees(moved(0, 2))
    await paid(house, await house.build_list())
    await house.decide_item(0, "release")
    follow_up = await house.follow_up()
    await house.submit(follow_up["list_id"])
    await house.decide_item(0, "cancel")
    await house.refuse(follow_up["list_id"])
    await nothing_follows(house)


async def test_a_hold_on_a_refused_follow_up_list_is_released_as_any(house: House) -> None:
    """The same with a hold: nothing is paid until a person releases it again."""
    await house.act(gate.SET_RULE, PROGRAMME, cool_off_s=3600)
    await house.take_payees(moved(0, 2))
    await paid(house, await house.build_list())
    await house.decide_item(0, "release")
    follow_up = await house.follow_up()
    await house.submit(follow_up["list_id"])
    await house.decide_item(0, "hold")
    await house.refuse(follow_up["list_id"])
    await nothing_follows(house)
    await house.decide_item(0, "release")
    assert (await house.paid_by_follow_up())["items"] == 1

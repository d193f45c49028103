"""Late changes by the state of the payment: not listed, on a list, told to the bank, settled; and their endings."""

from pathlib import Path
from typing import Any

import pytest

from salur.common.auth import Caller
from salur.common.contracts.eligibility import EntitlementAmended, EntitlementCancelled
from salur.common.database import Database
from salur.common.errors import Conflict
from salur.common.events import Received
from salur.common.secrets import Secrets
from salur.common.values import derived_id, instruction_id, payment_id
from salur.payments import ledger
from salur.payments.usecases import endings, funds, gate, money_cases, views
from support.payments import (
    AMOUNT_MINOR,
    CURRENCY,
    CYCLE,
    IMPATIENT,
    House,
    answer,
    beneficiary,
    entitlement,
    granted,
    instruction,
    payee,
    received,
)
from support.street import Street, only_settled

pytestmark = pytest.mark.integration
HALF = AMOUNT_MINOR // 2


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    house = await House.build(db, database_url, keys)
    await house.open_fund(10**9)
    return house


def amended(number: int, amount_minor: int, reason: str = "recalculated", *, retroactive: bool = True) -> Received:
    common: dict[str, Any] = {
        "change_id": derived_id("change", str(number), str(amount_minor)), "entitlement_id": entitlement(number),
        "cycle_id": CYCLE, "beneficiary_id": beneficiary(number), "reason": reason, "retroactive": retroactive,
    }  # fmt: skip
    fact = (
        EntitlementAmended(**common, amount_minor=amount_minor, currency=CURRENCY)
        if amount_minor
        else EntitlementCancelled(**common)
    )
    return received("eligibility.entitlements", beneficiary(number), fact)


async def approved(house: House, count: int, *, instruct: bool = True) -> dict[str, Any]:
    await house.grant([AMOUNT_MINOR] * count)
    built = await house.build_list()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    if instruct:
        await house.instruct()
    return built


async def cases_of(house: House) -> dict[tuple[str, int, str], int]:
    """Money cases by kind, amount and state."""
    rows = await house.fetch("SELECT kind, amount_minor, state, count(*) FROM money_case GROUP BY 1, 2, 3")
    return {(row["kind"], row["amount_minor"], row["state"]): row["count"] for row in rows}


async def test_not_listed_yet_the_change_simply_counts(house: House) -> None:
    """One amended, one cancelled; the granted totals still prove that nobody was forgotten."""
    await house.grant([AMOUNT_MINOR] * 3)
    await house.take_entitlements([amended(0, HALF), amended(1, 0)])
    built = await house.build_list()
    assert (built["items"], built["amount_minor"]) == (2, HALF + AMOUNT_MINOR)
    assert built["held"] == {"nothing-due": 1}


@pytest.mark.parametrize("state", ["locked", "submitted", "approved"])
async def test_on_a_list_the_item_is_held_its_money_free_and_the_rest_keeps_its_approval(
    house: House, state: str
) -> None:
    await house.grant([AMOUNT_MINOR] * 3)
    built = await house.build_list()
    if state != "locked":
        await house.submit(built["list_id"])
    if state == "approved":
        await house.approve(built["list_id"], built["content_hash"])
    await house.take_entitlements([amended(0, HALF), amended(1, 0)])
    await house.take_entitlements([amended(0, HALF)])
    if state == "locked":
        await house.submit(built["list_id"])
    if state != "approved":
        await house.approve(built["list_id"], built["content_hash"])
    assert (await house.check_books())["reserved_minor"] == AMOUNT_MINOR
    await house.instruct()
    assert set(await house.states()) == {instruction(2)}
    assert (await house.standing())["held"] == 2
    follow_up = await house.paid_by_follow_up()
    assert (follow_up["items"], follow_up["amount_minor"]) == (1, HALF), "the cancelled one is not due"
    await house.answers([answer(2), answer(0, amount_minor=HALF)])
    assert (await house.check_books())["settled_minor"] == AMOUNT_MINOR + HALF


async def test_told_to_the_bank_its_word_decides(house: House) -> None:
    """0 was not executed: closed for ever, and paid anew with what is due. 1 was: an overpayment of the difference."""
    await approved(house, 3)
    await house.take_entitlements([amended(0, HALF), amended(1, HALF)])
    await house.inquire(IMPATIENT)
    asked = {fact["instruction_id"] for fact in await house.events("salur.payment.inquired.v1")}
    assert asked == {instruction(0), instruction(1)}, "only what changed is asked about, and at once"
    await house.answers([
        answer(0, "RJCT", reason="NOOR", inquiry=1, bank_reference=None), answer(1, inquiry=1), answer(2),
    ])  # fmt: skip
    assert await house.states() == {instruction(0): "rejected", instruction(1): "settled", instruction(2): "settled"}
    assert (await house.paid_by_follow_up())["amount_minor"] == HALF
    assert await cases_of(house) == {("overpayment", HALF, "open"): 1}
    await house.take_entitlements([amended(1, 0)])
    assert await cases_of(house) == {("overpayment", HALF, "ended"): 1, ("overpayment", AMOUNT_MINOR, "open"): 1}
    await house.check_books()


async def test_settled_money_becomes_a_case_that_two_people_end(house: House) -> None:
    await approved(house, 2)
    await house.answers([answer(0), answer(1)])
    await house.take_entitlements([amended(0, HALF), amended(1, 3 * HALF)])
    await house.take_entitlements([amended(0, HALF), amended(1, 3 * HALF)])
    cases = await house.fetch("SELECT case_id, kind, amount_minor FROM money_case ORDER BY kind")
    assert [(row["kind"], row["amount_minor"]) for row in cases] == [("overpayment", HALF), ("supplement", HALF)]
    assert len(await house.events("salur.money-case.opened.v1")) == 2
    await house.act(money_cases.CASE_RESOLVE, cases[0]["case_id"], resolution="offset")
    with pytest.raises(Conflict) as ended:
        await house.act(money_cases.CASE_RESOLVE, cases[0]["case_id"], resolution="written-off")
    assert ended.value.code == "case-ended"
    assert set((await house.states()).values()) == {"settled"}


async def test_what_was_right_when_it_was_paid_opens_no_case(house: House) -> None:
    """A death after the pay-out is no overpayment; a decision that was wrong from the start is."""
    await approved(house, 2)
    await house.answers([answer(0), answer(1)])
    later = amended(0, HALF)
    fact = later.data.model_copy(update={"retroactive": False})
    await house.take_entitlements([later._replace(data=fact), amended(1, HALF)])
    cases = await house.fetch("SELECT entitlement_id, amount_minor FROM money_case")
    assert [tuple(row) for row in cases] == [(entitlement(1), HALF)]
    await house.check_books()


async def test_a_payee_changed_while_the_bank_was_told_is_asked_about_at_once(house: House) -> None:
    """The bank has not executed it: the next attempt goes to the new account."""
    await house.act(gate.SET_RULE, "test-programme", cool_off_s=0)
    await approved(house, 2)
    await house.take_payees([payee(0, version=2, account_token="e" * 64)])
    await house.inquire(IMPATIENT)
    assert [fact["instruction_id"] for fact in await house.events("salur.payment.inquired.v1")] == [instruction(0)]
    await house.answers([answer(0, "RJCT", reason="NOOR", inquiry=1, bank_reference=None)])
    await house.paid_by_follow_up()
    assert (await house.states())[f"{instruction(0)[:-3]}002"] == "instructed"
    assert (await house.fetch("SELECT payee_version FROM list_item WHERE attempt = 2"))[0][0] == 2


async def test_somebody_who_died_is_not_paid_without_a_person(house: House) -> None:
    """Between lock and instruction: held. On the follow-up the gate holds it still, until it is cancelled."""
    built = await approved(house, 2, instruct=False)
    await house.take_payees([payee(0, version=2, living="deceased")])
    await house.instruct()
    assert set(await house.states()) == {instruction(1)}
    with pytest.raises(Conflict):
        await house.follow_up()
    await house.decide_item(0, "cancel")
    await house.answers([answer(1)])
    standing = await house.standing()
    assert (standing["payments"], standing["paid"], standing["cancelled"]) == (2, 1, 1)
    assert built["items"] == 2


async def test_a_failed_payment_ends_in_the_treasury_or_cancelled_by_two_people(house: House) -> None:
    """Its money leaves the fund only for the treasury; the counts still add up, and neither is ever paid again."""
    await approved(house, 3)
    await house.answers([answer(0), answer(1, "RJCT", reason="AC04", bank_reference=None), answer(2)])
    await house.answers([answer(0, "RTRN", reason="AC06", bank_reference="RET-0")])
    before = await house.check_books()
    await house.act(endings.TO_TREASURY, payment_id(entitlement(0), 1))
    await house.act(endings.CANCEL_FAILED, payment_id(entitlement(1), 1))
    fund = await house.check_books()
    assert (fund["to_treasury_minor"], before["available_minor"] - fund["available_minor"]) == (AMOUNT_MINOR,) * 2
    async with house.db.connection() as conn:
        treasury, _ = await ledger.account_of(conn, ledger.treasury(CURRENCY).id)
    assert treasury == -(10**9) + AMOUNT_MINOR
    await house.take_payees([payee(number, version=2, account_token="f" * 64) for number in (0, 1)])
    with pytest.raises(Conflict):
        await house.follow_up()
    with pytest.raises(Conflict):
        await house.act(endings.TO_TREASURY, payment_id(entitlement(2), 1))
    standing = await house.standing()
    assert standing["states"].keys() == {"settled", "treasury", "cancelled"}
    assert standing["payments"] == 3


async def test_two_people_end_every_failed_payment_of_a_cycle_at_once(house: House) -> None:
    """Only the newest attempts; not while one is in flight. A payment that was issued again keeps its settlement."""
    await approved(house, 5)
    await house.answers([answer(number, "RJCT", reason="AM04", bank_reference=None) for number in (0, 1)])
    await house.answers([answer(number) for number in (2, 3)])
    await house.answers([answer(2, "RTRN", reason="AC06", bank_reference="RET-2")])
    with pytest.raises(Conflict) as raised:
        await house.act(endings.END_CYCLE, CYCLE)
    assert raised.value.code == "cycle-in-use"
    await house.fetch("UPDATE proposal SET state = 'refused', decided_by = 'person:other' RETURNING 1")
    await house.answers([answer(4)])
    await house.decide_item(0, "retry")
    await house.paid_by_follow_up()
    await house.answers([answer(0, message="again", instruction_id=f"{instruction(0)[:-3]}002")])
    ended = await house.act(endings.END_CYCLE, CYCLE)
    assert (ended["to_treasury"], ended["cancelled"]) == (1, 1)
    states = {state: amount["count"] for state, amount in (await house.standing())["states"].items()}
    assert states == {"settled": 3, "treasury": 1, "cancelled": 1}
    fund = await house.check_books()
    assert fund["to_treasury_minor"] == AMOUNT_MINOR
    assert len(await house.events("salur.payment.sent-to-treasury.v1")) == 1


async def test_money_that_a_fund_has_spent_again_cannot_go_to_the_treasury(house: House) -> None:
    """Budget for one: it comes back and pays somebody else. Sending it on is refused until the fund is topped up."""
    await house.act(funds.CLOSE, "central")
    await house.open_fund(AMOUNT_MINOR, "small")
    await house.grant([AMOUNT_MINOR] * 2)
    built = await house.build_list(funds_of=(("small", 1),))
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()
    ((first,),) = await house.fetch("SELECT instruction_id FROM payment")
    number = 0 if first == instruction(0) else 1
    await house.answers([answer(number)])
    await house.answers([answer(number, "RTRN", reason="AC06", bank_reference="RET")])
    await house.paid_by_follow_up()
    with pytest.raises(Conflict) as raised:
        await house.act(endings.TO_TREASURY, payment_id(entitlement(number), 1))
    assert (raised.value.code, raised.value.who) == ("no-funds", "budget holder")
    assert (await house.states())[first] == "returned"


async def supplement(house: House) -> None:
    """Two people let the open supplement be paid."""
    ((case_id,),) = await house.fetch("SELECT case_id FROM money_case WHERE kind = 'supplement' AND state = 'open'")
    await house.act(money_cases.CASE_RESOLVE, case_id, resolution="paid")


async def test_what_is_missing_is_paid_once_as_another_part_of_the_same_entitlement(
    house: House, tmp_path: Path
) -> None:
    """Due is raised twice: one case, of the whole difference. By the bank's book each part is paid once, and a return
    of the first part is issued again with what that part was worth.
    """
    street = Street.of(house, tmp_path)
    await approved(house, 2)
    await street.deliver()
    await house.answers(street.said())
    await house.take_entitlements([amended(0, 3 * HALF)])
    await house.take_entitlements([amended(0, 4 * HALF)])
    assert await cases_of(house) == {("supplement", HALF, "ended"): 1, ("supplement", 2 * HALF, "open"): 1}
    assert [fact["resolution"] for fact in await house.events("salur.money-case.ended.v1")] == ["ended"]
    await supplement(house)
    async with house.db.connection() as conn:
        page = await views.waiting_page(conn, Caller("person:x", frozenset(), (), "r"), CYCLE, "", 10)
        view = await views.beneficiary_view(conn, Caller("person:x", frozenset(), (), "r"), beneficiary(0))
    assert [(row["hold"], row["who_must_act"]) for row in page["waiting"]] == [("supplement-due", "payment operator")]
    assert [(row["part"], row["state"]) for row in view["entitlements"]] == [(1, "settled"), (2, "not-listed")]
    follow_up = await house.paid_by_follow_up()
    assert (follow_up["items"], follow_up["amount_minor"]) == (1, 2 * HALF)
    with pytest.raises(Conflict):
        await house.follow_up()
    await street.deliver()
    await house.answers(street.said())
    second = instruction_id(payment_id(entitlement(0), 2), 1)
    assert (
        only_settled(await house.states())
        == street.kept()
        == dict.fromkeys([instruction(0), instruction(1), second], 1)
    )
    await house.act(gate.SET_RULE, "test-programme", cool_off_s=0)
    await house.answers([answer(0, "RTRN", reason="AC04", bank_reference="RET-0")])
    await house.take_payees([payee(0, version=2, account_token="f" * 64)])
    assert (await house.paid_by_follow_up())["amount_minor"] == AMOUNT_MINOR
    await house.check_books()


async def test_what_was_supplemented_and_is_less_again_is_overpaid_by_all_of_it(house: House) -> None:
    await approved(house, 1)
    await house.answers([answer(0)])
    await house.take_entitlements([amended(0, 3 * HALF)])
    await supplement(house)
    await house.take_entitlements([amended(0, HALF)])
    assert ("overpayment", 2 * HALF, "open") in await cases_of(house)


async def test_two_families_became_one_between_grant_and_settlement(house: House) -> None:
    """The one that ended, by the state of its payment: asked about, an overpayment if it was never due, else paid."""
    await approved(house, 3)
    await house.answers([answer(1), answer(2)])
    await house.take_payees([payee(number, version=2, status="closed") for number in range(3)])
    merged = [amended(number, 0, "merged", retroactive=number != 2) for number in range(3)]
    await house.take_entitlements(merged)
    await house.inquire(IMPATIENT)
    asked = [fact["instruction_id"] for fact in await house.events("salur.payment.inquired.v1")]
    assert asked == [instruction(0)]
    assert await cases_of(house) == {("overpayment", AMOUNT_MINOR, "open"): 1}
    await house.answers([answer(0, "RJCT", reason="NOOR", inquiry=1, bank_reference=None)])
    with pytest.raises(Conflict):
        await house.follow_up()
    assert await house.states() == {instruction(0): "rejected", instruction(1): "settled", instruction(2): "settled"}
    await house.check_books()


@pytest.mark.parametrize("listed", [False, True])
async def test_a_family_that_ended_before_its_bank_was_told_is_held(house: House, listed: bool) -> None:
    await house.grant([AMOUNT_MINOR] * 2)
    change = [payee(0, version=2, status="closed")], [amended(0, 0, "merged")]
    if listed:
        built = await house.build_list()
    await house.take_payees(change[0])
    await house.take_entitlements(change[1])
    if not listed:
        built = await house.build_list()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()
    assert set(await house.states()) == {instruction(1)}
    held = (await house.standing())["states"]["held"]
    assert held["count"] == 1
    with pytest.raises(Conflict):
        await house.follow_up()
    await house.check_books()


async def test_an_amendment_that_names_another_account_is_paid_there(house: House) -> None:
    """A member has moved to another family: not listed yet, that family's account is paid; told to the bank, the bank
    is asked, and the next list pays there. The grant may come again."""
    await house.take_payees([payee(7)])
    await house.grant([AMOUNT_MINOR] * 2)
    moved = amended(0, AMOUNT_MINOR, "moved", retroactive=False)
    assert isinstance(moved.data, EntitlementAmended)
    await house.take_entitlements([moved._replace(data=moved.data.model_copy(update={"payee_id": beneficiary(7)}))])
    await house.take_entitlements([granted(0)])
    built = await house.build_list()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()
    paid_to = {row["entitlement_id"]: row["payee_id"] for row in await house.fetch("SELECT * FROM payment")}
    assert paid_to == {entitlement(0): beneficiary(7), entitlement(1): beneficiary(1)}
    late = amended(1, AMOUNT_MINOR, "moved", retroactive=False)
    assert isinstance(late.data, EntitlementAmended)
    await house.take_entitlements([late._replace(data=late.data.model_copy(update={"payee_id": beneficiary(7)}))])
    await house.answers([answer(1, "RJCT", reason="NOOR", bank_reference=None)])
    await house.paid_by_follow_up()
    (again,) = await house.fetch("SELECT payee_id FROM payment WHERE attempt = 2")
    assert again["payee_id"] == beneficiary(7)
    await house.check_books()

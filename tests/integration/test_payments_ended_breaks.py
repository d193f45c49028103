"""How breaks and disputes end, and stay ended: people's word, a bank's late return, a recall; on the real database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from partner_bank import iso
from salur.common.database import Database
from salur.common.errors import Invalid
from salur.common.secrets import Secrets
from salur.common.values import payment_id
from salur.payments.usecases import recalls, reconcile
from support.desk import Desk
from support.payments import AMOUNT_MINOR, BANKS, House, answer, entitlement, instruction, line

pytestmark = pytest.mark.integration
PAYMENT = payment_id(entitlement(0), 1)


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    """One payment that its bank says is settled."""
    house = await House.build(db, database_url, keys)
    await house.instructed(1)
    await house.answers([answer(0)])
    return house


async def open_breaks(house: House) -> list[str]:
    rows = await house.fetch("SELECT break_id FROM recon_break WHERE state = 'open'")
    return [row["break_id"] for row in rows]


async def end_break(house: House, resolution: str) -> None:
    (break_id,) = await open_breaks(house)
    await house.act(reconcile.BREAK_RESOLVE, break_id, resolution=resolution)


async def recall(house: House) -> str:
    (row,) = await house.fetch("SELECT state, number FROM recall")
    return f"{row['state']} {row['number']}"


async def a_day_later(house: House) -> None:
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE recall SET ask_again_at = now()")
    await house.run(recalls.ask_again, 100)


async def test_what_people_found_paid_is_not_disputed_by_the_next_statement(house: House) -> None:
    """Missing in a statement, found paid by two people; statements after it that still lack it change nothing."""
    await house.statement(BANKS[0], [])
    await end_break(house, "paid")
    for _ in range(2):
        assert (await house.statement(BANKS[0], []))["breaks"] == 0
    assert await house.states() == {instruction(0): "settled"}
    assert len(await house.events("salur.payment.disputed.v1")) == 1
    fund = await house.check_books()
    assert (fund["settled_minor"], fund["disputed_minor"]) == (AMOUNT_MINOR, 0)


async def test_what_people_explained_is_a_break_again_only_by_a_newer_line(house: House) -> None:
    """Another amount, explained. The next statement finds nothing; one with another line about it does."""
    wrong = AMOUNT_MINOR - 1
    assert (await house.statement(BANKS[0], [line(0, amount_minor=wrong)]))["breaks"] == 1
    await end_break(house, "explained")
    assert (await house.statement(BANKS[0], []))["breaks"] == 0
    assert (await house.statement(BANKS[0], [line(0, line_id="newer", amount_minor=wrong)]))["breaks"] >= 1
    assert len(await open_breaks(house)) >= 1


async def test_another_kind_of_difference_is_a_break_of_its_own(house: House) -> None:
    """The amount was explained; that it was booked twice was not."""
    await house.statement(BANKS[0], [])
    await end_break(house, "paid")
    assert (await house.statement(BANKS[0], [line(0), line(0, line_id="twice")]))["breaks"] == 1


async def test_a_return_ends_a_dispute_and_its_break(house: House) -> None:
    """Disputed, then the bank returns it: the fund has it back once, nothing is open, nothing is put aside."""
    await house.statement(BANKS[0], [])
    await house.answers([answer(0, "RTRN", reason="AC06", bank_reference="RET-0")])
    assert (await house.states(), await house.suspended()) == ({instruction(0): "returned"}, [])
    assert await open_breaks(house) == []
    assert len(await house.events("salur.break.resolved.v1")) == 1
    await house.answers([answer(0, "RTRN", message="again", reason="AC06", bank_reference="RET-0")])
    assert await house.suspended() == [], "the same return again is a repeat"
    fund = await house.check_books()
    assert (fund["settled_minor"], fund["disputed_minor"], await house.returned_ever()) == (0, 0, AMOUNT_MINOR)


async def test_a_return_of_a_disputed_recall_goes_on_to_the_treasury(house: House) -> None:
    """Called back, then disputed, then given back: as any recall, its money is in the treasury."""
    await house.act(recalls.RECALL_PAYMENT, PAYMENT)
    await house.statement(BANKS[0], [])
    await house.answers([answer(0, "RTRN", reason="FOCR", bank_reference="RET-0")])
    assert (await house.states(), await recall(house)) == ({instruction(0): "treasury"}, "given-back 1")
    assert await open_breaks(house) == []
    assert (await house.check_books())["to_treasury_minor"] == AMOUNT_MINOR


async def test_a_recall_waits_while_disputed_and_ends_when_it_was_never_paid(house: House) -> None:
    """The bank is not asked again while the payment is disputed; `not-paid` ends the recall and the asking."""
    await house.act(recalls.RECALL_PAYMENT, PAYMENT)
    await house.statement(BANKS[0], [])
    await a_day_later(house)
    assert await recall(house) == "asked 1"
    await end_break(house, "not-paid")
    assert (await house.states(), await recall(house)) == ({instruction(0): "treasury"}, "given-back 1")
    await a_day_later(house)
    assert await recall(house) == "given-back 1"
    assert (await house.check_books())["to_treasury_minor"] == AMOUNT_MINOR


async def test_a_recall_is_asked_again_when_the_dispute_ends_as_paid(house: House) -> None:
    await house.act(recalls.RECALL_PAYMENT, PAYMENT)
    await house.statement(BANKS[0], [])
    await end_break(house, "paid")
    await a_day_later(house)
    assert await recall(house) == "asked 2"


async def test_a_statement_that_ends_in_the_future_disputes_nothing(house: House) -> None:
    """A clock a little ahead is let pass; an hour ahead is refused as a whole."""
    with pytest.raises(Invalid) as ahead:
        await house.statement(BANKS[0], [], until=datetime.now(UTC) + timedelta(hours=1))
    assert ahead.value.code == "statement-ahead"
    assert await house.states() == {instruction(0): "settled"}
    assert await house.fetch("SELECT 1 FROM statement") == []
    known = [line(0)]
    await house.statement(BANKS[0], known, until=datetime.now(UTC) + timedelta(minutes=1))
    assert await open_breaks(house) == []


async def test_a_statement_file_that_ends_in_the_future_is_refused(
    db: Database, database_url: str, keys: Secrets, tmp_path: Path
) -> None:
    """A camt.053 up to tomorrow goes to the refused folder; what settled stays settled; another file is taken."""
    desk = await Desk.open(db, database_url, keys, tmp_path)
    await desk.house.instructed(1)
    await desk.house.answers([answer(0)])
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    desk.put(BANKS[0], "ahead.xml", iso.camt053("ahead-1", tomorrow, "0012345", 10**9, []))
    await desk.take()
    assert desk.refusal(BANKS[0]) == "period"
    assert await desk.house.states() == {instruction(0): "settled"}

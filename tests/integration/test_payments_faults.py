"""Faults between payments and a bank, with the bank's own book as the oracle: nobody paid twice, nobody forgotten."""

import random
from pathlib import Path

import pytest

from partner_bank.book import Book, book_summary
from partner_bank.profile import PROFILES
from salur.common.database import Database
from salur.common.secrets import Secrets
from salur.payments import ledger
from salur.payments.usecases import stop
from support.payments import AMOUNT_MINOR, BANKS, IMPATIENT, PATIENCE, House, answer, instruction
from support.street import Street, only_settled

pytestmark = pytest.mark.integration


@pytest.fixture
async def street(db: Database, database_url: str, keys: Secrets, tmp_path: Path) -> Street:
    house = await House.build(db, database_url, keys)
    return Street.of(house, tmp_path)


async def test_f1_the_bank_accepts_and_its_answer_is_lost(street: Street) -> None:
    """Executed, and the reply never comes: unknown, asked, one transfer. The instruction again is no second one."""
    house = street.house
    await house.instructed(4, patience=IMPATIENT)
    messages = await street.messages()
    for _, bank, message in messages:
        street.books[bank].take([message])
    assert len(street.said()) == 4, "lost on the way"
    await house.inquire()
    assert set((await house.states()).values()) == {"unknown"}
    for _, bank, message in messages:
        street.books[bank].take([message])
    await street.deliver()
    await house.answers(street.said())
    assert only_settled(await house.states()) == street.kept()
    assert len(street.kept()) == 4
    await house.check_books()


async def test_a_bank_that_lags_is_asked_before_it_reads_the_instruction(street: Street) -> None:
    """It answers "not executed" and reads the instruction afterwards: it refuses it, and the next attempt is the only
    payment. Nothing was tried again before the id was closed.
    """
    house = street.house
    await house.instructed(3, patience=IMPATIENT)
    late = await street.messages()
    await house.inquire()
    await street.deliver()
    await house.answers(street.said())
    assert set((await house.states()).values()) == {"rejected"}
    for _, bank, message in late:
        street.books[bank].take([message])
    await house.answers(street.said())
    assert street.kept() == {}
    for number in range(3):
        await house.decide_item(number, "retry")
    await house.paid_by_follow_up()
    await street.deliver()
    await house.answers(street.said())
    assert street.kept() == {f"{instruction(number)[:-3]}002": 1 for number in range(3)}
    assert only_settled(await house.states()) == street.kept()
    assert await house.suspended() == []
    await house.check_books()


async def test_f12_a_day_of_answers_three_times_and_shuffled_leaves_the_same_ledger(street: Street) -> None:
    house = street.house
    street.books = {
        bank: Book(street.paths[bank], bank, PROFILES["unreliable"], 11) for bank in BANKS
    }  # fmt: skip
    await house.instructed(60)
    await street.deliver()
    day = street.said()
    await house.answers(day)
    async with house.db.connection() as conn:
        clean = await ledger.ledger_hash(conn)
    again = day * 3
    random.Random(5).shuffle(again)
    for start in range(0, len(again), 17):
        await house.answers(again[start : start + 17])
    async with house.db.connection() as conn:
        assert await ledger.ledger_hash(conn) == clean
    assert await house.suspended() == []


async def test_f28_a_list_is_stopped_while_half_of_it_is_in_flight(street: Street) -> None:
    """4 of 8 instructed, 2 of them executed: those are paid, the other 2 closed by the bank, 4 never sent."""
    house = street.house
    await house.open_fund(10**9)
    await house.grant([AMOUNT_MINOR] * 8)
    built = await house.build_list()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE payment_list SET last_rank = 4, funded_items = 4")
    await house.instruct()
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE payment_list SET last_rank = 8, funded_items = 8")
    sent = await street.messages()
    for _, bank, message in sent[:2]:
        street.books[bank].take([message])
    stopped = await house.act(stop.STOP, built["list_id"])
    assert (stopped["cancelled_items"], stopped["asked_items"]) == (4, 4)
    assert (await house.check_books())["reserved_minor"] == 4 * AMOUNT_MINOR
    await house.instruct()
    await house.inquire(IMPATIENT)
    await street.deliver()
    for _, bank, message in sent[2:]:
        street.books[bank].take([message])
    await house.answers(street.said())
    assert sum(street.kept().values()) == 2
    assert only_settled(await house.states()) == street.kept()
    standing = await house.standing()
    assert (standing["payments"], standing["paid"], standing["cancelled"], standing["returned"]) == (8, 2, 4, 2)
    await house.check_books()


async def test_f26_a_database_older_than_its_answers_pays_nobody_again(street: Street) -> None:
    """What was answered after the backup is answered again when the bank is asked: no instruction is sent anew."""
    house = street.house
    await house.instructed(6, patience=PATIENCE)
    await street.deliver()
    lost = street.said()
    assert len(lost) == 6, "the backup is older than these answers"
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE payment SET answer_due_at = now()")
    await house.inquire()
    kinds = {kind for kind, _, _ in await street.messages()}
    assert kinds == {"salur.payment.inquired.v1"}
    await house.answers(lost)
    assert only_settled(await house.states()) == street.kept()
    assert max(book_summary(path)["most_at_once"] for path in street.paths.values()) == 1
    await house.check_books()


async def test_f2_killed_between_the_banks_answer_and_the_commit(street: Street) -> None:
    """The answer was judged and nothing of it stayed. It comes again, and the bank when asked says the same: one
    transfer each, one event each.
    """
    house = street.house
    await house.instructed(4, patience=IMPATIENT)
    await street.deliver()
    said = street.said()
    killed = ConnectionError("the process is gone")
    async with house.dying(killed):
        with pytest.raises(ConnectionError):
            await house.answers(said)
    assert set((await house.states()).values()) == {"instructed"}
    await house.inquire()
    await street.deliver()
    await house.answers([*said, *street.said()])
    assert only_settled(await house.states()) == street.kept()
    assert len(await house.events("salur.payment.settled.v1")) == 4
    assert street.most_at_once() == 1
    await house.check_books()


async def test_f11_an_answer_before_its_instruction_and_contradictions_are_never_overwritten(street: Street) -> None:
    """A bank answers what it was not asked yet; later it confirms, confirms again, and then takes it back."""
    house = street.house
    await house.open_fund(10**9)
    await house.grant([AMOUNT_MINOR])
    await house.answers([answer(0, message="early")])
    built = await house.build_list()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()
    await house.answers([answer(0), answer(0, message="twice"), answer(0, "RJCT", reason="AC04", bank_reference=None)])
    assert await house.states() == {instruction(0): "settled"}
    assert sorted(await house.suspended()) == ["instruction-unknown", "rejected-after-settled"]
    assert len(await house.events("salur.payment.settled.v1")) == 1
    await house.check_books()


async def test_f15_three_of_five_hundred_are_refused(street: Street) -> None:
    """In one batch: 497 paid, 3 whose money is free again, entries sum to zero."""
    house = street.house
    await house.instructed(500)
    refused = {7, 250, 499}
    answers = [
        answer(number, "RJCT", reason="AC04", bank_reference=None) if number in refused else answer(number)
        for number in range(500)
    ]
    await house.answers(answers)
    states = list((await house.states()).values())
    assert (states.count("settled"), states.count("rejected")) == (497, 3)
    fund = await house.check_books()
    assert (fund["settled_minor"], fund["reserved_minor"]) == (497 * AMOUNT_MINOR, 0)


async def test_f16_a_reversal_after_payment_is_booked_beside_it(street: Street) -> None:
    """The first entries stay as they were; the way back is entries of its own."""
    house = street.house
    await house.instructed(1)
    await house.answers([answer(0)])
    paid = await house.fetch("SELECT * FROM entry ORDER BY transfer_id, account")
    await house.answers([answer(0, "RTRN", reason="AC06", bank_reference="RET-0")])
    after = await house.fetch("SELECT * FROM entry ORDER BY transfer_id, account")
    assert [row for row in after if row in paid] == paid
    assert len(after) == len(paid) + 4
    assert (await house.check_books())["settled_minor"] == 0

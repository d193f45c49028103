"""Money nobody takes: reported by the bank, called back by two people, in the treasury again. By the bank's book."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from partner_bank.book import unclaimed
from partner_bank.profile import Profile
from salur.common.auth import Caller
from salur.common.database import Database
from salur.common.errors import Conflict
from salur.common.secrets import Secrets
from salur.common.values import payment_id
from salur.payments import ledger
from salur.payments.domain.reconcile import Statement
from salur.payments.usecases import recalls, reconcile, views
from salur.payments.usecases.recalls import Unclaimed, ask_again
from support.payments import AMOUNT_MINOR, BANKS, CURRENCY, CYCLE, House, answer, entitlement, instruction
from support.street import Street, only_settled

pytestmark = pytest.mark.integration
TODAY = datetime.now(UTC).date()
LONG_AGO = TODAY - timedelta(days=70)


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    return await House.build(db, database_url, keys)


async def report(house: House, bank: str, rows: list[Unclaimed], number: int = 1) -> None:
    statement = Statement(bank, f"unclaimed-{number}", datetime.now(UTC) - timedelta(days=365), ())
    await house.run(reconcile.take_statement, statement, rows)


async def ageing(house: House) -> dict[tuple[str, str, str], int]:
    async with house.db.connection() as conn:
        rows = (await views.unclaimed(conn))["unclaimed"]
    counts: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        counts[row["days"], row["standing"], row["recall"]] += row["count"]
    return dict(counts)


async def test_by_the_banks_books_untouched_money_comes_back_to_the_treasury(house: House, tmp_path: Path) -> None:
    """Half of the families never come. The banks report them, give back what is there, and keep what is spent."""
    street = Street.of(house, tmp_path, Profile(untouched=5_000))
    await house.instructed(20)
    await street.deliver()
    await house.answers(street.said())
    told = {
        bank: [Unclaimed(row["instruction_id"], row["standing"], LONG_AGO) for row in unclaimed(path)]
        for bank, path in street.paths.items()
    }
    waiting = sum(len(reported) for reported in told.values())
    assert 0 < waiting < 20
    for bank, reported in told.items():
        await report(house, bank, reported)
    assert await ageing(house) == {("61-90", "untouched", "not-asked"): waiting}
    asked = await house.act(recalls.RECALL_UNCLAIMED, CYCLE, older_than_days=60)
    assert asked["asked"] == waiting
    await street.deliver()
    await house.answers(street.said() * 2)
    states = await house.states()
    assert only_settled(states) == {key: count for key, count in street.kept().items() if count}
    assert sorted(states.values()).count("treasury") == waiting
    fund = await house.check_books()
    assert fund["to_treasury_minor"] == waiting * AMOUNT_MINOR
    proofs = {fact["transfer_id"] for fact in await house.events("salur.payment.sent-to-treasury.v1")}
    assert proofs == {f"treasury/{key}" for key, state in states.items() if state == "treasury"}
    rows = await house.fetch("SELECT id, debit, credit FROM transfer WHERE id = ANY ($1)", sorted(proofs))
    assert {(row["debit"], row["credit"]) for row in rows} == {("fund:central", ledger.treasury(CURRENCY).id)}
    assert len(rows) == waiting
    assert await ageing(house) == {}
    assert await house.suspended() == []


async def test_a_refused_recall_stays_settled_and_two_people_may_ask_again(house: House) -> None:
    await house.instructed(1)
    await house.answers([answer(0)])
    payment = payment_id(entitlement(0), 1)
    await house.act(recalls.RECALL_PAYMENT, payment)
    with pytest.raises(Conflict):
        await house.act(recalls.RECALL_PAYMENT, payment)
    await house.fetch("UPDATE proposal SET state = 'refused', decided_by = 'person:x' WHERE state = 'open' RETURNING 1")
    refusal = answer(0, message="kept", reason="AM04", recall=1)
    await house.answers([refusal, answer(0, message="again", reason="AM04", recall=1)])
    assert (await house.states())[instruction(0)] == "settled"
    (fact,) = await house.events("salur.payment.recall-refused.v1")
    assert fact["reason"] == "AM04"
    await house.act(recalls.RECALL_PAYMENT, payment)
    asked = await house.events("salur.payment.recall-requested.v1")
    assert [fact["recall"] for fact in asked] == [1, 2]
    await house.answers([answer(0, "RTRN", reason="FOCR", bank_reference="RET-0")])
    assert (await house.states())[instruction(0)] == "treasury"
    async with house.db.connection() as conn:
        page = await views.recalls_page(conn, Caller("person:x", frozenset(), (), "r"), None, "", 10)
    assert [(row["state"], row["payment_state"]) for row in page["recalls"]] == [("given-back", "treasury")]
    assert await house.suspended() == []
    await house.check_books()


async def test_a_silent_bank_is_asked_again_each_day(house: House) -> None:
    await house.instructed(1)
    await house.answers([answer(0)])
    await house.act(recalls.RECALL_PAYMENT, payment_id(entitlement(0), 1))
    assert await house.run(ask_again, 10) is False
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE recall SET ask_again_at = now()")
    await house.run(ask_again, 10)
    assert [fact["recall"] for fact in await house.events("salur.payment.recall-requested.v1")] == [1, 2]


async def test_a_refusal_nobody_asked_for_is_put_aside(house: House) -> None:
    await house.instructed(2)
    await house.answers(
        [answer(0), answer(0, message="kept", reason="AM04", recall=1), answer(1, reason="AM04", recall=1)]
    )
    assert await house.suspended() == ["recall-unasked"]
    assert sorted((await house.states()).values()) == ["settled", "settled"]


async def test_what_was_taken_after_all_or_is_too_young_is_not_called_back(house: House) -> None:
    await house.instructed(4)
    await house.answers([answer(number) for number in range(4)])
    young = Unclaimed(instruction(0), "undelivered", TODAY)
    late = Unclaimed(instruction(2), "untouched", LONG_AGO)
    await report(house, BANKS[0], [young, late])
    await report(house, BANKS[1], [Unclaimed(instruction(2), "claimed", TODAY)], 2)
    assert await ageing(house) == {("0-30", "undelivered", "not-asked"): 1, ("61-90", "untouched", "not-asked"): 1}, (
        "another bank has no say about it"
    )
    await report(house, BANKS[0], [Unclaimed(instruction(2), "claimed", TODAY)], 3)
    with pytest.raises(Conflict) as raised:
        await house.act(recalls.RECALL_UNCLAIMED, CYCLE, older_than_days=30)
    assert raised.value.code == "nothing-unclaimed"
    assert await ageing(house) == {("0-30", "undelivered", "not-asked"): 1}

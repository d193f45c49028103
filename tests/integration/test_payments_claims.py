"""What becomes of money that was paid and not due: claims and losses of a fund, in its books and in the trail's."""

from typing import Any

import pytest

from salur.audit.domain.ledger import Ledger
from salur.common.auth import Caller
from salur.common.database import Database
from salur.common.errors import Conflict, Forbidden
from salur.common.secrets import Secrets
from salur.common.values import payment_id
from salur.payments import ledger
from salur.payments.usecases import claims, money_cases
from salur.payments.usecases.late import Change, take_changes
from support.payments import AMOUNT_MINOR, CHECKER, FUND, House, answer, entitlement, instruction

pytestmark = pytest.mark.integration
HALF = AMOUNT_MINOR // 2


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    house = await House.build(db, database_url, keys)
    await house.instructed(4)
    await house.answers([answer(number) for number in range(4)])
    return house


async def changed(house: House, number: int, due_minor: int, change: str = "c") -> None:
    async with house.db.transaction() as conn:
        drafts = await take_changes(conn, [Change(f"{change}-{number}", entitlement(number), due_minor, "wrong-count")])
        await house.store.append(conn, drafts)


async def case_of(house: House, number: int) -> str:
    (row,) = await house.fetch(
        "SELECT case_id FROM money_case WHERE payment_id = $1 AND state = 'open'", payment_id(entitlement(number), 1)
    )
    return str(row["case_id"])


async def overpaid(house: House, number: int, resolution: str) -> str:
    """Half of a payment was not due; two people decide what becomes of it. Returns the case."""
    await changed(house, number, HALF)
    case = await case_of(house, number)
    await house.act(money_cases.CASE_RESOLVE, case, resolution=resolution)
    return case


async def books(house: House) -> dict[str, Any]:
    """The fund's figures, once its books hold and the trail alone leads to the same movements."""
    fund = await house.check_books()
    async with house.db.connection() as conn:
        bodies = [row["body"] for row in await conn.fetch("SELECT body FROM event ORDER BY id")]
        assert Ledger.of(bodies).hash() == await ledger.moved_hash(conn)
    names = ("available_minor", "settled_minor", "claims_minor", "written_off_minor", "recovered_minor")
    return {name.removesuffix("_minor"): fund[name] for name in names}


async def test_each_decision_moves_money_and_the_trail_leads_to_the_same_ledger(house: House) -> None:
    """Nothing is claimed before two people said so; what was paid stays paid; a claim ends in parts."""
    before = await books(house)
    assert before["claims"] == before["written_off"] == before["recovered"] == 0
    recovery = await overpaid(house, 0, "recovery")
    offset = await overpaid(house, 1, "offset")
    await overpaid(house, 2, "written-off")
    assert await books(house) == before | {"claims": 2 * HALF, "written_off": HALF}
    await house.act(claims.REDUCE, recovery, how="recovered", amount_minor=HALF - 1)
    await house.act(claims.REDUCE, recovery, how="written-off", amount_minor=1)
    await house.act(claims.REDUCE, offset, how="set-off", amount_minor=HALF)
    assert await books(house) == before | {
        "available": before["available"] + HALF - 1, "written_off": HALF + 1, "recovered": HALF - 1,
    }  # fmt: skip
    statement = {row["what"]: row["amount_minor"] for row in await lines(house)}
    assert statement["recovered"] == HALF - 1
    told = await house.events("salur.claim.reduced.v1")
    assert sorted((fact["how"], fact["number"]) for fact in told) == [
        ("recovered", 1), ("set-off", 1), ("written-off", 2),
    ]  # fmt: skip


async def lines(house: House) -> list[dict[str, Any]]:
    async with house.db.connection() as conn:
        return list((await ledger.statement(conn, f"fund:{FUND}", None))["lines"])


async def test_a_claim_needs_a_second_person_and_ends_at_most_once(house: House) -> None:
    case = await overpaid(house, 0, "recovery")
    proposed = await house.propose(claims.REDUCE, case, CHECKER, how="recovered", amount_minor=HALF)
    with pytest.raises(Forbidden):
        await house.decide(proposed, CHECKER)
    await house.decide(proposed, "person:third")
    too_much = await house.propose(claims.REDUCE, case, how="recovered", amount_minor=1)
    with pytest.raises(Conflict) as refused:
        await house.decide(too_much)
    assert refused.value.code == "claim-smaller"
    async with house.db.connection() as conn:
        page = await claims.page(conn, Caller("person:x", frozenset(), (), "r"), only_open=False, after="", most=10)
        elsewhere = await claims.page(
            conn, Caller("person:x", frozenset(), ("99",), "r"), only_open=False, after="", most=10
        )
    assert [(row["open_minor"], row["resolution"]) for row in page["claims"]] == [(0, "recovery")]
    assert elsewhere["claims"] == []


async def test_when_the_bank_returns_the_payment_nobody_owes_it_any_more(house: House) -> None:
    await overpaid(house, 0, "recovery")
    await overpaid(house, 1, "written-off")
    await house.answers([answer(number, "RTRN", reason="AC06", bank_reference=f"R-{number}") for number in (0, 1)])
    assert set((await house.states()).values()) == {"settled", "returned"}
    after = await books(house)
    assert (after["claims"], after["written_off"], after["recovered"]) == (0, 0, 0)
    assert after["settled"] == 2 * AMOUNT_MINOR


async def test_what_is_claimed_already_is_not_claimed_again_by_a_later_change(house: House) -> None:
    await overpaid(house, 0, "recovery")
    await changed(house, 0, 0, "later")
    (row,) = await house.fetch("SELECT amount_minor FROM money_case WHERE state = 'open'")
    assert row["amount_minor"] == AMOUNT_MINOR - HALF
    await house.act(money_cases.CASE_RESOLVE, await case_of(house, 0), resolution="offset")
    assert (await books(house))["claims"] == AMOUNT_MINOR


async def test_a_case_of_a_payment_that_came_back_ends_without_a_claim(house: House) -> None:
    await changed(house, 0, HALF)
    await house.answers([answer(0, "RTRN", reason="AC06", bank_reference="R-0")])
    assert (await house.states())[instruction(0)] == "returned"
    await house.act(money_cases.CASE_RESOLVE, await case_of(house, 0), resolution="recovery")
    assert (await books(house))["claims"] == 0

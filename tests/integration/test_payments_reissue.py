"""What failed is issued again under a standing order: by another account, after a while, or as two people say."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from partner_bank.profile import PROFILES
from salur.common.database import Database
from salur.common.errors import Conflict, Forbidden
from salur.common.events import Received
from salur.common.secrets import Secrets
from salur.common.values import payment_id
from salur.payments.usecases import endings, gate, money_cases, reissue
from support.payments import (
    AMOUNT_MINOR,
    CHECKER,
    CYCLE,
    House,
    answer,
    entitlement,
    instruction,
    payee,
)
from support.street import Street, only_settled

pytestmark = pytest.mark.integration
PROGRAMME = "test-programme"
ORDER = {"max_minor": AMOUNT_MINOR, "attempts_max": 3, "retry_after_s": 0}


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    house = await House.build(db, database_url, keys)
    await house.act(gate.SET_RULE, PROGRAMME, cool_off_s=0)
    return house


async def look(house: House) -> int:
    """One look of the worker. Returns how many items it listed; what the order approved is instructed."""
    async with house.db.connection() as conn:
        order = await reissue.next_order(conn, "")
    if order is None:
        return 0
    built = await house.run(reissue.reissue, order, house.banks, 3600)
    await house.instruct()
    return built["items"] if built else 0


def moved(number: int, version: int = 2) -> list[Received]:
    """The registry's word that somebody has another account."""
    return [payee(number, version=version, account_token=f"{number + 1000 * version:064x}")]


def again(number: int, attempt: int = 2) -> str:
    return f"{instruction(number)[:-3]}{attempt:03d}"


async def test_a_return_is_issued_again_once_its_account_is_another(house: House) -> None:
    """Nothing before the registry's correction, nothing for the same account; then the next attempt, once."""
    await house.act(reissue.SET_ORDER, PROGRAMME, **ORDER)
    await house.instructed(3)
    await house.answers([answer(number) for number in range(3)])
    await house.answers([answer(number, "RTRN", reason="AC04", bank_reference=f"RET-{number}") for number in (0, 1)])
    assert await look(house) == 0
    await house.take_payees([*moved(0), payee(1, version=2)])
    assert await look(house) == 1
    assert await look(house) == 0
    states = await house.states()
    assert (states[instruction(0)], states[again(0)]) == ("returned", "instructed")
    assert again(1) not in states
    (fact,) = await house.events("salur.payment.reissued.v1")
    assert (fact["replaces"], fact["instruction_id"], fact["attempt"]) == (instruction(0), again(0), 2)
    await house.answers([answer(0, message="second", instruction_id=again(0))])
    standing = await house.standing()
    assert (standing["payments"], standing["paid"], standing["returned"], standing["reissued"]) == (3, 2, 1, 1)
    (approval,) = await house.fetch("SELECT approver, delegators FROM list_approval WHERE approver LIKE 'order:%'")
    assert CHECKER in approval["delegators"]
    await house.check_books()


async def test_without_an_order_or_above_it_people_build_the_list(house: House) -> None:
    await house.instructed(1)
    await house.answers([answer(0, "RJCT", reason="AC04", bank_reference=None)])
    await house.take_payees(moved(0))
    assert await look(house) == 0
    await house.act(reissue.SET_ORDER, PROGRAMME, **ORDER | {"max_minor": AMOUNT_MINOR - 1})
    assert await look(house) == 0
    assert (await house.paid_by_follow_up())["items"] == 1


async def test_an_order_is_one_approver_and_no_more_where_the_amount_asks_two(house: House) -> None:
    await house.act(reissue.SET_ORDER, PROGRAMME, **ORDER)
    await house.instructed(1)
    await house.act(gate.SET_BAND, "MXN-0", currency="MXN", over_minor=0, approvers=2)
    await house.answers([answer(0, "RJCT", reason="AC04", bank_reference=None)])
    await house.take_payees(moved(0))
    assert await look(house) == 1
    assert again(0) not in await house.states()
    ((list_id, content_hash),) = await house.fetch(
        "SELECT list_id, content_hash FROM payment_list WHERE state = 'submitted'"
    )
    with pytest.raises(Forbidden):
        await house.approve(list_id, content_hash)
    await house.approve(list_id, content_hash, "person:another")
    await house.instruct()
    assert (await house.states())[again(0)] == "instructed"


async def test_a_refusal_that_passes_is_tried_again_after_a_while_and_not_for_ever(house: House) -> None:
    """AM04: the paying account was empty. Three attempts, then it is left to people."""
    await house.act(reissue.SET_ORDER, PROGRAMME, **ORDER | {"retry_after_s": 3600})
    await house.instructed(1)
    for attempt in (1, 2, 3):
        refused = answer(
            0, "RJCT", message=f"m-{attempt}", reason="AM04", bank_reference=None, instruction_id=again(0, attempt)
        )
        await house.answers([refused])
        assert await look(house) == 0, "too early"
        async with house.db.transaction() as conn:
            await conn.execute("UPDATE payment SET changed_at = now() - interval '2 hours'")
        assert await look(house) == (1 if attempt < 3 else 0)
    assert set((await house.states()).values()) == {"rejected"}


async def test_a_reason_that_needs_a_person_waits_for_two(house: House) -> None:
    """FRAD and FOCR: a case each. One is let go on, one ends in the treasury; a new account alone does nothing."""
    await house.act(reissue.SET_ORDER, PROGRAMME, **ORDER)
    await house.instructed(2)
    await house.answers([answer(0, "RJCT", reason="FRAD", bank_reference=None), answer(1)])
    await house.answers([answer(1, "RTRN", reason="FOCR", bank_reference="RET-1")])
    await house.take_payees([*moved(0), *moved(1)])
    assert await look(house) == 0
    rows = await house.fetch("SELECT payment_id, case_id FROM money_case")
    cases = {row["payment_id"]: row["case_id"] for row in rows}
    first, second = (cases[payment_id(entitlement(number), 1)] for number in (0, 1))
    with pytest.raises(Conflict) as raised:
        await house.act(money_cases.CASE_RESOLVE, first, resolution="offset")
    assert raised.value.code == "case-resolution"
    await house.fetch("UPDATE proposal SET state = 'refused', decided_by = 'person:x' WHERE state = 'open' RETURNING 1")
    await house.act(money_cases.CASE_RESOLVE, first, resolution="retried")
    assert await look(house) == 1
    await house.act(money_cases.CASE_RESOLVE, second, resolution="ended")
    states = await house.states()
    assert (states[again(0)], states[instruction(1)]) == ("instructed", "treasury")
    assert await look(house) == 0
    await house.check_books()


async def test_what_people_ended_is_never_issued_again(house: House) -> None:
    await house.act(reissue.SET_ORDER, PROGRAMME, **ORDER)
    await house.instructed(2)
    await house.answers([answer(number, "RJCT", reason="AC04", bank_reference=None) for number in (0, 1)])
    await house.act(endings.END_CYCLE, CYCLE)
    await house.take_payees([*moved(0), *moved(1)])
    assert await look(house) == 0


@pytest.mark.parametrize("seed", [3, 17])
async def test_by_the_banks_books_nobody_ever_has_two(house: House, tmp_path: Path, seed: int) -> None:
    """Banks that refuse, return, are late, silent and repeat themselves; corrections and looks in any order; every
    message may come twice. In the books no entitlement ever keeps two transfers, and what settled is what they keep.
    """
    unreliable = replace(PROFILES["unreliable"], closed_account=2_000, returned=2_000)
    street = Street.of(house, tmp_path, unreliable, seed)
    drawn = random.Random(seed)
    await house.act(reissue.SET_ORDER, PROGRAMME, **ORDER | {"attempts_max": 9})
    await house.instructed(24)
    version = dict.fromkeys(range(24), 1)
    said: list[tuple[str, bytes]] = []
    for _ in range(8):
        messages = await street.messages()
        for _, bank, message in [*messages, *drawn.sample(messages, len(messages) // 3)]:
            street.books[bank].take([message])
        said += street.said()
        drawn.shuffle(said)
        told, said = said[: len(said) * 3 // 4], said[len(said) * 3 // 4 :]
        await house.answers([*told, *drawn.sample(told, len(told) // 3)])
        for number in drawn.sample(range(24), 8):
            version[number] += 1
            await house.take_payees(moved(number, version[number]))
        await look(house)
        assert street.most_at_once() <= 1
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE payment SET answer_due_at = now() WHERE state IN ('instructed', 'unknown')")
    await house.inquire()
    await street.deliver()
    await house.answers([*said, *street.said()])
    kept = {key: count for key, count in street.kept().items() if count}
    assert only_settled(await house.states()) == kept
    assert street.most_at_once() == 1
    assert (await house.standing())["reissued"] > 0
    assert await house.suspended() == []
    await house.check_books()

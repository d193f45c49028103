"""Banks are asked about accounts before their first use; the gate holds what they have not found good."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from partner_bank.profile import Profile
from partner_bank.rules import Clerk
from partner_bank.wire import AccountCheck, finding, read
from salur.common.contracts.registry import PayeeChecked
from salur.common.database import Database
from salur.common.errors import Conflict
from salur.common.events import Received
from salur.common.secrets import Secrets
from salur.payments.domain.lists import Banks
from salur.payments.usecases.account_checks import Waits, ask_batch, await_earlier, check_id_of
from support.golden import read_golden
from support.payments import AMOUNT_MINOR, House, bank_of, beneficiary, instruction, payee, received

pytestmark = pytest.mark.integration
AT_ONCE, LATER = Waits(0, 0), Waits(3600, 3600)
CHECKED = frozenset({"bank-a", "bank-b"})


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    house = await House.build(db, database_url, keys)
    house.banks = Banks(CHECKED, CHECKED)
    await house.open_fund(10**9)
    return house


async def ask(house: House, waits: Waits = LATER) -> list[AccountCheck]:
    """What banks are asked now, as the example bank reads it."""
    before = len(await house.events("salur.account-check.asked.v1"))
    async with house.db.transaction() as conn:
        _, drafts = await ask_batch(conn, house.keys, waits, 1000)
        await house.store.append(conn, drafts)
    async with house.db.connection() as conn:
        rows = await conn.fetch(
            "SELECT body FROM event WHERE type = 'salur.account-check.asked.v1' ORDER BY id OFFSET $1", before
        )
    return [AccountCheck(fact["check_id"], fact["account_number"], True)
            for fact in (orjson.loads(row["body"])["data"] for row in rows)]  # fmt: skip


def found(check: AccountCheck, bank: str, outcome: str, message: str | None = None) -> tuple[str, bytes]:
    return bank, finding(bank, message or f"f-{check.check_id}", 0.0, check, outcome)


def number_of(check: AccountCheck) -> int:
    return {check_id_of(beneficiary(number), version): number for number in range(9) for version in (1, 2)}[
        check.check_id
    ]


def recorded(number: int, result: Any, version: int = 1) -> Received:
    fact = PayeeChecked(
        beneficiary_id=beneficiary(number), version=version, bank=bank_of(number), result=result,
        checked_at=datetime.now(UTC).isoformat(), evidence="letter 12",
    )  # fmt: skip
    return received("registry.payees", fact.beneficiary_id, fact)


async def holds(house: House) -> dict[int, tuple[str, Any]]:
    """By number of the beneficiary: the gate's check and the result it saw."""
    async with house.db.connection() as conn:
        rows = await conn.fetch(
            "SELECT i.beneficiary_id, h.check_code, h.evidence"
            " FROM gate_hit h JOIN list_item i USING (list_id, payment_id)"
        )
    numbers = {beneficiary(number): number for number in range(9)}
    return {numbers[row["beneficiary_id"]]: (row["check_code"], row["evidence"]["result"]) for row in rows}


async def test_only_accounts_a_bank_found_good_are_paid_and_the_others_when_they_are(house: House) -> None:
    """One per finding, one without an answer; a correction, a late answer and a person's record end the holds."""
    await house.grant([AMOUNT_MINOR] * 6)
    checks = {number_of(check): check for check in await ask(house)}
    assert len(checks) == 6
    outcomes = ["matches", "name-close", "name-differs", "closed", "unknown-account"]
    await house.answers([found(checks[number], bank_of(number), told) for number, told in enumerate(outcomes)])
    built = await house.build_list()
    assert await holds(house) == {
        2: ("account-check-failed", "name-differs"), 3: ("account-check-failed", "closed"),
        4: ("account-check-failed", "unknown-account"), 5: ("account-unchecked", None),
    }  # fmt: skip
    facts = await house.events("salur.account.checked.v1")
    assert {fact["result"] for fact in facts} == set(outcomes)
    assert all(fact["bank_message_id"].startswith("f-") and fact["asked_at"] for fact in facts)
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()
    assert set(await house.states()) == {instruction(0), instruction(1)}

    with pytest.raises(Conflict) as nothing:
        await house.follow_up()
    assert nothing.value.code == "list-empty"
    await house.act("gate-rule", "test-programme", cool_off_s=0)
    await house.answers([found(checks[5], bank_of(5), "matches")])
    await house.take_payees([payee(2, version=2, account_token="e" * 64), recorded(3, "matches")])
    (again,) = await ask(house)
    assert number_of(again) == 2
    assert (await house.follow_up())["items"] == 2, (
        "the corrected account is not used before the bank has found it good"
    )


async def test_a_silent_bank_is_asked_again_with_the_same_commitment(house: House) -> None:
    await house.take_payees([payee(0)])
    (first,) = await ask(house, AT_ONCE)
    (second,) = await ask(house)
    assert (first.check_id, first.account_commitment) == (second.check_id, second.account_commitment)
    assert await ask(house) == [], "asked before its time"
    assert [fact["ask"] for fact in await house.events("salur.account-check.asked.v1")] == [1, 2]
    await house.answers([found(second, "bank-a", "matches")])
    async with house.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM account_check WHERE result IS NULL") == 0


async def test_findings_that_contradict_are_put_aside_and_change_nothing(house: House) -> None:
    await house.take_payees([payee(0), payee(2)])
    checks = {number_of(check): check for check in await ask(house)}
    good = found(checks[0], "bank-a", "matches")
    other = AccountCheck(checks[2].check_id, checks[0].account_commitment, True)
    await house.answers([good, good])
    await house.answers([
        found(checks[0], "bank-a", "matches", "again"),
        found(checks[0], "bank-a", "closed", "changed"),
        found(checks[0], "bank-a", "closed"),
        found(checks[0], "bank-b", "closed", "stranger"),
        found(other, "bank-a", "matches"),
        found(AccountCheck("f" * 32, "sha256:" + "0" * 64, True), "bank-a", "matches"),
    ])  # fmt: skip
    assert sorted(await house.suspended()) == [
        "check-contradicted", "check-unknown", "message-conflict", "other-account", "wrong-bank",
    ]  # fmt: skip
    async with house.db.connection() as conn:
        rows = await conn.fetch("SELECT check_id, result FROM account_check WHERE result IS NOT NULL")
    assert [tuple(row) for row in rows] == [(checks[0].check_id, "matches")]


async def test_accounts_taken_before_a_bank_checked_are_asked_about_and_no_number_stands_in_clear(house: House) -> None:
    house.banks = Banks(CHECKED)
    await house.take_payees([payee(0), payee(2, status="suspended"), payee(1)])
    assert await ask(house) == []
    async with house.db.transaction() as conn:
        await await_earlier(conn, frozenset({"bank-a"}))
    (check,) = await ask(house)
    assert number_of(check) == 0
    async with house.db.connection() as conn:
        body = await conn.fetchval("SELECT body FROM event WHERE type = 'salur.account-check.asked.v1'")
    assert b"9000000000" not in body
    assert b"Holder" not in body


def test_the_example_bank_gives_the_same_finding_however_often_it_is_asked() -> None:
    golden = read_golden("salur.account-check.asked.v1")
    check = read(golden.value, golden.header)
    unproven = read(golden.value, None)
    clerk = Clerk("bank-a", Profile(misnamed=10_000), 7, {}, 0.0)
    answers = clerk.handle([check, check, unproven]).answers
    told = [orjson.loads(answer.value or b"")["data"]["result"] for answer in answers]
    assert told == ["name-differs", "name-differs", "unknown-account"]
    assert answers[0].message_id == answers[1].message_id != answers[2].message_id

"""Banks that work with files alone: accounts checked, cash handed over, and banks that cannot check at all."""

import re
from pathlib import Path
from typing import Any

import pytest

from partner_bank.profile import Profile
from partner_bank.wire import code_fits
from salur.common.auth import Caller
from salur.common.contracts.registry import PayeeChecked
from salur.common.database import Database
from salur.common.secrets import Secrets
from salur.common.values import derived_id, payment_id
from salur.payments.domain.lists import Banks
from salur.payments.usecases.account_checks import Waits, ask_batch
from salur.payments.usecases.collection import read_code
from salur.payments.usecases.gate import gate_hits
from support.desk import Desk
from support.payments import (
    AMOUNT_MINOR,
    BANKS,
    answer,
    bank_of,
    beneficiary,
    entitlement,
    granted,
    instruction,
    payee,
    received,
)

pytestmark = pytest.mark.integration
PROGRAMME = "test-programme"


@pytest.fixture
async def desk(db: Database, database_url: str, keys: Secrets, tmp_path: Path) -> Desk:
    desk = await Desk.open(db, database_url, keys, tmp_path, transactions=20)
    await desk.house.open_fund(10**9)
    return desk


async def ask(desk: Desk) -> None:
    """What is to be asked lies in the banks' folders."""
    async with desk.house.db.transaction() as conn:
        _, drafts = await ask_batch(conn, desk.house.keys, Waits(3600, 3600), 1000)
        await desk.house.store.append(conn, drafts)
    await desk.send()


async def results(desk: Desk) -> dict[str, str | None]:
    rows = await desk.house.fetch("SELECT beneficiary_id, result FROM account_check")
    return {row["beneficiary_id"]: row["result"] for row in rows}


async def holds(desk: Desk) -> dict[str, str]:
    rows = await desk.house.fetch("SELECT beneficiary_id, hold FROM list_item WHERE hold IS NOT NULL")
    return {row["beneficiary_id"]: row["hold"] for row in rows}


async def paid(desk: Desk, payees: list[Any]) -> dict[str, Any]:
    """A cycle with these payees, listed and approved, instructed and put into files."""
    await desk.house.take_payees(payees)
    await desk.house.take_entitlements([granted(number) for number in range(len(payees))])
    await desk.house.pass_cut(range(8))
    await desk.house.pass_grant(range(8), len(payees), AMOUNT_MINOR * len(payees))
    built = await desk.house.build_list()
    await desk.house.submit(built["list_id"])
    await desk.house.approve(built["list_id"], built["content_hash"])
    await desk.house.instruct()
    await desk.send()
    return built


async def test_accounts_are_checked_by_files_and_only_good_ones_are_paid(desk: Desk) -> None:
    desk.house.banks = Banks(frozenset(BANKS), checked=frozenset(BANKS))
    await desk.house.take_payees([payee(number) for number in range(8)])
    await ask(desk)
    assert sum(len(path.read_text().splitlines()) - 1 for path in desk.root.rglob("checks-*.csv")) == 8
    desk.banks_turn(Profile(misnamed=4_000))
    await desk.take()
    said = await results(desk)
    assert set(said.values()) == {"matches", "name-differs"}
    for path in list(desk.root.rglob("archive/*.csv")):
        desk.put(path.parents[1].name, "again.csv", path.read_bytes())
    await desk.take()
    assert (await results(desk), await desk.house.suspended()) == (said, [])
    assert len(await desk.house.events("salur.account.checked.v1")) == 8
    built = await paid(desk, [payee(number) for number in range(8)])
    good = [key for key, result in said.items() if result == "matches"]
    assert built["items"] == len(good)
    assert await holds(desk) == {key: "account-check-failed" for key in said if key not in good}


async def test_what_a_file_says_of_other_accounts_is_put_aside_row_by_row(desk: Desk) -> None:
    desk.house.banks = Banks(frozenset(BANKS), checked=frozenset(BANKS))
    await desk.house.take_payees([payee(number) for number in range(4)])
    await ask(desk)
    (asked,) = (desk.root / "bank-a" / "outbox").glob("checks-*.csv")
    first, second = (line.split(",")[:2] for line in asked.read_text().splitlines()[1:])
    rows = [
        f"{first[0]},1111,matches", f"{'f' * 32},{first[1]},matches", f"{second[0]},{second[1]},fine",
        f"{second[0]},{second[1]},name-close",
    ]  # fmt: skip
    desk.put("bank-a", "f.csv", "\r\n".join(["check_id,account_number,result", *rows, ""]).encode())
    desk.put("bank-b", "g.csv", f"check_id,account_number,result\n{first[0]},{first[1]},matches\n".encode())
    await desk.take()
    assert sorted(await desk.house.suspended()) == ["check-unknown", "malformed", "other-account", "wrong-bank"]
    assert sorted(filter(None, (await results(desk)).values())) == ["name-close"]
    desk.put("bank-a", "other.csv", b"check_id,result\n1,2\n")
    await desk.take()
    assert desk.refusal("bank-a") == "csv"


async def test_money_nobody_takes_is_told_by_a_file_and_only_of_the_banks_own_payments(desk: Desk) -> None:
    """The same ageing as over HTTP; what speaks of another bank's payment or of none is put aside, row by row."""
    await paid(desk, [payee(number) for number in range(4)])
    await desk.house.answers([answer(number) for number in range(4)])
    own, other = instruction(0), instruction(1)
    rows = [f"{own},untouched,2026-01-31", f"{other},untouched,2026-01-31", f"{'0' * 30}-001,claimed,2026-01-31"]
    desk.put("bank-a", "unclaimed.csv", "\n".join(["instruction_id,standing,since", *rows, ""]).encode())
    await desk.take()
    found = await desk.house.fetch("SELECT bank, standing, instruction_id FROM unclaimed_payment")
    assert [tuple(row) for row in found] == [("bank-a", "untouched", own)]
    assert len(await desk.house.suspended()) == 2
    desk.put("bank-a", "taken.csv", f"instruction_id,standing,since\n{own},claimed,2026-02-01\n".encode())
    await desk.take()
    assert await desk.house.fetch("SELECT 1 FROM unclaimed_payment") == []
    desk.put("bank-a", "wrong.csv", f"instruction_id,standing,since\n{own},lost,2026-02-01\n".encode())
    await desk.take()
    assert desk.refusal("bank-a") == "csv"


async def test_cash_is_ordered_and_handed_over_by_files_and_the_recipient_is_told_once(desk: Desk) -> None:
    """The pain.001 names the method and the code's commitment; the code stands in no file and no event."""
    desk.house.banks = Banks(frozenset(BANKS), cash=frozenset(BANKS))
    await paid(desk, [payee(0, method="cash"), payee(1, method="cash"), payee(2)])
    orders = desk.orders("bank-a") | desk.orders("bank-b")
    assert {key: order.method for key, order in orders.items()} == {
        instruction(0): "cash", instruction(1): "cash", instruction(2): "account",
    }  # fmt: skip
    caller = Caller("person:operator", frozenset({"payment-operator"}), (), "request-1")
    read = [payment_id(entitlement(number), 1) for number in (0, 1)]
    codes = [(await desk.house.run(read_code, desk.house.keys, key, "hand-over", caller))["code"] for key in read]
    for number, code in enumerate(codes):
        assert code_fits(instruction(number), orders[instruction(number)].code_commitment or "", code)
    desk.banks_turn()
    await desk.take()
    assert set((await desk.house.states()).values()) == {"settled"}
    ready = await desk.house.events("salur.payment.ready-for-collection.v1")
    assert sorted(fact["instruction_id"] for fact in ready) == sorted([instruction(0), instruction(1)])
    written = b"".join(path.read_bytes() for path in desk.root.rglob("*") if path.is_file())
    events = str(await desk.house.fetch("SELECT body FROM event"))
    assert not any(code.encode() in written or code in events for code in codes)
    await desk.house.check_books()


async def test_cash_that_nobody_fetched_is_refused_by_file_and_its_money_is_free(desk: Desk) -> None:
    desk.house.banks = Banks(frozenset(BANKS), cash=frozenset(BANKS))
    await paid(desk, [payee(0, method="cash")])
    ready = [answer(0, "ACSP", bank_reference=None, message=f"ready-{number}") for number in (1, 2)]
    await desk.house.answers(ready)
    assert len(await desk.house.events("salur.payment.ready-for-collection.v1")) == 1, "told once"
    await desk.house.answers([answer(0, "RJCT", reason="NOAS", bank_reference=None)])
    assert set((await desk.house.states()).values()) == {"rejected"}
    assert (await desk.house.check_books())["available_minor"] == 10**9


async def test_a_bank_that_cannot_check_has_the_first_use_of_an_account_decided(desk: Desk) -> None:
    """bank-b cannot check. A release, or a check a person recorded, lets it be paid; once paid it needs neither."""
    house = desk.house
    house.banks = Banks(frozenset(BANKS), unchecking=frozenset({"bank-b"}))
    built = await paid(desk, [payee(number) for number in range(6)])
    assert built["items"] == 3
    assert await holds(desk) == {beneficiary(number): "account-first-use" for number in (1, 3, 5)}
    await house.decide_item(1, "release")
    fact = PayeeChecked(
        beneficiary_id=beneficiary(3), version=1, bank=bank_of(3), result="matches", checked_at="2026-01-01T00:00:00Z",
        evidence="letter 12",
    )  # fmt: skip
    await house.take_payees([received("registry.payees", beneficiary(3), fact)])
    await house.paid_by_follow_up()
    await house.answers([answer(number) for number in range(4)])
    assert {key: state for key, state in (await house.states()).items() if state != "settled"} == {
        instruction(number): "instructed" for number in (4,)
    }
    later = derived_id("later-cycle")
    await house.take_entitlements([granted(number, cycle=later) for number in (1, 3, 5)])
    async with house.db.connection() as conn:
        hits = await gate_hits(conn, later, PROGRAMME, house.banks)
    assert {key: [hit.code for hit in found] for key, found in hits.items()} == {
        entitlement(5, later): ["account-first-use"]
    }


def test_no_code_is_in_the_words_people_are_sent() -> None:
    (words,) = (Path(__file__).parents[2] / "services" / "registry").rglob("notices.toml")
    section = words.read_text(encoding="utf-8").split("[cash-ready]")[1].split("[")[0]
    assert set(re.findall(r"{(\w+)}", section)) == {"amount", "bank", "date"}

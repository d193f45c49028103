"""Whose account is paid, and how: a person's payee, an insurer for a programme, cash against a code, cards, groups."""

from dataclasses import replace
from typing import Any

import pytest

from salur.common.auth import Caller
from salur.common.database import Database
from salur.common.errors import Conflict, NotFound
from salur.common.events import Received
from salur.common.secrets import Secrets
from salur.common.values import derived_id, payment_id
from salur.payments.domain.lists import Banks
from salur.payments.domain.methods import code_commitment
from salur.payments.usecases import gate
from salur.payments.usecases.collection import read_code
from support.payments import (
    AMOUNT_MINOR,
    BANKS,
    IMPATIENT,
    PATIENCE,
    House,
    answer,
    beneficiary,
    entitlement,
    granted,
    instruction,
    payee,
)

pytestmark = pytest.mark.integration
PROGRAMME = "test-programme"
FAMILY = derived_id("family")


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    house = await House.build(db, database_url, keys)
    house.banks = Banks(frozenset(BANKS), cash=frozenset({"bank-a"}))
    await house.open_fund(10**9)
    return house


async def holds(house: House) -> dict[str, str]:
    async with house.db.connection() as conn:
        rows = await conn.fetch("SELECT beneficiary_id, hold FROM list_item WHERE hold IS NOT NULL")
    return {row["beneficiary_id"]: row["hold"] for row in rows}


async def approved(house: House) -> dict[str, Any]:
    built = await house.build_list()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    return built


async def grant_to(house: House, payees: list[str | None]) -> None:
    """A complete cycle whose entitlements name these payees (None: the beneficiary)."""
    await house.take_entitlements([granted(number, payee_id=named) for number, named in enumerate(payees)])
    await house.pass_cut(range(8))
    await house.pass_grant(range(8), len(payees), AMOUNT_MINOR * len(payees))


def of_family(**changes: Any) -> Received:
    """The family's account, as the registry tells it."""
    return named(payee(50, **changes), FAMILY)


def named(event: Received, family: str) -> Received:
    return event._replace(data=event.data.model_copy(update={"beneficiary_id": family}), key=family)


async def test_people_of_one_family_are_paid_into_its_account_and_are_no_duplicates(house: House) -> None:
    """Six persons, one account, one identity behind it: neither shared nor doubled; each has a payment of their own."""
    await house.take_payees([of_family(identity_token="a" * 64)])
    await grant_to(house, [FAMILY] * 6)
    built = await approved(house)
    assert (built["items"], built["held"]) == (6, {})
    await house.instruct()
    told = await house.events("salur.payment.instructed.v1")
    assert len({fact["payment_id"] for fact in told}) == 6
    await house.answers([answer(number) for number in range(6) if number % 2 == 0])
    async with house.db.connection() as conn:
        rows = await conn.fetch("SELECT DISTINCT payee_id, bank FROM payment")
    assert [tuple(row) for row in rows] == [(FAMILY, "bank-a")]


async def test_a_change_of_the_payee_acts_by_the_state_of_every_payment_to_it(house: House) -> None:
    """Listed: held. Told to the bank: asked at once. Paid: nothing. Only payments to that payee."""
    await house.take_payees([of_family(), payee(2)])
    await grant_to(house, [FAMILY, FAMILY, None])
    await approved(house)
    await house.take_payees([of_family(version=2, account_token="c" * 64)])
    await house.instruct()
    assert await holds(house) == {beneficiary(0): "payee-changed", beneficiary(1): "payee-changed"}
    assert set(await house.states()) == {instruction(2)}
    await house.act(gate.SET_RULE, PROGRAMME, cool_off_s=0)
    assert (await house.paid_by_follow_up())["items"] == 2
    await house.take_payees([of_family(version=3, account_token="d" * 64)])
    await house.inquire(IMPATIENT)
    asked = {fact["instruction_id"] for fact in await house.events("salur.payment.inquired.v1")}
    assert asked == {instruction(0), instruction(1)}


async def test_a_family_that_died_or_left_holds_what_its_people_are_owed(house: House) -> None:
    other = derived_id("other-family")
    await house.take_payees([of_family(status="closed"), named(payee(51, living="deceased"), other), payee(2)])
    await grant_to(house, [FAMILY, other, None])
    await house.build_list()
    assert await holds(house) == {beneficiary(0): "not-in-registry", beneficiary(1): "deceased"}


async def test_an_insurer_is_paid_for_everybody_of_a_programme_when_two_people_say_so(house: House) -> None:
    proposed = await house.propose(gate.SET_PAYEE, PROGRAMME, payee_id=FAMILY)
    with pytest.raises(Conflict) as unknown:
        await house.decide(proposed)
    assert unknown.value.code == "payee-unknown"
    await house.take_payees([of_family(method="contribution", bank="bank-b"), payee(0, living="deceased")])
    await house.decide(proposed)
    await grant_to(house, [None] * 8)
    built = await approved(house)
    assert await holds(house) == {beneficiary(0): "deceased"}, "nobody pays contributions for the dead"
    assert built["items"] == 7
    await house.instruct()
    told = await house.events("salur.payment.instructed.v1")
    assert {(fact["bank"], fact["method"], fact["code_commitment"]) for fact in told} == {
        ("bank-b", "contribution", None)
    }
    await house.act(gate.SET_PAYEE, PROGRAMME, payee_id="")
    async with house.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM programme_payee") == 0


@pytest.mark.parametrize("method", ["account", "card", "group-account"])
async def test_each_method_is_told_to_the_bank(house: House, method: str) -> None:
    await house.take_payees([payee(0, method=method)])
    await grant_to(house, [None])
    await approved(house)
    await house.instruct()
    (fact,) = await house.events("salur.payment.instructed.v1")
    assert (fact["method"], fact["code_commitment"]) == (method, None)


async def test_cash_waits_for_who_tells_its_code_and_is_over_when_nobody_came(house: House) -> None:
    """The code is in no row and no event; the bank can prove it; until the term nobody asks; NOAS ends it."""
    await house.take_payees([payee(0, method="cash"), payee(1, method="cash"), payee(2, method="cash")])
    await grant_to(house, [None] * 3)
    built = await approved(house)
    assert (built["items"], await holds(house)) == (2, {beneficiary(1): "method-not-offered"}), "bank-b has no counter"
    await house.instruct(replace(PATIENCE, answer_timeout_s=1, cash_within_s=3600))
    told = {fact["instruction_id"]: fact for fact in await house.events("salur.payment.instructed.v1")}
    codes = {number: await code(house, number) for number in (0, 2)}
    for number, read in codes.items():
        assert told[instruction(number)]["code_commitment"] == code_commitment(instruction(number), read)
    await house.answers([answer(0, "ACSP", bank_reference=None)])
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE payment SET answer_due_at = answer_due_at - interval '59 minutes'")
    await house.inquire(PATIENCE)
    assert set((await house.states()).values()) == {"instructed"}, "asked while the money waits to be fetched"
    await house.answers([answer(0), answer(2, "RJCT", reason="NOAS", bank_reference=None)])
    assert await house.states() == {instruction(0): "settled", instruction(2): "rejected"}
    with pytest.raises(Conflict) as over:
        await code(house, 2)
    assert over.value.code == "no-collection-code"
    assert (await house.check_books())["settled_minor"] == AMOUNT_MINOR
    async with house.db.connection() as conn:
        dump = str(await conn.fetch("SELECT body FROM event")) + str(await conn.fetch("SELECT * FROM payment"))
    assert not any(read in dump for read in codes.values())
    assert len(await house.events("salur.personal-value.read.v1")) == 2


async def code(house: House, number: int, regions: tuple[str, ...] = ()) -> str:
    caller = Caller("person:operator", frozenset({"payment-operator"}), regions, "request-1")
    told = await house.run(read_code, house.keys, payment_id(entitlement(number), 1), "hand-over", caller)
    return str(told["code"])


async def test_a_code_is_read_within_ones_regions_alone(house: House) -> None:
    await house.take_payees([payee(0, method="cash")])
    await grant_to(house, [None])
    await approved(house)
    await house.instruct()
    assert await code(house, 0, ("31",)) == await code(house, 0)
    with pytest.raises(NotFound):
        await code(house, 0, ("32",))

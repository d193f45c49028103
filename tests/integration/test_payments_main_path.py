"""From a complete cycle to settled money, on the real database."""

import asyncio

import pytest

from salur.common.database import Database
from salur.common.errors import Conflict, Forbidden, SalurError
from salur.common.secrets import Secrets
from salur.payments import ledger
from salur.payments.usecases import views
from support.payments import (
    AMOUNT_MINOR,
    BANKS,
    CHECKER,
    IMPATIENT,
    MAKER,
    House,
    answer,
    bank_of,
    granted,
    instruction,
    payee,
)

pytestmark = pytest.mark.integration


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    return await House.build(db, database_url, keys)


async def test_a_cycle_becomes_settled_rejected_and_returned_money(house: House) -> None:
    """30 payments: each ends once, money adds up, and every event is there."""
    list_id = await house.instructed(30, budget_minor=30 * AMOUNT_MINOR)
    assert set((await house.states()).values()) == {"instructed"}
    before = await house.check_books()
    assert (before["available_minor"], before["in_flight_minor"]) == (0, 30 * AMOUNT_MINOR)
    credited = [answer(number) for number in range(25)]
    refused = [answer(number, "RJCT", reason="AC04", bank_reference=None) for number in range(25, 30)]
    await house.answers([*credited, *refused])
    await house.answers([answer(number, "RTRN", reason="AC06", bank_reference=f"RET-{number}") for number in range(5)])
    fund = await house.check_books()
    assert (fund["settled_minor"], fund["returned_minor"], fund["rejected_minor"], fund["available_minor"]) == (
        20 * AMOUNT_MINOR,
        5 * AMOUNT_MINOR,
        5 * AMOUNT_MINOR,
        10 * AMOUNT_MINOR,
    )
    counts = {
        kind: len(await house.events(f"salur.payment.{kind}.v1"))
        for kind in ("instructed", "settled", "rejected", "returned")
    }
    assert counts == {"instructed": 30, "settled": 25, "rejected": 5, "returned": 5}
    async with house.db.connection() as conn:
        view = await views.list_view(conn, list_id)
    assert view["complete"]
    assert {state: item["count"] for state, item in view["states"].items()} == {
        "settled": 20,
        "rejected": 5,
        "returned": 5,
    }
    assert await house.suspended() == []


async def test_instructions_carry_the_account_beside_the_body_only(house: House) -> None:
    await house.instructed(2)
    facts = await house.events("salur.payment.instructed.v1")
    assert all(fact["account_number"].startswith("sha256:") for fact in facts)
    async with house.db.connection() as conn:
        bodies = await conn.fetchval("SELECT string_agg(convert_from(body, 'UTF8'), ' ') FROM event")
        values = await conn.fetchval("SELECT count(*) FROM event_personal")
        sealed = await conn.fetchval("SELECT string_agg(encode(sealed, 'escape'), ' ') FROM payee")
    assert "9000000001" not in bodies
    assert "Holder" not in bodies
    assert "9000000001" not in sealed
    assert values == 2


async def test_a_list_waits_until_every_partition_has_passed(house: House) -> None:
    """Entitlements, grant marks, the cut in every payee partition: each missing part is a refusal with a time."""
    await house.open_fund(10**9)

    async def refusal() -> SalurError:
        with pytest.raises(Conflict) as raised:
            await house.build_list()
        return raised.value

    assert (await refusal()).code == "cycle-not-complete"
    await house.take_payees([payee(number) for number in range(3)])
    await house.pass_grant(range(7), 3, 3 * AMOUNT_MINOR)
    assert "7 of 8 grant marks" in str(await refusal())
    await house.pass_grant([7], 3, 3 * AMOUNT_MINOR)
    assert "0 of 8 payee partitions" in str(await refusal())
    await house.pass_cut(range(8))
    await house.take_entitlements([granted(0), granted(1)])
    last = await refusal()
    assert "2 of 3 entitlements" in str(last)
    assert last.retry_after_s
    await house.take_entitlements([granted(2)])
    assert (await house.build_list())["items"] == 3


async def test_a_cycle_is_listed_once_even_when_asked_twice_at_once(house: House) -> None:
    await house.open_fund(10**9)
    await house.grant([AMOUNT_MINOR] * 50)
    results = await asyncio.gather(*(house.build_list() for _ in range(4)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, Conflict)]
    assert [error.code for error in refused] == ["list-exists"] * 3
    async with house.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM list_item") == 50


async def test_the_same_input_gives_the_same_content_hash_and_other_input_another(house: House) -> None:
    await house.open_fund(10**9)
    await house.grant([AMOUNT_MINOR] * 3)
    first = await house.build_list()
    await house.submit(first["list_id"])
    await house.refuse(first["list_id"])
    again = await house.build_list()
    assert again["content_hash"] == first["content_hash"]
    await house.submit(again["list_id"])
    await house.refuse(again["list_id"])
    await house.take_payees([payee(1, version=2, bank="bank-a")])
    assert (await house.build_list())["content_hash"] != first["content_hash"]


async def test_who_cannot_be_paid_is_held_with_a_reason(house: House) -> None:
    await house.open_fund(10**9)
    await house.take_payees([payee(4, bank="bank-z"), payee(3, status="suspended")])
    await house.grant([AMOUNT_MINOR] * 5 + [0], without_payee=frozenset({2, 3, 4}))
    built = await house.build_list()
    assert built["held"] == {"no-account": 2, "bank-unknown": 1, "nothing-due": 1}
    assert built["items"] == 2
    assert sorted(fact["reason"] for fact in await house.events("salur.payment.held.v1")) == [
        "bank-unknown",
        "no-account",
        "no-account",
        "nothing-due",
    ]


async def test_a_beneficiary_behind_a_dead_letter_is_held(house: House) -> None:
    await house.open_fund(10**9)
    await house.grant([AMOUNT_MINOR] * 2)
    async with house.db.transaction() as conn:
        await conn.execute(
            "INSERT INTO dead_letter"
            " (id, consumer, topic, partition, kafka_offset, stream, sequence, key, state, reason, sealed)"
            " VALUES (gen_random_uuid(), 'payments.payees', 'registry.payees', 0, 0, 'registry.payees/0', 1, $1,"
            " 'raised', 'broken', '')",
            granted(1).key,
        )
    assert (await house.build_list())["held"] == {"input-blocked": 1}


async def test_a_budget_that_runs_out_cuts_the_list_at_item_k(house: House) -> None:
    """Budget for 4 and a half of 10: four are funded in rank order, six held, and exactly four instructed."""
    await house.open_fund(4 * AMOUNT_MINOR + AMOUNT_MINOR // 2)
    await house.grant([AMOUNT_MINOR] * 10)
    built = await house.build_list()
    submitted = await house.submit(built["list_id"])
    assert (submitted["funded_items"], submitted["funded_minor"], submitted["held_items"]) == (4, 4 * AMOUNT_MINOR, 6)
    assert {fact["reason"] for fact in await house.events("salur.payment.held.v1")} == {"no-funds"}
    await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()
    assert len(await house.states()) == 4
    async with house.db.connection() as conn:
        ranks = await conn.fetch("SELECT rank FROM list_item WHERE hold = 'no-funds' ORDER BY rank")
    assert [row["rank"] for row in ranks] == [5, 6, 7, 8, 9, 10]
    await house.check_books()


async def test_a_fund_that_bears_nothing_refuses_the_list_and_changes_nothing(house: House) -> None:
    await house.open_fund(AMOUNT_MINOR - 1)
    await house.grant([AMOUNT_MINOR] * 2)
    built = await house.build_list()
    with pytest.raises(Conflict) as raised:
        await house.submit(built["list_id"])
    assert (raised.value.code, raised.value.who) == ("no-funds", "budget holder")
    assert (await house.check_books())["available_minor"] == AMOUNT_MINOR - 1


async def test_maker_and_checker_are_two_people(house: House) -> None:
    """Neither who built nor who submitted may approve or refuse; the database would refuse it as well."""
    await house.open_fund(10**9)
    await house.grant([AMOUNT_MINOR] * 2)
    built = await house.build_list("person:builder")
    await house.submit(built["list_id"], MAKER)
    for actor in ("person:builder", MAKER):
        with pytest.raises(Forbidden) as raised:
            await house.approve(built["list_id"], built["content_hash"], actor)
        assert raised.value.code == "same-person"
        with pytest.raises(Forbidden):
            await house.refuse(built["list_id"], actor)
    with pytest.raises(Conflict) as other:
        await house.approve(built["list_id"], "0" * 64)
    assert other.value.code == "content-differs"
    async with house.db.connection() as conn:
        with pytest.raises(Exception, match="payment_list_two_people"):
            await conn.execute("UPDATE payment_list SET checked_by = $1", MAKER)
    answer_once = await house.approve(built["list_id"], built["content_hash"])
    assert await house.approve(built["list_id"], built["content_hash"]) == answer_once
    with pytest.raises(Conflict) as third:
        await house.approve(built["list_id"], built["content_hash"], "person:third")
    assert third.value.code == "already-approved"
    assert len(await house.events("salur.payment-list.approved.v1")) == 1


async def test_a_refused_list_frees_its_funds(house: House) -> None:
    await house.open_fund(3 * AMOUNT_MINOR)
    await house.grant([AMOUNT_MINOR] * 3)
    built = await house.build_list()
    await house.submit(built["list_id"])
    assert (await house.check_books())["available_minor"] == 0
    await house.refuse(built["list_id"])
    assert (await house.check_books())["available_minor"] == 3 * AMOUNT_MINOR
    await house.instruct()
    assert await house.states() == {}


async def test_a_payee_changed_after_the_lock_is_held_and_the_rest_is_paid(house: House) -> None:
    await house.open_fund(10**9)
    await house.grant([AMOUNT_MINOR] * 4)
    built = await house.build_list()
    await house.submit(built["list_id"])
    await house.take_payees([payee(2, version=2, bank="bank-b")])
    await house.approve(built["list_id"], built["content_hash"], CHECKER)
    await house.instruct(batch=3)
    assert set(await house.states()) == {instruction(number) for number in (0, 1, 3)}
    assert [fact["reason"] for fact in await house.events("salur.payment.held.v1")] == ["payee-changed"]
    assert (await house.check_books())["reserved_minor"] == 3 * AMOUNT_MINOR


async def test_silence_makes_a_payment_unknown_and_asks_until_the_bank_answers(house: House) -> None:
    """Unknown, asked again with growing waits; "not executed" frees the money and a later credit changes nothing."""
    await house.instructed(2, patience=IMPATIENT)
    await house.inquire()
    assert set((await house.states()).values()) == {"unknown"}
    assert len(await house.events("salur.payment.unknown.v1")) == 2
    assert [fact["inquiry"] for fact in await house.events("salur.payment.inquired.v1")] == [1, 1]
    await house.inquire()
    assert len(await house.events("salur.payment.inquired.v1")) == 2, "asked again before the wait was over"
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE payment SET answer_due_at = now()")
    await house.inquire()
    assert sorted(fact["inquiry"] for fact in await house.events("salur.payment.inquired.v1")) == [1, 1, 2, 2]
    assert len(await house.events("salur.payment.unknown.v1")) == 2
    await house.answers([answer(0, "PDNG", inquiry=1), answer(1, "RJCT", reason="NOOR", inquiry=2)])
    assert await house.states() == {instruction(0): "unknown", instruction(1): "rejected"}
    await house.answers([answer(0, inquiry=2), answer(1)])
    assert await house.states() == {instruction(0): "settled", instruction(1): "rejected"}
    assert await house.suspended() == ["settled-after-rejected"]
    await house.check_books()


async def test_two_workers_instruct_every_item_once(house: House) -> None:
    await house.open_fund(10**9)
    await house.grant([AMOUNT_MINOR] * 60)
    built = await house.build_list()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    await asyncio.gather(*(house.instruct(batch=7) for _ in range(3)))
    await house.instruct()
    facts = await house.events("salur.payment.instructed.v1")
    assert sorted(fact["instruction_id"] for fact in facts) == sorted(instruction(number) for number in range(60))
    assert {fact["bank"] for fact in facts} == set(BANKS)
    assert all(fact["bank"] == bank_of(0) for fact in facts if fact["instruction_id"] == instruction(0))


async def test_the_database_refuses_what_the_machine_does_not_allow(house: House) -> None:
    await house.instructed(1)
    await house.answers([answer(0)])
    async with house.db.connection() as conn:
        with pytest.raises(Exception, match="cannot go from settled to instructed"):
            await conn.execute("UPDATE payment SET state = 'instructed'")
        with pytest.raises(Exception, match="append-only"):
            await conn.execute("UPDATE entry SET amount_minor = 1")
        with pytest.raises(Exception, match="append-only"):
            await conn.execute("UPDATE list_item SET amount_minor = 1")


async def test_the_same_fund_again_is_the_same_and_another_budget_a_conflict(house: House) -> None:
    assert await house.open_fund(500)
    assert not await house.open_fund(500)
    with pytest.raises(Conflict) as raised:
        await house.open_fund(501)
    assert raised.value.code == "fund-exists"
    async with house.db.connection() as conn:
        assert await ledger.account_of(conn, "fund:central") == (500, 0)
    assert len(await house.events("salur.fund.opened.v1")) == 1

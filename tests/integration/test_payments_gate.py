"""The pre-payment gate, decisions on held items, follow-up lists, and approvals, on the real database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from salur.common.database import Database
from salur.common.errors import Conflict, Forbidden, NotFound
from salur.common.secrets import Secrets
from salur.common.values import derived_id, payment_id
from salur.payments.domain.gate import CHECKS, ENDS_ITSELF
from salur.payments.usecases import gate
from salur.payments.usecases.gate import AccountReport
from support.payments import (
    AMOUNT_MINOR,
    CHECKER,
    CURRENCY,
    CYCLE,
    MAKER,
    House,
    answer,
    beneficiary,
    entitlement,
    instruction,
    payee,
)

pytestmark = pytest.mark.integration
PROGRAMME = "test-programme"
LONG_AGO = datetime.now(UTC) - timedelta(days=30)


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    house = await House.build(db, database_url, keys)
    await house.open_fund(10**9)
    return house


async def holds(house: House, list_id: str) -> dict[int, str]:
    """By number of the beneficiary: why it is held."""
    async with house.db.connection() as conn:
        rows = await conn.fetch(
            "SELECT payment_id, hold FROM list_item WHERE list_id = $1 AND hold IS NOT NULL", list_id
        )
    numbers = {payment_id(entitlement(number), 1): number for number in range(60)}
    return {numbers[row["payment_id"]]: row["hold"] for row in rows}


async def evidence(house: House, code: str) -> list[dict[str, Any]]:
    async with house.db.connection() as conn:
        return [
            row["evidence"] for row in await conn.fetch("SELECT evidence FROM gate_hit WHERE check_code = $1", code)
        ]


async def test_every_check_holds_whom_it_is_for_with_evidence(house: House) -> None:
    """Twelve families, one reason each (two for the duplicate), and two clean ones that are paid."""
    await house.act(
        gate.SET_RULE, PROGRAMME, amount_min_minor=1_000, amount_max_minor=50_000, shared_account_max=1,
        cool_off_s=3600, excludes="other-programme", excludes_within_s=3600,
    )  # fmt: skip
    await house.act(gate.CLOSE_REGION, "32")
    twin = "a" * 64
    shared: dict[str, Any] = {"account_token": "b" * 64}
    await house.take_payees([
        payee(2, identity_token=twin), payee(3, identity_token=twin), payee(4, living="deceased"),
        payee(5, status="closed"), payee(6, **shared), payee(7, **shared), payee(10),
        payee(10, version=2, account_token="c" * 64),
    ])  # fmt: skip
    async with house.db.transaction() as conn:
        token = f"{8:064x}"
        await gate.keep_reports(conn, [AccountReport(token, "bank-a", "never-used", None)])
        await earlier_payment(conn, beneficiary(9), "other-programme", "settled", None)
        await earlier_payment(conn, beneficiary(11), PROGRAMME, "returned", "AC06")
    amounts = [AMOUNT_MINOR] * 13
    amounts[0] = 60_000
    await house.grant(amounts, without_payee=frozenset({2, 3, 4, 5, 6, 7, 10}))
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE entitlement SET region = '32.01' WHERE entitlement_id = $1", entitlement(12))
    built = await house.build_list()
    assert await holds(house, built["list_id"]) == {
        0: "amount-out-of-bounds", 2: "duplicate-identity", 3: "duplicate-identity", 4: "deceased",
        5: "not-in-registry", 6: "shared-account", 7: "shared-account", 8: "dormant-account",
        9: "excluded-by-programme", 10: "account-changed", 11: "refused-last-cycle", 12: "region-closed",
    }  # fmt: skip
    assert built["items"] == 1
    assert set(built["held"]) == set(CHECKS) - ENDS_ITSELF, "account checks have tests of their own"
    assert (await evidence(house, "shared-account"))[0] == {"beneficiaries": 2, "allowed": 1}
    assert (await evidence(house, "refused-last-cycle"))[0]["reason"] == "AC06"
    assert set((await evidence(house, "duplicate-identity"))[0]["beneficiaries"]) == {beneficiary(2), beneficiary(3)}


async def earlier_payment(conn: Any, who: str, programme: str, state: str, reason: str | None) -> None:
    """A payment of another cycle, as it stands after its end."""
    cycle, list_id, key = derived_id("earlier", who), derived_id("list", who), derived_id("payment", who)[:30]
    await conn.execute("INSERT INTO cycle VALUES ($1, $2, $3, 1, 1, $4)", cycle, programme, derived_id("c"), CURRENCY)
    await conn.execute(
        "INSERT INTO payment_list (list_id, cycle_id, fund_id, programme_id, currency, state, built_by)"
        " VALUES ($1, $2, 'central', $3, $4, 'approved', 'person:x')", list_id, cycle, programme, CURRENCY,
    )  # fmt: skip
    await conn.execute(
        "INSERT INTO list_item (list_id, payment_id, rank, entitlement_id, part, attempt, instruction_id,"
        " beneficiary_id, payee_version, bank, amount_minor, currency, region, fund_id, payee_id, method)"
        " VALUES ($1, $2, 1, $2, 1, 1, $3, $4, 1, 'bank-a', 1, $5, '31', 'central', $4, 'account')",
        list_id, key, f"{key}-001", who, CURRENCY,
    )  # fmt: skip
    await conn.execute(
        "INSERT INTO payment (instruction_id, payment_id, attempt, entitlement_id, part, beneficiary_id, cycle_id,"
        " list_id, fund_id, bank, amount_minor, currency, region, state, reason, execute_until, answer_due_at,"
        " account_commitment, payee_id) VALUES ($1, $2, 1, $2, 1, $3, $4, $5, 'central', 'bank-a', 1, $6, '31', $7, $8,"
        " now(), now(), 'sha256:0', $3)",
        f"{key}-001", key, who, cycle, list_id, CURRENCY, state, reason,
    )  # fmt: skip


async def test_a_released_item_is_paid_by_a_follow_up_list_and_a_cancelled_never(house: House) -> None:
    await house.take_payees([payee(0, identity_token="a" * 64), payee(1, identity_token="a" * 64)])
    await house.grant([AMOUNT_MINOR] * 3)
    built = await house.build_list()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()
    with pytest.raises(Conflict) as nothing:
        await house.follow_up()
    assert nothing.value.code == "list-empty"
    await house.decide_item(0, "release")
    await house.decide_item(1, "cancel")
    assert await house.decide_item(1, "cancel") == {"payment_id": payment_id(entitlement(1), 1), "act": "cancel"}
    follow_up = await house.paid_by_follow_up()
    assert follow_up["items"] == 1
    await house.answers([answer(0), answer(2)])
    assert set(await house.states()) == {instruction(0), instruction(2)}
    with pytest.raises(Conflict):
        await house.follow_up()
    with pytest.raises(Conflict) as ended:
        await house.decide_item(1, "release")
    assert ended.value.code == "act-not-possible"
    assert [fact["act"] for fact in await house.events("salur.payment.decided.v1")].count("cancel") == 1
    fund = await house.check_books()
    assert fund["settled_minor"] == 2 * AMOUNT_MINOR


async def test_a_person_holds_or_cancels_on_a_submitted_list_and_its_money_is_free(house: House) -> None:
    await house.grant([AMOUNT_MINOR] * 4)
    built = await house.build_list()
    await house.decide_item(0, "hold")
    await house.submit(built["list_id"])
    await house.decide_item(1, "hold")
    await house.decide_item(2, "cancel")
    assert (await house.check_books())["reserved_minor"] == AMOUNT_MINOR
    await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()
    assert set(await house.states()) == {instruction(3)}
    with pytest.raises(Conflict):
        await house.decide_item(3, "cancel")
    await house.decide_item(0, "release")
    assert (await house.paid_by_follow_up())["items"] == 1
    assert set(await house.states()) == {instruction(0), instruction(3)}
    with pytest.raises(NotFound):
        await house.decide_item(1, "release", regions=("32",))
    await house.check_books()


async def test_a_failed_payment_is_issued_again_after_its_account_was_corrected(house: House) -> None:
    """Rejected and returned: nothing before the correction, then attempt 2 of the same payment; a retry likewise."""
    await house.grant([AMOUNT_MINOR] * 3)
    built = await house.build_list()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()
    await house.answers([answer(0, "RJCT", reason="AC04", bank_reference=None), answer(1),
                         answer(2, "RJCT", reason="AM04", bank_reference=None)])  # fmt: skip
    await house.answers([answer(1, "RTRN", reason="AC06", bank_reference="RET-1")])
    with pytest.raises(Conflict):
        await house.follow_up()
    await house.act(gate.SET_RULE, PROGRAMME, cool_off_s=0)
    await house.take_payees([payee(number, version=2, account_token=f"{900 + number:064x}") for number in (0, 1)])
    await house.decide_item(2, "retry")
    assert (await house.paid_by_follow_up())["items"] == 3
    states = await house.states()
    again = {key: state for key, state in states.items() if key.endswith("-002")}
    assert set(again.values()) == {"instructed"}
    assert {key.split("-")[0] for key in again} == {payment_id(entitlement(number), 1) for number in range(3)}
    await house.answers([answer(number, message=f"again-{number}", instruction_id=f"{instruction(number)[:-3]}002")
                         for number in range(3)])  # fmt: skip
    assert (await house.check_books())["settled_minor"] == 3 * AMOUNT_MINOR
    with pytest.raises(Conflict):
        await house.follow_up()


async def test_an_account_changed_within_the_cool_off_is_held_on_the_follow_up_too(house: House) -> None:
    """F: change and pay within the window. The correction alone does not pay; the cool-off must pass first."""
    await house.instructed(1)
    await house.answers([answer(0, "RJCT", reason="AC04", bank_reference=None)])
    await house.take_payees([payee(0, version=2, account_token="d" * 64)])
    with pytest.raises(Conflict) as raised:
        await house.follow_up()
    assert raised.value.code == "list-empty"
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE payee SET since = $1", LONG_AGO)
    assert (await house.follow_up())["items"] == 1


async def test_as_many_people_approve_as_the_amount_asks(house: House) -> None:
    """Three for this amount: the same person counts once, also through a borrowed right; combined roles never."""
    await house.act(gate.SET_BAND, f"{CURRENCY}-0", currency=CURRENCY, over_minor=2 * AMOUNT_MINOR, approvers=3)
    await house.grant([AMOUNT_MINOR] * 3)
    built = await house.build_list()
    await house.submit(built["list_id"])
    told = built["list_id"], built["content_hash"]
    with pytest.raises(Forbidden) as combined:
        await house.approve(*told, roles=frozenset({"approver", "payment-operator"}))
    assert combined.value.code == "roles-not-combined"
    with pytest.raises(Forbidden) as delegated:
        await house.approve(*told, delegators=frozenset({MAKER}))
    assert delegated.value.code == "same-person"
    first = await house.approve(*told)
    assert (first["state"], first["approvals"], first["approvers_needed"]) == ("submitted", 1, 3)
    assert await house.approve(*told) == first
    with pytest.raises(Forbidden):
        await house.approve(*told, "person:deputy", delegators=frozenset({CHECKER}))
    with pytest.raises(Forbidden) as stranger:
        await house.approve(*told, "person:31", ("31",))
    assert stranger.value.code == "other-authority"
    await house.approve(*told, "person:deputy", delegators=frozenset({"person:chief"}))
    await house.instruct()
    assert await house.states() == {}, "instructed before the last approval"
    assert (await house.approve(*told, "person:third"))["state"] == "approved"
    assert len(await house.events("salur.payment-list.endorsed.v1")) == 2
    assert (await house.events("salur.payment-list.approved.v1"))[0]["approvers"] == [
        CHECKER, "person:deputy", "person:third",
    ]  # fmt: skip


async def test_a_list_built_again_needs_every_approval_again(house: House) -> None:
    """A locked list never changes: another content is another list with another hash, and no approval of it exists."""
    await house.act(gate.SET_BAND, f"{CURRENCY}-0", currency=CURRENCY, over_minor=0, approvers=2)
    await house.grant([AMOUNT_MINOR] * 2)
    built = await house.build_list()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    await house.refuse(built["list_id"], "person:second")
    await house.take_payees([payee(1, version=2, bank="bank-b")])
    again = await house.build_list()
    await house.submit(again["list_id"])
    with pytest.raises(Conflict) as old:
        await house.approve(again["list_id"], built["content_hash"], "person:second")
    assert old.value.code == "content-differs"
    assert (await house.approve(again["list_id"], again["content_hash"], "person:second"))["approvals"] == 1


async def test_one_follow_up_list_at_a_time(house: House) -> None:
    await house.instructed(2)
    await house.answers([answer(0, "RJCT", reason="AM04", bank_reference=None)])
    await house.decide_item(0, "retry")
    await house.follow_up()
    with pytest.raises(Conflict) as raised:
        await house.follow_up("person:other")
    assert raised.value.code == "list-exists"
    async with house.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM payment_list WHERE cycle_id = $1", CYCLE) == 2

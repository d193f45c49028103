"""Several funds per programme on the real database: shares, regions, cuts, top-ups, closing, statements, expiry."""

from datetime import UTC, datetime

import pytest

from salur.common.database import Database
from salur.common.errors import Conflict, Forbidden
from salur.common.secrets import Secrets
from salur.payments import ledger
from salur.payments.usecases import checks, funds, views
from salur.payments.usecases.proposals import Person
from support.payments import AMOUNT_MINOR, CHECKER, CURRENCY, MAKER, House, answer, granted, payee

pytestmark = pytest.mark.integration
PROVINCE, ELSEWHERE = "province-31", "province-32"


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    return await House.build(db, database_url, keys)


async def view(house: House, fund_id: str) -> dict[str, object]:
    async with house.db.transaction() as conn:
        return await views.fund_view(conn, fund_id)


async def test_a_list_is_shared_by_funds_and_each_gives_exactly_what_was_settled(house: House) -> None:
    """Central 7 parts, province 3: of 10 equal payments 7 and 3, each payment from one fund, to the last minor unit."""
    await house.open_fund(10 * AMOUNT_MINOR)
    await house.open_fund(10 * AMOUNT_MINOR, PROVINCE, "31")
    await house.grant([AMOUNT_MINOR] * 10)
    built = await house.build_list(funds_of=(("central", 7), (PROVINCE, 3)))
    assert [(fund["fund_id"], fund["items"]) for fund in built["funds"]] == [("central", 7), (PROVINCE, 3)]
    submitted = await house.submit(built["list_id"])
    assert submitted["funded_items"] == 10
    assert (await house.approve(built["list_id"], built["content_hash"]))["state"] == "submitted"
    assert (await house.approve(built["list_id"], built["content_hash"], "person:31", ("31",)))["state"] == "approved"
    await house.instruct()
    await house.answers([answer(number) for number in range(10)])
    central, province = await view(house, "central"), await view(house, PROVINCE)
    assert (central["settled_minor"], province["settled_minor"]) == (7 * AMOUNT_MINOR, 3 * AMOUNT_MINOR)
    assert (central["available_minor"], province["available_minor"]) == (3 * AMOUNT_MINOR, 7 * AMOUNT_MINOR)
    await house.check_books()
    assert [part["items"] for part in (await house.events("salur.payment-list.approved.v1"))[0]["funds"]] == [7, 3]


async def test_a_regional_fund_pays_only_at_home(house: House) -> None:
    """Everybody lives in 31.71: the fund of 32 bears nothing, and alone it leaves everybody held."""
    await house.open_fund(10**9, ELSEWHERE, "32")
    await house.open_fund(10**9, PROVINCE, "31")
    await house.grant([AMOUNT_MINOR] * 4)
    with pytest.raises(Conflict) as raised:
        await house.build_list(funds_of=((ELSEWHERE, 1),))
    assert raised.value.code == "list-empty"
    built = await house.build_list(funds_of=((ELSEWHERE, 9), (PROVINCE, 1)))
    assert [fund["items"] for fund in built["funds"]] == [0, 4]


async def test_each_fund_is_cut_at_the_item_it_cannot_bear(house: House) -> None:
    """The province has money for one and a half of its five: one is funded, four held; the central five are paid."""
    await house.open_fund(10**9)
    await house.open_fund(AMOUNT_MINOR + AMOUNT_MINOR // 2, PROVINCE, "31")
    await house.grant([AMOUNT_MINOR] * 10)
    built = await house.build_list(funds_of=(("central", 1), (PROVINCE, 1)))
    submitted = await house.submit(built["list_id"])
    assert (submitted["funded_items"], submitted["held_items"]) == (6, 4)
    await house.approve(built["list_id"], built["content_hash"])
    await house.approve(built["list_id"], built["content_hash"], "person:31", ("31",))
    await house.instruct(batch=3)
    assert len(await house.states()) == 6
    province = await view(house, PROVINCE)
    assert (province["in_flight_minor"], province["available_minor"]) == (AMOUNT_MINOR, AMOUNT_MINOR // 2)
    async with house.db.connection() as conn:
        held = await conn.fetch("SELECT rank, fund_id FROM list_item WHERE hold = 'no-funds'")
    assert {row["fund_id"] for row in held} == {PROVINCE}
    await house.answers([answer(number) for number in range(10)])
    async with house.db.connection() as conn:
        assert (await views.list_view(conn, built["list_id"]))["complete"]
    await house.check_books()


async def test_a_fund_of_another_programme_or_a_closed_one_is_refused(house: House) -> None:
    await house.open_fund(10**9, "school", programme_id="school-meals")
    await house.open_fund(10**9)
    await house.grant([AMOUNT_MINOR])
    with pytest.raises(Conflict) as other:
        await house.build_list(funds_of=(("school", 1),))
    assert other.value.code == "fund-of-other-programme"
    assert (await house.act(funds.CLOSE, "central"))["to_treasury_minor"] == 10**9
    with pytest.raises(Conflict) as closed:
        await house.build_list()
    assert closed.value.code == "fund-closed"


async def test_a_top_up_needs_two_people_and_is_booked_once(house: House) -> None:
    await house.open_fund(100)
    proposal = await house.propose(funds.TOP_UP, "central", amount_minor=50)
    with pytest.raises(Conflict) as twice:
        await house.propose(funds.TOP_UP, "central", amount_minor=70)
    assert twice.value.code == "proposal-waits"
    with pytest.raises(Forbidden) as same:
        await house.decide(proposal, MAKER)
    assert same.value.code == "same-person"
    assert (await house.decide(proposal))["budget_minor"] == 150
    assert (await house.decide(proposal))["state"] == "done"
    assert (await view(house, "central"))["available_minor"] == 150
    refused = await house.propose(funds.TOP_UP, "central", amount_minor=1)
    await house.decide(refused, accept=False)
    with pytest.raises(Conflict):
        await house.decide(refused)
    assert (await view(house, "central"))["budget_minor"] == 150
    assert [fact["budget_minor"] for fact in await house.events("salur.fund.topped-up.v1")] == [150]
    decided = await house.events("salur.proposal.decided.v1")
    assert sorted(fact["accepted"] for fact in decided) == [False, True]
    async with house.db.connection() as conn:
        with pytest.raises(Exception, match="proposal_two_people"):
            await conn.execute("UPDATE proposal SET decided_by = proposed_by")


async def test_another_authority_may_not_touch_a_fund(house: House) -> None:
    await house.open_fund(100, PROVINCE, "31")
    async with house.db.transaction() as conn:
        assert await funds.fund_of(conn, PROVINCE, Person(CHECKER, "r", ("31",)))
        assert await funds.fund_of(conn, PROVINCE, Person(CHECKER, "r"))
        with pytest.raises(Forbidden):
            await funds.fund_of(conn, PROVINCE, Person(CHECKER, "r", ("32",)))


async def test_a_fund_in_use_cannot_be_closed_and_late_returns_can_be_swept(house: House) -> None:
    """While money is in flight: refused. After the end the rest goes to the treasury; a late return later as well."""
    await house.instructed(2, budget_minor=3 * AMOUNT_MINOR)
    with pytest.raises(Conflict) as raised:
        await house.act(funds.CLOSE, "central")
    assert raised.value.code == "fund-in-use"
    await house.answers([answer(0), answer(1)])
    async with house.db.transaction() as conn:
        await conn.execute("UPDATE proposal SET state = 'refused', decided_by = 'person:other'")
    assert (await house.act(funds.CLOSE, "central"))["to_treasury_minor"] == AMOUNT_MINOR
    await house.answers([answer(0, "RTRN", reason="AC06", bank_reference="RET-0")])
    assert (await house.act(funds.CLOSE, "central"))["to_treasury_minor"] == AMOUNT_MINOR
    async with house.db.connection() as conn:
        assert await ledger.account_of(conn, ledger.treasury(CURRENCY).id) == (-AMOUNT_MINOR, 0)


async def test_a_statement_at_any_time_equals_the_ledger(house: House) -> None:
    """Now: the lines add up to the kept balance. Before the list: the budget alone."""
    await house.open_fund(5 * AMOUNT_MINOR)
    before = datetime.now(UTC)
    await house.grant([AMOUNT_MINOR] * 4)
    built = await house.build_list()
    await house.submit(built["list_id"])
    await house.approve(built["list_id"], built["content_hash"])
    await house.instruct()
    await house.answers([answer(0), answer(1), answer(2, "RJCT", reason="AC04", bank_reference=None)])
    await house.answers([answer(0, "RTRN", reason="AC06", bank_reference="RET-0")])
    async with house.db.transaction() as conn:
        now = await views.fund_statement(conn, "central", None)
        then = await views.fund_statement(conn, "central", before)
    assert now["equals_ledger"]
    assert (now["posted_minor"], now["reserved_minor"]) == (4 * AMOUNT_MINOR, AMOUNT_MINOR)
    assert {(line["what"], line["count"]) for line in now["lines"]} == {
        ("budget", 1), ("reserve", 4), ("post", 2), ("void", 1), ("refund", 1),
    }  # fmt: skip
    assert [line["what"] for line in then["lines"]] == ["budget"]
    assert then["available_minor"] == 5 * AMOUNT_MINOR


async def test_a_list_nobody_checks_expires_and_its_cycle_is_listed_again(house: House) -> None:
    await house.open_fund(10**9)
    await house.grant([AMOUNT_MINOR] * 3)
    built = await house.build_list()
    await house.submit(built["list_id"], within_s=0)
    assert await house.run(checks.expire_list)
    assert not await house.run(checks.expire_list)
    assert (await house.check_books())["available_minor"] == 10**9
    with pytest.raises(Conflict) as raised:
        await house.approve(built["list_id"], built["content_hash"])
    assert raised.value.code == "list-state"
    assert len(await house.events("salur.payment-list.expired.v1")) == 1
    again = await house.build_list()
    await house.submit(again["list_id"])
    assert not await house.run(checks.expire_list), "its time is not over"


async def test_two_officers_start_the_same_cycle_with_other_funds_and_one_wins(house: House) -> None:
    """F27: the second is refused, whatever fund it names."""
    await house.open_fund(10**9)
    await house.open_fund(10**9, PROVINCE, "31")
    await house.take_payees([payee(0)])
    await house.take_entitlements([granted(0)])
    await house.pass_cut(range(8))
    await house.pass_grant(range(8), 1, AMOUNT_MINOR)
    await house.build_list()
    with pytest.raises(Conflict) as raised:
        await house.build_list("person:other", ((PROVINCE, 1),))
    assert raised.value.code == "list-exists"

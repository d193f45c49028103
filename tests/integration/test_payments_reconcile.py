"""Statements of banks against what we say: breaks, disputes, sign-off, and why somebody is (not) paid."""

import pytest

from salur.common.auth import Caller
from salur.common.database import Database
from salur.common.errors import Conflict, Forbidden, NotFound
from salur.common.secrets import Secrets
from salur.payments import ledger
from salur.payments.usecases import gate, proposals, reconcile, views
from salur.payments.usecases.gate import AccountReport
from salur.payments.usecases.proposals import Person
from support.payments import (
    AMOUNT_MINOR,
    BANKS,
    CHECKER,
    CURRENCY,
    CYCLE,
    MAKER,
    House,
    answer,
    bank_of,
    beneficiary,
    instruction,
    line,
)

pytestmark = pytest.mark.integration
SIGNER = Person(CHECKER, "request-s")


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    return await House.build(db, database_url, keys)


async def breaks(house: House) -> dict[str, str]:
    """Open breaks: kind by instruction."""
    rows = await house.fetch("SELECT instruction_id, kind FROM recon_break WHERE state = 'open'")
    return {row["instruction_id"]: row["kind"] for row in rows}


async def test_a_true_statement_matches_and_the_cycle_is_signed_per_bank(house: House) -> None:
    await house.instructed(6)
    await house.answers([answer(number) for number in range(6)])
    await house.answers([answer(0, "RTRN", reason="AC06", bank_reference="RET-0")])
    with pytest.raises(Conflict) as early:
        await house.run(reconcile.sign_off, CYCLE, BANKS[0], SIGNER)
    assert early.value.code == "not-reconciled"
    for bank in BANKS:
        lines = [line(number) for number in range(6) if bank_of(number) == bank]
        lines += [line(0, "return")] if bank == bank_of(0) else []
        assert (await house.statement(bank, lines))["breaks"] == 0
        signed = await house.run(reconcile.sign_off, CYCLE, bank, SIGNER)
        assert signed["signed_by"] == CHECKER
        assert await house.run(reconcile.sign_off, CYCLE, bank, SIGNER) == signed
    facts = await house.events("salur.reconciliation.signed.v1")
    assert sum(fact["settled_minor"] for fact in facts) == 5 * AMOUNT_MINOR


async def test_what_settled_and_is_missing_leaves_settled_until_two_people_end_it(house: House) -> None:
    """The bank lied about 0 and 2: both disputed; one turns up in a later statement, one was never paid."""
    await house.instructed(4)
    await house.answers([answer(number) for number in range(4)])
    assert (await house.statement(BANKS[0], []))["breaks"] == 2
    assert await breaks(house) == {instruction(0): "missing-in-statement", instruction(2): "missing-in-statement"}
    assert (await house.states())[instruction(0)] == "disputed"
    async with house.db.connection() as conn:
        held = await ledger.account_of(conn, ledger.disputed(BANKS[0], CURRENCY).id)
    assert held == (2 * AMOUNT_MINOR, 0)
    await house.check_books()
    assert (await house.statement(BANKS[0], [line(2)]))["explained"] == 1
    assert (await house.states())[instruction(2)] == "settled"
    (open_break,) = await house.fetch("SELECT break_id FROM recon_break WHERE state = 'open'")
    await house.act(reconcile.BREAK_RESOLVE, open_break["break_id"], resolution="not-paid")
    assert (await house.states())[instruction(0)] == "returned"
    fund = await house.check_books()
    assert fund["settled_minor"] == 3 * AMOUNT_MINOR
    await house.decide_item(0, "retry")
    assert (await house.paid_by_follow_up())["items"] == 1
    await house.answers([answer(0, message="again", instruction_id=f"{instruction(0)[:-3]}002")])
    await house.statement(BANKS[0], [line(0, attempt=2)])
    assert (await house.run(reconcile.sign_off, CYCLE, BANKS[0], SIGNER))["difference_minor"] == 0
    assert len(await house.events("salur.payment.disputed.v1")) == 2


async def propose_all(house: House, resolution: str, actor: str = MAKER) -> str:
    """All that the newest statement of the first bank does not show is proposed to end alike."""
    async with house.db.connection() as conn:
        proposal = await reconcile.breaks_proposal(
            conn, BANKS[0], f"statement-{house.statements}", "missing-in-statement", resolution, "the bank admits it"
        )
    return str((await house.run(proposals.propose, proposal, Person(actor, "request-b")))["proposal_id"])


async def test_all_breaks_of_a_statement_end_by_one_act_of_two_people(house: House) -> None:
    """A bank lied about four payments: one proposal names their count and sum, another person ends all of them, each
    with its own refund and event. What changed since the proposal is not ended by it.
    """
    await house.instructed(12)
    await house.answers([answer(number) for number in range(12)])
    assert (await house.statement(BANKS[0], [line(0), line(2)]))["breaks"] == 4
    early = await propose_all(house, "not-paid")
    with pytest.raises(Forbidden):
        await house.decide(early, MAKER)
    (first, *_) = await house.fetch("SELECT break_id FROM recon_break ORDER BY instruction_id")
    await house.act(reconcile.BREAK_RESOLVE, first["break_id"], resolution="paid")
    with pytest.raises(Conflict) as changed:
        await house.decide(early)
    assert changed.value.code == "breaks-changed"
    await house.decide(early, accept=False)
    done = await house.decide(await propose_all(house, "not-paid"))
    assert done["breaks"] == 3
    assert await breaks(house) == {}
    states = sorted((await house.states()).values())
    assert states == ["returned"] * 3 + ["settled"] * 9
    fund = await house.check_books()
    assert fund["settled_minor"] == 9 * AMOUNT_MINOR
    assert await house.returned_ever() == 3 * AMOUNT_MINOR
    ended = await house.events("salur.break.resolved.v1")
    assert sorted(fact["resolution"] for fact in ended) == ["not-paid"] * 3 + ["paid"]
    with pytest.raises(NotFound):
        await propose_all(house, "not-paid")


async def test_every_kind_of_difference_is_a_break_of_its_own(house: House) -> None:
    await house.instructed(12)
    told = [answer(number) for number in (0, 2, 4, 10)]
    await house.answers([*told, answer(6, "RJCT", reason="AC04", bank_reference=None)])
    await house.answers([answer(10, "RTRN", reason="AC06", bank_reference="RET-10")])
    lines = [
        line(0, amount_minor=AMOUNT_MINOR + 1), line(2), line(2, line_id="again"), line(4), line(4, "return"), line(6),
        line(8), line(10), line(1), line(0, line_id="x", instruction_id="never-given"),
    ]  # fmt: skip
    await house.statement(BANKS[0], lines)
    assert await breaks(house) == {
        instruction(0): "other-amount", instruction(2): "credited-twice", instruction(4): "return-not-told",
        instruction(6): "credited-after-refusal", instruction(8): "not-answered", instruction(10): "return-missing",
        instruction(1): "other-bank", "never-given": "unknown-instruction",
    }  # fmt: skip
    states = await house.states()
    assert (states[instruction(6)], states[instruction(8)]) == ("rejected", "instructed"), "a break moves no payment"
    await house.answers([answer(8), answer(4, "RTRN", reason="AC06", bank_reference="RET-4")])
    explained = (await house.statement(BANKS[0], [line(10, "return")]))["explained"]
    assert explained == 3
    assert len(await breaks(house)) == 5
    rows = await house.fetch("SELECT break_id FROM recon_break WHERE kind = 'other-amount'")
    async with house.db.transaction() as conn:
        assert (await reconcile.own_break(conn, rows[0]["break_id"], "person:ops"))["owner"] == "person:ops"
    with pytest.raises(Conflict) as wrong:
        await house.act(reconcile.BREAK_RESOLVE, rows[0]["break_id"], resolution="paid")
    assert wrong.value.code == "break-resolution"


async def test_the_same_statement_again_changes_nothing_and_other_lines_under_its_id_are_refused(house: House) -> None:
    await house.instructed(2)
    await house.answers([answer(0), answer(1)])
    await house.statement(BANKS[0], [line(0)])
    house.statements -= 1
    assert (await house.statement(BANKS[0], [line(0)]))["breaks"] == 0
    house.statements -= 1
    with pytest.raises(Conflict) as raised:
        await house.statement(BANKS[0], [])
    assert raised.value.code == "statement-differs"


async def test_every_beneficiary_stands_in_exactly_one_state_and_the_counts_add_up(house: House) -> None:
    await house.instructed(5, budget_minor=4 * AMOUNT_MINOR)
    await house.answers([answer(0), answer(1, "RJCT", reason="AC04", bank_reference=None), answer(2)])
    await house.answers([answer(2, "RTRN", reason="AC06", bank_reference="RET-2")])
    standing = await house.standing()
    names = ("paid", "in_flight", "returned", "held", "cancelled")
    assert sum(standing[name] for name in names) == standing["payments"] == 5
    seen = []
    async with house.db.connection() as conn:
        for number in range(5):
            caller = Caller("person:x", frozenset())
            (only,) = (await views.beneficiary_view(conn, caller, beneficiary(number)))["entitlements"]
            assert only["age_s"] >= 0
            assert only["who_must_act"]
            seen.append(only["state"])
        far = await views.beneficiary_view(conn, Caller("p", frozenset(), ("32",)), beneficiary(0))
    assert far["entitlements"] == []
    assert sorted(seen) == sorted(state for state, amount in standing["states"].items() for _ in range(amount["count"]))


async def test_money_nobody_touches_is_told_by_age(house: House) -> None:
    await house.instructed(4)
    await house.answers([answer(number) for number in range(4)])
    async with house.db.transaction() as conn:
        reports = [AccountReport(f"{n:064x}", BANKS[0], "never-used" if n else "dormant", None) for n in (0, 2)]
        await gate.keep_reports(conn, reports)
        await conn.execute("UPDATE payment SET changed_at = now() - interval '70 days' WHERE instruction_id = $1",
                           instruction(2))  # fmt: skip
        rows = (await views.unclaimed(conn))["unclaimed"]
    assert [(row["days"], row["standing"], row["count"]) for row in rows] == [
        ("0-30", "dormant", 1), ("61-90", "never-used", 1),
    ]  # fmt: skip

"""Banks answer wrongly: nothing is paid by it, nothing raised, nothing lost."""

import asyncio
from typing import Any

import orjson
import pytest

from salur.common.contracts.topics import results_topic
from salur.common.database import Database
from salur.common.events import OutsideRecord
from salur.common.secrets import Secrets
from salur.payments.usecases import settle
from support.facts import Record
from support.payments import AMOUNT_MINOR, MIGRATIONS, House, answer, bank_of, instruction

pytestmark = pytest.mark.integration


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    house = await House.build(db, database_url, keys)
    await house.instructed(4)
    return house


def _broken(changes: dict[str, Any]) -> tuple[str, bytes]:
    bank, value = answer(0)
    return bank, orjson.dumps(orjson.loads(value) | changes)


LIES: dict[str, tuple[str, tuple[str, bytes | None]]] = {
    "unknown instruction": ("instruction-unknown", answer(0, instruction_id="f" * 30 + "-001")),
    "attempt that was never made": ("instruction-unknown", answer(0, instruction_id=instruction(0)[:-1] + "2")),
    "another amount": ("other-amount", answer(0, amount_minor=AMOUNT_MINOR + 1)),
    "another currency": ("other-currency", answer(0, currency="IDR")),
    "an instruction of another bank": ("wrong-bank", answer(0, bank="bank-b")),
    "a credit to another account": ("other-account", answer(0, account_commitment="sha256:" + "0" * 64)),
    "a credit that names no account": ("account-unnamed", answer(0, account_commitment=None)),
    "a refusal of another account": ("other-account", answer(0, "RJCT", account_commitment="sha256:" + "0" * 64)),
    "in the name of another bank": ("misaddressed", answer(0, source="bank-b")),
    "a tombstone": ("tombstone", (bank_of(0), None)),
    "no JSON": ("undecodable", (bank_of(0), b"\xff\x00 not json")),
    "JSON that is no object": ("undecodable", (bank_of(0), b"[1, 2]")),
    "nesting without end": ("undecodable", (bank_of(0), b"[" * 5000)),
    "nesting inside data": ("malformed", answer(0, reason=orjson.Fragment(b"[" * 300 + b"]" * 300))),
    "another version": ("unknown-version", _broken({"type": "salur.bank-result.v2"})),
    "no data": ("malformed", _broken({"data": None})),
    "an amount as text": ("malformed", answer(0, amount_minor=str(AMOUNT_MINOR))),
    "an amount as a fraction": ("malformed", answer(0, amount_minor=AMOUNT_MINOR + 0.5)),
    "an amount beyond 64 bits": ("malformed", answer(0, amount_minor=2**64 - 1)),
    "an unknown status": ("malformed", answer(0, "PAID")),
    "a credit without reference": ("malformed", answer(0, bank_reference=None)),
    "a message id with a line break": ("malformed", answer(0, message="m\n1")),
    "an account in clear": ("malformed", answer(0, account_commitment="9000000000")),
    "oversized": ("oversized", (bank_of(0), b'{"pad":"' + b"x" * 70_000 + b'"}')),
}


@pytest.mark.parametrize("case", LIES, ids=LIES)
async def test_a_lie_goes_to_suspense_and_its_neighbours_go_on(house: House, case: str) -> None:
    reason, lie = LIES[case]
    outcome = await house.answers([answer(1), lie, answer(2)])
    assert outcome.taken == 3
    assert await house.suspended() == [reason]
    assert await house.states() == {
        instruction(0): "instructed",
        instruction(1): "settled",
        instruction(2): "settled",
        instruction(3): "instructed",
    }
    (fact,) = await house.events("salur.bank-result.suspended.v1")
    assert (fact["reason"], fact["bank"]) == (reason, lie[0])
    await house.check_books()


async def test_the_bytes_of_a_suspended_answer_are_kept_sealed(house: House, keys: Secrets) -> None:
    bank, value = answer(0, amount_minor=1, account_commitment=None)
    await house.answers([(bank, value)])
    async with house.db.connection() as conn:
        row = await conn.fetchrow("SELECT * FROM suspense")
    assert row is not None
    assert value not in row["sealed"]
    assert keys.open(row["sealed"], f"{row['topic']}/{row['partition']}/{row['kafka_offset']}".encode()) == value


async def test_repeats_change_nothing(house: House) -> None:
    """The same message in one batch and the next, the same credit under another message id, an answer to an inquiry."""
    await house.answers([answer(0), answer(0)])
    await house.answers([answer(0), answer(0, message="again"), answer(0, "ACSP", message="late-note")])
    assert len(await house.events("salur.payment.settled.v1")) == 1
    assert await house.suspended() == []
    assert (await house.check_books())["settled_minor"] == AMOUNT_MINOR


async def test_one_message_id_with_two_contents_is_a_conflict(house: House) -> None:
    await house.answers([answer(0, message="m-1"), answer(0, "RJCT", message="m-1", reason="AC04")])
    await house.answers([answer(2, message="m-1")])
    assert await house.suspended() == ["message-conflict", "message-conflict"]
    states = await house.states()
    assert (states[instruction(0)], states[instruction(2)]) == ("settled", "instructed")


async def test_two_banks_may_use_the_same_message_id(house: House) -> None:
    await house.answers([answer(0, message="m-1"), answer(1, message="m-1")])
    assert sorted((await house.states()).values()) == ["instructed", "instructed", "settled", "settled"]


async def test_contradictions_after_a_final_answer_are_suspended(house: House) -> None:
    await house.answers(
        [answer(0), answer(1, "RJCT", reason="AC04"), answer(2), answer(2, "RTRN", bank_reference="R-1")]
    )
    await house.answers(
        [
            answer(0, message="x1", bank_reference="another"),
            answer(0, "RJCT", reason="AC04"),
            answer(1, "RTRN", bank_reference="R-2"),
            answer(1, "RJCT", message="x2", reason="AC06"),
            answer(1),
            answer(2, "RTRN", message="x3", bank_reference="R-9"),
            answer(2, "RTRN", message="x4", bank_reference="R-1"),
        ]
    )
    assert sorted(await house.suspended()) == [
        "rejected-after-settled",
        "rejected-twice",
        "returned-after-rejected",
        "returned-twice",
        "settled-after-rejected",
        "settled-twice",
    ]
    assert await house.states() == {
        instruction(0): "settled",
        instruction(1): "rejected",
        instruction(2): "returned",
        instruction(3): "instructed",
    }
    await house.check_books()


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
async def test_a_return_before_its_settlement_waits_for_it(house: House, together: bool) -> None:
    early, credit = answer(0, "RTRN", bank_reference="R-1", reason="AC06"), answer(0)
    if together:
        await house.answers([early, credit])
    else:
        await house.answers([early])
        assert (await house.states())[instruction(0)] == "instructed"
        assert (await house.check_books())["returned_minor"] == 0
        await house.answers([credit])
    assert (await house.states())[instruction(0)] == "returned"
    assert [fact["reason"] for fact in await house.events("salur.payment.returned.v1")] == ["AC06"]
    assert len(await house.events("salur.payment.settled.v1")) == 1
    assert await house.suspended() == []
    async with house.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM parked_return WHERE judged_at IS NULL") == 0
    await house.check_books()


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
async def test_a_return_whose_payment_was_rejected_is_suspended(house: House, together: bool) -> None:
    answers = [answer(0, "RTRN", bank_reference="R-1"), answer(0, "RJCT", reason="AC04")]
    for batch in [answers] if together else [[item] for item in answers]:
        await house.answers(batch)
    assert (await house.states())[instruction(0)] == "rejected"
    assert await house.suspended() == ["returned-after-rejected"]
    async with house.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM parked_return WHERE judged_at IS NULL") == 0


async def test_redelivered_records_and_two_consumers_at_once_apply_once(house: House) -> None:
    """The same records from two zombies at the same time: the mark lets one through."""
    values = await house.named([answer(0), answer(2)])
    records: list[Any] = [Record(results_topic(bank).name, 0, n, value) for n, (bank, value) in enumerate(values)]
    await asyncio.gather(*(house.processor.process(records) for _ in range(4)))
    assert len(await house.events("salur.payment.settled.v1")) == 2
    assert (await house.check_books())["settled_minor"] == 2 * AMOUNT_MINOR


async def test_a_batch_of_answers_takes_a_handful_of_statements(db: Database, database_url: str, keys: Secrets) -> None:
    house = await House.build(db, database_url, keys)
    await house.instructed(400)
    values = await house.named([answer(number) for number in range(400)])
    statements: list[str] = []
    async with db.connection() as conn:
        raw = conn._con  # type: ignore[union-attr]
        raw.add_query_logger(lambda record: statements.append(record.query))
        transaction = conn.transaction()
        await transaction.start()
        records = [OutsideRecord(results_topic(bank).name, 0, n, None, v, 0) for n, (bank, v) in enumerate(values)]
        drafts = await settle.take_results(conn, records, keys)
        await transaction.rollback()
    assert len(drafts) == 400
    assert len(statements) <= 12, statements


async def test_the_right_account_said_to_an_inquiry_pays_after_a_wrong_one(house: House) -> None:
    """A credit that names another account leaves its payment open; the bank is asked, and a right answer settles it."""
    await house.answers([answer(0, account_commitment="sha256:" + "0" * 64)])
    assert (await house.states())[instruction(0)] == "instructed"
    await house.answers([answer(0, message="mended", inquiry=1)])
    assert (await house.states())[instruction(0)] == "settled"
    assert (await house.check_books())["settled_minor"] == AMOUNT_MINOR


async def test_what_was_instructed_before_accounts_were_kept_is_compared_too(house: House) -> None:
    """The migration takes the account from the instruction's event."""
    statements = (MIGRATIONS / "0003.account-named.sql").read_text()
    async with house.db.transaction() as conn:
        kept = await conn.fetch("SELECT instruction_id, account_commitment FROM payment ORDER BY 1")
        await conn.execute("ALTER TABLE payment DROP COLUMN account_commitment")
        await conn.execute(statements)
        assert await conn.fetch("SELECT instruction_id, account_commitment FROM payment ORDER BY 1") == kept
    assert len({row["account_commitment"] for row in kept}) == 4

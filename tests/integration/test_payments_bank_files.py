"""Banks' files on a real database and real folders: whole or not at all, once, as over Kafka."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from partner_bank import iso
from partner_bank.book import book_path, transfers
from partner_bank.iso import Line
from partner_bank.profile import Profile
from salur.common.database import Database
from salur.common.secrets import Secrets
from salur.common.values import derived_id, payment_id
from salur.payments.domain.reconcile import Statement
from salur.payments.usecases import bank_files, lists, recalls, reconcile, views
from support.desk import Desk
from support.payments import AMOUNT_MINOR, BANKS, CURRENCY, IMPATIENT, House, answer, bank_of, entitlement, instruction

pytestmark = pytest.mark.integration
MOMENT = "2026-03-01T08:00:00Z"
DEBTOR = dict.fromkeys(BANKS, "0012345")


@pytest.fixture
async def desk(db: Database, database_url: str, keys: Secrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    # The id of a list is in the ids of its reserves: the same list on two databases must have the same one.
    monkeypatch.setattr(lists, "new_id", lambda: derived_id("list"))
    desk = await Desk.open(db, database_url, keys, tmp_path)
    await desk.house.instructed(6)
    return desk


def line(
    number: int, status: str = "ACCC", *, reason: str | None = None, reference: str = "", **changes: object
) -> Line:
    fields: dict[str, Any] = {
        "instruction_id": instruction(number), "status": status, "reason": reason, "amount_minor": AMOUNT_MINOR,
        "currency": CURRENCY, "account": f"9{number:09d}", "reference": reference or f"REF-{number}",
        "day": "2026-03-01",
    } | changes  # fmt: skip
    return Line(**fields)


def of(bank: str) -> list[int]:
    return [number for number in range(6) if bank_of(number) == bank]


async def test_instructions_go_out_once_in_files_that_hold_them_all(desk: Desk) -> None:
    await desk.send()
    for bank in BANKS:
        orders = desk.orders(bank)
        assert {(order.instruction_id, order.account, order.amount_minor) for order in orders.values()} == {
            (instruction(number), f"9{number:09d}", AMOUNT_MINOR) for number in of(bank)
        }
    before = {path: path.read_bytes() for path in desk.root.rglob("*.xml")}
    await desk.send()
    assert {path: path.read_bytes() for path in desk.root.rglob("*.xml")} == before
    sent = await desk.house.events("salur.bank-file.sent.v1")
    assert sum(fact["transactions"] for fact in sent) == 6


async def test_a_file_written_before_a_crash_is_written_again_with_the_same_bytes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise ConnectionError("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr("salur.payments.usecases.outgoing_files.finish_file", die)
        with pytest.raises(ConnectionError):
            await desk.send()
    (written,) = desk.root.rglob("pain001-*.xml")
    content = written.read_bytes()
    await desk.send()
    assert written.read_bytes() == content
    assert len(desk.orders("bank-a") | desk.orders("bank-b")) == 6


async def test_an_inquiry_reaches_a_file_bank_as_the_message_it_is(desk: Desk) -> None:
    await desk.send()
    async with desk.house.db.transaction() as conn:
        await conn.execute("UPDATE payment SET answer_due_at = now()")
    await desk.house.inquire(IMPATIENT)
    await desk.send()
    asked = [
        orjson.loads(text) for path in desk.root.rglob("requests-*.jsonl") for text in path.read_bytes().splitlines()
    ]
    assert {document["type"] for document in asked} == {"salur.payment.inquired.v1"}
    assert {document["data"]["instruction_id"] for document in asked} == {instruction(number) for number in range(6)}


async def test_an_inquiry_never_lies_in_the_outbox_before_the_instruction_it_asks_about(desk: Desk) -> None:
    """Both of one file: a bank that takes them in order finds the instruction first and pays it."""
    async with desk.house.db.transaction() as conn:
        await conn.execute("UPDATE payment SET answer_due_at = now()")
    await desk.house.inquire(IMPATIENT)
    await desk.send()
    desk.banks_turn()
    await desk.take()
    assert set((await desk.house.states()).values()) == {"settled"}


async def test_by_files_alone_money_is_called_back_and_what_is_spent_stays(desk: Desk) -> None:
    """By the banks' own books; and every document told once more, under another name, changes nothing."""
    half = Profile(untouched=5_000)
    await desk.send()
    desk.banks_turn(half)
    await desk.take()
    for number in range(6):
        await desk.house.act(recalls.RECALL_PAYMENT, payment_id(entitlement(number), 1))
    await desk.send()
    asked = [one for path in desk.root.rglob("camt056-*.xml") for one in iso.read_camt056(path)]
    assert {(one.instruction_id, one.amount_minor) for one in asked} == {
        (instruction(number), AMOUNT_MINOR) for number in range(6)
    }
    assert list(desk.root.rglob("requests-*.jsonl")) == []
    desk.banks_turn(half)
    await desk.take()
    states = await desk.house.states()
    kept = {row[2]: row[5] for bank in BANKS for row in transfers(book_path(desk.root / bank))}
    assert states == {key: "treasury" if kind == "return" else "settled" for key, kind in kept.items()}
    assert set(states.values()) == {"treasury", "settled"}
    refused = await desk.house.events("salur.payment.recall-refused.v1")
    assert {(fact["instruction_id"], fact["reason"]) for fact in refused} == {
        (key, "AM04") for key, kind in kept.items() if kind == "credit"
    }
    before = await desk.ledger_hash()
    for path in desk.root.rglob("archive/*.xml"):
        again = re.sub(rb"(<MsgId>|<Assgnmt><Id>)[^<]{5}", rb"\g<1>again", path.read_bytes())
        desk.put(path.parents[1].name, path.name, again)
    await desk.take()
    assert (await desk.ledger_hash(), await desk.house.states()) == (before, states)
    assert len(await desk.house.events("salur.payment.recall-refused.v1")) == len(refused)
    assert await desk.house.suspended() == []
    assert {fact["kind"] for fact in await desk.house.events("salur.bank-file.sent.v1")} == {
        "pain.001.001.09", "camt.056.001.12",
    }  # fmt: skip
    await desk.house.check_books()


async def test_keeping_what_was_never_credited_or_never_asked_back_is_put_aside(desk: Desk) -> None:
    await desk.house.answers([answer(0)])
    kept = [line(0, reason="AM04"), line(2, reason="AM04")]
    desk.put("bank-a", "kept.xml", iso.camt029("k-1", MOMENT, "bank-a", kept))
    await desk.take()
    assert await desk.house.suspended() == ["recall-unasked", "malformed"]
    states = await desk.house.states()
    assert (states[instruction(0)], states[instruction(2)]) == ("settled", "instructed")


async def test_files_alone_lead_to_the_ledger_that_kafka_leads_to(
    desk: Desk, other_database_url: str, keys: Secrets
) -> None:
    for bank in BANKS:
        credited = [line(number) for number in of(bank)[:2]]
        rejected = [line(number, "RJCT", reason="AC04") for number in of(bank)[2:]]
        desk.put(bank, "1.xml", iso.camt054(f"n-{bank}", MOMENT, "0012345", credited))
        desk.put(bank, "2.xml", iso.pain002(f"s-{bank}", MOMENT, "none", rejected))
        desk.put(
            bank, "3.xml", iso.pacs004(f"r-{bank}", MOMENT, [line(of(bank)[0], "RTRN", reason="AC06", reference="B")])
        )
    await desk.take()
    through_files = await desk.ledger_hash(), await desk.house.states()
    await desk.house.check_books()

    told = [answer(number) for bank in BANKS for number in of(bank)[:2]]
    told += [answer(number, "RJCT", reason="AC04", bank_reference=None) for bank in BANKS for number in of(bank)[2:]]
    told += [answer(of(bank)[0], "RTRN", reason="AC06", bank_reference="B") for bank in BANKS]
    # The same again over Kafka, on the same database: nothing more happens.
    await desk.house.answers(told)
    assert (await desk.ledger_hash(), await desk.house.states()) == through_files
    assert await desk.house.suspended() == []
    assert sorted(through_files[1].values()) == ["rejected"] * 2 + ["returned"] * 2 + ["settled"] * 2

    # And over Kafka alone, on a database of its own.
    db = Database(other_database_url, pool_size=6, statement_timeout_s=20)
    await db.open()
    try:
        house = await House.build(db, other_database_url, keys)
        await house.instructed(6)
        await house.answers(told)
        async with db.transaction() as conn:
            view = await views.ledger_view(conn, with_hash=True)
        assert (view["hash"], await house.states()) == through_files
    finally:
        await db.close()


async def test_a_statement_settles_what_no_message_told_and_its_lines_are_kept(desk: Desk) -> None:
    said = [line(number) for number in of("bank-a")]
    desk.put("bank-a", "day.xml", iso.camt053("day-1", MOMENT, "0012345", 10**9, said))
    await desk.take()
    states = await desk.house.states()
    assert {states[instruction(number)] for number in of("bank-a")} == {"settled"}
    async with desk.house.db.connection() as conn:
        rows = await conn.fetch(
            "SELECT instruction_id, kind, account = account_commitment AS same FROM statement_line"
            " JOIN payment USING (instruction_id) ORDER BY line_id"
        )
    assert [tuple(row) for row in rows] == [(instruction(number), "credit", True) for number in of("bank-a")]
    assert await desk.house.events("salur.break.raised.v1") == []
    assert desk.names("bank-a", "inbox") == []
    assert len(desk.names("bank-a", "archive")) == 1


async def test_what_a_bank_said_and_its_statement_does_not_show_is_settled_no_more(desk: Desk) -> None:
    await desk.house.answers([answer(0), answer(2)])
    later = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")  # a bank's clock may be ahead
    desk.put("bank-a", "day.xml", iso.camt053("day-1", later, "0012345", 10**9, [line(0)]))
    await desk.take()
    (found,) = await desk.house.events("salur.break.raised.v1")
    assert (found["kind"], found["instruction_id"]) == ("missing-in-statement", instruction(2))
    states = await desk.house.states()
    assert states[instruction(0)] == "settled"
    assert states[instruction(2)] != "settled"


async def test_the_same_file_twice_has_one_effect(desk: Desk) -> None:
    document = iso.camt054("n-1", MOMENT, "0012345", [line(0)])
    desk.put("bank-a", "a.xml", document)
    await desk.take()
    desk.put("bank-a", "b.xml", document)
    await desk.take()
    assert len(await desk.house.events("salur.payment.settled.v1")) == 1
    assert len(await desk.house.events("salur.bank-file.received.v1")) == 1
    assert await desk.house.suspended() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount_minor": AMOUNT_MINOR + 1}, "other-amount"),
        ({"currency": "IDR"}, "other-currency"),
        ({"account": "111"}, "other-account"),
        ({"instruction_id": "f" * 30 + "-001"}, "instruction-unknown"),
        ({"instruction_id": instruction(1)}, "wrong-bank"),
    ],
)
async def test_a_lie_in_a_file_goes_to_suspense_and_its_neighbours_go_on(
    desk: Desk, changes: dict[str, Any], reason: str
) -> None:
    desk.put("bank-a", "a.xml", iso.camt054("n-1", MOMENT, "0012345", [line(0, **changes), line(2)]))
    await desk.take()
    assert await desk.house.suspended() == [reason]
    states = await desk.house.states()
    assert (states[instruction(0)], states[instruction(2)]) == ("instructed", "settled")
    await desk.house.check_books()


async def test_a_broken_file_has_no_effect_and_the_bank_finds_why(desk: Desk) -> None:
    document = iso.camt054("n-1", MOMENT, "0012345", [line(0), line(2)])
    desk.put("bank-a", "a b;c.xml", document[:-30])
    await desk.take()
    assert set((await desk.house.states()).values()) == {"instructed"}
    assert desk.refusal("bank-a") == "cut-off"
    (fact,) = await desk.house.events("salur.bank-file.refused.v1")
    assert fact["reason"] == "cut-off"
    desk.put("bank-a", "again.xml", document)
    await desk.take()
    assert sorted((await desk.house.states()).values()) == ["instructed"] * 4 + ["settled"] * 2


async def test_another_file_under_a_known_message_id_is_refused(desk: Desk) -> None:
    desk.put("bank-a", "a.xml", iso.camt054("n-1", MOMENT, "0012345", [line(0)]))
    await desk.take()
    desk.put("bank-a", "b.xml", iso.camt054("n-1", MOMENT, "0012345", [line(2)]))
    await desk.take()
    assert desk.refusal("bank-a") == "message-id-reused"
    assert (await desk.house.states())[instruction(2)] == "instructed"


async def test_half_written_hidden_and_linked_files_are_left_alone(desk: Desk, tmp_path: Path) -> None:
    document = iso.camt054("n-1", MOMENT, "0012345", [line(0)])
    desk.put("bank-a", "a.xml.part", document[:100])
    desk.put("bank-a", ".hidden.xml", document)
    outside = tmp_path / "outside.xml"
    outside.write_bytes(document)
    (desk.root / "bank-a" / "inbox" / "link.xml").symlink_to(outside)
    await desk.take()
    assert desk.names("bank-a", "inbox") == [".hidden.xml", "a.xml.part", "link.xml"]
    assert set((await desk.house.states()).values()) == {"instructed"}


async def test_a_refusal_of_the_whole_document_rejects_everything_in_it(desk: Desk) -> None:
    await desk.send()
    (sent,) = (desk.root / "bank-a" / "outbox").glob("*.xml")
    message, orders = iso.read_pain001(sent)
    desk.put("bank-a", "no.xml", iso.pain002("s-1", MOMENT, message, [], "RJCT"))
    desk.put("bank-a", "unknown.xml", iso.pain002("s-2", MOMENT, "never-sent", [], "RJCT"))
    await desk.take()
    states = await desk.house.states()
    assert {states[order.instruction_id] for order in orders} == {"rejected"}
    assert desk.refusal("bank-a") == "original-unknown"
    await desk.house.check_books()


async def test_a_file_is_taken_on_where_a_crash_left_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salur.payments.files.BATCH", 1)
    desk.put("bank-a", "a.xml", iso.camt053("day-1", MOMENT, "0012345", 10**9, [line(0), line(2), line(4)]))
    calls = 0
    take_file = bank_files.take_file

    async def die_at_the_second(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ConnectionError("the database went away")
        return await take_file(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(bank_files, "take_file", die_at_the_second)
        with pytest.raises(ConnectionError):
            await desk.take()
    assert sorted((await desk.house.states()).values()) == ["instructed"] * 5 + ["settled"]
    await desk.take()
    assert sorted((await desk.house.states()).values()) == ["instructed"] * 3 + ["settled"] * 3
    async with desk.house.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM statement_line") == 3


async def test_files_that_cannot_be_taken_hold_up_no_other(desk: Desk) -> None:
    """A NUL where the database takes none, a moment no database holds, and a statement told otherwise before."""
    said = Statement("bank-a", "day-1", datetime(2026, 3, 1, tzinfo=UTC), ())
    await desk.house.run(reconcile.take_statement, said)
    desk.put("bank-a", "a.csv", b"check_id,account_number,result\nabc\x00def,1,matches\n")
    first = re.sub(rb"<ToDtTm>[^<]*<", b"<ToDtTm>0001-01-01T00:00:00+12:00<", iso.camt053("day-0", MOMENT, "1", 0, []))
    desk.put("bank-a", "b.xml", first)
    desk.put("bank-a", "c.xml", iso.camt053("day-1", MOMENT, "0012345", 10**9, [line(0)]))
    desk.put("bank-b", "d.xml", iso.camt053("day-2", MOMENT, "0012345", 10**9, [line(1)]))
    await desk.take()
    assert (desk.names("bank-a", "inbox"), desk.names("bank-b", "inbox")) == ([], [])
    states = await desk.house.states()
    assert states[instruction(1)] == "settled"
    refused = " ".join(desk.names("bank-a", "refused"))
    assert all(name in refused for name in ("a.csv", "c.xml"))

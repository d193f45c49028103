"""What Salur writes a bank reads, and what a bank writes Salur reads, whatever the names, amounts and numbers."""

import tempfile
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partner_bank import iso
from partner_bank.iso import Line
from salur.payments.banks.iso20022 import (
    CreditTransfer,
    DocumentRefused,
    Initiation,
    Recall,
    check_camt056,
    check_pain001,
    inspect,
    told,
    write_camt056,
    write_pain001,
)

NOW = datetime(2026, 3, 1, 8, 0, 0, tzinfo=UTC)
MOMENT = "2026-03-01T08:00:00Z"
INSTRUCTIONS = st.integers(0, 16**30 - 1).map(lambda number: f"{number:030x}-001")
AMOUNTS = st.integers(1, 10**15)
CURRENCIES = st.sampled_from(["IDR", "MXN"])
ACCOUNTS = st.text("0123456789ABCDEFGHXYZ", min_size=1, max_size=34)
REASONS = st.sampled_from([None, "AC04", "MS03", "FRAD"])
REFERENCES = st.text("abcdef0123456789", min_size=1, max_size=35)
# What XML can hold and keeps: no control characters, no outer spaces.
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=140).filter(
    lambda name: name == name.strip() and not any(ord(letter) in (0xFFFE, 0xFFFF) for letter in name)
)
TRANSFERS = st.lists(
    st.builds(CreditTransfer, INSTRUCTIONS, AMOUNTS, CURRENCIES, ACCOUNTS, NAMES, st.just("pkh"), st.just(NOW)),
    min_size=1, max_size=12, unique_by=lambda transfer: transfer.instruction_id,
)  # fmt: skip
RECALLS = st.lists(
    st.builds(Recall, REFERENCES, INSTRUCTIONS, AMOUNTS, CURRENCIES), min_size=1, max_size=12
)  # fmt: skip
HEAD = Initiation("a1" * 16, "bank-a", "Kementerian Sosial", "0012345", NOW)


def lines(*statuses: str) -> st.SearchStrategy[list[Line]]:
    line = st.builds(
        Line, INSTRUCTIONS, st.sampled_from(statuses), REASONS, AMOUNTS, st.just("IDR"), ACCOUNTS, REFERENCES,
        st.just("2026-03-01"),
    )  # fmt: skip
    return st.lists(line, min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(TRANSFERS)
def test_a_pain001_holds_its_schema_and_a_bank_reads_what_was_meant(transfers: list[CreditTransfer]) -> None:
    file = BytesIO()
    write_pain001(file, HEAD, transfers)
    check_pain001(file, len(transfers), sum(transfer.amount_minor for transfer in transfers))
    with tempfile.NamedTemporaryFile() as written:
        written.write(file.getvalue())
        written.flush()
        message, orders = iso.read_pain001(Path(written.name))
    assert message == HEAD.message_id
    assert sorted((o.instruction_id, o.amount_minor, o.currency, o.account, o.holder) for o in orders) == sorted(
        (t.instruction_id, t.amount_minor, t.currency, t.account_number, t.account_holder) for t in transfers
    )
    again = BytesIO()
    write_pain001(again, HEAD, transfers)
    assert again.getvalue() == file.getvalue()


@given(RECALLS)
def test_a_camt056_holds_its_schema_and_a_bank_reads_what_was_meant(recalls: list[Recall]) -> None:
    file = BytesIO()
    write_camt056(file, HEAD, recalls)
    check_camt056(file, len(recalls), sum(recall.amount_minor for recall in recalls))
    with tempfile.NamedTemporaryFile() as written:
        written.write(file.getvalue())
        written.flush()
        read = iso.read_camt056(Path(written.name))
    assert [(r.recall_id, r.instruction_id, r.amount_minor, r.currency) for r in read] == [
        (r.recall_id, r.instruction_id, r.amount_minor, r.currency) for r in recalls
    ]


@given(lines("ACCC", "RJCT", "ACSP", "PDNG"))
def test_a_pain002_is_read_as_it_was_said(said: list[Line]) -> None:
    _is_read(iso.pain002("m-1", MOMENT, "original", said), said, day=None)


@given(lines("RTRN"))
def test_a_pacs004_is_read_as_it_was_said(said: list[Line]) -> None:
    document = iso.pacs004("m-1", MOMENT, said)
    _is_read(document, said, day=date(2026, 3, 1), default_reason="MS03")


@given(lines("ACCC", "RTRN"), st.integers(-(10**9), 10**12))
def test_a_statement_is_read_as_it_was_said(said: list[Line], opening_minor: int) -> None:
    _is_read(iso.camt053("m-1", MOMENT, "0012345", opening_minor, said), said, day=date(2026, 3, 1))
    _is_read(iso.camt054("m-1", MOMENT, "0012345", said), said, day=date(2026, 3, 1))


@given(lines("ACCC", "RTRN"), st.data())
def test_whatever_a_document_is_cut_or_changed_to_it_is_read_or_refused(said: list[Line], data: st.DataObject) -> None:
    document = bytearray(
        data.draw(
            st.sampled_from(
                [
                    iso.camt053("m-1", MOMENT, "0012345", 10**12, said),
                    iso.camt054("m-1", MOMENT, "0012345", said),
                    iso.pain002("m-1", MOMENT, "original", said),
                    iso.pacs004("m-1", MOMENT, said),
                ]
            )
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(document) - 1))
        document[place] = data.draw(st.integers(0, 255))
    del document[data.draw(st.integers(len(document) // 2, len(document))) :]
    try:
        overview = inspect(BytesIO(document))
    except DocumentRefused:
        return
    assert len(list(told(BytesIO(document)))) == overview.transactions


def _is_read(document: bytes, said: list[Line], *, day: date | None, default_reason: str | None = None) -> None:
    overview = inspect(BytesIO(document))
    assert (overview.message_id, overview.transactions) == ("m-1", len(said))
    for number, (line, item) in enumerate(zip(said, told(BytesIO(document)), strict=True), 1):
        assert (item.ordinal, item.reference, item.status) == (number, line.instruction_id, line.status)
        assert (item.amount_minor, item.currency) == (line.amount_minor, line.currency)
        assert (item.account, item.bank_reference, item.booked_on) == (line.account, line.reference, day)
        if line.status in ("RJCT", "RTRN"):
            assert item.reason == (line.reason or default_reason)

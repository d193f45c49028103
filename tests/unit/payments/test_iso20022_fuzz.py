"""Whatever bytes a bank puts into its folder: read whole and bounded, or refused; nothing from outside."""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partner_bank import iso
from salur.payments.banks.iso20022 import DocumentRefused, Told, inspect, told

MOMENT = "2026-03-01T08:00:00Z"
LINES = [
    iso.Line(
        f"{number:030x}-001", status, reason, 10_000 + number, "IDR", f"77{number:08d}", f"REF-{number}", "2026-03-01"
    )
    for number, (status, reason) in enumerate([("ACCC", None), ("RTRN", "AC06"), ("ACCC", None)])
]
REFUSED = [iso.Line("0" * 30 + "-001", "RJCT", "AC04", 5, "IDR", "770", "R", "2026-03-01")]
DOCUMENTS = (
    iso.camt054("n-1", MOMENT, "0012345", LINES),
    iso.camt053("s-1", MOMENT, "0012345", 10**9, LINES),
    iso.pain002("p-1", MOMENT, "m-1", REFUSED),
    iso.pacs004("r-1", MOMENT, [LINES[1]]),
    iso.camt029("k-1", MOMENT, "bank-a", LINES),
)
WEDGES = (
    b"<!DOCTYPE Document [<!ENTITY e 'x'>]>", b"&e;", b"&#0;", b"&#x110000;", b"]]>", b"<![CDATA[", b"<!--", b"-->",
    b"<?php ?>", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"</Document>", b"<Amt>", b"<a xmlns:xi='http://www.w3.org/2001/XInclude'/>",
    b"9" * 400, b"-", b".", b"1e9", b"NaN", b"\xd9\xa1", b" " * 5_000, b"<x>" * 300, b"<?xml version='1.1'?>",
)  # fmt: skip
AMOUNT_LIMIT = 2**63


def read(document: bytes) -> list[Told] | str:
    """What payments makes of a file: its transactions, or the code it is refused with."""
    try:
        overview = inspect(io.BytesIO(document))
        said = list(told(io.BytesIO(document)))
    except DocumentRefused as refusal:
        assert refusal.code
        return refusal.code
    assert len(said) == overview.transactions
    for item in said:
        assert item.amount_minor is None or 0 <= item.amount_minor < AMOUNT_LIMIT
        assert all(len(text) <= 400 for text in (item.reference or "", item.account or "", item.bank_reference or ""))
    return said


def test_the_documents_themselves_are_read() -> None:
    for document in DOCUMENTS:
        assert isinstance(read(document), list)


@settings(max_examples=150)
@given(st.sampled_from(DOCUMENTS), st.data())
def test_a_file_that_ends_early_is_refused_wherever_it_ends(document: bytes, drawn: st.DataObject) -> None:
    end = drawn.draw(st.integers(0, len(document.rstrip()) - 1))
    assert isinstance(read(document[:end]), str)


@settings(max_examples=250)
@given(st.sampled_from(DOCUMENTS), st.data())
def test_a_damaged_file_is_read_or_refused(document: bytes, drawn: st.DataObject) -> None:
    """Bytes changed, cut out, put in or said twice, up to four times."""
    for _ in range(drawn.draw(st.integers(1, 4))):
        at = drawn.draw(st.integers(0, len(document)))
        length = drawn.draw(st.integers(0, 40))
        put = drawn.draw(st.one_of(st.sampled_from(WEDGES), st.binary(max_size=6), st.just(document[at : at + length])))
        document = document[:at] + put + document[at + length * drawn.draw(st.integers(0, 1)) :]
    read(document)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused(content: bytes) -> None:
    assert isinstance(read(content), str)


@pytest.mark.parametrize("document", DOCUMENTS, ids=["camt.054", "camt.053", "pain.002", "pacs.004", "camt.029"])
@pytest.mark.parametrize("declaration", [
    b"<!DOCTYPE Document [<!ENTITY e SYSTEM 'file://%s'>]>",
    b"<!DOCTYPE Document SYSTEM 'file://%s'>",
    b"<!DOCTYPE Document [<!ENTITY %% p SYSTEM 'file://%s'> %%p;]>",
    b"<!DOCTYPE Document [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY e '&b;&b;&b;&b;%s'>]>",
])  # fmt: skip
def test_entities_are_never_taken_from_a_file_nor_grown(document: bytes, declaration: bytes, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"open-sesame")
    head, _, rest = document.partition(b"?>\n")
    entity = rest.replace(b"<MsgId>", b"<MsgId>&e;", 1)
    for body in (rest, entity):
        assert read(head + b"?>\n" + declaration % str(secret).encode() + body) in {"dtd", "not-xml"}


def test_a_text_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    huge = DOCUMENTS[0].replace(b"REF-0", b"R" * (11 * 1024 * 1024), 1)
    assert isinstance(read(huge), str)
    deep = DOCUMENTS[0].replace(b"<BkTxCd/>", b"<a>" * 100_000 + b"</a>" * 100_000, 1)
    assert isinstance(read(deep), str)

"""Hostile and broken documents are refused as a whole, with a code, without reading anything they point at."""

from collections.abc import Callable
from io import BytesIO

import pytest

from partner_bank import iso
from partner_bank.iso import Line
from salur.payments.banks.iso20022 import DocumentRefused, inspect, told
from salur.payments.banks.reasons import NEXT, reason_of, reasons

MOMENT = "2026-03-01T08:00:00Z"
SAID = [
    Line(f"{number:030x}-001", "ACCC", None, 75_000_000, "IDR", f"9{number:09d}", f"REF{number}", "2026-03-01")
    for number in range(3)
]
STATEMENT = iso.camt053("m-1", MOMENT, "0012345", 10**12, SAID)
RETURNS = iso.pacs004("m-1", MOMENT, SAID)
KEPT = iso.camt029("m-1", MOMENT, "bank-a", SAID)
Change = Callable[[bytes], bytes]


def _before_root(text: bytes) -> Change:
    return lambda document: document.replace(b"<Document", text + b"<Document", 1)


def _swap(old: bytes, new: bytes) -> Change:
    return lambda document: document.replace(old, new, 1)


LAUGHS = b'<!DOCTYPE Document [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
OUTSIDE = b'<!DOCTYPE Document [<!ENTITY x SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    ("document", "change", "code"),
    [
        (STATEMENT, _before_root(LAUGHS), "dtd"),
        (STATEMENT, lambda d: _swap(b"m-1<", b"&c;<")(_before_root(LAUGHS)(d)), "dtd"),
        (STATEMENT, lambda d: _swap(b"m-1<", b"&x;<")(_before_root(OUTSIDE)(d)), "dtd"),
        (STATEMENT, _before_root(b'<!DOCTYPE Document SYSTEM "http://127.0.0.1:1/x.dtd">'), "dtd"),
        (STATEMENT, _before_root(b"<!--" + b"x" * 200_000 + b"--><!DOCTYPE Document>"), "dtd"),
        (STATEMENT, lambda d: d.decode().replace("UTF-8", "UTF-16").encode("utf-16"), "not-utf8"),
        (STATEMENT, _swap(b"UTF-8", b"ISO-8859-1"), "not-utf8"),
        (STATEMENT, lambda _: b"", "not-xml"),
        (STATEMENT, lambda _: b"<" * 100_000, "not-xml"),
        (STATEMENT, lambda _: b"id;amount\n1;2\n", "not-xml"),
        (STATEMENT, lambda d: d[:-40], "cut-off"),
        (STATEMENT, lambda d: d[: len(d) // 2], "cut-off"),
        (STATEMENT, _swap(b"camt.053.001.08", b"camt.053.001.99"), "unknown-kind"),
        (STATEMENT, _swap(b"urn:iso", b"urn:other"), "unknown-kind"),
        (STATEMENT, _swap(b"camt.053.001.08", b"camt.053.001.08}"), "unknown-kind"),
        (STATEMENT, lambda _: b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"/>', "unknown-kind"),
        (STATEMENT, _swap(b"<CdtDbtInd>DBIT", b"<CdtDbtInd>MAYBE"), "schema"),
        (STATEMENT, _swap(b"<BkTxCd/>", b"<BkTxCd/><Extra/>"), "schema"),
        (STATEMENT, _swap(b'Ccy="IDR">750000.00', b'Ccy="idr">750000.00'), "control-sum"),
        (STATEMENT, _swap(b">750000.00</Amt>", b">-750000.00</Amt>"), "amount"),
        (STATEMENT, _swap(b">750000.00</Amt>", b">NaN</Amt>"), "amount"),
        (STATEMENT, _swap(b">750000.00</Amt>", b">7.5e5</Amt>"), "amount"),
        (STATEMENT, _swap(b">750000.00</Amt>", b">750000.001</Amt>"), "amount"),
        (STATEMENT, _swap(b"<NbOfNtries>3", b"<NbOfNtries>4"), "control-sum"),
        (STATEMENT, _swap(b"<Sum>2250000.00", b"<Sum>2250000.01"), "control-sum"),
        (STATEMENT, _swap(b">750000.00</Amt>", b">750001.00</Amt>"), "control-sum"),
        (STATEMENT, _swap(b">9997750000.00<", b">9997750000.01<"), "control-sum"),
        (RETURNS, _swap(b"<NbOfTxs>3", b"<NbOfTxs>2"), "control-sum"),
        (RETURNS, _swap(b"<NbOfTxs>3", b"<NbOfTxs>three"), "schema"),
        (RETURNS, _swap(b"<CtrlSum>2250000.00", b"<CtrlSum>1.00"), "control-sum"),
        (RETURNS, _swap(b"<RtrId>", b"<RtrdId>"), "schema"),
        (KEPT, _before_root(OUTSIDE), "dtd"),
        (KEPT, _swap(b"<TxCxlSts>RJCR", b"<TxCxlSts>NOPE"), "schema"),
        (KEPT, lambda d: d[: d.index(b"<CxlDtls>")] + d[d.index(b"</CxlDtls>") + 10 :], "transactions-unnamed"),
    ],
)  # fmt: skip
def test_a_broken_document_is_refused_as_a_whole(document: bytes, change: Change, code: str) -> None:
    broken = change(document)
    assert broken != document
    with pytest.raises(DocumentRefused) as refused:
        inspect(BytesIO(broken))
    assert refused.value.code == code
    assert "9000000001" not in str(refused.value)


def test_a_movement_that_is_no_payment_of_ours_says_nothing_about_payments() -> None:
    fee = STATEMENT.replace(b"<EndToEndId>" + SAID[0].instruction_id.encode(), b"<EndToEndId>NOTPROVIDED", 1)
    first, *others = told(BytesIO(fee))
    assert (first.status, first.reference, first.amount_minor) == ("", None, 75_000_000)
    assert [item.status for item in others] == ["ACCC", "ACCC"]


def test_money_that_has_only_left_our_account_is_not_paid() -> None:
    said = [Line(SAID[0].instruction_id, "ACSC", None, 100, "IDR", "9", "R", "2026-03-01")]
    (item,) = told(BytesIO(iso.pain002("m-1", MOMENT, "original", said)))
    assert item.status == "ACSP"


@pytest.mark.parametrize(
    ("status", "reason", "meant"),
    [("RJCR", "AM04", "ACCC"), ("RJCR", "NOOR", "RJCT"), ("RJCR", "ARDT", "PDNG"), ("ACCR", "AM04", "PDNG"),
     ("PDCR", "AM04", "PDNG")],
)  # fmt: skip
def test_only_a_refused_recall_says_that_the_money_stays(status: str, reason: str, meant: str) -> None:
    document = KEPT.replace(b"RJCR</TxCxlSts>", f"{status}</TxCxlSts>".encode()).replace(b"NARR", reason.encode())
    said = list(told(BytesIO(document)))
    assert {(item.status, item.reason, item.recall) for item in said} == {(meant, reason, True)}
    assert [item.reference for item in said] == [line.instruction_id for line in SAID]


def test_an_entry_not_yet_booked_is_not_paid() -> None:
    (item, *_) = told(BytesIO(STATEMENT.replace(b"<Cd>BOOK", b"<Cd>PDNG", 1).replace(b"<Cd>CLBD", b"<Cd>ITBD")))
    assert item.status == "PDNG"
    assert item.booked is False


def test_every_reason_leads_somewhere_in_two_languages() -> None:
    assert {reason.next for reason in reasons().values()} == set(NEXT)
    assert all(reason.english != reason.indonesian for reason in reasons().values())
    assert reason_of("AC04").next == "correct-account"
    assert reason_of(None) == reason_of("MS03")
    assert reason_of("MS03").next == "inquire"
    assert reason_of("XXXX").next == "case"

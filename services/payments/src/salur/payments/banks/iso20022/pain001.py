"""Write pain.001.001.09: one document for a bank, streamed, the same bytes for the same input."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import IO

from lxml import etree

from salur.payments.banks.iso20022.money import decimal_text, minor_of
from salur.payments.banks.iso20022.xml import DocumentRefused, events_of, namespace

KIND = "pain.001.001.09"
PURPOSE = "SSBE"  # ExternalPurpose1Code: social security benefit
ACCOUNT, CASH = "account", "cash"
NAME_MAX, ACCOUNT_MAX = 140, 34
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class CreditTransfer:
    """One account to credit. `execute_until` in UTC."""

    instruction_id: str
    amount_minor: int
    currency: str
    account_number: str
    account_holder: str
    remittance: str
    execute_until: datetime
    method: str = "account"
    code_commitment: str | None = None
    """Of cash: what the bank holds a told code against."""


@dataclass(frozen=True, slots=True)
class Initiation:
    """The head of a document: whose account pays, at which bank, when it was made."""

    message_id: str
    bank: str
    debtor_name: str
    debtor_account: str
    created_at: datetime


def uetr(instruction_id: str) -> str:
    """A UUID of version 4 form that is always the same for the same instruction."""
    drawn = hashlib.sha256(f"uetr/{instruction_id}".encode()).hexdigest()
    variant = "89ab"[int(drawn[16], 16) & 3]
    return f"{drawn[:8]}-{drawn[8:12]}-4{drawn[13:16]}-{variant}{drawn[17:20]}-{drawn[20:32]}"


def write_pain001(file: IO[bytes], head: Initiation, transfers: Sequence[CreditTransfer]) -> None:
    """Write the document. Transfers are grouped by currency, each group with its own count and control sum.

    Raises ValueError for an empty document or an account number over 34 characters.
    """
    if not transfers:
        raise ValueError("a pain.001 needs at least one transfer")
    ordered = sorted(transfers, key=lambda transfer: transfer.currency)
    with etree.xmlfile(file, encoding="UTF-8") as xml:
        xml.write_declaration()
        with xml.element("Document", nsmap={None: namespace(KIND)}), xml.element("CstmrCdtTrfInitn"):
            header = etree.Element("GrpHdr")
            put_text(header, "MsgId", head.message_id)
            put_text(header, "CreDtTm", moment_text(head.created_at))
            _totals(header, transfers)
            put_text(etree.SubElement(header, "InitgPty"), "Nm", clean(head.debtor_name, NAME_MAX))
            xml.write(header)
            for currency, group in groupby(ordered, key=lambda transfer: transfer.currency):
                _write_group(xml, head, currency, list(group))


def check_pain001(file: IO[bytes], transactions: int, amount_minor: int) -> None:
    """Read a written document back: schema, count, sum. Raises DocumentRefused when it is not what was given."""
    found = found_minor = 0
    prefix = f"{{{namespace(KIND)}}}"
    for element in events_of(file, KIND, ("CdtTrfTxInf",)):
        found += 1
        found_minor += minor_of(element.findtext(f"{prefix}Amt/{prefix}InstdAmt")) or 0
        parent = element.getparent()
        assert parent is not None
        parent.remove(element)
    if (found, found_minor) != (transactions, amount_minor):
        raise DocumentRefused("control-sum", "the document written does not hold what was given")


def _write_group(
    xml: "etree._IncrementalFileWriter", head: Initiation, currency: str, transfers: Sequence[CreditTransfer]
) -> None:
    with xml.element("PmtInf"):
        parts = etree.Element("PmtInf")
        put_text(parts, "PmtInfId", f"{head.message_id[:31]}-{currency}")
        put_text(parts, "PmtMtd", "TRF")
        put_text(parts, "BtchBookg", "false")
        _totals(parts, transfers)
        put_text(etree.SubElement(parts, "ReqdExctnDt"), "Dt", head.created_at.astimezone(UTC).date().isoformat())
        put_text(etree.SubElement(parts, "Dbtr"), "Nm", clean(head.debtor_name, NAME_MAX))
        account = etree.SubElement(parts, "DbtrAcct")
        _account(account, head.debtor_account)
        put_text(account, "Ccy", currency)
        agent = etree.SubElement(etree.SubElement(parts, "DbtrAgt"), "FinInstnId")
        put_text(etree.SubElement(agent, "Othr"), "Id", head.bank)
        for part in parts:
            xml.write(part)
        forms = {method: _TransactionForm(method) for method in {transfer.method for transfer in transfers}}
        for transfer in transfers:
            xml.write(forms[transfer.method].fill(transfer))


class _TransactionForm:
    """One CdtTrfTxInf that is filled in again for every transfer: making its elements anew costs twice the time."""

    def __init__(self, method: str) -> None:
        self._element = etree.Element("CdtTrfTxInf")
        self._instruction = self._leaf("PmtId", "InstrId")
        self._end_to_end = self._leaf("PmtId", "EndToEndId")
        self._uetr = self._leaf("PmtId", "UETR")
        if method != ACCOUNT:
            self._leaf("PmtTpInf", "LclInstrm", "Prtry").text = method
        self._amount = self._leaf("Amt", "InstdAmt")
        self._holder = self._leaf("Cdtr", "Nm")
        self._number = self._leaf("CdtrAcct", "Id", "Othr", "Id")
        self._code: etree._Element | None = None
        if method == CASH:
            # HOLD: money is held for the creditor, who will call for it and prove who they are.
            self._leaf("InstrForCdtrAgt", "Cd").text = "HOLD"
            self._code = self._leaf("InstrForCdtrAgt", "InstrInf")
        self._until = self._leaf("InstrForDbtrAgt")
        self._leaf("Purp", "Cd").text = PURPOSE
        self._remittance = self._leaf("RmtInf", "Ustrd")

    def _leaf(self, *path: str) -> "etree._Element":
        parent = self._element
        for name in path[:-1]:
            found = parent.find(name)
            parent = etree.SubElement(parent, name) if found is None else found
        return etree.SubElement(parent, path[-1])

    def fill(self, transfer: CreditTransfer) -> "etree._Element":
        """The element of this transfer, until the next call. Raises ValueError for an account without a place."""
        if not 0 < len(transfer.account_number) <= ACCOUNT_MAX:
            raise ValueError(f"the account of {transfer.instruction_id} has no place in ISO 20022 (1 to 34 characters)")
        self._instruction.text = self._end_to_end.text = transfer.instruction_id
        self._uetr.text = uetr(transfer.instruction_id)
        self._amount.text = decimal_text(transfer.amount_minor)
        self._amount.set("Ccy", transfer.currency)
        self._holder.text = clean(transfer.account_holder, NAME_MAX)
        if self._code is not None:
            self._code.text = f"CODE SHA256 {transfer.code_commitment}"
        self._number.text = clean(transfer.account_number, ACCOUNT_MAX)
        self._until.text = f"EXECUTE UNTIL {moment_text(transfer.execute_until)}"
        self._remittance.text = clean(transfer.remittance, NAME_MAX)
        return self._element


def _account(parent: "etree._Element", number: str) -> None:
    other = etree.SubElement(etree.SubElement(parent, "Id"), "Othr")
    put_text(other, "Id", clean(number, ACCOUNT_MAX))


def _totals(parent: "etree._Element", transfers: Sequence[CreditTransfer]) -> None:
    put_text(parent, "NbOfTxs", str(len(transfers)))
    put_text(parent, "CtrlSum", decimal_text(sum(transfer.amount_minor for transfer in transfers)))


def put_text(parent: "etree._Element", name: str, value: str) -> None:
    """Add an element that holds text."""
    etree.SubElement(parent, name).text = value


def clean(text: str, most: int) -> str:
    """What XML 1.0 can hold, at most `most` characters, never empty."""
    return _NOT_XML.sub("", text)[:most] or "-"


def moment_text(moment: datetime) -> str:
    """A moment as the documents write it, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

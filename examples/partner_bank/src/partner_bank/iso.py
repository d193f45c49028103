"""ISO 20022 as a bank handles it: read pain.001 and camt.056; write pain.002, camt.029, camt.054, camt.053, pacs.004.

Only what Salur's page for banks asks for, with nothing but the standard library.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

PREFIX = "urn:iso:std:iso:20022:tech:xsd:"
PAIN001 = f"{{{PREFIX}pain.001.001.09}}"
CAMT056 = f"{{{PREFIX}camt.056.001.12}}"
CAMT029 = "camt.029.001.14"
PAIN002, CAMT053, CAMT054, PACS004 = "pain.002.001.12", "camt.053.001.08", "camt.054.001.08", "pacs.004.001.09"
_UNTIL = re.compile(r"EXECUTE UNTIL (\S+)")


@dataclass(frozen=True, slots=True)
class Order:
    """One transfer of a pain.001."""

    instruction_id: str
    amount_minor: int
    currency: str
    account: str
    holder: str
    execute_until: str
    method: str = "account"
    code_commitment: str | None = None


@dataclass(frozen=True, slots=True)
class Recalled:
    """One transaction of a camt.056."""

    recall_id: str
    instruction_id: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Line:
    """What the bank says about one transfer. `status`: ACCC, ACSP, PDNG, RJCT or RTRN. `day` is YYYY-MM-DD."""

    instruction_id: str
    status: str
    reason: str | None
    amount_minor: int
    currency: str
    account: str
    reference: str
    day: str


def read_pain001(path: Path) -> tuple[str, list[Order]]:
    """(MsgId, orders). Raises ET.ParseError, ValueError when it is none, or does not hold what it promises."""
    message, promised, promised_minor = "", 0, 0
    orders: list[Order] = []
    # Salur's own documents, from a folder only Salur may write; expat refuses entities that grow.
    for _, element in ET.iterparse(path):  # noqa: S314
        if element.tag == f"{PAIN001}GrpHdr":
            message, promised = _of(element, "MsgId"), int(_of(element, "NbOfTxs"))
            promised_minor = _minor(_of(element, "CtrlSum"))
        elif element.tag == f"{PAIN001}CdtTrfTxInf":
            orders.append(_order(element))
            element.clear()
    if not message or len(orders) != promised or sum(order.amount_minor for order in orders) != promised_minor:
        raise ValueError("the document does not hold what its header promises")
    return message, orders


def _order(element: ET.Element) -> Order:
    amount = element.find(f"{PAIN001}Amt/{PAIN001}InstdAmt")
    until = _UNTIL.fullmatch(_of(element, "InstrForDbtrAgt"))
    if amount is None or until is None:
        raise ValueError("an order lacks its amount or its last moment")
    return Order(
        _of(element, "PmtId", "EndToEndId"), _minor(amount.text or ""), amount.attrib["Ccy"],
        _of(element, "CdtrAcct", "Id", "Othr", "Id"), _of(element, "Cdtr", "Nm"), until[1],
        _of(element, "PmtTpInf", "LclInstrm", "Prtry") or "account",
        _of(element, "InstrForCdtrAgt", "InstrInf").removeprefix("CODE SHA256 ") or None,
    )  # fmt: skip


def read_camt056(path: Path) -> list[Recalled]:
    """What Salur asks back. Raises ET.ParseError, ValueError when it is none."""
    found, promised = [], -1
    for _, element in ET.iterparse(path):  # noqa: S314 - as above
        if element.tag == f"{CAMT056}CtrlData":
            promised = int(element.findtext(f"{CAMT056}NbOfTxs") or "0")
        elif element.tag == f"{CAMT056}TxInf":
            amount = element.find(f"{CAMT056}OrgnlIntrBkSttlmAmt")
            if amount is None:
                raise ValueError("a recall lacks its amount")
            found.append(
                Recalled(
                    element.findtext(f"{CAMT056}CxlId") or "", element.findtext(f"{CAMT056}OrgnlEndToEndId") or "",
                    _minor(amount.text or ""), amount.attrib["Ccy"],
                )
            )  # fmt: skip
            element.clear()
    if len(found) != promised:
        raise ValueError("the document does not hold what its header promises")
    return found


def _of(element: ET.Element, *path: str) -> str:
    return element.findtext("/".join(PAIN001 + name for name in path)) or ""


def _minor(text: str) -> int:
    whole, _, minor = text.partition(".")
    return int(whole) * 100 + int(minor.ljust(2, "0")[:2])


def pain002(message_id: str, moment: str, original: str, lines: Sequence[Line], group: str | None = None) -> bytes:
    """A status report about the document `original`; `group` is a status of the whole."""
    return _document(PAIN002, "CstmrPmtStsRpt", [
        f"<GrpHdr><MsgId>{message_id}</MsgId><CreDtTm>{moment}</CreDtTm></GrpHdr>",
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{original}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>",
        f"<GrpSts>{group}</GrpSts>" if group else "", "</OrgnlGrpInfAndSts>",
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{original}</OrgnlPmtInfId>" if lines else "",
        *(_status(line) for line in lines), "</OrgnlPmtInfAndSts>" if lines else "",
    ])  # fmt: skip


def _status(line: Line) -> str:
    reason = f"<StsRsnInf><Rsn><Cd>{line.reason}</Cd></Rsn></StsRsnInf>" if line.reason else ""
    # About an id it never had the bank knows no account.
    account = f"<CdtrAcct>{_account(line.account)}</CdtrAcct>" if line.account else ""
    return (
        f"<TxInfAndSts><OrgnlInstrId>{line.instruction_id}</OrgnlInstrId>"
        f"<OrgnlEndToEndId>{line.instruction_id}</OrgnlEndToEndId><TxSts>{line.status}</TxSts>{reason}"
        f"<AcctSvcrRef>{line.reference}</AcctSvcrRef><OrgnlTxRef><Amt>{_amount('InstdAmt', line)}</Amt>"
        f"{account}</OrgnlTxRef></TxInfAndSts>"
    )


def camt029(message_id: str, moment: str, bank: str, lines: Sequence[Line]) -> bytes:
    """Recalls refused: the money is not there any more. What is given back is told by a pacs.004."""
    party = "<{0}><Agt><FinInstnId><Othr><Id>{1}</Id></Othr></FinInstnId></Agt></{0}>"
    return _document(CAMT029, "RsltnOfInvstgtn", [
        f"<Assgnmt><Id>{message_id}</Id>{party.format('Assgnr', bank)}{party.format('Assgne', 'salur')}",
        f"<CreDtTm>{moment}</CreDtTm></Assgnmt><Sts><Conf>RJCR</Conf></Sts><CxlDtls>",
        *(
            f"<TxInfAndSts><OrgnlEndToEndId>{line.instruction_id}</OrgnlEndToEndId><TxCxlSts>RJCR</TxCxlSts>"
            f"<CxlStsRsnInf><Rsn><Cd>{line.reason or 'NARR'}</Cd></Rsn></CxlStsRsnInf>"
            f"{_amount('OrgnlIntrBkSttlmAmt', line)}</TxInfAndSts>"
            for line in lines
        ),
        "</CxlDtls>",
    ])  # fmt: skip


def pacs004(message_id: str, moment: str, lines: Sequence[Line]) -> bytes:
    """Returns of credited money."""
    total = _text(sum(line.amount_minor for line in lines))
    return _document(PACS004, "PmtRtr", [
        f"<GrpHdr><MsgId>{message_id}</MsgId><CreDtTm>{moment}</CreDtTm><NbOfTxs>{len(lines)}</NbOfTxs>",
        f"<CtrlSum>{total}</CtrlSum><SttlmInf><SttlmMtd>CLRG</SttlmMtd></SttlmInf></GrpHdr>",
        *(
            f"<TxInf><RtrId>{line.reference}</RtrId><OrgnlEndToEndId>{line.instruction_id}</OrgnlEndToEndId>"
            f"{_amount('RtrdIntrBkSttlmAmt', line)}<IntrBkSttlmDt>{line.day}</IntrBkSttlmDt>"
            f"<RtrRsnInf><Rsn><Cd>{line.reason or 'MS03'}</Cd></Rsn></RtrRsnInf>"
            f"<OrgnlTxRef><CdtrAcct>{_account(line.account)}</CdtrAcct></OrgnlTxRef></TxInf>"
            for line in lines
        ),
    ])  # fmt: skip


def camt054(message_id: str, moment: str, account: str, lines: Iterable[Line]) -> bytes:
    """A notice of booked credits and returns, one entry each."""
    head = f"<GrpHdr><MsgId>{message_id}</MsgId><CreDtTm>{moment}</CreDtTm></GrpHdr>"
    notice = f"<Ntfctn><Id>{message_id}</Id><Acct>{_account(account)}</Acct>"
    return _document(CAMT054, "BkToCstmrDbtCdtNtfctn", [head, notice, *_entries(lines), "</Ntfctn>"])


def camt053(message_id: str, moment: str, account: str, opening_minor: int, lines: Sequence[Line]) -> bytes:
    """A statement of the paying account up to `moment`, in one currency: balances and every booking."""
    currency, day = (lines[0].currency, lines[0].day) if lines else ("IDR", moment[:10])
    closing = opening_minor + sum(line.amount_minor * (1 if line.status == "RTRN" else -1) for line in lines)
    total = _text(sum(line.amount_minor for line in lines))
    return _document(CAMT053, "BkToCstmrStmt", [
        f"<GrpHdr><MsgId>{message_id}</MsgId><CreDtTm>{moment}</CreDtTm></GrpHdr>",
        f"<Stmt><Id>{message_id}</Id><FrToDt><FrDtTm>{moment[:10]}T00:00:00Z</FrDtTm><ToDtTm>{moment}</ToDtTm></FrToDt>",
        f"<Acct>{_account(account)}</Acct>",
        _balance("OPBD", opening_minor, currency, day), _balance("CLBD", closing, currency, day),
        f"<TxsSummry><TtlNtries><NbOfNtries>{len(lines)}</NbOfNtries><Sum>{total}</Sum></TtlNtries></TxsSummry>",
        *_entries(lines), "</Stmt>",
    ])  # fmt: skip


def _entries(lines: Iterable[Line]) -> Iterator[str]:
    for line in lines:
        direction = "CRDT" if line.status == "RTRN" else "DBIT"
        reason = f"<RtrInf><Rsn><Cd>{line.reason}</Cd></Rsn></RtrInf>" if line.status == "RTRN" and line.reason else ""
        yield (
            f"<Ntry>{_amount('Amt', line)}<CdtDbtInd>{direction}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>"
            f"<BookgDt><Dt>{line.day}</Dt></BookgDt><AcctSvcrRef>{line.reference}</AcctSvcrRef><BkTxCd/>"
            f"<NtryDtls><TxDtls><Refs><AcctSvcrRef>{line.reference}</AcctSvcrRef>"
            f"<EndToEndId>{line.instruction_id}</EndToEndId></Refs>{_amount('Amt', line)}"
            f"<CdtDbtInd>{direction}</CdtDbtInd><RltdPties><CdtrAcct>{_account(line.account)}</CdtrAcct></RltdPties>"
            f"{reason}</TxDtls></NtryDtls></Ntry>"
        )


def _balance(code: str, minor: int, currency: str, day: str) -> str:
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">{_text(abs(minor))}</Amt>'
        f"<CdtDbtInd>{'DBIT' if minor < 0 else 'CRDT'}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _amount(name: str, line: Line) -> str:
    return f'<{name} Ccy="{line.currency}">{_text(line.amount_minor)}</{name}>'


def _account(number: str) -> str:
    return f"<Id><Othr><Id>{escape(number)}</Id></Othr></Id>"


def _text(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


def _document(kind: str, name: str, parts: Iterable[str]) -> bytes:
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{PREFIX}{kind}"><{name}>'
    return "".join([head, *parts, f"</{name}></Document>\n"]).encode()

"""Read what a bank says in ISO 20022: pain.002, camt.029, camt.053, camt.054, pacs.004.

`inspect` reads a whole document and refuses it as a whole; only then `told` yields what it says, one transaction at a
time. Both stream: what has been read is dropped from the tree.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import IO

from lxml import etree

from salur.payments.banks.iso20022.money import minor_of
from salur.payments.banks.iso20022.xml import DocumentRefused, events_of, kind_of, namespace

PAIN002, CAMT053, CAMT054, PACS004 = "pain.002.001.12", "camt.053.001.08", "camt.054.001.08", "pacs.004.001.09"
CAMT029 = "camt.029.001.14"
NOT_PROVIDED = "NOTPROVIDED"
TRANSACTIONS_MAX = 5_000_000
AMOUNT_MAX_MINOR = 10**17

# ExternalPaymentTransactionStatus1Code → what we take it for. Money that has only left our account (ACSC) is not paid.
STATUSES = {
    "ACCC": "ACCC", "RJCT": "RJCT", "CANC": "RJCT", "BLCK": "RJCT",
    "ACSC": "ACSP", "ACSP": "ACSP", "ACTC": "ACSP", "ACCP": "ACSP", "ACFC": "ACSP", "ACWC": "ACSP", "RCVD": "ACSP",
    "PATC": "ACSP", "PART": "ACSP", "PDNG": "PDNG", "ACWP": "PDNG",
}  # fmt: skip
KEPT = "RJCR"
NEVER_HAD, GIVEN_BACK_BEFORE = "NOOR", "ARDT"


@dataclass(frozen=True, slots=True)
class Told:
    """One transaction as the bank tells it. `ordinal` counts from 1 in the document; None: the document does not say.

    `reference` is the EndToEndId we gave, `bank_reference` the bank's own. `status`: ACCC credited, ACSP or PDNG not
    final, RJCT refused, RTRN returned; empty for a movement that is no payment of ours. `direction` DBIT or CRDT as
    seen from the account that pays. `recall`: it answers a request to give back.
    """

    ordinal: int
    reference: str | None
    status: str
    reason: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    account: str | None = None
    bank_reference: str | None = None
    booked_on: date | None = None
    direction: str | None = None
    booked: bool = True
    recall: bool = False


@dataclass(slots=True)
class Overview:
    """A whole document that holds what it promises. `balances`: (code, minor units, currency), negative = overdrawn.

    `until`: what was booked before stands in the statement (camt.053)."""

    kind: str
    message_id: str = ""
    transactions: int = 0
    original_message_id: str | None = None
    original_transactions: int | None = None
    original_sum_minor: int | None = None
    group_status: str | None = None
    group_reason: str | None = None
    totals: dict[tuple[str, str], int] = field(default_factory=dict)
    balances: list[tuple[str, int, str]] = field(default_factory=list)
    until: datetime | None = None


def inspect(file: IO[bytes]) -> Overview:
    """Read the whole document: schema, counts, control sums, balances. Raises DocumentRefused."""
    reader = _reader(file)
    for item in reader.read(file):
        if reader.overview.transactions > TRANSACTIONS_MAX:
            raise DocumentRefused("too-many", f"more than {TRANSACTIONS_MAX} transactions: send several documents")
        if item.status and item.amount_minor is not None and item.currency is not None:
            key = item.status, item.currency
            reader.overview.totals[key] = reader.overview.totals.get(key, 0) + item.amount_minor
    if not reader.overview.message_id:
        raise DocumentRefused("schema", "the document has no MsgId")
    return reader.overview


def told(file: IO[bytes]) -> Generator[Told, None, None]:
    """What an inspected document says, in its order."""
    yield from _reader(file).read(file)


def _reader(file: IO[bytes]) -> "_Reader":
    kind = kind_of(file)
    reader = _READERS.get(kind)
    if reader is None:
        raise DocumentRefused("unknown-kind", f"a {kind} is written to banks, not read from them")
    return reader(Overview(kind))


class _Reader:
    """What the kinds share: finding text, amounts, counting."""

    tags: tuple[str, ...] = ()

    def __init__(self, overview: Overview) -> None:
        self.overview = overview
        self._prefix = f"{{{namespace(overview.kind)}}}"

    def read(self, file: IO[bytes]) -> Iterator[Told]:
        for element in events_of(file, self.overview.kind, self.tags):
            name = element.tag[len(self._prefix) :]
            handle: Callable[[etree._Element], Iterator[Told]] = getattr(self, f"_{name.lower()}")
            yield from handle(element)
        self._finish()

    def _finish(self) -> None:
        """Checks that need the whole document."""

    def _grphdr(self, header: "etree._Element") -> Iterator[Told]:
        self.overview.message_id = self._text(header, "MsgId") or ""
        yield from ()

    def _path(self, path: str) -> str:
        return "/".join(self._prefix + part for part in path.split("/"))

    def _text(self, element: "etree._Element", *paths: str) -> str | None:
        for path in paths:
            if text := element.findtext(self._path(path)):
                return text.strip()
        return None

    def _amount(self, element: "etree._Element", *paths: str) -> tuple[int | None, str | None]:
        for path in paths:
            found = element.find(self._path(path))
            if found is not None:
                amount = minor_of(found.text)
                if amount is None or amount > AMOUNT_MAX_MINOR:
                    raise DocumentRefused(
                        "amount", f"line {found.sourceline}: more than two decimals, or beyond any payment"
                    )
                return amount, found.get("Ccy")
        return None, None

    def _count(self) -> int:
        self.overview.transactions += 1
        return self.overview.transactions


def _drop(element: "etree._Element") -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _reference(text: str | None) -> str | None:
    return None if text == NOT_PROVIDED else text


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat((text or "")[:10])
    except ValueError:
        return None


YEARS = range(1900, 9000)
"""What a statement can speak of, and a database can hold in every time zone."""


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    if moment.year not in YEARS:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _start(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def _agree(what: str, promised: int | None, found: int) -> None:
    if promised is not None and promised != found:
        raise DocumentRefused("control-sum", f"{what} says {promised}, the document holds {found}")


def _whole(text: str | None) -> int | None:
    """A count. The schema is told of only after its neighbours have been read, so what is no count says so here."""
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise DocumentRefused("schema", "a count is no number")
    return int(text)


class _StatusReport(_Reader):
    tags = ("GrpHdr", "OrgnlGrpInfAndSts", "TxInfAndSts")

    def _orgnlgrpinfandsts(self, group: "etree._Element") -> Iterator[Told]:
        overview = self.overview
        overview.original_message_id = self._text(group, "OrgnlMsgId")
        overview.original_transactions = _whole(self._text(group, "OrgnlNbOfTxs"))
        overview.original_sum_minor = minor_of(self._text(group, "OrgnlCtrlSum"))
        overview.group_status = self._text(group, "GrpSts")
        overview.group_reason = self._text(group, "StsRsnInf/Rsn/Cd")
        yield from ()

    def _txinfandsts(self, transaction: "etree._Element") -> Iterator[Told]:
        amount, currency = self._amount(transaction, "OrgnlTxRef/Amt/InstdAmt", "OrgnlTxRef/IntrBkSttlmAmt")
        status = self._text(transaction, "TxSts") or self.overview.group_status or ""
        account = "OrgnlTxRef/CdtrAcct/Id/"
        yield Told(
            self._count(),
            _reference(self._text(transaction, "OrgnlEndToEndId", "OrgnlInstrId")),
            STATUSES.get(status, "PDNG"),
            self._text(transaction, "StsRsnInf/Rsn/Cd"),
            amount, currency,
            self._text(transaction, f"{account}Othr/Id", f"{account}IBAN"),
            self._text(transaction, "AcctSvcrRef"),
        )  # fmt: skip
        _drop(transaction)


class _Returns(_Reader):
    tags = ("GrpHdr", "TxInf")
    _promised: int | None = None
    _promised_minor: int | None = None
    _found_minor = 0

    def _grphdr(self, header: "etree._Element") -> Iterator[Told]:
        yield from super()._grphdr(header)
        self._promised = _whole(self._text(header, "NbOfTxs"))
        total, _ = self._amount(header, "TtlRtrdIntrBkSttlmAmt")
        self._promised_minor = minor_of(self._text(header, "CtrlSum")) if total is None else total

    def _txinf(self, transaction: "etree._Element") -> Iterator[Told]:
        amount, currency = self._amount(transaction, "RtrdIntrBkSttlmAmt")
        self._found_minor += amount or 0
        account = "OrgnlTxRef/CdtrAcct/Id/"
        yield Told(
            self._count(),
            _reference(self._text(transaction, "OrgnlEndToEndId", "OrgnlInstrId")),
            "RTRN",
            self._text(transaction, "RtrRsnInf/Rsn/Cd"),
            amount, currency,
            self._text(transaction, f"{account}Othr/Id", f"{account}IBAN"),
            self._text(transaction, "RtrId"),
            _day(self._text(transaction, "IntrBkSttlmDt")),
        )  # fmt: skip
        _drop(transaction)

    def _finish(self) -> None:
        _agree("NbOfTxs", self._promised, self.overview.transactions)
        _agree("the control sum (minor units)", self._promised_minor, self._found_minor)


class _Resolution(_Reader):
    """camt.029: what became of asking money back. Agreeing moves nothing: the return itself comes as a return."""

    tags = ("Assgnmt", "TxInfAndSts")

    def _assgnmt(self, assignment: "etree._Element") -> Iterator[Told]:
        self.overview.message_id = self._text(assignment, "Id") or ""
        yield from ()

    def _txinfandsts(self, transaction: "etree._Element") -> Iterator[Told]:
        amount, currency = self._amount(transaction, "OrgnlIntrBkSttlmAmt", "OrgnlInstdAmt", "OrgnlTxRef/Amt/InstdAmt")
        reason = self._text(transaction, "CxlStsRsnInf/Rsn/Cd")
        account = "OrgnlTxRef/CdtrAcct/Id/"
        yield Told(
            self._count(),
            _reference(self._text(transaction, "OrgnlEndToEndId", "OrgnlInstrId")),
            _resolved(self._text(transaction, "TxCxlSts"), reason),
            reason,
            amount, currency,
            self._text(transaction, f"{account}Othr/Id", f"{account}IBAN"),
            recall=True,
        )  # fmt: skip
        _drop(transaction)

    def _finish(self) -> None:
        if not self.overview.transactions:
            raise DocumentRefused("transactions-unnamed", "a resolution must name each transaction (TxInfAndSts)")


def _resolved(status: str | None, reason: str | None) -> str:
    """A refusal says that the money is still credited, unless it says that it never was, or went back before."""
    if status != KEPT or reason == GIVEN_BACK_BEFORE:
        return "PDNG"
    return "RJCT" if reason == NEVER_HAD else "ACCC"


class _Entries(_Reader):
    """camt.053 and camt.054: booked movements of the account that pays. A debit is a credit to somebody."""

    tags = ("GrpHdr", "Bal", "TxsSummry", "TxDtls", "Ntry", "Stmt", "Ntfctn")

    def __init__(self, overview: Overview) -> None:
        super().__init__(overview)
        self._in_entry = 0
        self._in_entry_minor = 0
        self._entries = 0
        self._entries_minor = 0
        self._net: dict[str, int] = {}
        self._opening: dict[str, int] = {}
        self._closing: dict[str, int] = {}
        self._closed_on: date | None = None
        self._promised: int | None = None
        self._promised_minor: int | None = None

    def _bal(self, balance: "etree._Element") -> Iterator[Told]:
        code = self._text(balance, "Tp/CdOrPrtry/Cd") or ""
        amount, currency = self._amount(balance, "Amt")
        signed = (amount or 0) * (1 if self._text(balance, "CdtDbtInd") == "CRDT" else -1)
        self.overview.balances.append((code, signed, currency or ""))
        if code in ("OPBD", "PRCD"):
            self._opening[currency or ""] = signed
        elif code == "CLBD":
            self._closing[currency or ""] = signed
            self._closed_on = _day(self._text(balance, "Dt/Dt", "Dt/DtTm"))
        yield from ()

    def _txssummry(self, summary: "etree._Element") -> Iterator[Told]:
        self._promised = _whole(self._text(summary, "TtlNtries/NbOfNtries"))
        self._promised_minor = minor_of(self._text(summary, "TtlNtries/Sum"))
        yield from ()

    def _txdtls(self, details: "etree._Element") -> Iterator[Told]:
        entry = next(details.iterancestors(self._path("Ntry")), None)
        if entry is None:
            raise DocumentRefused("schema", f"line {details.sourceline} breaks the schema of {self.overview.kind}")
        yield self._told(entry, details)
        _drop(details)

    def _ntry(self, entry: "etree._Element") -> Iterator[Told]:
        amount, currency = self._amount(entry, "Amt")
        if self._in_entry:
            _agree("Ntry/Amt (minor units)", amount, self._in_entry_minor)
            _agree("Btch/NbOfTxs", _whole(self._text(entry, "NtryDtls/Btch/NbOfTxs")), self._in_entry)
        else:
            yield self._told(entry, entry)
        self._in_entry = self._in_entry_minor = 0
        self._entries += 1
        self._entries_minor += amount or 0
        if self._text(entry, "Sts/Cd") == "BOOK":
            sign = 1 if self._text(entry, "CdtDbtInd") == "CRDT" else -1
            self._net[currency or ""] = self._net.get(currency or "", 0) + sign * (amount or 0)
        _drop(entry)

    def _told(self, entry: "etree._Element", details: "etree._Element") -> Told:
        single = details is entry
        amount, currency = self._amount(details, "Amt")
        if amount is None:
            amount, currency = self._amount(entry, "Amt")
        if not single:
            self._in_entry += 1
            self._in_entry_minor += amount or 0
        base = "" if single else "Refs/"
        direction = self._text(details, "CdtDbtInd") or self._text(entry, "CdtDbtInd")
        reference = _reference(None if single else self._text(details, "Refs/EndToEndId", "Refs/InstrId"))
        booked = self._text(entry, "Sts/Cd") == "BOOK"
        back = direction == "CRDT"
        status = "" if reference is None else "PDNG" if not booked else "RTRN" if back else "ACCC"
        account = "RltdPties/CdtrAcct/Id/"
        return Told(
            self._count(), reference, status,
            self._text(details, "RtrInf/Rsn/Cd") if back else None,
            amount, currency,
            self._text(details, f"{account}Othr/Id", f"{account}IBAN"),
            self._text(details, f"{base}AcctSvcrRef") or self._text(entry, "AcctSvcrRef"),
            _day(self._text(entry, "BookgDt/Dt", "BookgDt/DtTm")),
            direction,
            booked,
        )  # fmt: skip

    def _stmt(self, statement: "etree._Element") -> Iterator[Told]:
        _agree("TtlNtries/NbOfNtries", self._promised, self._entries)
        _agree("TtlNtries/Sum (minor units)", self._promised_minor, self._entries_minor)
        for currency, closing in self._closing.items():
            if currency in self._opening:
                _agree(
                    "the closing balance (minor units)", closing, self._opening[currency] + self._net.get(currency, 0)
                )
        self._end(statement)
        self._closed_on = self._promised = self._promised_minor = None
        self._entries = self._entries_minor = 0
        self._net, self._opening, self._closing = {}, {}, {}
        _drop(statement)
        yield from ()

    def _end(self, statement: "etree._Element") -> None:
        """A statement of several accounts speaks up to the earliest of their ends."""
        if self.overview.kind != CAMT053:
            return
        until = _moment(self._text(statement, "FrToDt/ToDtTm")) or _start(self._closed_on)
        if until is None:
            raise DocumentRefused("period", "a statement must say up to when: FrToDt/ToDtTm or a closing balance")
        self.overview.until = until if self.overview.until is None else min(until, self.overview.until)

    _ntfctn = _stmt


_READERS: dict[str, type[_Reader]] = {
    PAIN002: _StatusReport,
    CAMT053: _Entries,
    CAMT054: _Entries,
    PACS004: _Returns,
    CAMT029: _Resolution,
}

"""Take a bank's file: checked as a whole first, then told to the same judge as the bank's messages.

Each transaction becomes the answer the bank would have sent over Kafka, so both channels may tell the same payment and
it takes effect once. A file is taken in pieces; `bank_file.taken` says how far, so a restart goes on there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from salur.common.contracts.bank_files import BankFileReceived, BankFileRefused
from salur.common.database import Connection
from salur.common.events import Draft, OutsideRecord
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.payments.banks.check_files import Aged, Found
from salur.payments.banks.iso20022 import DocumentRefused, Overview, Told
from salur.payments.domain.reconcile import Line, Statement, ends_ahead
from salur.payments.domain.results import CHECK_TYPE, RESULT_TYPE
from salur.payments.store import queries
from salur.payments.usecases.accounts import open_account
from salur.payments.usecases.instruct import ACTOR
from salur.payments.usecases.recalls import Unclaimed, take_report
from salur.payments.usecases.reconcile import take_statement
from salur.payments.usecases.settle import files_topic, take_results

STATEMENT = "camt.053.001.08"
NEEDS_AMOUNT = ("ACCC", "RTRN")
OTHER_ACCOUNT = "sha256:" + "0" * 64
_INSTRUCTION = re.compile(r"[0-9a-f]{30}-[0-9]{3}")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9._:/-]{1,35}")


@dataclass(frozen=True, slots=True)
class FileId:
    """A file of a bank, known by its bytes."""

    bank: str
    sha256: str

    @property
    def file_id(self) -> str:
        return derived_id("bank-file", self.bank, self.sha256)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a file. `after`: how many of its transactions have had their effect."""

    state: str
    after: int
    refusal: str | None
    group: tuple[str, ...] = ()
    why: str = ""


async def receive_file(
    conn: Connection, file: FileId, size: int, overview: Overview | DocumentRefused
) -> tuple[Standing, list[Draft]]:
    """Record a file that has been read as a whole, or why it is refused. A file known by its bytes stays what it is."""
    known = await queries.bank_file(conn, bank=file.bank, sha256=file.sha256)
    if known is not None:
        group = await _group(conn, file.bank, overview) if isinstance(overview, Overview) else ()
        return Standing(known["state"], known["taken"], known["refusal"], group), []
    group = ()
    if isinstance(overview, Overview):
        try:
            group = await _group(conn, file.bank, overview)
            return await _accept(conn, file, size, overview, group)
        except DocumentRefused as refusal:
            return await _refuse(conn, file, size, overview, refusal)
    return await _refuse(conn, file, size, None, overview)


async def _accept(
    conn: Connection, file: FileId, size: int, overview: Overview, group: tuple[str, ...]
) -> tuple[Standing, list[Draft]]:
    if not _MESSAGE_ID.fullmatch(overview.message_id):
        raise DocumentRefused("message-id", "MsgId must be of letters, digits and . _ : / - (at most 35)")
    if overview.until is not None and ends_ahead(overview.until, datetime.now(UTC)):
        raise DocumentRefused("period", "FrToDt/ToDtTm lies in the future: a statement ends when it is made")
    transactions = len(group) or overview.transactions
    state = "checked" if transactions else "taken"
    added = await queries.insert_bank_file(
        conn, bank=file.bank, sha256=file.sha256, state=state, kind=overview.kind, message_id=overview.message_id,
        size=size, transactions=transactions, refusal=None,
    )  # fmt: skip
    if added is None:
        raise DocumentRefused(
            "message-id-reused", "another file had this MsgId: give every document a MsgId of its own"
        )
    fact = BankFileReceived(
        file_id=file.file_id, bank=file.bank, sha256=file.sha256, size=size, kind=overview.kind,
        message_id=overview.message_id, transactions=transactions,
    )  # fmt: skip
    return Standing(state, 0, None, group), [Draft(fact, file.file_id, ACTOR, file.sha256)]


async def _refuse(
    conn: Connection, file: FileId, size: int, overview: Overview | None, refusal: DocumentRefused
) -> tuple[Standing, list[Draft]]:
    await queries.insert_bank_file(
        conn, bank=file.bank, sha256=file.sha256, state="refused", kind=overview.kind if overview else None,
        message_id=None, size=size, transactions=0, refusal=refusal.code,
    )  # fmt: skip
    received = BankFileReceived(
        file_id=file.file_id, bank=file.bank, sha256=file.sha256, size=size, kind=overview.kind if overview else None
    )
    refused = BankFileRefused(file_id=file.file_id, bank=file.bank, sha256=file.sha256, reason=refusal.code)
    drafts = [Draft(fact, file.file_id, ACTOR, file.sha256) for fact in (received, refused)]
    return Standing("refused", 0, refusal.code, (), str(refusal)), drafts


async def _group(conn: Connection, bank: str, overview: Overview) -> tuple[str, ...]:
    """The instructions a refusal of a whole document speaks of. Raises DocumentRefused when it is none of ours."""
    if overview.original_message_id is None:
        return ()
    sent = await queries.outgoing_by_message(conn, message_id=overview.original_message_id, bank=bank)
    named = (overview.original_transactions, overview.original_sum_minor)
    if sent is None:
        if overview.group_status == "RJCT" and not overview.transactions:
            raise DocumentRefused("original-unknown", "OrgnlMsgId is no document this bank was sent")
        return ()
    if any(
        said is not None and said != was
        for said, was in zip(named, (sent["transactions"], sent["amount_minor"]), strict=True)
    ):
        raise DocumentRefused("original-differs", "the original had another count or control sum")
    if overview.group_status != "RJCT" or overview.transactions:
        return ()
    rows = await queries.outgoing_events(conn, streams=sent["streams"], after=sent["after"], until=sent["until"])
    facts = [orjson.loads(row["body"])["data"] for row in rows if row["type"] == "salur.payment.instructed.v1"]
    return tuple(fact["instruction_id"] for fact in facts)


def group_told(group: Sequence[str], reason: str | None) -> list[Told]:
    """A refusal of the whole document, told transaction by transaction."""
    return [Told(number, instruction, "RJCT", reason) for number, instruction in enumerate(group, 1)]


async def take_file(
    conn: Connection,
    file: FileId,
    items: Sequence[Told | Found | Aged],
    after: int,
    secrets: Secrets,
    lines: list[Line] | None = None,
) -> Sequence[Draft] | None:
    """Judge the next transactions of a file; they are those after number `after`. None: another process has.

    `lines`: takes the booked movements among them, for reconciliation.
    """
    advanced = await queries.advance_bank_file(
        conn, bank=file.bank, sha256=file.sha256, after=after, until=after + len(items)
    )
    if advanced is None:
        return None
    records = await _findings(conn, file, [item for item in items if isinstance(item, Found)], secrets)
    records += await _unclaimed(conn, file, [item for item in items if isinstance(item, Aged)], secrets)
    told = [item for item in items if isinstance(item, Told)]
    named = await _named(conn, told)
    accounts = _accounts(told, named, secrets)
    if lines is not None:
        lines += _lines(file, told, accounts)
    # A movement without our id is no answer of the bank; a report about an id that is none of ours is.
    said = [item for item in told if item.status and (item.direction is None or _ours(item))]
    records += [_record(file, item, named.get(item.reference or ""), accounts[item.ordinal]) for item in said]
    return await take_results(conn, records, secrets)


async def _unclaimed(conn: Connection, file: FileId, aged: Sequence[Aged], secrets: Secrets) -> list[OutsideRecord]:
    """Keep what a bank says nobody has taken. What is no payment of this bank comes back, to be put aside."""
    if not aged:
        return []
    rows = await queries.named_accounts(conn, instruction_ids=sorted({item.instruction_id for item in aged}))
    named = {row["instruction_id"]: row for row in rows}
    own = {key for key, row in named.items() if row["bank"] == file.bank}
    reported = [
        Unclaimed(item.instruction_id, item.standing, item.since) for item in aged if item.instruction_id in own
    ]
    await take_report(conn, file.bank, file.file_id, reported)
    others = [Told(item.ordinal, item.instruction_id, "PDNG", None) for item in aged if item.instruction_id not in own]
    accounts = _accounts(others, named, secrets)
    return [_record(file, item, named.get(item.reference or ""), accounts[item.ordinal]) for item in others]


async def _findings(conn: Connection, file: FileId, found: Sequence[Found], secrets: Secrets) -> list[OutsideRecord]:
    """What a bank found about accounts, as it would have said it over Kafka."""
    rows = await queries.named_checks(conn, check_ids=sorted({item.check_id for item in found})) if found else []
    named = {row["check_id"]: row for row in rows}
    records = []
    for item in found:
        row = named.get(item.check_id)
        commitment = OTHER_ACCOUNT
        if row is not None and row["account_commitment"] is not None:
            number, _ = open_account(secrets, row["beneficiary_id"], row["sealed"])
            commitment = row["account_commitment"] if _plain(number) == _plain(item.account) else OTHER_ACCOUNT
        data = {"check_id": item.check_id, "result": item.result, "account_commitment": commitment}
        records.append(_outside(file, item.ordinal, CHECK_TYPE, data))
    return records


def _ours(item: Told) -> bool:
    return item.reference is not None and _INSTRUCTION.fullmatch(item.reference) is not None


async def _named(conn: Connection, items: Sequence[Told]) -> dict[str, Any]:
    ids = sorted({item.reference for item in items if item.reference and _ours(item)})
    return {row["instruction_id"]: row for row in await queries.named_accounts(conn, instruction_ids=ids)}


def _account(item: Told, named: Any, secrets: Secrets) -> str | None:
    """The commitment of the account a document names: the instruction's own where it is the same, else another."""
    if item.account is None:
        return None
    if named is None:
        return OTHER_ACCOUNT
    number, _ = open_account(secrets, named["payee_id"], named["sealed"])
    return str(named["account_commitment"]) if _plain(number) == _plain(item.account) else OTHER_ACCOUNT


def _accounts(items: Sequence[Told], named: Mapping[str, Any], secrets: Secrets) -> dict[int, str | None]:
    """The commitment of each account named, by the item's place in its file: each account is opened once."""
    return {item.ordinal: _account(item, named.get(item.reference or ""), secrets) for item in items}


def _plain(number: str) -> str:
    return re.sub(r"[\s-]", "", number)


def _record(file: FileId, item: Told, named: Any, account: str | None) -> OutsideRecord:
    """The answer a bank would have sent over Kafka. What the document does not name is ours to fill in, but never for

    money that has moved: there amount, account and reference must come from the bank. Keeping money moves none.
    """
    recall = (named["recall"] or 1) if item.recall and named is not None else None
    if named is not None and item.recall and item.status == "ACCC":
        item = replace(item, bank_reference=named["bank_reference"])
        account = account or named["account_commitment"]
    if item.amount_minor is None and named is not None and (item.recall or item.status not in NEEDS_AMOUNT):
        item = replace(item, amount_minor=named["amount_minor"], currency=named["currency"])
    data = {
        "instruction_id": item.reference, "status": item.status, "reason": item.reason,
        "amount_minor": item.amount_minor, "currency": item.currency, "bank_reference": item.bank_reference,
        "account_commitment": account, "inquiry": None, "recall": recall,
    }  # fmt: skip
    return _outside(file, item.ordinal, RESULT_TYPE, data)


def _outside(file: FileId, ordinal: int, kind: str, data: dict[str, Any]) -> OutsideRecord:
    document = {
        "specversion": "1.0", "id": f"{file.sha256[:32]}/{ordinal}", "source": f"/bank/{file.bank}", "type": kind,
        "data": data,
    }  # fmt: skip
    return OutsideRecord(files_topic(file.bank, file.sha256), 0, ordinal, None, orjson.dumps(document), 0)


async def statement_lines(conn: Connection, file: FileId, items: Sequence[Told], secrets: Secrets) -> list[Line]:
    """The booked movements of payments in a piece of a statement, for reconciliation."""
    return _lines(file, items, _accounts(items, await _named(conn, items), secrets))


def _lines(file: FileId, items: Sequence[Told], accounts: Mapping[int, str | None]) -> list[Line]:
    return [
        Line(
            f"{item.status}/{item.bank_reference or f'{file.sha256[:32]}/{item.ordinal}'}",
            "return" if item.status == "RTRN" else "credit", item.reference or "", item.amount_minor or 0,
            item.currency or "", accounts[item.ordinal],
        )
        for item in items
        if item.booked and item.status and _ours(item)
    ]  # fmt: skip


async def take_statement_file(conn: Connection, file: FileId, overview: Overview, lines: Sequence[Line]) -> list[Draft]:
    """Hold a whole statement against what we say. The same again changes nothing."""
    assert overview.until is not None
    statement = Statement(file.bank, overview.message_id, overview.until, tuple(lines))
    _, drafts = await take_statement(conn, statement)
    return drafts


async def files_page(conn: Connection, bank: str | None, most: int) -> dict[str, Any]:
    """Files of banks, newest first."""
    return {"files": [dict(row) for row in await queries.bank_files(conn, bank=bank, most=most)]}

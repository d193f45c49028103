"""A bank that works with files alone: it takes what lies in its folder's outbox and puts answers into its inbox.

Nothing of a file is done twice: its name is written into the book with its effect. Answers leave the book when the
document that holds them lies in the inbox; after a crash in between they are told again, which has no second effect.
"""

import asyncio
import csv
import hashlib
import io
import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from partner_bank import iso
from partner_bank.book import Book, Outgoing
from partner_bank.wire import AccountCheck, Inquiry, Instruction, Message, Recall, Unreadable, read

POLL_S = 0.3
ANSWERS_MAX = 20_000


class FileBank:
    """`run` until `stop` is called. `folder` holds `outbox` and `inbox`; `account` pays."""

    def __init__(self, book: Book, folder: Path, account: str) -> None:
        self._book, self._account = book, account
        self._outbox, self._inbox = folder / "outbox", folder / "inbox"
        self._stopping = asyncio.Event()
        for place in (self._outbox, self._inbox):
            place.mkdir(parents=True, exist_ok=True)

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Look into the folder again and again."""
        while not self._stopping.is_set():
            await asyncio.to_thread(self.turn)
            try:
                async with asyncio.timeout(POLL_S):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    def turn(self) -> None:
        """Take every new file, then tell everything that is due."""
        taken = self._book.taken_files()
        for path in sorted(self._outbox.iterdir(), key=lambda path: (path.stat().st_mtime_ns, path.name)):
            if path.name not in taken and path.suffix in {".xml", ".jsonl", ".csv"}:
                self._book.take_file(path.name, asked(path))
        while answers := self._book.due(ANSWERS_MAX):
            self._tell(answers)
            self._book.sent(answers)

    def _tell(self, answers: Sequence[Outgoing]) -> None:
        everything = [json.loads(answer.value)["data"] for answer in answers]
        said = [data for data in everything if "instruction_id" in data]
        accounts = self._book.accounts([data["instruction_id"] for data in said])
        now = datetime.now(UTC)
        moment = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        name = hashlib.sha256(b"".join(answer.value for answer in answers) + str(time.time_ns()).encode()).hexdigest()
        lines: dict[str, list[iso.Line]] = {kind: [] for kind in "scrk"}
        for data in said:
            lines[kind_of(data)].append(line_of(data, accounts.get(data["instruction_id"], ""), moment[:10]))
        if found := [data for data in everything if "check_id" in data]:
            put(self._inbox, f"a{name[:30]}.csv", findings(found))
        for kind, told in lines.items():
            if told:
                put(self._inbox, f"{kind}{name[:30]}.xml", self._document(kind, f"{kind}{name[:30]}", moment, told))

    def _document(self, kind: str, message_id: str, moment: str, lines: Sequence[iso.Line]) -> bytes:
        match kind:
            case "c":
                return iso.camt054(message_id, moment, self._account, lines)
            case "r":
                return iso.pacs004(message_id, moment, lines)
            case "k":
                return iso.camt029(message_id, moment, self._book.bank, lines)
            case _:
                return iso.pain002(message_id, moment, "none", lines)


def kind_of(data: dict[str, object]) -> str:
    """Which document tells it: credits, returns, other states, or money that is kept when it was asked back."""
    if data["status"] == "ACCC":
        return "c" if data.get("recall") is None else "k"
    return "r" if data["status"] == "RTRN" else "s"


def findings(found: Sequence[dict[str, str]]) -> bytes:
    """What was found about accounts, as the page on files has it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("check_id", "account_number", "result"))
    writer.writerows((data["check_id"], data["account_commitment"], data["result"]) for data in found)
    return text.getvalue().encode()


def put(inbox: Path, name: str, document: bytes) -> None:
    """A file appears in the inbox whole or not at all."""
    part = inbox / f"{name}.part"
    part.write_bytes(document)
    part.replace(inbox / name)


def line_of(data: dict[str, object], account: str, day: str) -> iso.Line:
    """An answer as a line of a document."""
    reason = data["reason"]
    return iso.Line(
        str(data["instruction_id"]), str(data["status"]), None if reason is None else str(reason),
        int(str(data["amount_minor"])), str(data["currency"]), account, str(data["bank_reference"]), day,
    )  # fmt: skip


def asked(path: Path) -> list[Message]:
    """What a file from Salur asks."""
    if path.suffix == ".csv":
        return questions(path)
    if path.suffix == ".jsonl":
        return list(requests(path))
    return recalls(path) if path.name.startswith("camt056-") else orders(path)


def questions(path: Path) -> list[Message]:
    """Accounts to be checked. In files the number itself stands where Kafka has a commitment to it."""
    with path.open(encoding="utf-8", newline="") as file:
        return [AccountCheck(row["check_id"], row["account_number"], True) for row in csv.DictReader(file)]


def recalls(path: Path) -> list[Message]:
    """The transactions of a camt.056. A file numbers no request: its id tells a new one from a repeat."""
    return [
        Recall(
            one.instruction_id, one.instruction_id.split("-")[0], one.amount_minor, one.currency,
            int(one.recall_id[:7], 16) + 1,
        )
        for one in iso.read_camt056(path)
    ]  # fmt: skip


def orders(path: Path) -> list[Message]:
    """The instructions of a pain.001. A file names no entitlement: the payment of an id stands for it."""
    return [_instruction(order) for order in iso.read_pain001(path)[1]]


def _instruction(order: iso.Order) -> Instruction:
    payment = order.instruction_id.split("-")[0]
    content = [payment, order.amount_minor, order.currency, order.account, order.holder]
    return Instruction(
        order.instruction_id, payment, payment, 1, order.amount_minor, order.currency,
        datetime.fromisoformat(order.execute_until).timestamp(), "",
        hashlib.sha256(json.dumps(content).encode()).hexdigest(), True, order.account, order.method,
        order.code_commitment,
    )  # fmt: skip


def requests(path: Path) -> Iterator[Message]:
    """Inquiries, a document a line; what this bank does not know is passed over."""
    for line in path.read_bytes().splitlines():
        try:
            message = read(line, None)
        except Unreadable:
            continue
        if isinstance(message, Inquiry):
            yield message

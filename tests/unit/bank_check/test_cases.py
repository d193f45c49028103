"""The conformance cases tell a bank that keeps the rules from one that breaks any of them."""

import asyncio
import base64
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from partner_bank.profile import PROFILES
from partner_bank.rules import Clerk, Entry
from partner_bank.wire import Instruction, Message, Unreadable, read
from salur.local.bank_check.answers import Mailbox
from salur.local.bank_check.cases import CASES, Failed
from salur.local.bank_check.letters import Account, Desk, Record

NOW = 1_800_000_000.0


class ModelBank:
    """The rules of the example bank without Kafka. `spoil` changes what it reads, `twist` what it says."""

    def __init__(
        self,
        spoil: Callable[[Message], Message] = lambda message: message,
        twist: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda document: document,
        *,
        forgets: bool = False,
        stumbles: bool = False,
        profile: str = "nobody-comes",
    ) -> None:
        self.mailbox = Mailbox("bank-check")
        self._spoil, self._twist = spoil, twist
        self._forgets, self._stumbles = forgets, stumbles
        self._profile = PROFILES[profile]
        self._known: dict[str, Entry] = {}
        self._said: dict[str, bytes] = {}
        self._stuck = False

    async def send(self, records: Sequence[Record]) -> None:
        for record in records:
            try:
                message = self._spoil(read(record.value, dict(record.headers).get("personal")))
            except Unreadable:
                self._stuck = self._stuck or self._stumbles
                continue
            if not self._stuck:
                self._answer(message)

    def _answer(self, message: Message) -> None:
        clerk = Clerk("bank-check", self._profile, 1, {} if self._forgets else self._known, NOW)
        for answer in clerk.handle([message]).answers:
            value = answer.value or self._said[answer.message_id]
            self._said.setdefault(answer.message_id, value)
            document = self._twist(orjson.loads(value))
            if document is not None:
                self.mailbox.take(answer.key.encode(), orjson.dumps(document))

    async def until(self, _holds: Callable[[Mailbox], bool]) -> Mailbox:
        return self.mailbox

    async def crash(self) -> bool:
        return True


def broken(bank: ModelBank) -> set[str]:
    """The cases the bank fails, those over all answers included."""

    async def run() -> set[str]:
        desk = Desk("bank-check", Account("9900000000000001", "Conformance Check"))
        found = set()
        for case in CASES:
            try:
                assert await case.check(desk, bank)
            except Failed:
                found.add(case.name)
        if bank.mailbox.faults or bank.mailbox.paid_twice():
            found.add("all answers")
        return found

    return asyncio.run(run())


def _proven(message: Message) -> Message:
    return replace(message, proven=True) if isinstance(message, Instruction) else message


def _never_late(message: Message) -> Message:
    return replace(message, execute_until=NOW * 2) if isinstance(message, Instruction) else message


def _only_ids(message: Message) -> Message:
    return replace(message, content_hash="") if isinstance(message, Instruction) else message


def _data(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: document | {"data": document["data"] | changes}


def _finding(outcome: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: _data(result=outcome)(document) if "check_id" in document["data"] else document


def _new_ids() -> Callable[[dict[str, Any]], dict[str, Any]]:
    count = iter(range(1_000_000))
    return lambda document: document | {"id": f"{document['id'][:20]}-{next(count)}"}


def _new_references() -> Callable[[dict[str, Any]], dict[str, Any]]:
    count = iter(range(1_000_000))

    def twist(document: dict[str, Any]) -> dict[str, Any]:
        return _data(bank_reference=f"ref-{next(count)}")(document)

    return twist


def _silent_on_inquiries(document: dict[str, Any]) -> dict[str, Any] | None:
    return None if document["data"].get("inquiry") else document


def _silent_on_recalls(document: dict[str, Any]) -> dict[str, Any] | None:
    return None if document["data"].get("recall") else document


def _cash_at_once(document: dict[str, Any]) -> dict[str, Any] | None:
    return None if document["data"].get("status") == "ACSP" else document


def _pays_closed_ids(document: dict[str, Any]) -> dict[str, Any]:
    data = document["data"]
    late = data.get("reason") == "NOOR" and not data["inquiry"]
    return _data(status="ACCC", reason=None)(document) if late else document


def _fresh(message: Message) -> Message:
    """The model's clock stands still: what is late for the desk is late for the model, and nothing else."""
    if isinstance(message, Instruction):
        return replace(message, execute_until=NOW + (message.execute_until - time.time()))
    return message


def test_a_bank_that_keeps_the_rules_passes_every_case() -> None:
    assert broken(ModelBank(_fresh)) == set()


@pytest.mark.parametrize(
    ("fault", "bank", "fails"),
    [
        ("pays accounts the body does not commit to", ModelBank(lambda m: _proven(_fresh(m))), {"unproven account"}),
        ("pays after execute_until", ModelBank(_never_late), {"too late"}),
        ("knows ids but not their content", ModelBank(lambda m: _only_ids(_fresh(m))), {"other content"}),
        ("names no account", ModelBank(_fresh, _data(account_commitment=None)), {"pays", "all of them"}),
        ("tells another amount", ModelBank(_fresh, _data(amount_minor=1)), {"pays", "all of them"}),
        ("answers again under a new id", ModelBank(_fresh, _new_ids()), {"again"}),
        ("changes what an id said", ModelBank(_fresh, _new_references()), {"all answers"}),
        ("does not answer inquiries", ModelBank(_fresh, _silent_on_inquiries), {"inquiry", "not executed"}),
        ("does not answer recalls", ModelBank(_fresh, _silent_on_recalls, profile="all-credited"),
         {"recall", "give back"}),
        ("keeps what nobody took", ModelBank(_fresh, profile="all-credited"), {"give back"}),
        ("pays cash without a code", ModelBank(_fresh, _cash_at_once), {"cash"}),
        ("pays an id it has closed", ModelBank(_fresh, _pays_closed_ids), {"not executed"}),
        ("stops at what it cannot read", ModelBank(_fresh, stumbles=True), {"unreadable", "burst", "crash"}),
        ("forgets what it has paid", ModelBank(_fresh, forgets=True), {"other content"}),
        ("finds every account unknown", ModelBank(_fresh, _finding("unknown-account")), {"account check"}),
        ("says nothing", ModelBank(_fresh, lambda _document: None), {case.name for case in CASES}),
    ],
)  # fmt: skip
def test_each_fault_fails_the_cases_that_are_about_it(fault: str, bank: ModelBank, fails: set[str]) -> None:
    found = broken(bank)
    if "all of them" in fails:
        assert "pays" in found, fault
    else:
        assert found >= fails, fault
        assert "pays" not in found or "pays" in fails, fault


def test_the_desk_writes_what_the_bank_reads() -> None:
    desk = Desk("bank-check", Account("9900000000000001", "Conformance Check"))
    asked = desk.instruct("one", 5)
    header = dict(asked.record.headers)["personal"]
    message = read(asked.record.value, header)
    assert isinstance(message, Instruction)
    assert (message.proven, message.amount_minor, message.account_commitment) == (True, 5, asked.commitment)
    salt = orjson.loads(header)["salt"]
    assert len(base64.b64decode(salt)) == 32
    for spoilt in (desk.with_other_account(asked), desk.with_other_salt(asked), desk.without_header(asked)):
        unproven = read(spoilt.record.value, dict(spoilt.record.headers).get("personal"))
        assert isinstance(unproven, Instruction)
        assert not unproven.proven
    for record in desk.rubbish(asked):
        with pytest.raises(Unreadable):
            read(record.value, None)

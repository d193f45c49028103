"""What the bank answered, read as payments reads it, and what is wrong with it."""

from collections import defaultdict
from dataclasses import dataclass, field

import orjson
from pydantic import ValidationError

from salur.common.contracts.banks import OUTSIDE, AccountCheckResult, BankResult
from salur.local.bank_check.letters import CURRENCY, Asked

MAX_SIZE = 64 * 1024
FINAL = ("ACCC", "RJCT")
MODELS = {model.event_type: model for model in OUTSIDE}


@dataclass(frozen=True, slots=True)
class Answer:
    """A record of the results topic that is a result."""

    message_id: str
    key: str
    value: bytes
    result: BankResult


@dataclass(frozen=True, slots=True)
class Finding:
    """A record of the results topic that tells about an account."""

    message_id: str
    key: str
    value: bytes
    result: AccountCheckResult


@dataclass(slots=True)
class Mailbox:
    """All records of the results topic so far. `faults` are said once each."""

    bank: str
    answers: list[Answer] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _values: dict[str, bytes] = field(default_factory=dict)
    _by_instruction: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """One record. What cannot be read is a fault of the whole check."""
        try:
            answer = self._read(key, value)
        except _Wrong as wrong:
            self._fault(str(wrong))
            return
        before = self._values.setdefault(answer.message_id, answer.value)
        if before != answer.value:
            self._fault("one message id came with two contents: an id always says the same")
        if isinstance(answer, Finding):
            self.findings.append(answer)
            return
        self.answers.append(answer)
        self._by_instruction[answer.result.instruction_id].append(answer)

    def about(self, instruction_id: str) -> list[Answer]:
        """Answers about one instruction, in order."""
        return self._by_instruction.get(instruction_id, [])

    def found(self, check_id: str) -> list[Finding]:
        """What was said about one account, in order."""
        return [finding for finding in self.findings if finding.result.check_id == check_id]

    def paid_twice(self) -> list[str]:
        """Instructions credited under two references, or credited and refused."""
        twice = []
        for instruction_id, answers in self._by_instruction.items():
            credited = {a.result.bank_reference for a in answers if a.result.status == "ACCC"}
            if len(credited) > 1:
                twice.append(instruction_id)
        return twice

    def _read(self, key: bytes | None, value: bytes | None) -> Answer | Finding:
        if value is None or len(value) > MAX_SIZE:
            raise _Wrong("an answer is empty or over 64 KiB")
        try:
            document = orjson.loads(value)
            head = {name: document[name] for name in ("specversion", "id", "source", "type")}
            result = MODELS.get(head["type"], BankResult).model_validate(document["data"])
        except ValidationError as error:
            places = sorted({".".join(map(str, item["loc"])) or "data" for item in error.errors(include_input=False)})
            raise _Wrong(f"the data of an answer breaks the contract at {', '.join(places)[:150]}") from None
        except (ValueError, KeyError, TypeError):
            raise _Wrong("an answer is no CloudEvent with specversion, id, source, type and data") from None
        if head["specversion"] != "1.0" or head["type"] not in MODELS:
            raise _Wrong(f"an answer is not of type {' or '.join(MODELS)} in CloudEvents 1.0")
        if head["source"] != f"/bank/{self.bank}":
            raise _Wrong(f"an answer's source is not /bank/{self.bank}")
        if not isinstance(head["id"], str) or not 0 < len(head["id"]) <= 64:
            raise _Wrong("an answer's id is no text of 1 to 64 characters")
        told = (key or b"").decode(errors="replace")
        if isinstance(result, AccountCheckResult):
            return Finding(head["id"], told, value, result)
        return Answer(head["id"], told, value, result)

    def _fault(self, text: str) -> None:
        if text not in self.faults:
            self.faults.append(text)


class _Wrong(ValueError):
    """A record that is no answer."""


def mismatch(asked: Asked, answer: Answer) -> str:
    """What an answer repeats wrongly of what was asked; empty when all is right."""
    result = answer.result
    if answer.key != asked.payment_id:
        return "the Kafka key is not the payment_id"
    if (result.amount_minor, result.currency) != (asked.amount_minor, CURRENCY):
        return "amount_minor and currency do not repeat the instruction's"
    if result.status == "ACCC" and asked.commitment and result.account_commitment != asked.commitment:
        return "account_commitment is not the instruction's account_number as it stands in the body"
    return ""

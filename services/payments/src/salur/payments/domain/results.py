"""A bank's answer: untrusted bytes in, one decision out.

The form: a structured CloudEvents 1.0 document of type `salur.bank-result.v1` (what became of an instruction) or
`salur.account-check-result.v1` (what it found about an account). Statuses and reasons are ISO 20022
(ExternalPaymentTransactionStatus1Code, ExternalStatusReason1Code; RTRN stands for a pacs.004 return).
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from salur.payments.domain.account_checks import OUTCOMES, Outcome

RESULT_TYPE = "salur.bank-result.v1"
CHECK_TYPE = "salur.account-check-result.v1"
RESULT_MAX_SIZE = 64 * 1024

Status = Literal["ACCC", "ACSP", "PDNG", "RJCT", "RTRN"]
STATUSES = ("ACCC", "ACSP", "PDNG", "RJCT", "RTRN")
DEFAULT_REASON = "MS03"  # "reason not specified by agent"

_INSTRUCTION = re.compile(r"[0-9a-f]{30}-[0-9]{3}")
_ID = re.compile(r"[0-9a-f]{30,32}")
_TEXT = re.compile(r"[A-Za-z0-9._:/-]{1,64}")
_REASON = re.compile(r"[A-Z0-9]{4}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_COMMITMENT = re.compile(r"sha256:[0-9a-f]{64}")


class Unusable(ValueError):
    """The record is no answer we can read. `code` goes to suspense."""

    def __init__(self, code: str, instruction: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.instruction_id = instruction


@dataclass(frozen=True, slots=True)
class BankResult:
    """A well-formed answer. Amounts are minor units of `currency`."""

    message_id: str
    instruction_id: str
    status: Status
    reason: str | None
    amount_minor: int
    currency: str
    bank_reference: str | None
    inquiry: int | None
    account_commitment: str | None
    recall: int | None
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A well-formed answer about an account."""

    message_id: str
    check_id: str
    result: Outcome
    account_commitment: str
    content_hash: bytes

    @property
    def instruction_id(self) -> None:
        """It speaks of no instruction."""


def read_answer(value: bytes | None, bank: str) -> BankResult | CheckResult:
    """Read what `bank` wrote on its own topic. Raises Unusable, never anything else, whatever the bytes."""
    message_id, kind, data = _document(value, bank)
    return _read_check(message_id, data) if kind == CHECK_TYPE else _read_data(message_id, data)


def read_result(value: bytes | None, bank: str) -> BankResult:
    """Read an answer about an instruction. Raises Unusable."""
    message_id, kind, data = _document(value, bank)
    if kind != RESULT_TYPE:
        raise Unusable("unknown-version")
    return _read_data(message_id, data)


def _document(value: bytes | None, bank: str) -> tuple[Any, str, dict[str, Any]]:
    """(message id, type, data) of a readable document of this bank."""
    if value is None:
        raise Unusable("tombstone")
    if len(value) > RESULT_MAX_SIZE:
        raise Unusable("oversized")
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise Unusable("undecodable") from None
    if type(document) is not dict or document.get("specversion") != "1.0":
        raise Unusable("undecodable")
    if document.get("source") != f"/bank/{bank}":
        raise Unusable("misaddressed")
    kind = document.get("type")
    if kind not in (RESULT_TYPE, CHECK_TYPE):
        raise Unusable("unknown-version")
    data = document.get("data")
    if type(data) is not dict:
        raise Unusable("malformed")
    return document.get("id"), kind, data


def _read_check(message_id: Any, data: dict[str, Any]) -> CheckResult:
    said: list[Any] = [data.get(name) for name in ("check_id", "result", "account_commitment")]
    check, result, account = said
    if not (
        _matches(_TEXT, message_id)
        and _matches(_ID, check)
        and type(result) is str
        and result in OUTCOMES
        and _matches(_COMMITMENT, account)
    ):
        raise Unusable("malformed")
    return CheckResult(message_id, check, result, account, hashlib.sha256(orjson.dumps(said)).digest())


def _read_data(message_id: Any, data: dict[str, Any]) -> BankResult:
    instruction: Any = data.get("instruction_id")
    if not _matches(_INSTRUCTION, instruction):
        raise Unusable("malformed")
    names = ("status", "reason", "amount_minor", "currency", "bank_reference", "inquiry", "account_commitment")
    said: list[Any] = [data.get(name) for name in names]
    status, reason, amount, currency, reference, inquiry, commitment = said
    recall: Any = data.get("recall")
    well_formed = (
        _matches(_TEXT, message_id)
        and status in STATUSES
        and (reason is None or _matches(_REASON, reason))
        and type(amount) is int
        and 0 < amount < 2**63
        and _matches(_CURRENCY, currency)
        and (_matches(_TEXT, reference) or (reference is None and status not in ("ACCC", "RTRN")))
        and all(number is None or (type(number) is int and 0 < number < 2**31) for number in (inquiry, recall))
        and (commitment is None or _matches(_COMMITMENT, commitment))
    )
    if not well_formed:
        raise Unusable("malformed", instruction)
    # Over the fields we read, in one form: a bank may lay out its repeats as it likes.
    told = [instruction, *said] if recall is None else [instruction, *said, recall]
    content_hash = hashlib.sha256(orjson.dumps(told)).digest()
    return BankResult(
        message_id, instruction, status, reason, amount, currency, reference, inquiry, commitment, recall, content_hash
    )


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return type(value) is str and pattern.fullmatch(value) is not None


@dataclass(slots=True)
class Standing:
    """What we know of an instruction when an answer for it arrives."""

    state: str
    bank: str
    amount_minor: int
    currency: str
    account_commitment: str
    reason: str | None
    bank_reference: str | None
    return_reference: str | None
    recall: str | None = None
    """Where calling it back stands: asked, given-back, refused; None when it was never called back."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What an answer does: settle, reject, return (moves), keep (a recall refused), note (not final), repeat, park, or
    suspend with a reason."""

    act: Literal["settled", "rejected", "returned", "keep", "note", "repeat", "park", "suspend"]
    reason: str = ""


NOTE = Decision("note")
REPEAT = Decision("repeat")


def decide(standing: Standing | None, bank: str, result: BankResult) -> Decision:
    """Judge an answer against what we know. Only a consistent final answer moves a payment."""
    if standing is None:
        return Decision("suspend", "instruction-unknown")
    if mismatch := _mismatch(standing, bank, result):
        return Decision("suspend", mismatch)
    judge = {"ACCC": _credited, "RJCT": _rejected, "RTRN": _returned}.get(result.status)
    return judge(standing, result) if judge else NOTE


def _mismatch(standing: Standing, bank: str, result: BankResult) -> str:
    if standing.bank != bank:
        return "wrong-bank"
    if standing.currency != result.currency:
        return "other-currency"
    if standing.amount_minor != result.amount_minor:
        return "other-amount"
    if result.account_commitment is None:
        return "account-unnamed" if result.status == "ACCC" else ""
    return "other-account" if standing.account_commitment != result.account_commitment else ""


def _credited(standing: Standing, result: BankResult) -> Decision:
    match standing.state:
        case "instructed" | "unknown":
            return Decision("settled")
        case "rejected":
            return Decision("suspend", "settled-after-rejected")
        case _ if standing.bank_reference != result.bank_reference:
            return Decision("suspend", "settled-twice")
        case "settled" if result.recall is not None:
            return _kept(standing)
        case _:
            return REPEAT


def _kept(standing: Standing) -> Decision:
    """The bank was asked for it and says that it is still credited."""
    match standing.recall:
        case "asked":
            return Decision("keep")
        case "refused":
            return REPEAT
        case _:
            return Decision("suspend", "recall-unasked")


def _rejected(standing: Standing, result: BankResult) -> Decision:
    match standing.state:
        case "instructed" | "unknown":
            return Decision("rejected")
        case "rejected":
            same = standing.reason == (result.reason or DEFAULT_REASON)
            return REPEAT if same else Decision("suspend", "rejected-twice")
        case _:
            return Decision("suspend", "rejected-after-settled")


def _returned(standing: Standing, result: BankResult) -> Decision:
    match standing.state:
        case "instructed" | "unknown":
            # The settlement may still be on its way: the return waits for it.
            return Decision("park")
        case "settled" | "disputed":
            return Decision("returned")
        case "rejected":
            return Decision("suspend", "returned-after-rejected")
        case _:
            same = standing.return_reference == result.bank_reference
            return REPEAT if same else Decision("suspend", "returned-twice")

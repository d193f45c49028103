"""The contract as a bank sees it: what arrives on `payments.instructions.<bank>`, what answers look like.

Messages are CloudEvents 1.0 JSON documents in structured mode. Account number and holder stand in the body as
commitments; their values travel in the Kafka header `personal`.
"""

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

INSTRUCTED = "salur.payment.instructed.v1"
INQUIRED = "salur.payment.inquired.v1"
RECALLED = "salur.payment.recall-requested.v1"
CHECK = "salur.account-check.asked.v1"
RESULT = "salur.bank-result.v1"
FINDING = "salur.account-check-result.v1"
PERSONAL_FIELDS = ("account_number", "account_holder")
MAX_MESSAGE_SIZE = 64 * 1024
_ID = re.compile(r"[0-9a-z-]{1,35}")
_CURRENCY = re.compile(r"[A-Z]{3}")


class Unreadable(ValueError):
    """A message the bank can't answer: no instruction id, or not the contract. Its writer must act."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """Credit one account. `execute_until` in Unix seconds; `proven` = the account is the one the body commits to."""

    instruction_id: str
    payment_id: str
    entitlement_id: str
    part: int
    amount_minor: int
    currency: str
    execute_until: float
    account_commitment: str
    content_hash: str
    proven: bool
    account: str = ""
    method: str = "account"
    code_commitment: str | None = None


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What became of an instruction? `number` counts the inquiries about it."""

    instruction_id: str
    payment_id: str
    amount_minor: int
    currency: str
    number: int


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """Does this account stand, and is it theirs? `proven` = the account is the one the body commits to."""

    check_id: str
    account_commitment: str
    proven: bool

    @property
    def instruction_id(self) -> str:
        """A question has no instruction; its id is its own."""
        return self.check_id


@dataclass(frozen=True, slots=True)
class Recall:
    """Give a credited amount back, if it is still there. `number` counts the requests about it."""

    instruction_id: str
    payment_id: str
    amount_minor: int
    currency: str
    number: int


Message = Instruction | Inquiry | AccountCheck | Recall


def commitment(seed: bytes, path: str, value: Any) -> str:
    """`sha256:` + SHA-256(salt ‖ path ‖ 0x00 ‖ compact sorted JSON of value), salt = HMAC-SHA-256(seed, path)."""
    name = path.encode()
    salt = hmac.digest(seed, name, "sha256")
    canonical = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()
    return "sha256:" + hashlib.sha256(salt + name + b"\x00" + canonical).hexdigest()


def code_fits(instruction_id: str, code_commitment: str, told: str) -> bool:
    """Whether what somebody tells at the counter is the one-time code of a cash payment."""
    said = hashlib.sha256(f"{instruction_id}/{told.strip().upper()}".encode()).hexdigest()
    return hmac.compare_digest(said, code_commitment)


def read(value: bytes | None, personal: bytes | None) -> Message:
    """One message of the instructions topic; `personal` is its header. Raises Unreadable."""
    if value is None or len(value) > MAX_MESSAGE_SIZE:
        raise Unreadable("a tombstone or a message over 64 KiB")
    try:
        document = json.loads(value)
        kind, data = document["type"], document["data"]
        if kind == INSTRUCTED:
            return _instruction(data, personal)
        if kind == INQUIRED:
            return Inquiry(*_head(data), _whole(data["inquiry"]))
        if kind == RECALLED:
            return Recall(*_head(data), _whole(data["recall"]))
        if kind == CHECK:
            proven = _proven_account(data, personal) is not None
            return AccountCheck(_text(data["check_id"]), str(data["account_number"])[:80], proven)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unreadable(f"not the contract: {type(error).__name__}") from None
    raise Unreadable("an event type this bank does not know")


def _instruction(data: dict[str, Any], personal: bytes | None) -> Instruction:
    instruction_id, payment_id, amount_minor, currency = _head(data)
    entitlement_id, part = _text(data["entitlement_id"]), _whole(data["part"])
    account = _proven_account(data, personal)
    content = [payment_id, entitlement_id, part, amount_minor, currency, account]
    return Instruction(
        instruction_id, payment_id, entitlement_id, part, amount_minor, currency,
        datetime.fromisoformat(data["execute_until"]).timestamp(), str(data["account_number"])[:80],
        hashlib.sha256(json.dumps(content).encode()).hexdigest(), account is not None, account[0] if account else "",
        str(data.get("method", "account"))[:20], data.get("code_commitment"),
    )  # fmt: skip


def _head(data: dict[str, Any]) -> tuple[str, str, int, str]:
    if not _CURRENCY.fullmatch(data["currency"]):
        raise ValueError("currency")
    return _text(data["instruction_id"]), _text(data["payment_id"]), _whole(data["amount_minor"]), data["currency"]


def _text(value: Any) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("id")
    return str(value)


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 < value < 2**53:
        raise ValueError("number")
    return value


def _proven_account(data: dict[str, Any], personal: bytes | None) -> list[str] | None:
    """Number and holder when both are the ones the body commits to, else None."""
    try:
        header = json.loads(personal or b"")
        seed = base64.b64decode(header["salt"], validate=True)
        values = [header["values"][path] for path in PERSONAL_FIELDS]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    for path, value in zip(PERSONAL_FIELDS, values, strict=True):
        if not isinstance(value, str) or not hmac.compare_digest(
            commitment(seed, path, value).encode(), str(data[path]).encode()
        ):
            return None
    return values


def result(
    bank: str,
    message_id: str,
    now: float,
    *,
    instruction_id: str,
    status: str,
    reason: str | None,
    amount_minor: int,
    currency: str,
    bank_reference: str,
    account_commitment: str | None,
    inquiry: int | None,
    recall: int | None = None,
) -> bytes:
    """An answer as bytes. `status` and `reason` are ISO 20022 codes (pacs.002, pacs.004)."""
    data = {
        "instruction_id": instruction_id,
        "status": status,
        "reason": reason,
        "amount_minor": amount_minor,
        "currency": currency,
        "bank_reference": bank_reference,
        "account_commitment": account_commitment,
        "inquiry": inquiry,
        "recall": recall,
    }
    return _document(bank, RESULT, message_id, now, data)


def finding(bank: str, message_id: str, now: float, check: AccountCheck, outcome: str) -> bytes:
    """What the bank finds about an account, as bytes."""
    data = {"check_id": check.check_id, "result": outcome, "account_commitment": check.account_commitment}
    return _document(bank, FINDING, message_id, now, data)


def _document(bank: str, kind: str, message_id: str, now: float, data: dict[str, Any]) -> bytes:
    document = {
        "specversion": "1.0",
        "id": message_id,
        "source": f"/bank/{bank}",
        "type": kind,
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(document, separators=(",", ":")).encode()

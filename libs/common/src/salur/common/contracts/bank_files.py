"""Events payments writes about files to and from banks."""

from pydantic import Field

from salur.common.contracts.base import BankCode, Code, Fact, Id, Name, Sha256, contract


class _BankFile(Fact):
    file_id: Id
    bank: BankCode
    sha256: Sha256


@contract("salur.bank-file.received.v1", "payments.activity")
class BankFileReceived(_BankFile):
    """A bank's file came in. Key: file_id. `sha256` is over its bytes, which stay in the archive folder.

    `kind` and `message_id` are null where the file could not be read; `transactions` is what it tells.
    """

    size: int = Field(ge=0)
    kind: Name | None = None
    message_id: Name | None = None
    transactions: int = Field(0, ge=0)


@contract("salur.bank-file.refused.v1", "payments.activity")
class BankFileRefused(_BankFile):
    """The whole file is refused and has had no effect; the bank must act. Key: file_id."""

    reason: Code


@contract("salur.bank-file.sent.v1", "payments.activity")
class BankFileSent(_BankFile):
    """A document waits in the bank's outbox. Key: file_id.

    `kind`: pain.001 of `transactions` instructions, camt.056 of so many recalls, or requests that have no document.
    """

    message_id: Name
    kind: Name = "pain.001.001.09"
    transactions: int = Field(ge=0)
    amounts_minor: dict[str, int]

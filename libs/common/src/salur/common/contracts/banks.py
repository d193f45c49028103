"""What a partner bank writes on `banks.results.<bank>`. Outside messages: no stream, no sequence, untrusted.

The models are the published form; payments reads the bytes with a reader of its own that bears anything, and a contract
test holds them together.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from salur.common.contracts.base import Currency, Id, InstructionId, strict_model

BankText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:/-]{1,64}$")]
ReasonCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{4}$")]
Commitment = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class BankResult(BaseModel):
    """What became of an instruction at the bank. Key: payment_id of the instruction."""

    model_config = strict_model() | ConfigDict(
        json_schema_extra={
            "if": {"properties": {"status": {"enum": ["ACCC", "RTRN"]}}},
            "then": {"required": ["bank_reference"], "properties": {"bank_reference": {"type": "string"}}},
        }
    )
    event_type: ClassVar[str] = "salur.bank-result.v1"

    instruction_id: InstructionId
    status: Literal["ACCC", "ACSP", "PDNG", "RJCT", "RTRN"] = Field(
        description="ISO 20022: ACCC credited, ACSP or PDNG not final yet, RJCT refused for good; "
        "RTRN stands for a pacs.004 return after settlement"
    )
    reason: ReasonCode | None = Field(None, description="ISO 20022 reason code; needed to understand RJCT and RTRN")
    amount_minor: int = Field(gt=0, lt=2**63, description="the instruction's amount, in minor units")
    currency: Currency
    bank_reference: BankText | None = Field(None, description="the bank's own reference; needed for ACCC and RTRN")
    account_commitment: Commitment | None = Field(
        None, description="account_number as it stood in the instruction; a credit without it is put aside"
    )
    inquiry: int | None = Field(None, gt=0, lt=2**31, description="number of the inquiry this answers")
    recall: int | None = Field(
        None, gt=0, lt=2**31, description="number of the recall this answers: with ACCC the money is not given back"
    )

    @model_validator(mode="after")
    def _has_reference(self) -> Self:
        if self.bank_reference is None and self.status in ("ACCC", "RTRN"):
            raise ValueError("bank_reference is needed for ACCC and RTRN")
        return self


class AccountCheckResult(BaseModel):
    """What the bank finds about an account it was asked to check. Key: check_id of the question."""

    model_config = strict_model()
    event_type: ClassVar[str] = "salur.account-check-result.v1"

    check_id: Id
    result: Literal["matches", "name-close", "name-differs", "closed", "unknown-account"] = Field(
        description="matches: the account is open and its holder the one named; name-close: open, and the names differ "
        "only in writing; name-differs: open, another holder; closed: closed or blocked for credits"
    )
    account_commitment: Commitment = Field(description="account_number as it stood in the question")


OUTSIDE: tuple[type[BankResult] | type[AccountCheckResult], ...] = (BankResult, AccountCheckResult)
"""Every message a bank may write, by `event_type`."""

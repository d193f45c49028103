"""Events payments writes about what is owed back to a fund."""

from pydantic import Field

from salur.common.contracts.base import AmountMinor, Code, Currency, Fact, Id, Name, contract


@contract("salur.claim.reduced.v1", "payments.payments")
class ClaimReduced(Fact):
    """A part of a fund's claim ended. Key: case_id, that of its money case; `number` counts what ended of it.

    `how`: recovered (the money is back in the fund), set-off (a later payment was less by it; set-off-returned: that
    payment came back, so it is owed again), written-off, or the bank returned the payment (returned, and
    written-off-returned for what had been written off).
    """

    case_id: Id
    number: int = Field(ge=1)
    payment_id: Id
    fund_id: Code
    how: Code
    amount_minor: AmountMinor
    currency: Currency
    reason: Name
    reduced_by: str

"""Events payments writes: funds, lists, instructions to banks, and each payment's fate."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, Field

from salur.common.contracts.base import (
    AmountMinor,
    BankCode,
    Code,
    Currency,
    Fact,
    Id,
    InstructionId,
    Name,
    Personal,
    Scalar,
    Sha256,
    contract,
    strict_model,
)
from salur.common.contracts.registry import Method


@contract("salur.fund.opened.v1", "payments.funds")
class FundOpened(Fact):
    """A fund with its budget. Key: fund_id."""

    fund_id: Code
    name: Name
    currency: Currency
    budget_minor: AmountMinor
    region: str = Field("", description="where it pays: a province or district code; empty everywhere (central)")
    programme_id: Code | None = Field(None, description="the only programme it pays; null any")


@contract("salur.fund.topped-up.v1", "payments.funds")
class FundToppedUp(Fact):
    """Two people added money to a fund. Key: fund_id. `budget_minor` is the whole budget after it."""

    fund_id: Code
    proposal_id: Id
    amount_minor: AmountMinor
    budget_minor: AmountMinor
    currency: Currency


@contract("salur.fund.closed.v1", "payments.funds")
class FundClosed(Fact):
    """Two people closed a fund; what was left went back to the treasury. Key: fund_id."""

    fund_id: Code
    proposal_id: Id
    to_treasury_minor: AmountMinor
    currency: Currency


class FundPart(BaseModel):
    """What one fund bears of a list."""

    model_config = strict_model()

    fund_id: Code
    share: int = Field(ge=1)
    items: int
    amount_minor: int


class _List(Fact):
    list_id: Id
    cycle_id: Id
    fund_id: Code
    content_hash: Sha256
    items: int
    amount_minor: int
    currency: Currency
    funds: list[FundPart] = Field([], description="every fund of the list; `fund_id` is the first")


@contract("salur.payment-list.submitted.v1", "payments.lists")
class PaymentListSubmitted(_List):
    """A locked list asks for approval; its funds are reserved. Key: list_id.

    `funded_items` of `items` fit the budget, in rank order; the rest is held for want of funds.
    """

    funded_items: int
    funded_minor: int
    held_items: int
    submitted_by: str
    device: Id | None = Field(None, description="id derived from the device it was done on, where the token names one")


@contract("salur.payment-list.approved.v1", "payments.lists")
class PaymentListApproved(_List):
    """Another person approved exactly the list with this content hash. Key: list_id."""

    approved_by: str
    funded_items: int
    funded_minor: int
    approvers: list[str] = Field([], description="everybody who approved this content; `approved_by` was the last")
    device: Id | None = Field(None, description="id derived from the device it was done on, where the token names one")


@contract("salur.payment-list.endorsed.v1", "payments.lists")
class PaymentListEndorsed(_List):
    """One of several approvers the amount asks for approved exactly this content. Key: list_id."""

    endorsed_by: str
    approvals: int = Field(ge=1)
    approvers_needed: int = Field(ge=1)


@contract("salur.payment-list.refused.v1", "payments.lists")
class PaymentListRefused(_List):
    """A second person refused the list; its reserved funds are free again. Key: list_id."""

    refused_by: str
    reason: Name


@contract("salur.payment-list.expired.v1", "payments.lists")
class PaymentListExpired(_List):
    """Nobody checked the list in time: its reserves have expired, the cycle may be listed again. Key: list_id."""


@contract("salur.payment-list.stopped.v1", "payments.lists")
class PaymentListStopped(_List):
    """Two people stopped an approved list: unsent items are cancelled, banks are asked about the rest. Key: list_id."""

    proposal_id: Id
    cancelled_items: int
    asked_items: int


class _Instruction(Fact):
    instruction_id: InstructionId
    payment_id: Id
    bank: BankCode


@contract("salur.payment.instructed.v1", "payments.instructions.*")
class PaymentInstructed(_Instruction):
    """The bank is asked to credit one account. Key: payment_id. The same instruction_id is never paid twice.

    The bank answers on `banks.results.<bank>`; it must refuse the instruction after `execute_until`.
    """

    entitlement_id: Id
    part: int = Field(ge=1)
    attempt: int = Field(ge=1)
    amount_minor: AmountMinor
    currency: Currency
    execute_until: datetime
    remittance: Name
    account_number: Personal[str]
    account_holder: Personal[str]
    method: Method = Field("account", description="how to pay: into an account, on a card, in cash against a code, …")
    code_commitment: str | None = Field(
        None, description="of cash: SHA-256 (hex) of `<instruction_id>/<code>`; pay only who tells that code"
    )


@contract("salur.payment.inquired.v1", "payments.instructions.*")
class PaymentInquired(_Instruction):
    """Asks what became of an instruction. Key: payment_id.

    A bank that answers *not executed* closes the instruction_id for ever: it must refuse it later.
    """

    inquiry: int = Field(ge=1)
    amount_minor: AmountMinor
    currency: Currency


@contract("salur.account-check.asked.v1", "payments.instructions.*")
class AccountCheckAsked(Fact):
    """Asks whether an account stands and is held by whom we believe, before it is first used. Key: check_id.

    The bank answers with `salur.account-check-result.v1`. The same question may come again, with a higher `ask`.
    """

    check_id: Id
    bank: BankCode
    ask: int = Field(ge=1)
    account_number: Personal[str]
    account_holder: Personal[str]


@contract("salur.account.checked.v1", "payments.account-checks")
class AccountChecked(Fact):
    """What a bank found about a version of a beneficiary's account. Key: beneficiary_id.

    `bank_message_id` is the evidence: that message of the bank is a leaf of the trail.
    """

    beneficiary_id: Id
    version: int = Field(ge=1)
    check_id: Id
    bank: BankCode
    result: Literal["matches", "name-close", "name-differs", "closed", "unknown-account"]
    asked_at: datetime
    answered_at: datetime
    bank_message_id: Name


@contract("salur.payment.recall-requested.v1", "payments.instructions.*")
class PaymentRecallRequested(_Instruction):
    """Asks for a credited amount back, as camt.056 does. Key: payment_id. Comes again until it is answered.

    The bank answers RTRN when it gives the money back, ACCC with `recall` and a reason when it cannot.
    """

    recall: int = Field(ge=1)
    amount_minor: AmountMinor
    currency: Currency


class _PaymentState(Fact):
    payment_id: Id
    instruction_id: InstructionId
    entitlement_id: Id
    beneficiary_id: Id
    cycle_id: Id
    bank: BankCode
    amount_minor: AmountMinor
    currency: Currency
    fund_id: Code | None = Field(None, description="the fund that bears it")


@contract("salur.payment.settled.v1", "payments.payments")
class PaymentSettled(_PaymentState):
    """The bank credited the account (ISO 20022 status ACCC). Key: payment_id.

    `offset_minor`: what was kept back of what is due, for money paid before and not due.
    """

    bank_reference: Name
    bank_message_id: Name
    method: Code | None = None
    offset_minor: AmountMinor | None = None


@contract("salur.payment.ready-for-collection.v1", "payments.payments")
class PaymentReady(_PaymentState):
    """Cash waits at the bank for who tells its one-time code, which stands in no event. Key: payment_id."""

    collect_until: datetime


@contract("salur.payment.rejected.v1", "payments.payments")
class PaymentRejected(_PaymentState):
    """The bank refused the instruction for good (RJCT). Key: payment_id. `reason` is an ISO 20022 code."""

    reason: str
    bank_message_id: Name


@contract("salur.payment.returned.v1", "payments.payments")
class PaymentReturned(_PaymentState):
    """Settled money came back (pacs.004). Key: payment_id."""

    reason: str
    bank_reference: Name
    bank_message_id: Name


@contract("salur.payment.unknown.v1", "payments.payments")
class PaymentUnknown(_PaymentState):
    """No final answer in time: the bank is asked before anything else happens. Key: payment_id."""

    inquiry: int


@contract("salur.payment.reissued.v1", "payments.payments")
class PaymentReissued(_PaymentState):
    """A failed payment is tried again under a new instruction id; the one it replaces is closed. Key: payment_id."""

    attempt: int = Field(ge=2)
    replaces: InstructionId


@contract("salur.payment.held.v1", "payments.payments")
class PaymentHeld(Fact):
    """An entitlement that cannot be instructed now, why, and who must act. Key: payment_id."""

    payment_id: Id
    entitlement_id: Id
    beneficiary_id: Id
    cycle_id: Id
    list_id: Id
    amount_minor: AmountMinor
    currency: Currency
    reason: Code
    freed: bool = Field(False, description="whether its list had reserved the amount, which is free again now")


@contract("salur.payment.disputed.v1", "payments.payments")
class PaymentDisputed(_PaymentState):
    """The bank said it settled and its statement does not show it: it is no longer settled. Key: payment_id."""


@contract("salur.payment.sent-to-treasury.v1", "payments.payments")
class PaymentSentToTreasury(_PaymentState):
    """Two people sent the money of a failed or recalled payment back to the treasury. Key: payment_id."""

    proposal_id: Id
    reason: Name
    transfer_id: Name | None = Field(None, description="the transfer fund to treasury in the ledger")


@contract("salur.payment.recall-refused.v1", "payments.payments")
class RecallRefused(_PaymentState):
    """The bank cannot give the money back: it stays settled. Key: payment_id."""

    reason: str


@contract("salur.money-case.opened.v1", "payments.payments")
class MoneyCaseOpened(Fact):
    """Two people must decide about money. Key: case_id.

    More than due was paid (overpayment) or less (supplement), a recipient says it did not come (not-received), or it
    failed for a reason a person must look into (failed-payment).
    """

    case_id: Id
    kind: Code
    payment_id: Id
    entitlement_id: Id
    beneficiary_id: Id
    amount_minor: AmountMinor
    currency: Currency
    reason: Name


@contract("salur.money-case.ended.v1", "payments.payments")
class MoneyCaseEnded(Fact):
    """Two people ended a money case, or a newer change took its place (ended). Key: case_id.

    Where it became a claim of a fund (offset, recovery) or its loss (written-off), fund and amount stand here. An
    offset is taken from the beneficiary's payments: at most `offset_percent` of each, from `offset_from` on.
    """

    case_id: Id
    kind: Code
    payment_id: Id
    resolution: Code
    ended_by: str
    fund_id: Code | None = None
    amount_minor: AmountMinor | None = None
    currency: Currency | None = None
    beneficiary_id: Id | None = None
    offset_percent: int | None = None
    offset_from: datetime | None = None


@contract("salur.break.raised.v1", "payments.activity")
class BreakRaised(Fact):
    """What is due, what was instructed and what the bank booked differ. Key: break_id."""

    break_id: Id
    bank: BankCode
    statement_id: str
    kind: Code
    instruction_id: str
    cycle_id: str | None
    expected_minor: int | None
    found_minor: int | None


@contract("salur.break.resolved.v1", "payments.activity")
class BreakResolved(Fact):
    """A break ended: paid, not-paid or explained. Key: break_id."""

    break_id: Id
    kind: Code
    resolution: Code
    resolved_by: str


@contract("salur.reconciliation.signed.v1", "payments.activity")
class ReconciliationSigned(Fact):
    """A person signed a cycle at a bank: nothing open, what settled equals the bank's statements. Key: cycle_id."""

    cycle_id: Id
    bank: BankCode
    payments: int
    settled_minor: int
    statement_minor: int
    signed_by: str


@contract("salur.day.closed.v1", "payments.activity")
class DayClosed(Fact):
    """A person closed a day: ledger and payments agree, what is open is carried over. Key: the day."""

    day: date
    closed_by: str
    difference_minor: int
    settled_minor: dict[str, int]
    in_flight_minor: dict[str, int]
    carried_breaks: int
    oldest_break_s: int


@contract("salur.receipt-rate.published.v1", "payments.activity")
class ReceiptRatePublished(Fact):
    """How many of those asked say that all of their money came. Key: cycle_id."""

    cycle_id: Id
    asked: int
    answered: int
    confirmed: int
    differing: int


class _Item(Fact):
    payment_id: Id
    entitlement_id: Id
    beneficiary_id: Id
    cycle_id: Id
    list_id: Id


@contract("salur.payment.decided.v1", "payments.payments")
class PaymentDecided(_Item):
    """A person held, released, cancelled or asked to retry a payment, and why. Key: payment_id.

    A release or retry pays nothing by itself: a follow-up list, approved by others, does. `checks`: gate checks waived.
    """

    act: Code
    checks: list[Code]
    reason: Name
    decided_by: str


@contract("salur.payment.cancelled.v1", "payments.payments")
class PaymentCancelled(_Item):
    """A person ended a payment that no bank was to carry out any more. Key: payment_id."""

    amount_minor: AmountMinor
    currency: Currency
    reason: Name
    cancelled_by: str
    freed: bool = Field(False, description="whether its list had reserved the amount, which is free again now")


@contract("salur.bank-result.suspended.v1", "payments.activity")
class BankResultSuspended(Fact):
    """A bank's answer that contradicts what we know. It changes no payment; a person must look. Key: suspense_id."""

    suspense_id: Id
    bank: BankCode
    topic: str
    partition: int
    offset: int
    reason: Code
    instruction_id: str | None = None


@contract("salur.bank-result.suspense-ended.v1", "payments.activity")
class SuspenseEnded(Fact):
    """A person wrote down what an answer put aside turned out to be. It moved no payment. Key: suspense_id."""

    suspense_id: Id
    bank: BankCode
    finding: Name
    ended_by: str


@contract("salur.proposal.made.v1", "payments.activity")
class ProposalMade(Fact):
    """A person proposes an act that needs a second one. Key: proposal_id. `subject` is what it acts on."""

    proposal_id: Id
    kind: Code
    subject: Name
    content: dict[str, Scalar]
    reason: Name
    proposed_by: str


@contract("salur.proposal.decided.v1", "payments.activity")
class ProposalDecided(Fact):
    """Another person accepted or refused a proposed act; accepted it is done. Key: proposal_id."""

    proposal_id: Id
    kind: Code
    subject: Name
    accepted: bool
    decided_by: str

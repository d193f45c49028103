"""Refusals of payments, as sentences that say who must act."""

from datetime import datetime

from salur.common.errors import Conflict, Forbidden, Invalid, NotFound

RETRY_AFTER_S = 1.0


def fund_unknown(fund_id: str) -> NotFound:
    return NotFound(f"fund {fund_id} is not open: open it first", code="fund-unknown", who="payment-operator")


def fund_exists(fund_id: str) -> Conflict:
    return Conflict(
        f"fund {fund_id} is open with another name, currency or budget: choose another id",
        code="fund-exists",
        who="payment-operator",
    )


def fund_closed(fund_id: str) -> Conflict:
    return Conflict(f"fund {fund_id} is closed: choose an open one", code="fund-closed", who="payment-operator")


def fund_in_use(fund_id: str, reserved_minor: int, lists: int) -> Conflict:
    return Conflict(
        f"fund {fund_id} still has {reserved_minor} reserved or in flight and {lists} lists that are not decided: "
        "let them end first",
        code="fund-in-use",
        who="payment-operator",
    )


def fund_of_other_programme(fund_id: str, programme_id: str) -> Conflict:
    return Conflict(
        f"fund {fund_id} pays programme {programme_id} alone: choose another fund",
        code="fund-of-other-programme",
        who="payment-operator",
    )


def other_authority(fund_id: str) -> Forbidden:
    return Forbidden(
        f"fund {fund_id} belongs to another authority: its own people must act",
        code="other-region",
        who="its authority",
    )


def central_act(kind: str) -> Forbidden:
    return Forbidden(
        f"{kind} concerns every region: somebody whose scope is the whole country must accept it",
        code="central-act",
        who="approver",
    )


def funds_named_twice() -> Invalid:
    return Invalid("a fund is named twice: name each once, with its share", code="fund-twice", who="caller")


def proposal_waits(kind: str, subject: str) -> Conflict:
    return Conflict(
        f"a {kind} of {subject} waits for a second person already: let it be decided first",
        code="proposal-waits",
        who="another approver",
    )


def proposal_unknown(proposal_id: str) -> NotFound:
    return NotFound(f"no proposal {proposal_id[:40]}: read the id again", code="proposal-unknown", who="caller")


def same_proposer() -> Forbidden:
    return Forbidden(
        "who proposed an act cannot decide on it: another person with the approver role must",
        code="same-person",
        who="another approver",
    )


def currency_differs(fund: str, cycle: str) -> Conflict:
    return Conflict(
        f"the fund holds {fund} but the cycle owes {cycle}: choose a fund in {cycle}",
        code="currency-differs",
        who="payment-operator",
    )


def cycle_not_complete(what: str) -> Conflict:
    """The cycle's input has not all arrived; it will by itself unless a dead letter holds it."""
    return Conflict(
        f"the cycle is not complete here: {what}; ask again, or replay dead letters if it stays so",
        code="cycle-not-complete",
        who="operations",
        retry_after_s=RETRY_AFTER_S,
    )


def list_exists(cycle_id: str, list_id: str) -> Conflict:
    return Conflict(
        f"cycle {cycle_id} already has list {list_id}: work with that one",
        code="list-exists",
        who="payment-operator",
    )


def list_empty(cycle_id: str) -> Conflict:
    return Conflict(
        f"nothing in cycle {cycle_id} can be paid: every entitlement is held; mend the holds first",
        code="list-empty",
        who="registrar",
    )


def list_unknown(list_id: str) -> NotFound:
    return NotFound(f"no payment list {list_id[:40]}: read the id again", code="list-unknown", who="caller")


def wrong_state(list_id: str, state: str, needed: str) -> Conflict:
    return Conflict(
        f"list {list_id} is {state}, this needs one that is {needed}", code="list-state", who="payment-operator"
    )


def nothing_funded(fund_id: str) -> Conflict:
    return Conflict(
        f"fund {fund_id} cannot bear even the first item: the budget holder must add money",
        code="no-funds",
        who="budget holder",
    )


def same_person(act: str) -> Forbidden:
    return Forbidden(
        f"who built or submitted a list cannot {act} it: another person with the approver role must",
        code="same-person",
        who="another approver",
    )


def content_differs() -> Conflict:
    return Conflict(
        "the content hash is not this list's: read the list again and approve what it holds",
        code="content-differs",
        who="approver",
    )


def already_checked(list_id: str, state: str) -> Conflict:
    return Conflict(f"list {list_id} is {state} by another person", code=f"already-{state}", who="nobody")


def payment_unknown() -> NotFound:
    return NotFound("no payment of that id that you may see", code="payment-unknown", who="caller")


def no_code() -> Conflict:
    return Conflict(
        "no cash waits to be fetched under this payment: read it again", code="no-collection-code", who="caller"
    )


def payee_unknown(payee_id: str) -> Conflict:
    return Conflict(
        f"the registry has told of no payee {payee_id}: register its account first", code="payee-unknown",
        who="registrar",
    )  # fmt: skip


def act_not_possible(act: str, state: str) -> Conflict:
    return Conflict(
        f"a payment that is {state} cannot be given the act {act}: read it again",
        code="act-not-possible",
        who="payment-operator",
    )


def listed_again(list_id: str) -> Conflict:
    return Conflict(
        f"the next attempt of the payment stands on list {list_id}: let that list be refused or paid first",
        code="listed-again",
        who="payment-operator",
    )


def roles_combined() -> Forbidden:
    return Forbidden(
        "who may build lists or open cycles cannot also approve them: an approver without those roles must",
        code="roles-not-combined",
        who="administrator",
    )


def other_funds() -> Forbidden:
    return Forbidden(
        "no fund of this list is of your authority: an approver of the authorities that fund it must",
        code="other-authority",
        who="an approver of the authorities that fund the list",
    )


def right_used_twice() -> Forbidden:
    return Forbidden(
        "the right you act by has approved this list already: another approver must",
        code="same-person",
        who="another approver",
    )


def follow_up_waits(cycle_id: str) -> Conflict:
    return Conflict(
        f"a list of cycle {cycle_id} is not decided, or not yet told to the banks: decide on it, or wait, first",
        code="list-exists",
        who="payment-operator",
    )


def nothing_to_follow_up(cycle_id: str) -> Conflict:
    return Conflict(
        f"nothing of cycle {cycle_id} that was held or failed can be paid now: mend or release it first",
        code="list-empty",
        who="payment-operator",
    )


def case_unknown(case_id: str) -> NotFound:
    return NotFound(f"no money case {case_id[:40]} that you may see", code="case-unknown", who="caller")


def case_ended(case_id: str, state: str) -> Conflict:
    return Conflict(f"money case {case_id} ended already: {state}", code="case-ended", who="nobody")


def case_resolution(kind: str, possible: frozenset[str]) -> Conflict:
    return Conflict(
        f"a case of kind {kind} cannot end like that: it ends {' or '.join(sorted(possible))}",
        code="case-resolution",
        who="payment-operator",
    )


def claim_smaller(case_id: str, open_minor: int) -> Conflict:
    return Conflict(
        f"of the claim of case {case_id} only {open_minor} minor units are open", code="claim-smaller",
        who="payment-operator",
    )  # fmt: skip


def nothing_unclaimed(cycle_id: str) -> Conflict:
    return Conflict(
        f"no bank says that settled money of cycle {cycle_id} has waited so long unasked: take a newer report",
        code="nothing-unclaimed",
        who="payment-operator",
    )


def day_not_closable(day: str) -> Conflict:
    return Conflict(
        f"{day} cannot be closed: only a day that is over and not before the last closed one",
        code="day-not-closable",
        who="caller",
    )


def day_does_not_add_up(day: str, difference_minor: int) -> Conflict:
    return Conflict(
        f"{day} does not add up: ledger and payments differ by {difference_minor} in all; nothing is closed over that",
        code="totals-differ",
        who="operations",
    )


def break_without_owner(count: int) -> Conflict:
    return Conflict(
        f"{count} open breaks have no owner: name who looks into each before the day is closed",
        code="break-without-owner",
        who="payment-operator",
    )


def suspense_unknown(suspense_id: str) -> NotFound:
    return NotFound(
        f"nothing put aside under {suspense_id[:40]}: read the id again", code="suspense-unknown", who="caller"
    )


def suspense_ended(suspense_id: str) -> Conflict:
    return Conflict(
        f"{suspense_id} was ended with another finding already: read it again", code="suspense-ended", who="nobody"
    )


def no_other_account() -> Conflict:
    return Conflict(
        "the registry names the account that was instructed: record another one first",
        code="same-account",
        who="registrar",
    )


def statement_differs(statement_id: str) -> Conflict:
    return Conflict(
        f"statement {statement_id[:60]} came again with other lines: the bank must send it under a new id",
        code="statement-differs",
        who="bank",
    )


def statement_ahead(until: datetime) -> Invalid:
    return Invalid(
        f"the statement ends in the future, at {until:%Y-%m-%dT%H:%M:%S%z}: its end is up to when the bank has booked",
        code="statement-ahead",
        who="bank",
    )


def break_unknown(break_id: str) -> NotFound:
    return NotFound(f"no break {break_id[:40]}: read the id again", code="break-unknown", who="caller")


def break_ended(break_id: str, resolution: str) -> Conflict:
    return Conflict(f"break {break_id} ended already: {resolution}", code="break-ended", who="nobody")


def break_resolution(kind: str) -> Conflict:
    return Conflict(
        f"a break of kind {kind} cannot end like that: a missing one ends paid or not-paid, others explained",
        code="break-resolution",
        who="payment-operator",
    )


def breaks_changed(proposed: int, found: int) -> Conflict:
    return Conflict(
        f"{proposed} breaks were proposed to end and {found} are open now, or about another amount: "
        "refuse this and propose again",
        code="breaks-changed",
        who="payment-operator",
    )


def not_reconciled(breaks: int, payments: int, difference_minor: int) -> Conflict:
    return Conflict(
        f"{breaks} breaks and {payments} payments are open and the totals differ by {difference_minor}: "
        "end them before signing",
        code="not-reconciled",
        who="payment-operator",
    )


def cycle_in_use(count: int) -> Conflict:
    return Conflict(
        f"{count} lists or payments of the cycle are not ended yet: let them end first",
        code="cycle-in-use",
        who="payment-operator",
    )


def fund_cannot_return(cycle_id: str) -> Conflict:
    return Conflict(
        f"a fund of cycle {cycle_id} has spent what came back on other payments: top it up before sending it on",
        code="no-funds",
        who="budget holder",
    )


def bank_key_exists(bank: str, key_id: str) -> Conflict:
    return Conflict(
        f"{bank} has a key {key_id}: keys are never replaced, give the new one another id",
        code="bank-key-exists",
        who="payment-operator",
    )


def bank_key_unknown(bank: str, key_id: str) -> NotFound:
    return NotFound(f"{bank} has no key {key_id}: read the ids again", code="bank-key-unknown", who="caller")

"""What a payment list is made of, and the hash that covers it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from salur.common.values import instruction_id, payment_id
from salur.common.values.region import region_within
from salur.payments.domain.gate import CHECKS, ENDS_ITSELF, Hit, gravest
from salur.payments.domain.methods import CASH

FIRST_PART = 1
FIRST_ATTEMPT = 1

Hold = str
NO_ACCOUNT: Hold = "no-account"
INPUT_BLOCKED: Hold = "input-blocked"
BANK_UNKNOWN: Hold = "bank-unknown"
NOT_OFFERED: Hold = "method-not-offered"
NOTHING_DUE: Hold = "nothing-due"
NO_FUNDS: Hold = "no-funds"
NO_FUND_HERE: Hold = "no-fund-for-region"
PAYEE_CHANGED: Hold = "payee-changed"
ENTITLEMENT_CHANGED: Hold = "entitlement-changed"
SUPPLEMENT_DUE: Hold = "supplement-due"
"""Of no item yet: what two people let be paid beyond a settled payment."""
BY_PERSON: Hold = "held-by-person"
CANCELLED: Hold = "cancelled"
NEEDS_DECISION: frozenset[Hold] = frozenset({*CHECKS, BY_PERSON}) - ENDS_ITSELF
"""Holds that only a person ends; the others end when their cause is gone."""

WHO_MUST_ACT: dict[Hold, str] = {
    NO_ACCOUNT: "registrar: record an active account for the beneficiary",
    INPUT_BLOCKED: "operations: replay the dead letter of the beneficiary",
    BANK_UNKNOWN: "administrator: connect the bank, or registrar: record an account at a partner bank",
    NOT_OFFERED: "registrar: the bank pays no cash against a code; record another bank or method",
    NOTHING_DUE: "programme officer: the entitlement's amount is zero",
    NO_FUNDS: "budget holder: the fund ran out before this item",
    NO_FUND_HERE: "budget holder: no fund of the list pays in this region",
    PAYEE_CHANGED: "payment operator: the account changed after the list was locked; pay by a follow-up list",
    ENTITLEMENT_CHANGED: "payment operator: what is due changed after the list was locked; pay by a follow-up list",
    SUPPLEMENT_DUE: "payment operator: pay it by a follow-up list",
    BY_PERSON: "payment operator: a person held it; release or cancel it",
    CANCELLED: "nobody: a person cancelled it",
    **CHECKS,
}
"""Why an item is held, and whose move it is."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entitlement with its payee's current account (None when there is none). `payee_id`: whose account it is."""

    entitlement_id: str
    beneficiary_id: str
    amount_minor: int
    currency: str
    region: str
    payee_version: int | None
    payee_status: str | None
    bank: str | None
    account_token: str | None
    payee_id: str
    method: str | None
    attempt: int = FIRST_ATTEMPT
    part: int = FIRST_PART


@dataclass(slots=True)
class Source:
    """A fund of a list: pays in `region` ('' everywhere), bears `share` parts. The rest is what it was given so far."""

    fund_id: str
    region: str
    share: int
    items: int = 0
    amount_minor: int = 0


@dataclass(slots=True)
class Offset:
    """What is left of a fund's claim against a beneficiary, to be taken from payments, at most `percent` of each."""

    case_id: str
    fund_id: str
    currency: str
    percent: int
    left_minor: int


OFFSETS_PERCENT_MAX = 50
"""Of a payment, whatever the claims are and agree: people live on the rest."""


def cut(offsets: Sequence[Offset], fund_id: str, currency: str, due_minor: int) -> list[tuple[str, int]]:
    """(case, minor units) that a payment of this fund bears, in the order given; what it bears is left no more."""
    bearable = due_minor * OFFSETS_PERCENT_MAX // 100
    borne: list[tuple[str, int]] = []
    for offset in offsets:
        if (offset.fund_id, offset.currency) != (fund_id, currency):
            continue
        amount = min(offset.left_minor, due_minor * offset.percent // 100, bearable)
        if amount:
            offset.left_minor -= amount
            bearable -= amount
            borne.append((offset.case_id, amount))
    return borne


def choose_source(sources: Sequence[Source], region: str, amount_minor: int) -> Source | None:
    """The fund that pays an item: of those that pay in its region, the one furthest behind its share.

    Shares are of money, met item by item: a payment always comes from one fund. Ties go to the fund named first.
    """
    able = [source for source in sources if not source.region or region_within(region, source.region)]
    return min(able, key=lambda source: Fraction(source.amount_minor + amount_minor, source.share), default=None)


@dataclass(frozen=True, slots=True)
class Item:
    """An item as locked. `rank` None = held from the start, with the reason in `hold`."""

    payment_id: str
    rank: int | None
    hold: Hold | None
    entitlement_id: str
    part: int
    attempt: int
    instruction_id: str
    beneficiary_id: str
    payee_version: int | None
    bank: str | None
    amount_minor: int
    currency: str
    region: str
    fund_id: str | None
    payee_id: str
    method: str | None
    offset_minor: int = 0


@dataclass(frozen=True, slots=True)
class Banks:
    """The partner banks connected. Those `checked` must have found an account good before its first use; those

    `unchecking` cannot, so a person decides; those of `cash` pay it out at their counters and agents against a code.
    """

    connected: frozenset[str]
    checked: frozenset[str] = frozenset()
    cash: frozenset[str] = frozenset()
    unchecking: frozenset[str] = frozenset()


def hold_of(candidate: Candidate, *, blocked: bool, banks: Banks) -> Hold | None:
    """Why the candidate cannot be paid now; None when it can."""
    if blocked:
        return INPUT_BLOCKED
    if candidate.payee_version is None or candidate.payee_status != "active":
        return NO_ACCOUNT
    if candidate.bank not in banks.connected:
        return BANK_UNKNOWN
    if candidate.method == CASH and candidate.bank not in banks.cash:
        return NOT_OFFERED
    return None if candidate.amount_minor > 0 else NOTHING_DUE


class ListBuilder:
    """Ranks candidates in the order given and hashes what is payable, line by line.

    Candidates come in order of entitlement id. The ids are hashes: the order favours nobody, and everybody who builds
    the list again gets the same one.
    """

    def __init__(self, banks: Banks, sources: Sequence[Source]) -> None:
        self._banks = banks
        self.sources = sources
        self._digest = hashlib.sha256()
        self.items = 0
        self.amount_minor = 0
        self.held: dict[Hold, int] = {}
        self.cuts: list[tuple[str, str, int]] = []

    def add(
        self, candidate: Candidate, *, blocked: bool, hits: Sequence[Hit] = (), offsets: Sequence[Offset] = (),
        decided: Hold | None = None,
    ) -> Item:  # fmt: skip
        """Lock one candidate. `hits`: what the gate found; `offsets`: what the beneficiary owes; `decided`: what a
        person decided about it before.

        Supplements bear none of it.
        """
        if candidate.part != FIRST_PART:
            offsets = ()
        hold = hold_of(candidate, blocked=blocked, banks=self._banks)
        if hits and hold != INPUT_BLOCKED:
            hold = gravest(hits)
        hold = decided or hold
        payment = payment_id(candidate.entitlement_id, candidate.part)
        instruction = instruction_id(payment, candidate.attempt)
        rank = source = None
        offset_minor = 0
        if hold is None:
            source = self._source(candidate, offsets)
            hold = None if source else NO_FUND_HERE
        if source is not None:
            borne = cut(offsets, source.fund_id, candidate.currency, candidate.amount_minor)
            self.cuts += [(payment, case_id, amount) for case_id, amount in borne]
            offset_minor = sum(amount for _, amount in borne)
            candidate = replace(candidate, amount_minor=candidate.amount_minor - offset_minor) if borne else candidate
            self.items = rank = self.items + 1
            self.amount_minor += candidate.amount_minor
            source.items += 1
            source.amount_minor += candidate.amount_minor
            self._digest.update(canonical_line(rank, payment, instruction, candidate, source.fund_id))
        elif hold is not None:
            self.held[hold] = self.held.get(hold, 0) + 1
        return Item(
            payment, rank, hold, candidate.entitlement_id, candidate.part, candidate.attempt, instruction,
            candidate.beneficiary_id, candidate.payee_version, candidate.bank,
            candidate.amount_minor, candidate.currency, candidate.region, source.fund_id if source else None,
            candidate.payee_id, candidate.method, offset_minor,
        )  # fmt: skip

    def _source(self, candidate: Candidate, offsets: Sequence[Offset] = ()) -> Source | None:
        """The fund that pays; where the beneficiary owes one of them, that one, for only it may take it."""
        only = self.sources[0]
        if len(self.sources) == 1 and not only.region:
            return only
        owed = {offset.fund_id for offset in offsets if offset.left_minor}
        if owed and (
            found := choose_source(
                [source for source in self.sources if source.fund_id in owed], candidate.region, candidate.amount_minor
            )
        ):
            return found
        return choose_source(self.sources, candidate.region, candidate.amount_minor)

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) over the canonical lines so far."""
        return self._digest.hexdigest()


def canonical_line(rank: int, payment: str, instruction: str, candidate: Candidate, fund_id: str) -> bytes:
    """One line: what is paid from which fund to which account (by its token and payee version), in which place."""
    return (
        f"{rank}|{payment}|{instruction}|{candidate.entitlement_id}|{candidate.beneficiary_id}|"
        f"{candidate.payee_id}|{candidate.payee_version}|{candidate.method}|{candidate.bank}|{candidate.account_token}|"
        f"{candidate.amount_minor}|{candidate.currency}|{fund_id}\n"
    ).encode()

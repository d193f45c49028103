"""Tell the banks: instructions of approved lists, and questions about answers that stay out."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from salur.common.contracts.payments import (
    PaymentHeld,
    PaymentInquired,
    PaymentInstructed,
    PaymentReissued,
    PaymentUnknown,
)
from salur.common.contracts.topics import instructions_topic
from salur.common.database import Connection
from salur.common.events import SEED_SIZE, Draft, blocked_keys, commitment
from salur.common.secrets import Secrets
from salur.common.values import instruction_id
from salur.payments import ledger
from salur.payments.domain.lists import INPUT_BLOCKED, PAYEE_CHANGED
from salur.payments.domain.methods import METHODS
from salur.payments.store import columns, queries
from salur.payments.usecases.accounts import open_account
from salur.payments.usecases.checks import SERVICE, release
from salur.payments.usecases.collection import commitment_for
from salur.payments.usecases.inputs import ENTITLEMENTS_CONSUMER, PAYEES_CONSUMER

ACTOR = SERVICE


@dataclass(frozen=True, slots=True)
class Patience:
    """How long banks may take, in seconds."""

    answer_timeout_s: float
    execute_within_s: float
    inquiry_interval_s: float
    inquiry_interval_max_s: float
    cash_within_s: float = 30 * 24 * 3600.0

    def terms(self, method: str, now: datetime) -> tuple[datetime, datetime]:
        """(until when the bank may carry it out, when an answer is overdue). People take their time to fetch cash."""
        if METHODS[method].coded:
            until = now + timedelta(seconds=self.cash_within_s)
            return until, until + timedelta(seconds=self.answer_timeout_s)
        return now + timedelta(seconds=self.execute_within_s), now + timedelta(seconds=self.answer_timeout_s)


async def instruct_batch(
    conn: Connection, secrets: Secrets, patience: Patience, batch: int
) -> tuple[bool, list[Draft]]:
    """Instruct the next `batch` items of the list approved first. Returns (whether there may be more, events).

    An item whose payee has changed since the list was locked, or whose input waits behind a dead letter, is held and
    its funds are free again; the rest keeps its approval.
    """
    await queries.begin_instruct(conn)
    row = await queries.list_to_instruct(conn)
    if row is None:
        return False, []
    list_id, first = row["list_id"], row["instructed_rank"] + 1
    last = min(row["last_rank"], first + batch - 1)
    items = await queries.items_to_instruct(conn, list_id=list_id, first=first, last=last)
    holds = await _new_holds(conn, items)
    if holds:
        await queries.hold_items(conn, list_id=list_id, payment_ids=list(holds), holds=list(holds.values()))
        await ledger.apply_all(conn, [release(list_id, payment_id) for payment_id in holds])
    now = datetime.now(UTC)
    terms = {method: patience.terms(method, now) for method in METHODS}
    drafts: list[Draft] = []
    told: dict[str, tuple[str, datetime, datetime]] = {}
    for item in items:
        if reason := holds.get(item["payment_id"]):
            drafts.append(_held(item, reason, row))
        else:
            until, due = terms[item["method"]]
            draft, account = _instruction(item, secrets, until, row["programme_id"], row["check_cause"])
            drafts.append(draft)
            told[item["payment_id"]] = account, until, due
            if item["attempt"] > 1:
                drafts.append(_reissued(item, row))
    accounts, untils, dues = columns(list(told.values()), 3)
    await queries.insert_payments(
        conn, list_id=list_id, payment_ids=list(told), account_commitments=accounts, execute_until=untils,
        answer_due_at=dues,
    )  # fmt: skip
    again = [item["payment_id"] for item in items if item["attempt"] > 1 and item["payment_id"] in told]
    await queries.end_failed_cases(conn, payment_ids=again, state="retried", proposal_id=None)
    await queries.advance_list(conn, list_id=list_id, rank=last)
    return True, drafts


async def _new_holds(conn: Connection, items: list[Any]) -> dict[str, str]:
    keys = sorted({item[name] for item in items for name in ("beneficiary_id", "payee_id")})
    blocked = await blocked_keys(conn, [PAYEES_CONSUMER, ENTITLEMENTS_CONSUMER], keys)
    holds = {item["payment_id"]: PAYEE_CHANGED for item in items if item["latest_version"] != item["payee_version"]}
    if not blocked:
        return holds
    return holds | {
        item["payment_id"]: INPUT_BLOCKED for item in items if {item["beneficiary_id"], item["payee_id"]} & blocked
    }


def _held(item: Any, reason: str, row: Any) -> Draft:
    names = ("payment_id", "entitlement_id", "beneficiary_id", "amount_minor", "currency")
    fact = PaymentHeld(
        **{name: item[name] for name in names}, cycle_id=row["cycle_id"], list_id=row["list_id"], reason=reason,
        freed=True,
    )  # fmt: skip
    return Draft(fact, fact.payment_id, ACTOR, row["check_cause"])


def _reissued(item: Any, row: Any) -> Draft:
    names = (
        "payment_id", "instruction_id", "entitlement_id", "beneficiary_id", "bank", "amount_minor", "currency",
        "attempt",
    )  # fmt: skip
    replaces = instruction_id(item["payment_id"], item["attempt"] - 1)
    fact = PaymentReissued(**{name: item[name] for name in names}, cycle_id=row["cycle_id"], replaces=replaces)
    return Draft(fact, fact.payment_id, ACTOR, row["check_cause"])


def _instruction(
    item: Any, secrets: Secrets, execute_until: datetime, programme_id: str, cause: str
) -> tuple[Draft, str]:
    """The instruction, and the commitment under which it names the account: the bank's answer must name the same."""
    number, holder = open_account(secrets, item["payee_id"], item["sealed"])
    fact = PaymentInstructed(
        instruction_id=item["instruction_id"],
        payment_id=item["payment_id"],
        bank=item["bank"],
        entitlement_id=item["entitlement_id"],
        part=item["part"],
        attempt=item["attempt"],
        amount_minor=item["amount_minor"],
        currency=item["currency"],
        execute_until=execute_until,
        remittance=programme_id,
        account_number=number,
        account_holder=holder,
        method=item["method"],
        code_commitment=commitment_for(secrets, item["instruction_id"]) if METHODS[item["method"]].coded else None,
    )
    seed = os.urandom(SEED_SIZE)
    draft = Draft(fact, fact.payment_id, ACTOR, cause, topic=instructions_topic(fact.bank).name, seed=seed)
    return draft, commitment(seed, "account_number", number)


async def inquire_batch(conn: Connection, patience: Patience, batch: int) -> tuple[bool, list[Draft]]:
    """Ask about payments whose answer is overdue; they are unknown until the bank answers.

    Returns (whether there may be more, events). Questions repeat with doubling waits while unanswered.
    """
    rows = await queries.overdue_payments(
        conn, most=batch, interval_s=patience.inquiry_interval_s, interval_max_s=patience.inquiry_interval_max_s
    )
    drafts: list[Draft] = []
    for row in rows:
        if row["state_before"] == "instructed":
            names = (
                "payment_id", "instruction_id", "entitlement_id", "beneficiary_id", "cycle_id", "bank",
                "amount_minor", "currency",
            )  # fmt: skip
            unknown = PaymentUnknown(**{name: row[name] for name in names}, inquiry=row["inquiries"])
            drafts.append(Draft(unknown, unknown.payment_id, ACTOR, row["instruction_id"]))
        inquired = PaymentInquired(
            instruction_id=row["instruction_id"], payment_id=row["payment_id"], bank=row["bank"],
            inquiry=row["inquiries"], amount_minor=row["amount_minor"], currency=row["currency"],
        )  # fmt: skip
        topic = instructions_topic(row["bank"]).name
        drafts.append(Draft(inquired, inquired.payment_id, ACTOR, row["instruction_id"], topic=topic))
    return len(rows) == batch, drafts

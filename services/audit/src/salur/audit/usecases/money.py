"""Follow the money: what the trail says from budget to return, each figure with the question that finds its entries."""

from typing import Any

from salur.audit import store
from salur.audit.search.question import END, Question, refuse_other_region, scope_of
from salur.common.auth import Caller
from salur.common.contracts.activity import PersonalRead
from salur.common.contracts.eligibility import EntitlementGranted
from salur.common.contracts.payments import (
    FundOpened,
    FundToppedUp,
    PaymentHeld,
    PaymentInstructed,
    PaymentListApproved,
    PaymentListSubmitted,
    PaymentRejected,
    PaymentReturned,
    PaymentSettled,
)
from salur.common.database import Connection

STEPS = (
    ("budget", (FundOpened, FundToppedUp)),
    ("entitled", (EntitlementGranted,)),
    ("held", (PaymentHeld,)),
    ("committed", (PaymentListSubmitted,)),
    ("approved", (PaymentListApproved,)),
    ("instructed", (PaymentInstructed,)),
    ("settled", (PaymentSettled,)),
    ("rejected", (PaymentRejected,)),
    ("returned", (PaymentReturned,)),
)
READS_MAX = 10_000
READ = PersonalRead.event_type


async def follow_money(conn: Connection, caller: Caller, question: Question) -> list[dict[str, Any]]:
    """The steps of the money of one fund, cycle, programme, region, bank or household, in order.

    Amounts are sums over events: what was tried twice is instructed twice. Raises Forbidden for another region.
    """
    refuse_other_region(caller, question)
    (term,) = question.terms()
    types = [contract.event_type for _, contracts in STEPS for contract in contracts]
    rows = await store.queries.money(conn, lead=term, types=types, scope=scope_of(caller), before=END)
    figures = []
    for step, contracts in STEPS:
        for row in rows:
            if row["type"] in {contract.event_type for contract in contracts}:
                entries = question.asked() | {"type": row["type"]}
                figures.append({"step": step, **dict(row), "question": entries})
    return figures


async def personal_reads(conn: Connection, actor: str, since: Any, until: Any) -> dict[str, Any]:
    """Whose personal values a principal read between two times: what a breach notice must name."""
    rows = await store.queries.personal_reads(
        conn,
        terms=[f"actor={actor}", f"type={READ}"],
        before=END,
        since=since,
        until=until,
        most=READS_MAX + 1,
    )
    return {
        "actor": actor,
        "reads": [dict(row) for row in rows[:READS_MAX]],
        "subjects": len({row["subject"] for row in rows[:READS_MAX]}),
        "truncated": len(rows) > READS_MAX,
    }

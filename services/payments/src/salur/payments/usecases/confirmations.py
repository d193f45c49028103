"""Ask recipients whether and how much arrived; what differs becomes a case."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from salur.common.contracts.payments import ReceiptRatePublished
from salur.common.database import Connection
from salur.common.events import Draft
from salur.payments.store import queries
from salur.payments.usecases.checks import SERVICE
from salur.payments.usecases.money_cases import case_of, open_cases


@dataclass(frozen=True, slots=True)
class Answer:
    """What a recipient says arrived, and how we were told."""

    payment_id: str
    channel: str
    received_minor: int


async def ask(conn: Connection, cycle_id: str, share_percent: int) -> dict[str, Any]:
    """Ask a share of a cycle's settled payments; those asked before stay asked."""
    return {"cycle_id": cycle_id, "asked": await queries.ask_recipients(
        conn, cycle_id=cycle_id, share_percent=share_percent
    )}  # fmt: skip


async def take(conn: Connection, answers: Sequence[Answer]) -> tuple[dict[str, Any], list[Draft]]:
    """Keep the first answer of each asked payment. A difference opens a case; who was not asked is left out."""
    first = {answer.payment_id: answer for answer in reversed(answers)}
    ordered = [first[key] for key in sorted(first)]
    rows = await queries.take_confirmations(
        conn, payment_ids=[answer.payment_id for answer in ordered],
        channels=[answer.channel for answer in ordered], received=[answer.received_minor for answer in ordered],
    )  # fmt: skip
    cases = [
        case_of("not-received", row, abs(row["amount_minor"] - row["received_minor"]), "the recipient says so")
        for row in rows
        if row["amount_minor"] != row["received_minor"]
    ]
    cycles = sorted({row["cycle_id"] for row in rows})
    drafts = [await _published(conn, cycle_id) for cycle_id in cycles]
    return {"taken": len(rows), "differing": len(cases)}, [*await open_cases(conn, cases), *drafts]


async def _published(conn: Connection, cycle_id: str) -> Draft:
    """The rate as it stands now, for everybody who reads the trail."""
    row = await queries.confirmation_counts(conn, cycle_id=cycle_id)
    fact = ReceiptRatePublished(cycle_id=cycle_id, **dict(row))
    return Draft(fact, cycle_id, SERVICE, cycle_id)


async def rate(conn: Connection, cycle_id: str) -> dict[str, Any]:
    """How many were asked, answered, and confirmed the whole amount."""
    row = await queries.confirmation_counts(conn, cycle_id=cycle_id)
    share = round(row["confirmed"] / row["answered"], 4) if row["answered"] else None
    return {"cycle_id": cycle_id, **dict(row), "confirmed_share": share}


async def recent_rates(conn: Connection, most: int) -> list[dict[str, Any]]:
    """The counts of cycles whose recipients were asked in the last 90 days, the newest first."""
    return [dict(row) for row in await queries.recent_confirmations(conn, most=most)]

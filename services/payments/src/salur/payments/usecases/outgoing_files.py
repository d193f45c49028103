"""Put the instructions of a bank that works with files into pain.001 documents, recalls into camt.056.

The instruction streams are the queue: a file is planned as ranges of them, then written from exactly those events.
Dying in between writes the same bytes under the same name again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from salur.common.contracts.bank_files import BankFileSent
from salur.common.contracts.payments import AccountCheckAsked, PaymentInstructed, PaymentRecallRequested
from salur.common.contracts.topics import instructions_topic
from salur.common.database import Connection
from salur.common.events import Draft, personal, stream_name
from salur.common.secrets import Secrets, open_with
from salur.common.values import derived_id
from salur.payments.banks.check_files import Question
from salur.payments.banks.iso20022 import CreditTransfer, Recall
from salur.payments.store import queries
from salur.payments.usecases.instruct import ACTOR


@dataclass(frozen=True, slots=True)
class Cut:
    """When a file is cut: at `transactions` events, or when the oldest has waited `wait_s`."""

    transactions: int
    wait_s: float


@dataclass(slots=True)
class Outgoing:
    """A planned file with what goes into it. `requests`: what has no document (inquiries, …), as on Kafka."""

    message_id: str
    bank: str
    created_at: datetime
    transfers: list[CreditTransfer] = field(default_factory=list)
    recalls: list[Recall] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)

    @property
    def amount_minor(self) -> int:
        """What the instructions add up to."""
        return sum(transfer.amount_minor for transfer in self.transfers)


@dataclass(frozen=True, slots=True)
class Written:
    """A document that lies in the outbox."""

    kind: str
    sha256: str
    transactions: int
    amounts_minor: dict[str, int]


def amounts_of(said: Sequence[CreditTransfer | Recall]) -> dict[str, int]:
    """Minor units per currency."""
    amounts: dict[str, int] = {}
    for one in said:
        amounts[one.currency] = amounts.get(one.currency, 0) + one.amount_minor
    return amounts


async def plan_file(conn: Connection, bank: str, partitions: int, cut: Cut) -> bool:
    """Plan a bank's next file when there is enough for one. Returns whether it was planned."""
    topic = instructions_topic(bank).name
    streams = [stream_name(topic, partition) for partition in range(partitions)]
    await queries.declare_file_marks(conn, streams=streams)
    rows = await queries.pending_instructions(conn, streams=streams, per_stream=cut.transactions)
    if not rows:
        return False
    oldest = min(row["recorded_at"] for row in rows)
    if len(rows) < cut.transactions and datetime.now(UTC) - oldest < timedelta(seconds=cut.wait_s):
        return False
    after: dict[str, int] = {}
    until: dict[str, int] = {}
    for row in rows[: cut.transactions]:
        after.setdefault(row["stream"], row["after"])
        until[row["stream"]] = row["sequence"]
    names = list(until)
    await queries.advance_file_marks(conn, streams=names, sequences=[until[name] for name in names])
    await queries.plan_outgoing(
        conn, message_id=derived_id("outgoing-file", *(f"{name}:{until[name]}" for name in names)), bank=bank,
        streams=names, after=[after[name] for name in names], until=[until[name] for name in names],
        created_at=datetime.now(UTC).replace(microsecond=0),
    )  # fmt: skip
    return True


async def planned_file(conn: Connection, secrets: Secrets) -> Outgoing | None:
    """The oldest planned file that is not written yet, with its content. Raises CommitmentBroken."""
    plan = await queries.planned_outgoing(conn)
    if plan is None:
        return None
    outgoing = Outgoing(plan["message_id"], plan["bank"], plan["created_at"])
    rows = await queries.outgoing_events(conn, streams=plan["streams"], after=plan["after"], until=plan["until"])
    for row in rows:
        if row["type"] == PaymentInstructed.event_type:
            outgoing.transfers.append(_transfer(row, secrets))
        elif row["type"] == PaymentRecallRequested.event_type:
            outgoing.recalls.append(_recall(row))
        elif row["type"] == AccountCheckAsked.event_type:
            asked = AccountCheckAsked.model_validate(_in_clear(row, AccountCheckAsked.personal_fields, secrets))
            outgoing.questions.append(Question(asked.check_id, asked.account_number, asked.account_holder))
        else:
            outgoing.requests.append(row["body"])
    return outgoing


def _transfer(row: Any, secrets: Secrets) -> CreditTransfer:
    fact = PaymentInstructed.model_validate(_in_clear(row, PaymentInstructed.personal_fields, secrets))
    return CreditTransfer(
        fact.instruction_id, fact.amount_minor, fact.currency, fact.account_number, fact.account_holder,
        fact.remittance, fact.execute_until, fact.method, fact.code_commitment,
    )  # fmt: skip


def _in_clear(row: Any, fields: Any, secrets: Secrets) -> dict[str, Any]:
    """The data of an event with its personal values."""
    header = None
    if row["sealed"] is not None and row["subject_key"] is not None:
        subject_key = secrets.open(row["subject_key"], row["subject"].encode())
        header = open_with(subject_key, row["sealed"], row["stream"].encode())
    data: dict[str, Any] = orjson.loads(row["body"])["data"]
    personal.join(data, fields, header)
    return data


def _recall(row: Any) -> Recall:
    fact = PaymentRecallRequested.model_validate(orjson.loads(row["body"])["data"])
    recall_id = derived_id("recall", fact.instruction_id, str(fact.recall))
    return Recall(recall_id, fact.instruction_id, fact.amount_minor, fact.currency)


async def finish_file(conn: Connection, outgoing: Outgoing, written: Sequence[Written]) -> list[Draft]:
    """The documents lie in the outbox."""
    await queries.finish_outgoing(
        conn, message_id=outgoing.message_id, sha256=written[0].sha256, transactions=len(outgoing.transfers),
        amount_minor=outgoing.amount_minor,
    )  # fmt: skip
    facts = [
        BankFileSent(
            file_id=derived_id("bank-file", outgoing.bank, one.sha256), bank=outgoing.bank, sha256=one.sha256,
            message_id=outgoing.message_id, kind=one.kind, transactions=one.transactions,
            amounts_minor=one.amounts_minor,
        )
        for one in written
    ]  # fmt: skip
    return [Draft(fact, fact.file_id, ACTOR, outgoing.message_id) for fact in facts]

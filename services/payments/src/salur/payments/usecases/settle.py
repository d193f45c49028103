"""Take banks' answers: a batch of untrusted records becomes moves, postings, events and suspense rows.

Whatever a record holds, it is judged once and never raises: it moves a payment, repeats what is known, waits for an
earlier answer, or is put aside for a person.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from salur.common.contracts.payments import (
    BankResultSuspended,
    PaymentReady,
    PaymentRejected,
    PaymentReturned,
    PaymentSettled,
)
from salur.common.contracts.topics import RESULTS_PREFIX
from salur.common.database import Connection
from salur.common.events import Draft, OutsideRecord
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.payments import ledger, store
from salur.payments.banks.signing import NO_SIGNATURES, Signatures
from salur.payments.domain.methods import METHODS
from salur.payments.domain.results import (
    DEFAULT_REASON,
    RESULT_MAX_SIZE,
    BankResult,
    CheckResult,
    Standing,
    Unusable,
    decide,
    read_answer,
    read_result,
)
from salur.payments.ledger import Move
from salur.payments.store import MessageId, Moved, Parked, Suspended
from salur.payments.usecases import offsets
from salur.payments.usecases.account_checks import take_findings
from salur.payments.usecases.checks import reserve_id
from salur.payments.usecases.instruct import ACTOR
from salur.payments.usecases.late import paid_in_spite
from salur.payments.usecases.money_cases import end_returned
from salur.payments.usecases.recalls import end_recalls
from salur.payments.usecases.reconcile import end_missing, from_dispute
from salur.payments.usecases.reissue import open_failed

RESULTS_CONSUMER = "payments.bank-results"
FILES_PREFIX = "banks.files."


OFFSETS = {"settled": offsets.settled, "returned": offsets.returned}
"""What becomes of a claim that a payment is less by, in the order in which both may happen in one batch."""

R = TypeVar("R", bound=BankResult | CheckResult)


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """A readable record: where it stood, its bytes, what it says."""

    bank: str
    topic: str
    partition: int
    offset: int
    value: bytes | None
    result: R

    @property
    def message(self) -> MessageId:
        return MessageId(self.bank, self.result.message_id)

    @property
    def position(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(slots=True)
class Step:
    """Moves that may be written together: at most one per payment."""

    moved: list[Moved] = field(default_factory=list)
    postings: list[Move] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """What a batch of answers leads to."""

    secrets: Secrets
    payments: dict[str, Any]
    standings: dict[str, Standing]
    waiting: dict[str, list[Answer[BankResult]]]
    steps: list[Step] = field(default_factory=list)
    depth: dict[str, int] = field(default_factory=dict)
    parked: dict[MessageId, Parked] = field(default_factory=dict)
    judged: list[MessageId] = field(default_factory=list)
    suspended: list[Suspended] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    failed: list[tuple[Any, str]] = field(default_factory=list)
    asked_about: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    came_back: list[str] = field(default_factory=list)
    undisputed: list[str] = field(default_factory=list)
    cut: dict[str, list[str]] = field(default_factory=dict)
    refused_recalls: list[tuple[Any, str]] = field(default_factory=list)
    ready: dict[str, Answer[BankResult]] = field(default_factory=dict)

    def take(self, answer: Answer[BankResult]) -> None:
        """Judge one answer, and after a move every return that waited for one."""
        result = answer.result
        standing = self.standings.get(result.instruction_id)
        decision = decide(standing, answer.bank, result)
        match decision.act:
            case "settled" | "rejected" | "returned":
                assert standing is not None
                self._move(answer, standing, decision.act)
                for earlier in self.waiting.pop(result.instruction_id, []):
                    if self.parked.pop(earlier.message, None) is None:
                        self.judged.append(earlier.message)
                    self.take(earlier)
            case "keep":
                assert standing is not None
                standing.recall = "refused"
                reason = result.reason or DEFAULT_REASON
                self.refused_recalls.append((self.payments[result.instruction_id], reason))
            case "park":
                self.waiting.setdefault(result.instruction_id, []).append(answer)
                sealed = self.secrets.seal(answer.value or b"", answer.position.encode())
                self.parked[answer.message] = Parked(
                    answer.bank, result.message_id, result.instruction_id, answer.topic, answer.partition,
                    answer.offset, sealed,
                )  # fmt: skip
            case "suspend":
                self.suspend(answer, answer.bank, decision.reason, result.instruction_id)
            case "note" if standing is not None and result.status == "ACSP" and self._waits_for(result.instruction_id):
                self.ready.setdefault(result.instruction_id, answer)
            case _:
                pass

    def _waits_for(self, instruction_id: str) -> bool:
        """Whether somebody has to come for the money and has not been told so."""
        payment = self.payments[instruction_id]
        open_ = self.standings[instruction_id].state in ("instructed", "unknown")
        return METHODS[payment["method"]].coded and payment["ready_at"] is None and open_

    def suspend(self, record: Any, bank: str, reason: str, instruction_id: str | None) -> None:
        """Put a record (anything with topic, partition, offset and value) aside."""
        position = f"{record.topic}/{record.partition}/{record.offset}"
        suspense_id = derived_id("suspense", position)
        value: bytes | None = record.value
        # Kafka's own limit bounds a record; more than the limit of an answer is of no use to a person.
        sealed = self.secrets.seal((value or b"")[:RESULT_MAX_SIZE], position.encode())
        self.suspended.append(
            Suspended(
                suspense_id,
                bank,
                record.topic,
                record.partition,
                record.offset,
                reason,
                instruction_id,
                -1 if value is None else len(value),
                sealed,
            )
        )
        fact = BankResultSuspended(
            suspense_id=suspense_id, bank=bank, topic=record.topic, partition=record.partition, offset=record.offset,
            reason=reason, instruction_id=instruction_id,
        )  # fmt: skip
        self.drafts.append(Draft(fact, suspense_id, ACTOR, position))

    def _move(self, answer: Answer[BankResult], standing: Standing, act: str) -> None:
        result, payment = answer.result, self.payments[answer.result.instruction_id]
        reason = (result.reason or DEFAULT_REASON) if act != "settled" else None
        paid, back = (result.bank_reference if act == name else None for name in ("settled", "returned"))
        disputed = standing.state == "disputed"
        standing.state = act
        standing.reason = reason or standing.reason
        standing.bank_reference = paid or standing.bank_reference
        standing.return_reference = back or standing.return_reference
        number = self.depth.get(result.instruction_id, 0)
        self.depth[result.instruction_id] = number + 1
        if number == len(self.steps):
            self.steps.append(Step())
        step = self.steps[number]
        step.moved.append(Moved(result.instruction_id, act, reason, paid, back))
        step.postings += [from_dispute(payment)] if disputed else postings(payment, act)
        if act == "settled" and payment["cancel_reason"] is not None:
            self.asked_about.append(result.instruction_id)
        if payment["offset_minor"]:
            self.cut.setdefault(act, []).append(result.instruction_id)
        if act == "returned":
            self.came_back.append(payment["payment_id"])
        if disputed:
            self.undisputed.append(result.instruction_id)
        if act == "returned" and standing.recall == "asked":
            standing.recall = "given-back"
            self.returned.append(result.instruction_id)
        elif reason is not None:
            self.failed.append((payment, reason))
        self.drafts.append(Draft(_fact(payment, answer, act, reason), payment["payment_id"], ACTOR, answer.position))


def postings(payment: Any, act: str) -> list[Move]:
    """The ledger's side of a move: post and pass on, void, or send back the same way."""
    instruction, amount, currency = payment["instruction_id"], payment["amount_minor"], payment["currency"]
    reserve = reserve_id(payment["list_id"], payment["payment_id"])
    through = ledger.clearing(payment["bank"], currency).id
    people = ledger.beneficiaries(payment["fund_id"], currency).id
    fund = ledger.fund(payment["fund_id"], currency).id
    match act:
        case "settled":
            return [
                Move(f"post/{instruction}", "post", reserve),
                Move(f"credit/{instruction}", "transfer", None, through, people, amount, currency),
            ]
        case "rejected":
            return [Move(f"void/{instruction}", "void", reserve)]
        case _:
            return [
                Move(f"return/{instruction}", "transfer", None, people, through, amount, currency),
                Move(f"refund/{instruction}", "transfer", None, through, fund, amount, currency),
            ]


def _ready(payment: Any, answer: Answer[BankResult]) -> Draft:
    names = ("payment_id", "instruction_id", "entitlement_id", "beneficiary_id", "cycle_id", "bank", "amount_minor",
             "currency", "fund_id")  # fmt: skip
    fact = PaymentReady(**{name: payment[name] for name in names}, collect_until=payment["execute_until"])
    return Draft(fact, fact.payment_id, ACTOR, answer.position)


def _fact(payment: Any, answer: Answer[BankResult], act: str, reason: str | None) -> Any:
    result = answer.result
    common = {
        "payment_id": payment["payment_id"], "instruction_id": payment["instruction_id"],
        "entitlement_id": payment["entitlement_id"], "beneficiary_id": payment["beneficiary_id"],
        "cycle_id": payment["cycle_id"], "bank": payment["bank"], "amount_minor": payment["amount_minor"],
        "currency": payment["currency"], "fund_id": payment["fund_id"], "bank_message_id": result.message_id,
    }  # fmt: skip
    match act:
        case "settled":
            return PaymentSettled(
                **common, bank_reference=result.bank_reference, method=payment["method"],
                offset_minor=payment["offset_minor"] or None,
            )  # fmt: skip
        case "rejected":
            return PaymentRejected(**common, reason=reason)
        case _:
            return PaymentReturned(**common, reason=reason, bank_reference=result.bank_reference)


async def take_results(
    conn: Connection, records: Sequence[OutsideRecord], secrets: Secrets, signatures: Signatures = NO_SIGNATURES
) -> Sequence[Draft]:
    """Judge a batch of banks' answers in a handful of statements, in the order given."""
    answers, unusable = _read(records, signatures)
    fresh, conflicts = await _sift(conn, answers)
    found = [answer for answer in fresh if isinstance(answer.result, CheckResult)]
    results = [answer for answer in fresh if isinstance(answer.result, BankResult)]
    ids = sorted({answer.result.instruction_id for answer in results})
    payments = {row["instruction_id"]: row for row in await store.queries.lock_payments(conn, instruction_ids=ids)}
    waiting = await _waiting(conn, list(payments), secrets)
    batch = Batch(secrets, payments, {key: _standing(row) for key, row in payments.items()}, waiting)
    for record, bank, trouble in unusable:
        batch.suspend(record, bank, trouble.code, trouble.instruction_id)
    for answer in conflicts:
        batch.suspend(answer, answer.bank, "message-conflict", answer.result.instruction_id)
    drafts, refused = await take_findings(conn, found)
    batch.drafts += drafts
    for told, reason in refused:
        batch.suspend(told, told.bank, reason, None)
    for answer in results:
        batch.take(answer)
    for step in batch.steps:
        await store.move_payments(conn, step.moved)
        await ledger.apply_pages(conn, step.postings)
    await store.park_returns(conn, list(batch.parked.values()))
    await store.judge_returns(conn, batch.judged)
    await store.insert_suspense(conn, batch.suspended)
    drafts = [*batch.drafts, *await open_failed(conn, batch.failed)]
    if batch.asked_about:
        drafts += await paid_in_spite(conn, batch.asked_about)
    for act, end in OFFSETS.items():
        if act in batch.cut:
            drafts += await end(conn, batch.cut[act], ACTOR, RESULTS_CONSUMER)
    if batch.came_back:
        drafts += await end_returned(conn, batch.came_back, RESULTS_CONSUMER)
    if batch.undisputed:
        drafts += await end_missing(conn, batch.undisputed)
    if batch.ready:
        await store.queries.mark_ready(conn, instruction_ids=sorted(batch.ready))
        drafts += [_ready(batch.payments[key], answer) for key, answer in batch.ready.items()]
    if batch.returned or batch.refused_recalls:
        drafts += await end_recalls(conn, batch.returned, batch.refused_recalls, RESULTS_CONSUMER)
    return drafts


def files_topic(bank: str, sha256: str) -> str:
    """Where an answer from a file stands: a place beside the topics, so that every position is unique."""
    return f"{FILES_PREFIX}{bank}/{sha256[:16]}"


def bank_of(topic: str) -> str:
    """The bank that writes a results topic or has sent a file."""
    return topic.removeprefix(RESULTS_PREFIX).removeprefix(FILES_PREFIX).partition("/")[0]


def _read(
    records: Sequence[OutsideRecord], signatures: Signatures
) -> tuple[list[Answer[Any]], list[tuple[OutsideRecord, str, Unusable]]]:
    answers: list[Answer[Any]] = []
    unusable: list[tuple[OutsideRecord, str, Unusable]] = []
    for record in records:
        bank = bank_of(record.topic)
        try:
            signatures.check(bank, record.value or b"", record.headers)
            result = read_answer(record.value, bank)
        except Unusable as trouble:
            unusable.append((record, bank, trouble))
        else:
            answers.append(Answer(bank, record.topic, record.partition, record.offset, record.value, result))
    return answers, unusable


async def _sift(conn: Connection, answers: Sequence[Answer[Any]]) -> tuple[list[Answer[Any]], list[Answer[Any]]]:
    """(new messages, messages whose id is known with other content). Exact repeats are dropped."""
    first: dict[MessageId, Answer[Any]] = {}
    for answer in answers:
        first.setdefault(answer.message, answer)
    hashes = {message: answer.result.content_hash for message, answer in first.items()}
    known = await store.insert_messages(conn, hashes)
    fresh = [answer for message, answer in first.items() if message not in known]
    hashes |= known
    conflicts = [answer for answer in answers if answer.result.content_hash != hashes[answer.message]]
    return fresh, conflicts


async def _waiting(
    conn: Connection, instruction_ids: list[str], secrets: Secrets
) -> dict[str, list[Answer[BankResult]]]:
    waiting: dict[str, list[Answer[BankResult]]] = {}
    for row in await store.queries.waiting_returns(conn, instruction_ids=instruction_ids):
        position = f"{row['topic']}/{row['partition']}/{row['kafka_offset']}"
        value = secrets.open(row["sealed"], position.encode())
        result = read_result(value, row["bank"])
        answer = Answer(row["bank"], row["topic"], row["partition"], row["kafka_offset"], value, result)
        waiting.setdefault(answer.result.instruction_id, []).append(answer)
    return waiting


def _standing(row: Any) -> Standing:
    return Standing(
        row["state"], row["bank"], row["amount_minor"], row["currency"], row["account_commitment"],
        row["reason"], row["bank_reference"], row["return_reference"], row["recall"],
    )  # fmt: skip

"""Ask banks about accounts before their first use, again while they are silent, and take what they find."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from salur.common.contracts.payments import AccountCheckAsked, AccountChecked
from salur.common.contracts.registry import PayeeChecked, PayeeRegistered
from salur.common.contracts.topics import instructions_topic
from salur.common.database import Connection
from salur.common.events import SEED_SIZE, Draft, commitment
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.payments.domain.methods import CHECKED, METHODS
from salur.payments.domain.results import CheckResult
from salur.payments.store import columns, queries
from salur.payments.usecases.accounts import open_account

ACTOR = "service:payments"


def check_id_of(beneficiary_id: str, version: int) -> str:
    """One question per version of an account."""
    return derived_id("account-check", beneficiary_id, str(version))


async def await_checks(conn: Connection, payees: Sequence[PayeeRegistered], banks: frozenset[str]) -> None:
    """Note new versions at banks that check; the worker asks."""
    rows = [
        (check_id_of(payee.beneficiary_id, payee.version), payee.beneficiary_id, payee.version, payee.bank)
        for payee in payees
        if payee.bank in banks and payee.status == "active" and METHODS[payee.method].checked
    ]
    await _await(conn, rows)


async def await_earlier(conn: Connection, banks: frozenset[str]) -> None:
    """Note present accounts that were taken before their bank began to check."""
    found = await queries.payees_unchecked(conn, banks=sorted(banks), methods=CHECKED)
    await _await(conn, [(check_id_of(*list(row.values())[:2]), *row.values()) for row in found])


async def _await(conn: Connection, rows: Sequence[tuple[str, str, int, str]]) -> None:
    if rows:
        ids, beneficiaries, versions, banks = columns(rows, 4)
        await queries.await_checks(conn, check_ids=ids, beneficiary_ids=beneficiaries, versions=versions, banks=banks)


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a bank may take before it is asked again, in seconds; doubles up to the maximum."""

    interval_s: float
    interval_max_s: float


async def ask_batch(conn: Connection, secrets: Secrets, waits: Waits, batch: int) -> tuple[bool, list[Draft]]:
    """Ask the next `batch` questions that are due. Returns (whether there may be more, events)."""
    rows = await queries.checks_to_ask(
        conn, most=batch, interval_s=waits.interval_s, interval_max_s=waits.interval_max_s
    )
    drafts: list[Draft] = []
    named: list[tuple[str, bytes, str]] = []
    for row in rows:
        draft, seed = _question(row, secrets)
        drafts.append(draft)
        if row["seed"] is None:
            fact: Any = draft.data
            sealed = secrets.seal(seed, row["check_id"].encode())
            named.append((row["check_id"], sealed, commitment(seed, "account_number", fact.account_number)))
    if named:
        ids, seeds, commitments = columns(named, 3)
        await queries.keep_commitments(conn, check_ids=ids, seeds=seeds, commitments=commitments)
    return len(rows) == batch, drafts


def _question(row: Any, secrets: Secrets) -> tuple[Draft, bytes]:
    number, holder = open_account(secrets, row["beneficiary_id"], row["sealed"])
    known = row["seed"]
    seed = os.urandom(SEED_SIZE) if known is None else secrets.open(known, row["check_id"].encode())
    fact = AccountCheckAsked(
        check_id=row["check_id"], bank=row["bank"], ask=row["asks"], account_number=number, account_holder=holder
    )
    topic = instructions_topic(row["bank"]).name
    return Draft(fact, fact.check_id, ACTOR, row["check_id"], topic=topic, seed=seed), seed


class Told(Protocol):
    """A bank's answer: where it stood, its bytes, what it says."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...

    @property
    def bank(self) -> str: ...
    @property
    def position(self) -> str: ...
    @property
    def result(self) -> Any: ...


async def take_findings(conn: Connection, answers: Sequence[Told]) -> tuple[list[Draft], list[tuple[Told, str]]]:
    """Record what banks found. Returns (events, answers that contradict what we know with the reason)."""
    if not answers:
        return [], []
    ids = sorted({answer.result.check_id for answer in answers})
    known = {row["check_id"]: dict(row) for row in await queries.lock_checks(conn, check_ids=ids)}
    now = datetime.now(UTC)
    found: list[tuple[str, str, str]] = []
    drafts: list[Draft] = []
    refused: list[tuple[Told, str]] = []
    for answer in answers:
        result: CheckResult = answer.result
        row = known.get(result.check_id)
        if row is None or (reason := _trouble(row, answer.bank, result)):
            refused.append((answer, "check-unknown" if row is None else reason))
        elif row["bank_result"] is None:
            row["bank_result"] = result.result
            found.append((result.check_id, result.result, result.message_id))
            fact = AccountChecked(
                beneficiary_id=row["beneficiary_id"], version=row["version"], check_id=result.check_id,
                bank=row["bank"], result=result.result, asked_at=row["asked_at"], answered_at=now,
                bank_message_id=result.message_id,
            )  # fmt: skip
            drafts.append(Draft(fact, fact.beneficiary_id, ACTOR, answer.position))
    if found:
        checks, results, evidence = columns(found, 3)
        await queries.answer_checks(conn, check_ids=checks, results=results, evidence=evidence, answered_at=now)
    return drafts, refused


def _trouble(row: dict[str, Any], bank: str, result: CheckResult) -> str:
    if row["bank"] != bank:
        return "wrong-bank"
    if row["account_commitment"] != result.account_commitment:
        return "other-account"
    return "check-contradicted" if row["bank_result"] not in (None, result.result) else ""


async def take_recorded(conn: Connection, facts: Sequence[tuple[PayeeChecked, datetime]]) -> None:
    """What the registry recorded: a person's word counts like the bank's, the newest of both stands."""
    newest = {(fact.beneficiary_id, fact.version): (fact, when) for fact, when in facts}
    rows = [
        (check_id_of(*key), *key, fact.bank, _outcome(fact), when, fact.evidence or "registry")
        for key, (fact, when) in sorted(newest.items())
    ]
    if rows:
        ids, beneficiaries, versions, banks, results, moments, evidence = columns(rows, 7)
        await queries.record_checks(
            conn, check_ids=ids, beneficiary_ids=beneficiaries, versions=versions, banks=banks, results=results,
            answered_at=moments, evidence=evidence,
        )  # fmt: skip


def _outcome(fact: PayeeChecked) -> str:
    return "name-close" if fact.name_match == "close" else fact.result

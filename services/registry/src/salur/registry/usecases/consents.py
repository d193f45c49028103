"""Consent, and what the bank says of an account: recorded with who, when and on what evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from salur.common.contracts.payments import AccountChecked
from salur.common.contracts.registry import ConsentGiven, ConsentWithdrawn, PayeeChecked
from salur.common.database import Connection
from salur.common.errors import Conflict, Invalid, NotFound
from salur.common.events import Draft, Received
from salur.common.values import derived_id, in_scope
from salur.registry.store import queries
from salur.registry.usecases.states import By, lock_states, standing

CHECKS_CONSUMER = "registry.account-checks"
RECORD_SCHEMA = "ISO/IEC TS 27560:2023"
CHECKS_ACTOR = "service:registry"
CheckResult = Literal["matches", "name-differs", "closed", "unknown-account"]


@dataclass(frozen=True, slots=True)
class Consent:
    """What somebody agreed to. `member_id` None = the head for the family; `notice`: which text they were shown."""

    household_id: str
    member_id: str | None
    purpose: str
    lawful_basis: str
    notice: str
    collection: str
    evidence: str
    given_at: datetime
    valid_until: date | None
    use: "Use"


@dataclass(frozen=True, slots=True)
class Use:
    """What is done with which data: who decides on it, who gets them, how long, under which law, in which language."""

    controller: str
    pii_categories: tuple[str, ...]
    recipients: tuple[str, ...]
    storage: str
    jurisdiction: str
    language: str


async def give(conn: Connection, consent: Consent, by: By) -> tuple[str, bool, list[Draft]]:
    """Record a consent; returns (id, whether it is new, events). The same again changes nothing. Raises SalurError."""
    state = standing((await lock_states(conn, [consent.household_id])).get(consent.household_id), by.regions)
    if consent.member_id is not None and consent.member_id not in state.member_ids():
        raise Invalid("names somebody who is not of this household", code="member-unknown", who="registrar")
    consent_id = derived_id(
        "consent", consent.household_id, consent.member_id or "", consent.purpose, consent.given_at.isoformat()
    )
    new = await queries.insert_consent(
        conn, consent_id=consent_id, household_id=consent.household_id, member_id=consent.member_id,
        purpose=consent.purpose, lawful_basis=consent.lawful_basis, notice=consent.notice,
        collection=consent.collection, evidence=consent.evidence, valid_until=consent.valid_until, actor=by.actor,
        given_at=consent.given_at, controller=consent.use.controller, pii_categories=consent.use.pii_categories,
        recipients=consent.use.recipients, storage=consent.use.storage, jurisdiction=consent.use.jurisdiction,
        language=consent.use.language,
    )  # fmt: skip
    if new is None:
        return consent_id, False, []
    fact = ConsentGiven(
        consent_id=consent_id, household_id=consent.household_id, purpose=consent.purpose,
        lawful_basis=consent.lawful_basis,
    )  # fmt: skip
    return consent_id, True, [Draft(fact, consent_id, by.actor, by.cause)]


def receipt(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the person gets: the record's parts as ISO/IEC TS 27560 orders them."""
    given = {
        "state": "given", "time": row["given_at"], "entity": row["recorded_by"], "method": row["collection"],
        "evidence": row["evidence"], "valid_until": row["valid_until"],
    }  # fmt: skip
    taken_back = {
        "state": "withdrawn", "time": row["withdrawn_at"], "entity": row["withdrawn_by"], "reason": row["withdrawal"],
    }  # fmt: skip
    purpose = ("purpose", "lawful_basis", "pii_categories", "recipients", "storage", "jurisdiction")
    return {
        "record": {"schema_version": RECORD_SCHEMA, "record_id": row["consent_id"],
                   "pii_principal_id": row["member_id"] or row["household_id"]},
        "processing": {"privacy_notice": row["notice"], "language": row["language"],
                       "purposes": [{name: row[name] for name in purpose}]},
        "parties": [{"role": "pii-controller", "name": row["controller"]}],
        "events": [given, taken_back] if row["withdrawn_at"] else [given],
    }  # fmt: skip


def unknown_consent() -> NotFound:
    """The same answer whether it does not exist or lies outside the caller's regions."""
    return NotFound("no such consent in your regions: check the id", code="consent-unknown", who="registrar")


async def withdraw(conn: Connection, consent_id: str, reason: str, by: By) -> list[Draft]:
    """Take a consent back. Raises NotFound, Conflict."""
    row = await queries.lock_consent(conn, consent_id=consent_id)
    if row is None or not in_scope(row["region"], by.regions):
        raise unknown_consent()
    if row["withdrawn_at"] is not None:
        raise Conflict("the consent was withdrawn already", code="consent-withdrawn", who="registrar")
    if row["lawful_basis"] != "consent":
        raise Conflict(f"it rests on {row['lawful_basis']}, not on consent: it cannot be withdrawn",
                       code="not-consent", who="data protection officer")  # fmt: skip
    await queries.withdraw_consent(conn, consent_id=consent_id, actor=by.actor, reason=reason)
    fact = ConsentWithdrawn(consent_id=consent_id, household_id=row["household_id"], purpose=row["purpose"])
    return [Draft(fact, consent_id, by.actor, by.cause)]


@dataclass(frozen=True, slots=True)
class Check:
    """What is known of a version of an account. `evidence`: the bank's message, or the document a person names."""

    household_id: str
    version: int
    result: CheckResult
    name_match: str | None
    checked_at: datetime
    evidence: str | None


async def record_check(conn: Connection, check: Check, by: By) -> list[Draft]:
    """What the bank told a person about the present version. Raises NotFound, Conflict for another version."""
    standing((await lock_states(conn, [check.household_id])).get(check.household_id), by.regions)
    facts = await _record(conn, [check])
    if not facts:
        raise Conflict(f"the account is not at version {check.version}: read it again", code="version-passed",
                       who="payment operator")  # fmt: skip
    return [Draft(fact, fact.beneficiary_id, by.actor, by.cause) for fact in facts]


NAME_MATCHES = {"matches": "exact", "name-close": "close", "name-differs": "none"}


async def take_checks(conn: Connection, batch: Sequence[Received]) -> Sequence[Draft]:
    """What banks found, as payments tells it; of versions that have passed nothing is recorded."""
    told = {
        event.data.beneficiary_id: (event.data, event.id) for event in batch if isinstance(event.data, AccountChecked)
    }
    checks = [
        Check(
            fact.beneficiary_id, fact.version, "matches" if fact.result == "name-close" else fact.result,
            NAME_MATCHES.get(fact.result), fact.answered_at, fact.bank_message_id,
        )
        for fact, _ in told.values()
    ]  # fmt: skip
    facts = await _record(conn, checks) if checks else []
    return [Draft(fact, fact.beneficiary_id, CHECKS_ACTOR, told[fact.beneficiary_id][1]) for fact in facts]


async def _record(conn: Connection, checks: Sequence[Check]) -> list[PayeeChecked]:
    rows = await queries.check_payees(
        conn, ids=[check.household_id for check in checks], versions=[check.version for check in checks],
        results=[check.result for check in checks], matches=[check.name_match for check in checks],
        moments=[check.checked_at for check in checks], evidence=[check.evidence for check in checks],
    )  # fmt: skip
    return [
        PayeeChecked(
            beneficiary_id=row["household_id"], version=row["version"], bank=row["bank"], result=row["check_result"],
            name_match=row["name_match"], checked_at=row["checked_at"].isoformat(), evidence=row["check_evidence"],
        )
        for row in rows
    ]  # fmt: skip

"""Consent, and what the bank says of an account: recorded with who, when and on what evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from salur.common.contracts.payments import AccountChecked
from salur.common.contracts.registry import ConsentGiven, ConsentWithdrawn, PayeeChecked
from salur.common.database import Connection
from salur.common.errors import Conflict, Invalid, NotFound
from salur.common.events import Draft, Received
from salur.common.values import derived_id
from salur.registry.store import queries
from salur.registry.usecases.families import By
from salur.registry.usecases.states import lock_states, standing, within

CHECKS_CONSUMER = "registry.account-checks"
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
        given_at=consent.given_at,
    )  # fmt: skip
    if new is None:
        return consent_id, False, []
    fact = ConsentGiven(
        consent_id=consent_id, household_id=consent.household_id, purpose=consent.purpose,
        lawful_basis=consent.lawful_basis,
    )  # fmt: skip
    return consent_id, True, [Draft(fact, consent_id, by.actor, by.cause)]


async def withdraw(conn: Connection, consent_id: str, reason: str, by: By) -> list[Draft]:
    """Take a consent back. Raises NotFound, Conflict."""
    row = await queries.lock_consent(conn, consent_id=consent_id)
    if row is None or not within(row["region"], by.regions):
        raise NotFound("no such consent in your regions: check the id", code="consent-unknown", who="registrar")
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

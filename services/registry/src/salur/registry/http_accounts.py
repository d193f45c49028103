"""The registry's HTTP API: an account's versions and what the bank says of it; consents."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints

from salur.common.contracts.base import Code, Id
from salur.common.database import Connection
from salur.common.errors import Invalid
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.common.values import DateInvalid, parse_moment
from salur.registry.bodies import AsOf, Body, Day, Text, day, moment
from salur.registry.store import queries
from salur.registry.usecases.consents import (
    Check,
    CheckResult,
    Consent,
    Use,
    give,
    receipt,
    record_check,
    unknown_consent,
    withdraw,
)
from salur.registry.usecases.states import by_caller, unknown_household


class CheckBody(Body):
    """The bank's answer about one version of an account. `evidence` names the document it stands in."""

    version: int = Field(ge=1, le=2**31 - 1)
    result: CheckResult
    name_match: Literal["exact", "close", "none"] | None = None
    evidence: Text | None = None


class ConsentBody(Body):
    """A consent record in the terms of ISO/IEC TS 27560. `evidence` names the document, it does not hold it."""

    purpose: Code
    lawful_basis: Literal[
        "consent", "legal-obligation", "public-task", "vital-interest", "contract", "legitimate-interest"
    ]
    notice: Text
    collection: Literal["in-person", "written", "electronic", "by-guardian"]
    evidence: Text
    given_at: Day
    member_id: Id | None = None
    valid_until: Day | None = None
    controller: Text = "the operator of this registry"
    pii_categories: Annotated[list[Code], Field(max_length=50)] = Field(default_factory=list)
    recipients: Annotated[list[Text], Field(max_length=50)] = Field(default_factory=list)
    storage: Text = "while registered"
    jurisdiction: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "ID"
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] = "id"

    def to_domain(self, household_id: str) -> Consent:
        """Raises Invalid."""
        try:
            given_at = parse_moment(self.given_at, datetime.now(UTC), timedelta())
        except DateInvalid as error:
            raise Invalid(f"given_at: {error}", code="date-invalid", who="caller") from None
        return Consent(
            household_id, self.member_id, self.purpose, self.lawful_basis, self.notice, self.collection, self.evidence,
            given_at, day(self.valid_until, "valid_until") if self.valid_until else None,
            Use(self.controller, tuple(self.pii_categories), tuple(self.recipients), self.storage, self.jurisdiction,
                self.language),
        )  # fmt: skip


class WithdrawalBody(Body):
    """Why a consent ends."""

    reason: Text


def account_routes(runtime: Runtime) -> APIRouter:
    """Accounts as they were and are, the bank's word on them, consents."""
    router = APIRouter()
    _accounts(router, runtime)
    _consents(router, runtime)
    return router


async def _seen(conn: Connection, household_id: str, caller: Caller) -> None:
    row = await queries.household(conn, id=household_id)
    if row is None or not caller.sees(row["region"]):
        raise unknown_household()


def _passed(end: datetime | None, moment: datetime) -> bool:
    return end is not None and end <= moment


def _accounts(router: APIRouter, runtime: Runtime) -> None:
    @router.get("/households/{household_id}/payees", tags=["accounts"])
    async def payee_versions(
        household_id: Id, caller: Annotated[Caller, permit("household:read")], as_of: AsOf = None
    ) -> dict[str, list[dict[str, Any]]]:
        """Every account the household has had, the newest first: from when, usable from when, what the bank said.

        `as_of`: the one that held then.
        """
        async with runtime.db.connection() as conn:
            await _seen(conn, household_id, caller)
            rows = await queries.payee_versions(conn, id=household_id)
        if as_of is not None:
            then = moment(as_of)
            rows = [
                r for r in rows if r["valid_from"] <= then and (r["valid_until"] is None or then < r["valid_until"])
            ]
        return {"payees": [dict(row) for row in rows]}

    @router.post("/households/{household_id}/payee-checks", status_code=201, tags=["accounts"])
    async def check(
        household_id: Id, body: CheckBody, caller: Annotated[Caller, permit("payee:check")]
    ) -> dict[str, Any]:
        """Record what the bank answered about the account (cek rekening)."""
        async with runtime.unit_of_work() as unit:
            check = Check(household_id, body.version, body.result, body.name_match, datetime.now(UTC), body.evidence)
            unit.emit(*await record_check(unit.conn, check, by_caller(caller)))
        return {"household_id": household_id, "version": body.version, "result": body.result}


def _consents(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/households/{household_id}/consents", status_code=201, tags=["consents"])
    async def give_consent(
        household_id: Id, body: ConsentBody, response: Response, caller: Annotated[Caller, permit("household:change")]
    ) -> dict[str, str]:
        """Record a consent. The same again answers 200."""
        async with runtime.unit_of_work() as unit:
            consent_id, new, drafts = await give(unit.conn, body.to_domain(household_id), by_caller(caller))
            unit.emit(*drafts)
        response.status_code = 201 if new else 200
        return {"consent_id": consent_id, "state": "given"}

    @router.get("/households/{household_id}/consents", tags=["consents"])
    async def list_consents(
        household_id: Id, caller: Annotated[Caller, permit("household:read")], as_of: AsOf = None
    ) -> dict[str, list[dict[str, Any]]]:
        """Consents of a household: given, expired and withdrawn; `as_of`: as they stood then."""
        then = moment(as_of) if as_of is not None else datetime.now(UTC)
        async with runtime.db.connection() as conn:
            await _seen(conn, household_id, caller)
            return {"consents": [dict(r) for r in await queries.consents(conn, household_id=household_id, then=then)]}

    @router.get("/consents/{consent_id}/receipt", tags=["consents"])
    async def consent_receipt(consent_id: Id, caller: Annotated[Caller, permit("household:read")]) -> dict[str, Any]:
        """The record for the person themselves, in the parts of ISO/IEC TS 27560; without names or numbers."""
        async with runtime.db.connection() as conn:
            row = await queries.consent(conn, consent_id=consent_id)
        if row is None or not caller.sees(row["region"]):
            raise unknown_consent()
        return receipt(row)

    @router.post("/consents/{consent_id}/withdraw", tags=["consents"])
    async def withdraw_consent(
        consent_id: Id, body: WithdrawalBody, caller: Annotated[Caller, permit("household:change")]
    ) -> dict[str, str]:
        """Take a consent back, from now on."""
        async with runtime.unit_of_work() as unit:
            unit.emit(*await withdraw(unit.conn, consent_id, body.reason, by_caller(caller)))
        return {"consent_id": consent_id, "state": "withdrawn"}

"""HTTP: what banks sign with and what came from them in files."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, StringConstraints, field_validator

from salur.common.contracts.base import BankCode, Sha256
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.payments.banks.reasons import reasons
from salur.payments.http_funds import Limit, Reason, proposer
from salur.payments.usecases import bank_files, bank_keys
from salur.payments.usecases.proposals import Proposal

KeyId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")]


class KeyBody(BaseModel):
    """A public key: 32 bytes in hex. Two keys may overlap, so that a bank changes without a gap."""

    key_id: KeyId
    public_key: Sha256
    valid_from: AwareDatetime
    valid_until: AwareDatetime | None = None
    reason: Reason

    @field_validator("valid_until")
    @classmethod
    def _after_its_start(cls, value: datetime | None, info: Any) -> datetime | None:
        start = info.data.get("valid_from")
        if value is not None and start is not None and value < start:
            raise ValueError("valid_until is before valid_from")
        return value


class EndBody(BaseModel):
    """Why a key ends now."""

    reason: Reason


def bank_routes(router: APIRouter, runtime: Runtime) -> None:
    """Keys of banks, their files, what their reason codes lead to."""

    propose = proposer(runtime)

    @router.post("/banks/{bank}/keys", tags=["banks"], status_code=202)
    async def add_key(
        bank: BankCode, body: KeyBody, caller: Annotated[Caller, permit("proposal:make", central=True)]
    ) -> dict[str, Any]:
        """Propose a key the bank signs with; a second person compares it with what the bank gave and accepts."""
        content = {
            "public_key": body.public_key,
            "valid_from": body.valid_from.isoformat(),
            "valid_until": body.valid_until.isoformat() if body.valid_until else None,
        }
        subject = bank_keys.key_subject(bank, body.key_id)
        return await propose(caller, Proposal(bank_keys.ADD, subject, body.reason, content))

    @router.post("/banks/{bank}/keys/{key_id}/end", tags=["banks"], status_code=202)
    async def end_key(
        bank: BankCode, key_id: KeyId, body: EndBody, caller: Annotated[Caller, permit("proposal:make", central=True)]
    ) -> dict[str, Any]:
        """Propose that a key counts no longer from the moment of acceptance on."""
        return await propose(caller, Proposal(bank_keys.END, bank_keys.key_subject(bank, key_id), body.reason))

    @router.get("/banks/{bank}/keys", tags=["banks"])
    async def keys(bank: BankCode, _caller: Annotated[Caller, permit("payment:read")]) -> dict[str, Any]:
        """A bank's public keys with their time."""
        async with runtime.db.connection() as conn:
            return await bank_keys.keys_page(conn, bank)

    @router.get("/bank-files", tags=["banks"])
    async def files(
        _caller: Annotated[Caller, permit("payment:read", central=True)],
        bank: BankCode | None = None,
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Files that came from banks: kind, how far they are taken, why one was refused."""
        async with runtime.db.connection() as conn:
            return await bank_files.files_page(conn, bank, limit)

    @router.get("/bank-reasons", tags=["banks"])
    async def bank_reasons(_caller: Annotated[Caller, permit("payment:read")]) -> dict[str, Any]:
        """Every reason code of banks: what happens next, who must act, in English and Indonesian."""
        return {"reasons": [asdict(reason) for reason in reasons().values()]}

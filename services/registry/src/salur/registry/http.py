"""The registry's HTTP API."""

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from salur.common.contracts.base import BankCode, Sha256
from salur.common.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from salur.common.http import Caller, permit
from salur.common.service import Coalescer, Runtime
from salur.common.values import RegionCode, derived_id
from salur.registry.domain.household import Household, Identifier, Member, Payee, Scalar
from salur.registry.domain.mapping import MappingInvalid, parse_mapping
from salur.registry.store import queries
from salur.registry.usecases.change import change_household, change_payee, unknown_household
from salur.registry.usecases.cut import make_cut
from salur.registry.usecases.import_file import spool_path
from salur.registry.usecases.register import Registered, Registration, register

MAX_IMPORT_SIZE = 2 * 1024**3
REPORT_PAGE = 5_000
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Attributes = Annotated[dict[FieldName, Scalar], Field(max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class IdentifierBody(_Body):
    scheme: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    value: Text


class MemberBody(_Body):
    attributes: Attributes = Field(default_factory=dict)
    identifier: IdentifierBody | None = None


class PayeeBody(_Body):
    bank: BankCode
    number: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{4,34}$")]
    holder: Text


class HouseholdBody(_Body):
    identifiers: list[IdentifierBody] = Field(min_length=1, max_length=10)
    region: RegionCode
    attributes: Attributes = Field(default_factory=dict)
    members: list[MemberBody] = Field(default_factory=list, max_length=50)
    payee: PayeeBody | None = None

    def to_domain(self) -> Household:
        return Household(
            tuple(Identifier(i.scheme, i.value) for i in self.identifiers),
            self.region,
            self.attributes,
            tuple(
                Member(m.attributes, Identifier(m.identifier.scheme, m.identifier.value) if m.identifier else None)
                for m in self.members
            ),
            Payee(self.payee.bank, self.payee.number, self.payee.holder) if self.payee else None,
        )


class ChangeBody(_Body):
    region: RegionCode | None = None
    attributes: Attributes | None = None


class CutBody(_Body):
    name: Text


class ImportBody(_Body):
    name: Text
    sha256: Sha256
    size: int = Field(gt=0, le=MAX_IMPORT_SIZE)
    mapping: dict[str, Any]


def routes(runtime: Runtime) -> APIRouter:
    """Households, cuts and imports."""
    router = APIRouter()
    _household_routes(router, runtime)
    _import_routes(router, runtime)
    return router


def _must_see(caller: Caller, region: str) -> None:
    if not caller.sees(region):
        raise Forbidden("the household lies outside your regions", code="other-region", who="caller")


def _household_routes(router: APIRouter, runtime: Runtime) -> None:
    async def handle(conn: Any, commands: Any) -> Any:
        return await register(conn, commands, runtime.secrets)

    coalescer: Coalescer[Registration, Registered] = Coalescer(runtime, handle)

    @router.post("/households", status_code=201, tags=["households"])
    async def register_household(
        body: HouseholdBody, response: Response, caller: Annotated[Caller, permit("household:register")]
    ) -> dict[str, Any]:
        """Register a household. The same statement again answers 200 with the same id; other content is a conflict."""
        _must_see(caller, body.region)
        result = await coalescer.submit(Registration(body.to_domain(), caller.actor, caller.request_id))
        response.status_code = 201 if result.created else 200
        return {"household_id": result.household_id, "version": result.version}

    @router.get("/households/{household_id}", tags=["households"])
    async def read_household(household_id: str, caller: Annotated[Caller, permit("household:read")]) -> dict[str, Any]:
        """A household without identifiers and account."""
        async with runtime.db.connection() as conn:
            row = await queries.household(conn, id=household_id)
        if row is None or not caller.sees(row["region"]):
            raise unknown_household()
        return dict(row)

    @router.post("/households/find", tags=["households"])
    async def find_household(
        body: IdentifierBody, caller: Annotated[Caller, permit("household:read")]
    ) -> dict[str, str]:
        """Find by an identifier; it stands in the body so that no URL or log holds it."""
        async with runtime.db.connection() as conn:
            found = await queries.household_by_identifier(
                conn, scheme=body.scheme, token=runtime.secrets.token(body.scheme, body.value)
            )
            row = await queries.household(conn, id=found) if found else None
        if row is None or not caller.sees(row["region"]):
            raise unknown_household()
        return {"household_id": found}

    @router.put("/households/{household_id}", tags=["households"])
    async def put_household(
        household_id: str, body: ChangeBody, caller: Annotated[Caller, permit("household:change")]
    ) -> dict[str, Any]:
        """Change region or attributes; a new version."""
        async with runtime.unit_of_work() as unit:
            await _must_be_visible(unit.conn, household_id, caller)
            if body.region:
                _must_see(caller, body.region)
            version, drafts = await change_household(
                unit.conn, household_id, region=body.region, attributes=body.attributes,
                actor=caller.actor, cause=caller.request_id,
            )  # fmt: skip
            unit.emit(*drafts)
        return {"household_id": household_id, "version": version}

    @router.put("/households/{household_id}/payee", tags=["households"])
    async def put_payee(
        household_id: str, body: PayeeBody, caller: Annotated[Caller, permit("household:change")]
    ) -> dict[str, Any]:
        """Set the payee account; a new version of it."""
        async with runtime.unit_of_work() as unit:
            await _must_be_visible(unit.conn, household_id, caller)
            version, drafts = await change_payee(
                unit.conn, household_id, Payee(body.bank, body.number, body.holder), runtime.secrets,
                actor=caller.actor, cause=caller.request_id,
            )  # fmt: skip
            unit.emit(*drafts)
        return {"household_id": household_id, "version": version}

    @router.get("/counts", tags=["households"])
    async def counts(_caller: Annotated[Caller, permit("import:read")]) -> dict[str, int]:
        """How many households are registered."""
        async with runtime.db.connection() as conn:
            return {"households": await queries.count_households(conn)}

    @router.post("/cuts", status_code=201, tags=["cuts"])
    async def cut(body: CutBody, caller: Annotated[Caller, permit("cut:make")]) -> dict[str, Any]:
        """Close an intake. The same name again answers with the same cut."""
        async with runtime.unit_of_work() as unit:
            result, drafts = await make_cut(unit.conn, body.name, actor=caller.actor, cause=caller.request_id)
            unit.emit(*drafts)
        return result


async def _must_be_visible(conn: Any, household_id: str, caller: Caller) -> None:
    row = await queries.household(conn, id=household_id)
    if row is None or not caller.sees(row["region"]):
        raise unknown_household()


def _import_routes(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/imports", status_code=201, tags=["imports"])
    async def announce(body: ImportBody, caller: Annotated[Caller, permit("import:run")]) -> dict[str, str]:
        """Announce a file by its hash and mapping; the same file is the same import."""
        try:
            parse_mapping(body.mapping)
        except MappingInvalid as error:
            raise Invalid(str(error), code="mapping-invalid", who="author of the mapping") from None
        import_id = derived_id("import", body.sha256)
        async with runtime.db.transaction() as conn:
            await queries.insert_import(
                conn, import_id=import_id, sha256=body.sha256, name=body.name, size=body.size, mapping=body.mapping,
                actor=caller.actor,
            )  # fmt: skip
            row = await queries.import_by_hash(conn, sha256=body.sha256)
        if row["mapping"] != body.mapping:
            raise Conflict("this file was imported with another mapping", code="import-exists", who="registrar")
        return {"import_id": row["import_id"], "state": row["state"]}

    @router.put("/imports/{import_id}/content", status_code=202, tags=["imports"])
    async def content(
        import_id: str, request: Request, _caller: Annotated[Caller, permit("import:run")]
    ) -> dict[str, str]:
        """Send the file. It rests durably before this answers; its rows are taken in the background."""
        job = await _job(runtime, import_id)
        if job["state"] not in ("awaiting-content", "failed"):
            return {"import_id": import_id, "state": job["state"]}
        path = spool_path(runtime.settings.state_dir, import_id)
        digest = await _spool(path, request.stream(), job["size"])
        state, reason = "queued", None
        if digest != job["sha256"]:
            path.unlink(missing_ok=True)
            raise Invalid("the content is not the file announced (SHA-256 differs): send it again", code="hash-differs")
        async with runtime.db.transaction() as conn:
            await queries.set_import_state(conn, import_id=import_id, state=state, reason=reason)
        return {"import_id": import_id, "state": state}

    @router.get("/imports/{import_id}", tags=["imports"])
    async def status(import_id: str, _caller: Annotated[Caller, permit("import:read")]) -> dict[str, Any]:
        """How far an import is."""
        job = await _job(runtime, import_id)
        names = ("import_id", "name", "state", "reason", "households", "refused_rows", "warnings")
        return {**{name: job[name] for name in names}, "rows": job["next_row"] - 2}

    @router.get("/imports/{import_id}/report", tags=["imports"])
    async def report(import_id: str, _caller: Annotated[Caller, permit("import:read")]) -> StreamingResponse:
        """Every refused or doubtful row: file, row, column, severity, reason. Never a value."""
        job = await _job(runtime, import_id)
        return StreamingResponse(_report(runtime, import_id, job["name"]), media_type="text/csv")


async def _job(runtime: Runtime, import_id: str) -> Any:
    async with runtime.db.connection() as conn:
        job = await queries.import_by_id(conn, import_id=import_id)
    if job is None:
        raise NotFound("no import of that id: announce the file first", code="import-unknown", who="caller")
    return job


async def _spool(path: Path, chunks: AsyncIterator[bytes], size: int) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    received = 0
    partial = path.with_suffix(".part")
    with open(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123, ASYNC230
        async for chunk in chunks:
            received += len(chunk)
            if received > size:
                raise TooLarge(f"more than the {size} bytes announced: send the file announced", code="too-large")
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    return digest.hexdigest()


async def _report(runtime: Runtime, import_id: str, name: str) -> AsyncIterator[str]:
    yield "file,row,column,severity,reason\n"
    row, column, reason = 0, "", ""
    while True:
        async with runtime.db.connection() as conn:
            page = await queries.issues_after(
                conn, import_id=import_id, row=row, column=column, reason=reason, most=REPORT_PAGE
            )
        yield "".join(
            f"{_cell(name)},{i['row']},{_cell(i['column'])},{i['severity']},{_cell(i['reason'])}\n" for i in page
        )
        if len(page) < REPORT_PAGE:
            return
        row, column, reason = page[-1]["row"], page[-1]["column"], page[-1]["reason"]


def _cell(text: str) -> str:
    """A quoted CSV cell that no spreadsheet takes for a formula."""
    safe = "'" + text if text[:1] in "=+-@" else text
    return '"' + safe.replace('"', '""') + '"'

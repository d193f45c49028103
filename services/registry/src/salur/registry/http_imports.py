"""The registry's HTTP API: bulk imports."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from salur.common.contracts.base import Id
from salur.common.errors import Invalid
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.registry.bodies import MAX_IMPORT_SIZE, ImportBody
from salur.registry.domain.mapping import MappingInvalid, parse_mapping
from salur.registry.sheets import SheetInvalid
from salur.registry.spool import Incoming, spool_path
from salur.registry.store import queries
from salur.registry.usecases.announce import FIRST_ROW, accept, announce, unknown_import
from salur.registry.usecases.states import by_caller

REPORT_PAGE = 5_000
ABSENT_PAGE = 1_000
SENDER = "registrar"
"""Who must act on a row: whoever keeps the file mends it and sends it again."""
HASH_DIFFERS = "the content is not the file announced (SHA-256 differs): whoever sent it must send that file again"
WANTED = ("awaiting-content", "failed")
"""States in which content is taken."""
STATUS = (
    "import_id", "name", "state", "reason", "households", "changed", "unchanged", "absent", "refused_rows", "warnings",
)  # fmt: skip


def import_routes(runtime: Runtime) -> APIRouter:
    """Announce a file, send it, watch it, read what was refused."""
    router = APIRouter()
    _send(router, runtime)
    _watch(router, runtime)
    return router


def _send(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/imports", status_code=201, tags=["imports"])
    async def announce_file(
        body: ImportBody, response: Response, caller: Annotated[Caller, permit("import:run")]
    ) -> dict[str, str]:
        """Announce a file by its hash and mapping; the same file is the same import (200)."""
        try:
            parse_mapping(body.mapping, runtime.settings.banks)
        except MappingInvalid as error:
            raise Invalid(str(error), code="mapping-invalid", who="author of the mapping") from None
        async with runtime.db.transaction() as conn:
            import_id, state, new = await announce(
                conn, name=body.name, sha256=body.sha256, size=body.size, mapping=body.mapping, actor=caller.actor,
                regions=caller.regions,
            )  # fmt: skip
        response.status_code = 201 if new else 200
        return {"import_id": import_id, "state": state}

    @router.put("/imports/{import_id}/content", status_code=202, tags=["imports"], max_body_size=MAX_IMPORT_SIZE)
    async def content(
        import_id: Id, request: Request, caller: Annotated[Caller, permit("import:run")]
    ) -> dict[str, str]:
        """Send the file, CSV or XLSX. It rests durably before this answers; its rows are taken in the background."""
        job = await _job(runtime, import_id, caller)
        if job["state"] not in WANTED:
            async for _ in request.stream():
                pass  # a client that is cut off while it sends could not read the answer
            return {"import_id": import_id, "state": job["state"]}
        incoming = Incoming(spool_path(runtime.settings.state_dir, import_id))
        try:
            digest = await incoming.receive(request.stream(), job["size"])
            if digest != job["sha256"]:
                async with runtime.db.transaction() as conn:
                    await queries.refuse_content(conn, import_id=import_id, reason=HASH_DIFFERS)
                raise Invalid(HASH_DIFFERS, code="hash-differs", who="caller")
            try:
                await asyncio.to_thread(incoming.unpack)
            except SheetInvalid as error:
                async with runtime.db.transaction() as conn:
                    await queries.refuse_content(conn, import_id=import_id, reason=str(error))
                raise Invalid(str(error), code="sheet-invalid", who="sender of the file") from None
            # The lock keeps a second sender's content from coming between the file and its state.
            async with runtime.db.transaction() as conn:
                state = (await queries.lock_import(conn, import_id=import_id))["state"]
                if state in WANTED:
                    incoming.keep()
                    state = await queries.queue_import(conn, import_id=import_id)
        finally:
            incoming.discard()
        return {"import_id": import_id, "state": state}

    @router.post("/imports/{import_id}/acceptance", tags=["imports"])
    async def acceptance(import_id: Id, caller: Annotated[Caller, permit("import:accept")]) -> dict[str, str]:
        """Accept an update that another person has sent; its rows are taken from now on. Again is the same answer."""
        async with runtime.db.transaction() as conn:
            return {"import_id": import_id, "state": await accept(conn, import_id, by_caller(caller))}


def _watch(router: APIRouter, runtime: Runtime) -> None:
    @router.get("/imports/{import_id}", tags=["imports"])
    async def status(import_id: Id, caller: Annotated[Caller, permit("import:read")]) -> dict[str, Any]:
        """How far an import is. `rows` are the lines taken so far, refused ones included; `share` of the file's bytes.

        `households` are new. Of an update also: `changed`, `unchanged`, and at its end `absent`, the households of the
        same numbering that the file does not name.
        """
        job = await _job(runtime, import_id, caller)
        share = 1.0 if job["state"] == "done" else min(round(job["next_offset"] / job["size"], 4), 1.0)
        return {**{name: job[name] for name in STATUS}, "rows": job["next_row"] - FIRST_ROW, "share": share}

    @router.get("/imports/{import_id}/report", tags=["imports"])
    async def report(import_id: Id, caller: Annotated[Caller, permit("import:read")]) -> StreamingResponse:
        """Every refused or doubtful row: file, row, column, severity, reason. Never a value of the row."""
        job = await _job(runtime, import_id, caller)
        return StreamingResponse(_report(runtime, import_id, job["name"]), media_type="text/csv")

    @router.get("/imports/{import_id}/absent", tags=["imports"])
    async def absent(
        import_id: Id,
        caller: Annotated[Caller, permit("import:read")],
        after: Annotated[str, Query(max_length=64)] = "",
    ) -> dict[str, Any]:
        """Households an update's file does not name, in pages: a person finds out what became of them."""
        await _job(runtime, import_id, caller)
        async with runtime.db.connection() as conn:
            rows = await queries.absent_after(conn, import_id=import_id, after=after, most=ABSENT_PAGE)
        ids = [row["household_id"] for row in rows]
        return {"absent": ids, "next": ids[-1] if len(ids) == ABSENT_PAGE else None}


async def _job(runtime: Runtime, import_id: Id, caller: Caller) -> Any:
    async with runtime.db.connection() as conn:
        job = await queries.import_by_id(conn, import_id=import_id)
    # Who sees a part of the country only sees their own files: a report may speak of any region.
    if job is None or (caller.regions and job["actor"] != caller.actor):
        raise unknown_import()
    return job


async def _report(runtime: Runtime, import_id: str, name: str) -> AsyncIterator[str]:
    yield "file,row,column,severity,reason,who_must_act\n"
    row, column, reason = 0, "", ""
    while True:
        async with runtime.db.connection() as conn:
            page = await queries.issues_after(
                conn, import_id=import_id, row=row, column=column, reason=reason, most=REPORT_PAGE
            )
        yield "".join(
            f"{cell(name)},{i['row']},{cell(i['column'])},{i['severity']},{cell(i['reason'])},{SENDER}\n" for i in page
        )
        if len(page) < REPORT_PAGE:
            return
        row, column, reason = page[-1]["row"], page[-1]["column"], page[-1]["reason"]


def cell(text: str) -> str:
    """A quoted CSV cell that no spreadsheet takes for a formula."""
    safe = "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
    return '"' + safe.replace('"', '""') + '"'

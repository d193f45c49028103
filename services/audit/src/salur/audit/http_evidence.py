"""The audit's HTTP API for evidence to take away: bundles."""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from salur.audit.evidence.bundle import write_bundle
from salur.audit.evidence.select import Question, TooMuch, answers
from salur.audit.log.policy import Policy
from salur.audit.log.tiles import TileReader
from salur.audit.publisher import Publisher
from salur.audit.usecases.search import asked
from salur.common.errors import Conflict, Invalid, NotFound, TooLarge
from salur.common.http import Caller, permit
from salur.common.service import Runtime

About = Literal["payment", "beneficiary", "cycle", "actor", "period"]
Value = Annotated[str, Query(min_length=1, max_length=200, description="an id, an actor, or from/to of a period")]
AT_ONCE = 1
"""A bundle reads the log's files from end to end: one at a time, and nobody who writes the log waits for it."""


def evidence_routes(runtime: Runtime, publisher: Publisher, policy: Policy | None) -> APIRouter:
    """Bundles of the published log. They span regions, so the central auditors take them."""
    router = APIRouter(tags=["evidence"])
    turn = asyncio.Semaphore(AT_ONCE)

    @router.get("/bundles/{about}")
    async def bundle(
        about: About, value: Value, caller: Annotated[Caller, permit("trail:read", central=True)]
    ) -> Response:
        """Every entry that answers and what it rests on, each with its proof, the signed head, the policy and the
        verifier, as one ZIP. Who took it, for which question, is an event with the file's hash."""
        head = publisher.published()
        if head is None:
            raise Conflict("nothing is published yet: try again", code="not-published", who="caller", retry_after_s=10)
        text = policy.text if policy else None
        async with turn:
            content, entries = await asyncio.to_thread(_written, publisher.folder, head.size, about, value, text)
        query_id, draft = asked(caller, "bundle", {"about": about, "value": value}, entries, content or None)
        async with runtime.unit_of_work() as unit:
            unit.emit(draft)
        if not entries:
            raise NotFound("no published entry answers that", code="nothing-found", who="caller")
        name = f'attachment; filename="evidence-{about}-{query_id}.zip"'
        headers = {"salur-query": query_id, "content-disposition": name}
        return Response(content, media_type="application/zip", headers=headers)

    return router


def _written(folder: Path, size: int, about: str, value: str, policy: str | None) -> tuple[bytes, int]:
    """(the ZIP, its entries). Raises Invalid, TooLarge."""
    try:
        question = Question(about, value)
        indexes = answers(TileReader(folder, size), question)
    except TooMuch as error:
        raise TooLarge(str(error), code="bundle-too-large", who="caller") from None
    except ValueError as error:
        raise Invalid(str(error), code="question-invalid", who="caller") from None
    if not indexes:
        return b"", 0
    with tempfile.TemporaryDirectory(prefix="salur-bundle-") as work:
        written = write_bundle(folder, question, indexes, policy, Path(work) / "evidence.zip")
        return written.path.read_bytes(), written.entries

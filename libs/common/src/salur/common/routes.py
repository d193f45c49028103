"""Routes every service has: health, metrics, streams, dead letters, openings, documents."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import fastapi_offline
from fastapi import APIRouter, FastAPI, Query, Response
from fastapi.openapi.docs import get_swagger_ui_html
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from salur.common.contracts.activity import PersonalRead
from salur.common.contracts.base import Code, Id
from salur.common.database import Connection
from salur.common.errors import Unavailable
from salur.common.events.consumer import Handler
from salur.common.events.deadletters import replay_key
from salur.common.events.envelope import Draft
from salur.common.events.openings import no_such_value, open_value
from salur.common.events.seals import seal_streams
from salur.common.events.stream import queries
from salur.common.http import Caller, permit, public
from salur.common.openapi import openapi_document
from salur.common.telemetry import APPENDED, DEAD_LETTERS, UNPUBLISHED

if TYPE_CHECKING:
    from salur.common.service import Runtime

PAGE_MAX = 500
YAML = "application/yaml"
FIRST_ID = uuid.UUID(int=0)


class ReplayRequest(BaseModel):
    """Why a blocked key may go through now."""

    reason: str = Field(min_length=3, max_length=200)


class RegionOf(Protocol):
    """A service's query: the region of what an event's key stands for, None when it is known nowhere."""

    def __call__(self, conn: Connection, /, *, key: str) -> Awaitable[str | None]: ...


class OpeningRequest(BaseModel):
    """Which personal value of which event, for which purpose and reason, and for which case if there is one.

    Codes, because they stand in the trail, where a free text could hold what must not stand there.
    """

    stream: str = Field(min_length=3, max_length=100, pattern=r"^[a-z0-9.-]+/[0-9]+$")
    sequence: int = Field(ge=1, lt=2**62)
    field: str = Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.-]+$")
    purpose: Code
    reason: Code
    case_id: Id | None = None


def opening_routes(runtime: "Runtime", region_of: RegionOf) -> APIRouter:
    """Open a personal value of an event of this service, for those who may, in their regions, never unseen."""
    router = APIRouter()

    @router.post("/openings", tags=["personal values"])
    async def open_personal(body: OpeningRequest, caller: Annotated[Caller, permit("personal:open")]) -> dict[str, Any]:
        """One personal value of an event and its salt: with the log's entry they prove each other. That it was opened
        is an event in the same transaction."""
        async with runtime.unit_of_work() as unit:
            opened = await open_value(unit.conn, runtime.secrets, body.stream, body.sequence, body.field)
            region = opened.region or await region_of(unit.conn, key=opened.subject)
            if caller.regions and (region is None or not caller.sees(region)):
                raise no_such_value()
            fact = PersonalRead(subject=opened.subject, kind="event-field", **body.model_dump())
            topic = f"{runtime.name}.activity"
            unit.emit(Draft(fact, opened.subject, caller.actor, caller.request_id, topic=topic))
        return {
            "event_id": opened.event_id, "type": opened.type, "stream": body.stream, "sequence": body.sequence,
            "field": body.field, "commitment": opened.commitment, "value": opened.opening.value,
            "salt": opened.opening.salt.hex(),
        }  # fmt: skip

    return router


def common_routes(runtime: "Runtime", handlers: Mapping[str, Handler], is_ready: Callable[[], bool]) -> APIRouter:
    """Health, metrics, stream heads, sealing on demand, dead letters and their replay."""
    router = APIRouter()

    @router.get("/live", tags=["health"])
    async def live(_caller: Annotated[Caller, public()]) -> dict[str, str]:
        """The process runs."""
        return {"status": "live"}

    @router.get("/ready", tags=["health"])
    async def ready(_caller: Annotated[Caller, public()]) -> dict[str, str]:
        """The process takes work: database reachable, streams writable."""
        if not is_ready():
            raise Unavailable("starting or stopping: ask again", code="not-ready", retry_after_s=1)
        async with runtime.db.connection() as conn:
            if any(row["fenced"] for row in await queries.stream_heads(conn)):
                raise Unavailable(
                    f"read-only, behind what it published: run `python -m salur.{runtime.name} recover`",
                    code="behind-published-past",
                )
        return {"status": "ready"}

    @router.get("/metrics", tags=["health"])
    async def metrics(_caller: Annotated[Caller, public()]) -> Response:
        """Prometheus metrics; they name parts of the system, never people."""
        async with runtime.db.connection() as conn:
            rows = await queries.stream_heads(conn)
            DEAD_LETTERS.set(await queries.count_blocked(conn))
        APPENDED.set(sum(row["head"] for row in rows))
        UNPUBLISHED.set(sum(row["head"] - row["published"] for row in rows))
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @router.get("/streams", tags=["streams"])
    async def streams(_caller: Annotated[Caller, permit("streams:read")]) -> dict[str, Any]:
        """Head and published sequence of every stream of this service."""
        async with runtime.db.connection() as conn:
            rows = await queries.stream_heads(conn)
        return {"streams": [dict(row) for row in rows], "events": sum(row["head"] for row in rows)}

    @router.get("/marks", tags=["streams"])
    async def marks(_caller: Annotated[Caller, permit("streams:read")]) -> dict[str, Any]:
        """How far each consumer of this service has taken each stream; outside topics count by offset alone."""
        async with runtime.db.connection() as conn:
            rows = await queries.all_marks(conn)
        return {"marks": [dict(row) for row in rows]}

    @router.post("/streams/seal", tags=["streams"])
    async def seal(_caller: Annotated[Caller, permit("streams:seal")]) -> dict[str, int]:
        """Seal what grew since the last seal, now instead of within ten seconds."""
        async with runtime.db.transaction() as conn:
            return {"sealed": await seal_streams(conn, runtime.store)}

    @router.get("/dead-letters", tags=["dead letters"])
    async def dead_letters(
        _caller: Annotated[Caller, permit("dead-letter:read")],
        after: uuid.UUID = FIRST_ID,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """Events that could not be handled, by id; never their content."""
        async with runtime.db.connection() as conn:
            rows = await queries.dead_letters(conn, after=after, most=limit)
        return {"dead_letters": [dict(row) for row in rows]}

    @router.post("/dead-letters/{letter_id}/replay", tags=["dead letters"])
    async def replay(
        letter_id: uuid.UUID, body: ReplayRequest, caller: Annotated[Caller, permit("dead-letter:replay")]
    ) -> dict[str, int]:
        """Run the handler again over the letter's whole key, in sequence. All of it goes through, or nothing."""
        count = await replay_key(
            runtime.db,
            runtime.store,
            runtime.secrets,
            dict(handlers),
            letter_id,
            actor=caller.actor,
            reason=body.reason,
        )
        return {"replayed": count}

    return router


class DocsFile(StrEnum):
    """What the OpenAPI page loads: served from the package, so that the page opens where no internet is."""

    SCRIPT = "swagger-ui-bundle.js"
    STYLE = "swagger-ui.css"

    @property
    def media_type(self) -> str:
        """The file's media type."""
        return "text/css" if self is DocsFile.STYLE else "text/javascript"


def document_routes(app: FastAPI, asyncapi: str) -> APIRouter:
    """What the service offers, for people and machines: OpenAPI (document and page) and AsyncAPI."""
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    async def openapi(_caller: Annotated[Caller, public()]) -> dict[str, Any]:
        """The OpenAPI document of the HTTP API."""
        return openapi_document(app)

    @router.get("/docs")
    async def docs(_caller: Annotated[Caller, public()]) -> Response:
        """The OpenAPI document as a page."""
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url=f"docs/{DocsFile.SCRIPT}",
            swagger_css_url=f"docs/{DocsFile.STYLE}",
            swagger_favicon_url="data:,",
        )

    @router.get("/docs/{file}")
    async def docs_file(_caller: Annotated[Caller, public()], file: DocsFile) -> Response:
        """What the page loads."""
        content = (files(fastapi_offline) / "static" / file).read_bytes()
        return Response(content, media_type=file.media_type, headers={"cache-control": "max-age=86400"})

    @router.get("/asyncapi.yaml")
    async def asyncapi_yaml(_caller: Annotated[Caller, public()]) -> Response:
        """The AsyncAPI document: every message the service sends and receives on Kafka."""
        return Response(asyncapi, media_type=YAML)

    return router

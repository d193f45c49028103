"""The registry's HTTP API: lists from outside, and the evidence in them."""

import csv
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import StringConstraints, TypeAdapter, ValidationError

from salur.common.contracts.base import Id
from salur.common.contracts.feeds import FeedKind
from salur.common.errors import Invalid
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.registry.bodies import MAX_IMPORT_SIZE
from salur.registry.bodies_feeds import (
    RECORDS_MAX,
    FeedBody,
    MatchDecisionBody,
    RecordBody,
    RecordsBody,
    WhyBody,
)
from salur.registry.feed_lines import batches
from salur.registry.scope import scope_of
from salur.registry.store import queries
from salur.registry.usecases import feeds
from salur.registry.usecases.feeds import Feed
from salur.registry.usecases.states import by_caller

PAGE_MAX = 500
PROBLEMS_MAX = 1_000
Decider = Annotated[Caller, permit("feed:decide")]
State = Annotated[str, StringConstraints(pattern=r"^(open|confirmed|dismissed)$")]


ROWS = TypeAdapter(list[RecordBody])


def feed_routes(runtime: Runtime) -> APIRouter:
    """Announce a list, send its lines, decide on what they say."""
    router = APIRouter(tags=["feeds"])
    _send(router, runtime)
    _decide(router, runtime)
    return router


def _send(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/feeds", status_code=201)
    async def announce(
        body: FeedBody, response: Response, caller: Annotated[Caller, permit("feed:send")]
    ) -> dict[str, Any]:
        """Begin a list. The same edition of a source again answers 200 with the same list."""
        async with runtime.db.transaction() as conn:
            answer, new = await feeds.announce_feed(conn, Feed(**body.model_dump()), by_caller(caller))
        response.status_code = 201 if new else 200
        return answer

    async def take(feed_id: str, lines: list[RecordBody], caller: Caller) -> dict[str, Any]:
        records = [line.to_domain() for line in lines]
        async with runtime.unit_of_work() as unit:
            answer, drafts = await feeds.take_records(unit.conn, feed_id, records, by_caller(caller), runtime.secrets)
            unit.emit(*drafts)
        return answer

    @router.post("/feeds/{feed_id}/records")
    async def send_records(
        feed_id: Id, body: RecordsBody, caller: Annotated[Caller, permit("feed:send")]
    ) -> dict[str, Any]:
        """Send up to 5,000 lines. Lines sent again find the same matches."""
        return await take(feed_id, body.records, caller)

    @router.post("/feeds/{feed_id}/rows")
    async def send_rows(
        feed_id: Id, request: Request, caller: Annotated[Caller, permit("feed:send")]
    ) -> dict[str, Any]:
        """The same lines as CSV, with the fields of a line as its header; `value` is needed."""
        return await take(feed_id, read_rows(await request.body()), caller)

    @router.put("/feeds/{feed_id}/content", max_body_size=MAX_IMPORT_SIZE)
    async def send_content(
        feed_id: Id, request: Request, caller: Annotated[Caller, permit("feed:send")]
    ) -> dict[str, Any]:
        """A whole list as CSV, of up to 2 GiB: taken as it arrives, 2,000 lines a transaction.

        A line that cannot be is told by its number and stops no other. Sent again, it finds the same matches.
        """
        answer: dict[str, Any] = {"records": 0, "matches": 0, "new_matches": 0, "refused": 0, "problems": []}
        async for batch in batches(request.stream()):
            answer["refused"] += len(batch.problems)
            answer["problems"] += [asdict(p) for p in batch.problems[: PROBLEMS_MAX - len(answer["problems"])]]
            if not batch.records:
                continue
            async with runtime.unit_of_work() as unit:
                taken, drafts = await feeds.take_records(
                    unit.conn, feed_id, batch.records, by_caller(caller), runtime.secrets
                )
                unit.emit(*drafts)
            for name in ("records", "matches", "new_matches"):
                answer[name] += taken[name]
        return answer

    @router.get("/feeds")
    async def list_feeds(
        _caller: Annotated[Caller, permit("feed:send", central=True)],
        after: Annotated[str, Query(max_length=32)] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """Lists by id, with how many lines and matches they have."""
        async with runtime.db.connection() as conn:
            return {"feeds": [dict(row) for row in await queries.feeds_after(conn, after=after, most=limit)]}


def read_rows(content: bytes) -> list[RecordBody]:
    """CSV to lines; empty cells are left out. Raises Invalid, naming row and field, never a value."""
    try:
        rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines(), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Invalid(f"this is no CSV in UTF-8 ({type(error).__name__})", code="rows-invalid", who="caller") from None
    if not 1 <= len(rows) <= RECORDS_MAX:
        raise Invalid(f"1 to {RECORDS_MAX} rows a request: send the list in parts", code="rows-invalid", who="caller")
    try:
        return ROWS.validate_python([{key: cell for key, cell in row.items() if cell} for row in rows])
    except ValidationError as error:
        wrong = error.errors(include_input=False)[0]
        row, *field = wrong["loc"]
        name = str(field[0]) if field and field[0] in RecordBody.model_fields else "a column nobody knows"
        raise Invalid(
            f"row {int(row) + 2}, {name}: {wrong['type']}; nothing of this request was taken",
            code="rows-invalid",
            who="caller",
        ) from None


def _decide(router: APIRouter, runtime: Runtime) -> None:
    @router.get("/feed-matches")
    async def list_matches(
        caller: Annotated[Caller, permit("feed:decide")],
        after: Annotated[str, Query(max_length=32)] = "",
        state: State | None = None,
        kind: FeedKind | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """Evidence in the caller's regions, by id; not what it says."""
        async with runtime.db.connection() as conn:
            rows = await queries.matches_after(
                conn, after=after, state=state, kind=kind, most=limit, **scope_of(caller)
            )
        return {"matches": [dict(row) for row in rows]}

    @router.post("/feed-matches/{match_id}/read")
    async def read_match(match_id: Id, body: WhyBody, caller: Decider) -> dict[str, Any]:
        """What the list says, in clear. Reading it is an event that names who and why."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await feeds.read_match(
                unit.conn, match_id, body.reason, by_caller(caller), runtime.secrets
            )
            unit.emit(*drafts)
        return answer

    @router.post("/feed-matches/{match_id}/decide")
    async def decide_match(match_id: Id, body: MatchDecisionBody, caller: Decider) -> dict[str, Any]:
        """Confirm or dismiss; another person than who sent the list."""
        async with runtime.unit_of_work() as unit:
            answer, drafts = await feeds.decide_match(
                unit.conn, match_id, body.outcome, body.reason, by_caller(caller), runtime.secrets
            )
            unit.emit(*drafts)
        return answer

"""The audit's HTTP API: read-only but for publishing now."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from salur.audit import store
from salur.audit.compare import compare_rows
from salur.audit.flags.rules import load_rules
from salur.audit.log.note import Checkpoint, Note
from salur.audit.log.policy import Policy
from salur.audit.log.proof import Receipt
from salur.audit.log.tiles import TileReader
from salur.audit.log.tree import consistency_proof, inclusion_proof
from salur.audit.publisher import Publisher
from salur.audit.search.question import Question
from salur.audit.usecases.search import asked, find
from salur.common.errors import Conflict, Invalid, NotFound
from salur.common.http import Caller, permit, public
from salur.common.service import Runtime

EventId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
TilePath = Annotated[str, Path(pattern=r"^tile/[0-9]{1,2}(/x?[0-9]{3}){1,6}(\.p/[0-9]{1,3})?$")]
BundlePath = Annotated[str, Path(pattern=r"^(x?[0-9]{3}/){0,5}[0-9]{3}(\.p/[0-9]{1,3})?$")]
SEAL_OVERDUE_S = 60.0
"""A fact older than this that no seal of its service covers is an alarm."""
MOST_EQUIVOCATIONS = 100
IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}
PRIVATE = {"cache-control": "no-store"}
"""Entries are for whoever was let in: no cache between hands them on."""


def routes(runtime: Runtime, publisher: Publisher, policy: Policy | None) -> APIRouter:
    """Size, proofs, receipts, completeness, and the log's files."""
    router = APIRouter()
    _proof_routes(router, runtime, publisher, [rule.rule for rule in load_rules()])
    _witness_routes(router, runtime, publisher, policy)
    _file_routes(router, runtime, publisher)
    return router


def _head(publisher: Publisher) -> Checkpoint:
    head = publisher.published()
    if head is None:
        raise Conflict("nothing is published yet: try again", code="not-published", who="caller", retry_after_s=10)
    return head


def _proof_routes(router: APIRouter, runtime: Runtime, publisher: Publisher, rules: Sequence[str]) -> None:
    @router.get("/log", tags=["log"])
    async def log(_caller: Annotated[Caller, permit("log:read")]) -> dict[str, Any]:
        """Entries committed, integrated into tiles, covered by the published checkpoint; found by search (`indexed`)
        and read by every rule for red flags (`checked`). When all are equal the log rests."""
        async with runtime.db.connection() as conn:
            row = await store.queries.log_progress(conn, rules=rules)
        head = publisher.published()
        return {**dict(row), "integrated": publisher.integrated, "published": head.size if head else 0}

    @router.post("/log/publish", tags=["log"])
    async def publish(_caller: Annotated[Caller, permit("log:publish")]) -> dict[str, Any]:
        """Integrate and sign everything committed, now."""
        head = await publisher.publish_all()
        return {"published": head.size if head else 0, "root": head.root.hex() if head else ""}

    @router.post("/log/compare", tags=["log"])
    async def compare(_caller: Annotated[Caller, permit("log:publish")]) -> dict[str, Any]:
        """Compare every row of the database with the published entries."""
        return asdict(await compare_rows(runtime.db, publisher.folder, publisher.keys.verifiers))

    @router.get("/entries/{event_id}", tags=["log"])
    async def entry(event_id: EventId, caller: Annotated[Caller, permit("entry:read")]) -> dict[str, Any]:
        """Where an event stands in the log. Callers with regions find what search shows them."""
        row = await _entry(runtime, event_id, caller, "entry")
        return {name: value for name, value in row.items() if name != "leaf"}

    @router.get("/receipts/{event_id}", tags=["proofs"])
    async def receipt(event_id: EventId, caller: Annotated[Caller, permit("entry:read")]) -> Response:
        """A `.tlog-proof` of one event: checked offline with the file and the log's key. Callers with regions find
        what search shows them."""
        row = await _entry(runtime, event_id, caller, "receipt")
        head = _head(publisher)
        if row["leaf_index"] >= head.size:
            raise Conflict("the entry is not published yet: try again", code="not-published", retry_after_s=10)
        reader = TileReader(publisher.folder, head.size)
        hashes = tuple(inclusion_proof(row["leaf_index"], head.size, reader.hash_at))
        note = publisher.note()
        return Response(Receipt(row["leaf"], row["leaf_index"], hashes, note).text(), media_type="text/plain")

    @router.get("/proofs/inclusion", tags=["proofs"])
    async def inclusion(
        index: Annotated[int, Query(ge=0)], size: Annotated[int, Query(ge=1)], _caller: Annotated[Caller, public()]
    ) -> dict[str, Any]:
        """Inclusion proof (RFC 9162 §2.1.3) in a published tree size."""
        reader = _reader(publisher, size)
        if index >= size:
            raise Invalid(f"index {index} is outside a tree of size {size}", code="index-outside", who="caller")
        return {"hashes": [item.hex() for item in inclusion_proof(index, size, reader.hash_at)]}

    @router.get("/proofs/consistency", tags=["proofs"])
    async def consistency(
        first: Annotated[int, Query(ge=1)], second: Annotated[int, Query(ge=1)], _caller: Annotated[Caller, public()]
    ) -> dict[str, Any]:
        """Consistency proof (RFC 9162 §2.1.4) between two published sizes."""
        reader = _reader(publisher, second)
        if first > second:
            raise Invalid("first must not be larger than second", code="sizes-reversed", who="caller")
        return {"hashes": [item.hex() for item in consistency_proof(first, second, reader.hash_at)]}

    @router.get("/completeness", tags=["log"])
    async def completeness(_caller: Annotated[Caller, permit("log:read")]) -> dict[str, Any]:
        """Per stream: how far the log has it without a gap, and how far its service says it has grown."""
        async with runtime.db.connection() as conn:
            rows = await store.queries.completeness(conn, consumer=store.EVENTS_CONSUMER)
            overdue = await store.queries.overdue_seals(conn, consumer=store.EVENTS_CONSUMER, age_s=SEAL_OVERDUE_S)
            stories = await store.queries.equivocations(conn, most=MOST_EQUIVOCATIONS)
        unsealed = {row["stream"]: row["event_time"] for row in overdue}
        streams = [
            {
                "stream": row["stream"],
                "expected_next": row["taken"] + 1,
                "sealed": row["sealed"],
                "missing": max(0, row["sealed"] - row["taken"]),
                "missing_since": row["missing_since"],
                "missing_age_s": None if row["missing_age_s"] is None else round(row["missing_age_s"], 1),
                "seals_different": row["different"],
                "last_seal": row["claimed_at"],
                "unsealed_since": unsealed.get(row["stream"]),
                "who_must_act": row["stream"].partition(".")[0],
            }
            for row in rows
        ]
        gaps = sum(1 for item in streams if item["missing"] or item["seals_different"])
        return {"streams": streams, "gaps": gaps, "equivocations": [dict(row) for row in stories]}


async def _entry(runtime: Runtime, event_id: str, caller: Caller, kind: str) -> dict[str, Any]:
    """The entry; that it was asked for is an event, found or not. Raises NotFound, also outside the regions."""
    async with runtime.unit_of_work() as unit:
        row = await store.queries.entry_by_event(unit.conn, event_id=event_id)
        if row is not None and caller.regions:
            seen = await find(unit.conn, caller, Question(event=event_id), -1, 1)
            row = row if [entry["leaf_index"] for entry in seen] == [row["leaf_index"]] else None
        unit.emit(asked(caller, kind, {"event": event_id}, int(row is not None))[1])
    if row is None:
        raise NotFound("no entry of that event id in the log", code="entry-unknown", who="caller")
    return dict(row)


def _reader(publisher: Publisher, size: int) -> TileReader:
    head = _head(publisher)
    if size > head.size:
        raise Invalid(f"size {size} is not published: the newest is {head.size}", code="size-outside", who="caller")
    # Partial tiles of older sizes may be gone; every complete subtree of an older size stands in the newest tree too.
    return TileReader(publisher.folder, head.size)


def _witness_routes(router: APIRouter, runtime: Runtime, publisher: Publisher, policy: Policy | None) -> None:
    @router.get("/log/witnesses", tags=["witnesses"])
    async def witnesses(_caller: Annotated[Caller, permit("log:read")]) -> dict[str, Any]:
        """Whether enough witnesses have cosigned the published head, and how far each has followed the log."""
        head = _head(publisher)
        if policy is None:
            return {"published": head.size, "quorum": None, "rule": None, "witnesses": []}
        async with runtime.db.connection() as conn:
            rows = {row["witness"]: row for row in await store.queries.cosigned_sizes(conn)}
        note = Note.parse(publisher.note())
        signed = policy.cosigners(note)
        return {
            "published": head.size,
            "quorum": policy.is_met(note),
            "rule": policy.quorum,
            "witnesses": [
                {
                    "name": witness.name,
                    "key": str(witness.key),
                    "cosigned_published": witness.name in signed,
                    "last_size": rows[witness.name]["size"] if witness.name in rows else 0,
                    "last_at": rows[witness.name]["taken_at"] if witness.name in rows else None,
                }
                for witness in policy.witnesses
            ],
        }

    @router.get("/log/policy", tags=["witnesses"])
    async def policy_text(_caller: Annotated[Caller, public()]) -> Response:
        """The policy this log works by (C2SP tlog-policy). Take the one you verify with from the witnesses, not from
        here."""
        if policy is None:
            raise NotFound("this log has no witnesses", code="policy-none", who="caller")
        return Response(policy.text, media_type="text/plain")


def _file_routes(router: APIRouter, runtime: Runtime, publisher: Publisher) -> None:
    @router.get("/log/checkpoint", tags=["files"])
    async def checkpoint(_caller: Annotated[Caller, public()]) -> Response:
        """The newest signed tree head (C2SP tlog-checkpoint)."""
        _head(publisher)
        text = publisher.note()
        return Response(text, media_type="text/plain", headers={"cache-control": "no-cache"})

    @router.get("/log/completeness", tags=["files"])
    async def statement(_caller: Annotated[Caller, permit("log:read")]) -> Response:
        """Signed: which streams the published tree holds, each up to which sequence, and whether without a gap."""
        return Response(await publisher.completeness(), media_type="text/plain")

    @router.get("/log/keys", tags=["files"])
    async def keys(_caller: Annotated[Caller, public()]) -> Response:
        """Every verifier key of the log, the newest first, one a line; behind an empty line the handovers."""
        lines = "".join(f"{key}\n" for key in publisher.keys.verifiers)
        return Response(f"{lines}\n{publisher.keys.handovers}", media_type="text/plain")

    # Before the tiles of hashes, whose path would take it too.
    @router.get("/log/tile/entries/{path:path}", tags=["files"])
    async def bundle(path: BundlePath, caller: Annotated[Caller, permit("entry:read", central=True)]) -> Response:
        """An entry bundle (C2SP tlog-tiles): 256 whole entries of every region. That it was read is an event."""
        file = publisher.folder / "tile" / "entries" / path
        content = file.read_bytes() if file.is_file() else None
        async with runtime.unit_of_work() as unit:
            unit.emit(asked(caller, "entry-bundle", {"path": path}, int(content is not None))[1])
        if content is None:
            raise NotFound("no such entry bundle", code="tile-unknown", who="caller")
        return Response(content, media_type="application/octet-stream", headers=PRIVATE)

    @router.get("/log/{path:path}", tags=["files"])
    async def tile(path: TilePath, _caller: Annotated[Caller, permit("log:read")]) -> Response:
        """A tile of hashes (C2SP tlog-tiles)."""
        file = publisher.folder / path
        if not file.is_file():
            raise NotFound("no such tile", code="tile-unknown", who="caller")
        return Response(file.read_bytes(), media_type="application/octet-stream", headers=IMMUTABLE)

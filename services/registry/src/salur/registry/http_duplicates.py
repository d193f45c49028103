"""The registry's HTTP API: records that may be one person, and accounts that many families share."""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query

from salur.common.contracts.base import Id
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.registry.bodies import Body, Text
from salur.registry.bodies_changes import MergeProposal
from salur.registry.scope import scope_of
from salur.registry.store import queries
from salur.registry.usecases.duplicates import both_families, dismiss
from salur.registry.usecases.proposals import propose
from salur.registry.usecases.states import by_caller

PAGE_MAX = 500
FIRST_SCORE = 2.0
"""Above every score: where the first page begins."""
PERSONS = ("first", "second")


class DismissBody(Body):
    """Why two records are two people."""

    reason: Text


class MergePairBody(DismissBody):
    """Why two records are one person, and which of both stays."""

    keep: Literal["first", "second"] = "first"


def duplicate_routes(runtime: Runtime) -> APIRouter:
    """Pairs with their evidence, what a person decides on them, shared accounts."""
    router = APIRouter(tags=["duplicates"])
    _read(router, runtime)
    _decide(router, runtime)
    return router


def _read(router: APIRouter, runtime: Runtime) -> None:
    @router.get("/duplicates")
    async def list_pairs(
        caller: Annotated[Caller, permit("change:read")],
        state: Literal["open", "merged", "dismissed"] = "open",
        score: Annotated[float, Query(ge=0, le=FIRST_SCORE, allow_inf_nan=False)] = FIRST_SCORE,
        after: Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$")] = "",
        most: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, Any]:
        """Pairs in one state, the surest first. For the next page give `score` and `after` of the last pair."""
        async with runtime.db.connection() as conn:
            rows = await queries.pairs_after(
                conn, state=state, score=score, after=after, most=most, **scope_of(caller)
            )  # fmt: skip
        return {"pairs": [_shown(row) for row in rows]}

    @router.get("/duplicates/progress")
    async def progress(_caller: Annotated[Caller, permit("change:read")]) -> dict[str, int]:
        """How far matching is: people indexed, people who wait to be compared, events not looked at yet, open pairs."""
        async with runtime.db.connection() as conn:
            return {name: value or 0 for name, value in dict(await queries.match_progress(conn)).items()}

    @router.get("/shared-accounts")
    async def shared_accounts(
        caller: Annotated[Caller, permit("change:read")],
        families: Annotated[int, Query(ge=1, le=1_000)] = 2,
        most: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, list[dict[str, Any]]]:
        """Accounts that serve more than so many families of the caller's regions, the most shared first."""
        async with runtime.db.connection() as conn:
            rows = await queries.shared_accounts(conn, families=families, most=most, **scope_of(caller))
        return {"accounts": [dict(row) for row in rows]}


def _shown(row: Any) -> dict[str, Any]:
    people = {
        name: {key: row[f"{name}_{key}"] for key in ("household_id", "region")} | {"member_id": row[f"{name}_id"]}
        for name in PERSONS
    }
    evidence = [{"field": field, "finding": finding, "bits": bits} for field, finding, bits in row["evidence"]]
    names = ("pair_id", "score", "verdict", "state", "found_at", "decided_by", "reason")
    return {name: row[name] for name in names} | people | {"evidence": evidence}


def _decide(router: APIRouter, runtime: Runtime) -> None:
    @router.post("/duplicates/{pair_id}/dismiss")
    async def dismiss_pair(
        pair_id: Id, body: DismissBody, caller: Annotated[Caller, permit("change:decide")]
    ) -> dict[str, str]:
        """These are two people: the pair is not shown again."""
        async with runtime.unit_of_work() as unit:
            unit.emit(*await dismiss(unit.conn, pair_id, body.reason, by_caller(caller)))
        return {"pair_id": pair_id, "state": "dismissed"}

    @router.post("/duplicates/{pair_id}/merge", status_code=201)
    async def merge_pair(
        pair_id: Id, body: MergePairBody, caller: Annotated[Caller, permit("change:propose")]
    ) -> dict[str, Any]:
        """Propose that both are one person, with every other open pair of their two families; another person accepts.

        When nobody else is left in the family that would be absorbed, the families are merged, else the members.
        """
        by = by_caller(caller)
        async with runtime.unit_of_work() as unit:
            both = await both_families(unit.conn, pair_id, body.keep, by)
            proposal = MergeProposal(
                kind="merge", household_id=both.absorbed_id, into=both.survivor_id, same=dict(both.same),
                whole=both.whole, reason=body.reason,
            )  # fmt: skip
            content = orjson.dumps(proposal.model_dump(mode="json"))
            change_id, drafts = await propose(
                unit.conn, "merge", both.absorbed_id, body.reason, content, by, runtime.secrets
            )
            unit.emit(*drafts)
        return {"change_id": change_id, "state": "open", "whole": both.whole, "same": both.same}

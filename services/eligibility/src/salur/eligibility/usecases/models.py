"""Propose and publish scoring models: two different people."""

from typing import Any

from salur.common.contracts.eligibility import ScoreModelProposed, ScoreModelPublished
from salur.common.database import Connection
from salur.common.events import Draft
from salur.eligibility import errors
from salur.eligibility.domain.checking import ProgrammeInvalid
from salur.eligibility.domain.scoring import CompiledModel, compile_model
from salur.eligibility.store import queries


async def propose_model(conn: Connection, text: str, *, actor: str, cause: str) -> tuple[CompiledModel, list[Draft]]:
    """Check a version and keep it until another person publishes it. The same text again changes nothing.

    Raises Invalid.
    """
    try:
        model = compile_model(text)
    except ProgrammeInvalid as error:
        raise errors.programme_invalid(str(error)) from None
    document = model.document
    inserted = await queries.insert_model(
        conn, model_id=document.id, version=model.version, rules=text, name=document.name.model_dump(), actor=actor
    )
    if inserted is None:
        return model, []
    fact = ScoreModelProposed(model_id=document.id, version=model.version, name=document.name.model_dump())
    return model, [Draft(fact, document.id, actor, cause)]


async def publish_model(
    conn: Connection, model_id: str, version: str, *, people: frozenset[str], actor: str, cause: str
) -> list[Draft]:
    """Let programmes use a proposed version. Raises NotFound; Forbidden to who proposed it."""
    row = await queries.lock_model(conn, model_id=model_id, version=version)
    if row is None:
        raise errors.proposal_unknown()
    if row["published_by"] is not None:
        return []
    if row["proposed_by"] in people:
        raise errors.same_person("proposed this scoring model")
    await queries.publish_model(conn, model_id=model_id, version=version, actor=actor)
    fact = ScoreModelPublished(
        model_id=model_id, version=version, name=row["name"], rules=row["rules"], proposed_by=row["proposed_by"]
    )
    return [Draft(fact, model_id, actor, cause)]


async def models_view(conn: Connection) -> dict[str, Any]:
    """Every version of every scoring model, without its rules."""
    return {"models": [dict(row) for row in await queries.models(conn)]}

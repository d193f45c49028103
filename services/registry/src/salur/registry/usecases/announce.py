"""Announce a file: one import per content, whoever sends it and however often. Accept what another person sent."""

from collections.abc import Sequence
from typing import Any

from salur.common.database import Connection
from salur.common.errors import Conflict, Forbidden, NotFound
from salur.common.values import derived_id
from salur.registry.domain.rights import covers
from salur.registry.store import queries
from salur.registry.usecases.states import By

FIRST_ROW = 2
"""Line of the first row: the header is line 1."""


async def announce(
    conn: Connection, *, name: str, sha256: str, size: int, mapping: dict[str, Any], actor: str, regions: Sequence[str]
) -> tuple[str, str, bool]:
    """(import id, state, whether it is new). A failed import of the same file may be sent again.

    With another mapping only as long as no row of it was taken. Raises Conflict.
    """
    import_id = derived_id("import", sha256)
    given = {"name": name, "size": size, "mapping": mapping, "actor": actor, "regions": list(regions)}
    if await queries.insert_import(conn, import_id=import_id, sha256=sha256, **given) is not None:
        return import_id, "awaiting-content", True
    row = await queries.lock_import(conn, import_id=import_id)
    same = row["mapping"] == mapping
    if row["state"] in ("awaiting-content", "failed") and (same or row["next_row"] == FIRST_ROW):
        await queries.restart_import(conn, import_id=import_id, **given)
        return import_id, "awaiting-content", False
    if not same:
        raise Conflict(
            "this file was imported with another mapping: what it registered can be changed, not imported again",
            code="import-exists",
            who="registrar",
        )
    return import_id, row["state"], False


def unknown_import() -> NotFound:
    """The same answer whether it does not exist or is not the caller's to see."""
    return NotFound("no import of that id: announce the file first", code="import-unknown", who="caller")


async def accept(conn: Connection, import_id: str, by: By) -> str:
    """Let an update's rows be taken; returns the state. Raises NotFound, Forbidden for its own sender, Conflict."""
    row = await queries.lock_import(conn, import_id=import_id)
    if row is None or not covers(by.regions, row["regions"]):
        raise unknown_import()
    if row["actor"] in by.people:
        raise Forbidden(
            "you sent this file yourself: another person must accept it", code="same-person", who="another registrar"
        )
    if row["state"] in ("awaiting-content", "failed"):
        raise Conflict("the file has not arrived: whoever announced it must send it", code="no-content", who="sender")
    if row["state"] != "awaiting-acceptance":
        return str(row["state"])
    await queries.accept_import(conn, import_id=import_id, actor=by.actor)
    return "queued"

"""The ledger made again beside search: each movement of money with the entry that announced it."""

from collections.abc import Sequence
from typing import Any

import orjson

from salur.audit import store
from salur.audit.domain.ledger import Movement, Unreadable, earlier_movements, movements
from salur.common.database import Connection
from salur.common.logs import get_logger

log = get_logger("ledger")


async def keep_movements(conn: Connection, entries: Sequence[tuple[int, Any]]) -> None:
    """(leaf index, row) of events that may move money, in the log's order. What none can read moves nothing, audibly:
    the ledger of the payments service then differs from it."""
    if not entries:
        return
    facts = [(leaf_index, row["type"], _data(row["leaf"])) for leaf_index, row in entries]
    asked = sorted({name for _, type_, data in facts for name in earlier_movements(type_, data)})
    known = {row["id"] for row in await store.queries.movements_known(conn, ids=asked)}
    rows: list[tuple[int, Movement]] = []
    unreadable: list[int] = []
    for leaf_index, type_, data in facts:
        try:
            made = movements(type_, data, known)
        except Unreadable:
            unreadable.append(leaf_index)
            continue
        known.update(movement.id for movement in made)
        rows += [(leaf_index, movement) for movement in made]
    if unreadable:
        log.error(
            "ledger-unreadable",
            entries=len(unreadable),
            first=unreadable[0],
            remedy="auditors must look at the entries",
        )
    await store.queries.save_movements(
        conn, leaves=[leaf_index for leaf_index, _ in rows], ids=[movement.id for _, movement in rows],
        debits=[movement.debit for _, movement in rows], credits=[movement.credit for _, movement in rows],
        amounts=[movement.amount_minor for _, movement in rows],
        currencies=[movement.currency for _, movement in rows],
    )  # fmt: skip


def _data(leaf: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(leaf)
    except orjson.JSONDecodeError:
        return {}
    data = document.get("data") if isinstance(document, dict) else None
    return data if isinstance(data, dict) else {}

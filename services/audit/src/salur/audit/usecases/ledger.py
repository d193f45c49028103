"""The ledger again from the log: its accounts, what moved each, and whether the payments service's is the same."""

from collections.abc import Mapping
from typing import Any

from salur.audit import store
from salur.audit.domain.ledger import differences
from salur.common.database import Connection


async def recomputed(conn: Connection) -> dict[str, Any]:
    """Accounts and hash by the entries that search knows."""
    indexed = await store.queries.search_lag(conn)
    accounts = [dict(row) for row in await store.queries.recomputed_accounts(conn)]
    return {
        "indexed": indexed["indexed"],
        "waiting": indexed["entries"],
        "accounts": accounts,
        "moved_hash": await store.queries.recomputed_hash(conn),
    }


async def compared(conn: Connection, stated: Mapping[str, int], moved_hash: str) -> dict[str, Any]:
    """Whether a ledger's balances and movements are those the log leads to, and which accounts differ."""
    view = await recomputed(conn)
    by_log = {row["account"]: row["posted_minor"] for row in view["accounts"]}
    return {
        "indexed": view["indexed"],
        "waiting": view["waiting"],
        "equal": view["moved_hash"] == moved_hash and not differences(by_log, stated),
        "moved_hash": view["moved_hash"],
        "differences": [
            {"account": account, "by_log_minor": ours, "stated_minor": theirs}
            for account, (ours, theirs) in differences(by_log, stated).items()
        ],
    }


async def movements_of(conn: Connection, account: str, after: int, after_id: str, most: int) -> list[dict[str, Any]]:
    """What moved an account, by the log's order, each with its entry."""
    rows = await store.queries.movements_of(conn, account=account, after=after, after_id=after_id, most=most)
    return [dict(row) for row in rows]

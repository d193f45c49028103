"""Posting and reading. The rules stand in the SQL function `ledger_apply`; this module gives them shape."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from salur.common.database import Connection, load_queries
from salur.payments.ledger.accounts import Account

queries = load_queries(Path(__file__).parent / "sql")

BATCH_MAX = 5_000
HASH_PAGE = 10_000

Result = Literal[
    "created",
    "exists",
    "exists-with-different-input",
    "repeated-in-batch",
    "insufficient",
    "already-posted",
    "already-voided",
    "expired",
    "not-expired-yet",
    "pending-not-found",
    "account-unknown",
    "currency-differs",
    "amount-invalid",
]
"""What became of a move. Only `created` changed anything."""


class LedgerRefused(Exception):
    """A posting that must succeed was refused: the state of payments and the ledger differ."""

    def __init__(self, message: str, result: str = "") -> None:
        super().__init__(message)
        self.result = result


@dataclass(frozen=True, slots=True)
class Move:
    """One row of a batch. `post`, `void` and `expire` resolve the reserve in `pending_id`: its accounts, its amount."""

    id: str
    kind: Literal["transfer", "reserve", "post", "void", "expire"]
    pending_id: str | None = None
    debit: str | None = None
    credit: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    expires_at: datetime | None = None
    """Of a reserve: from when on `expire` may free it."""


async def open_accounts(conn: Connection, accounts: Sequence[Account]) -> None:
    """Open accounts that are not open yet."""
    accounts = sorted(accounts, key=lambda account: account.id)
    await queries.open_accounts(
        conn,
        ids=[account.id for account in accounts],
        kinds=[account.kind for account in accounts],
        currencies=[account.currency for account in accounts],
        floored=[account.floored for account in accounts],
    )


async def apply(conn: Connection, moves: Sequence[Move]) -> list[Result]:
    """Apply at most 5,000 moves in one statement; one result per move, in order.

    Raises ValueError for a larger batch: the caller must page.
    """
    if len(moves) > BATCH_MAX:
        raise ValueError(f"{len(moves)} moves in one batch, the limit is {BATCH_MAX}: page them")
    if not moves:
        return []
    rows = await queries.apply(
        conn,
        ids=[move.id for move in moves],
        kinds=[move.kind for move in moves],
        pendings=[move.pending_id for move in moves],
        debits=[move.debit for move in moves],
        credits=[move.credit for move in moves],
        amounts=[move.amount_minor for move in moves],
        currencies=[move.currency for move in moves],
        expiries=[move.expires_at for move in moves],
    )
    return [row["result"] for row in rows]


async def apply_all(conn: Connection, moves: Sequence[Move]) -> None:
    """Apply moves that must succeed now or have succeeded before. Raises LedgerRefused naming the first other."""
    results = await apply(conn, moves)
    for move, result in zip(moves, results, strict=True):
        if result not in ("created", "exists"):
            raise LedgerRefused(
                f"{move.kind} {move.id} was refused: {result}; operations must compare the two books", result
            )


async def apply_pages(conn: Connection, moves: Sequence[Move]) -> None:
    """`apply_all` for any number of moves, page by page in the same transaction."""
    for start in range(0, len(moves), BATCH_MAX):
        await apply_all(conn, moves[start : start + BATCH_MAX])


async def account_of(conn: Connection, account_id: str) -> tuple[int, int]:
    """(posted_minor, reserved_minor) of an account; zeros when it is not open."""
    row = await queries.account_by_id(conn, id=account_id)
    return (row["posted_minor"], row["reserved_minor"]) if row else (0, 0)


async def statement(conn: Connection, account_id: str, until: datetime | None) -> dict[str, Any]:
    """An account's movements by kind up to a moment (None: now), and the balances they add up to.

    Read from the transfers alone. `equals_ledger` compares with the kept balance, when it is asked for now.
    """
    lines = [dict(row) for row in await queries.statement(conn, id=account_id, until=until)]
    posted = sum(line["posted_minor"] for line in lines)
    reserved = sum(line["reserved_minor"] for line in lines)
    known = await account_of(conn, account_id)
    return {
        "account": account_id, "until": until, "lines": lines, "posted_minor": posted, "reserved_minor": reserved,
        "available_minor": posted - reserved, "equals_ledger": (posted, reserved) == known if until is None else None,
    }  # fmt: skip


async def ledger_hash(conn: Connection) -> str:
    """SHA-256 (hex) over final balances and all transfers in order of id, without times.

    Two ledgers that hold the same facts have the same hash, whatever the order or day they were written.
    """
    digest = hashlib.sha256()
    for row in await queries.accounts(conn):
        digest.update(
            f"account|{row['account']}|{row['currency']}|{row['posted_minor']}|{row['reserved_minor']}\n".encode()
        )
    after = ""
    while rows := await queries.transfer_lines(conn, after=after, most=HASH_PAGE):
        digest.update("".join(f"{row['line']}\n" for row in rows).encode())
        after = rows[-1]["id"]
    return digest.hexdigest()


async def moved_hash(conn: Connection) -> str:
    """SHA-256 (hex) over the hashes of all movements of money in order of id: the trail alone must lead to the same."""
    return str(await queries.moved_hash(conn))


async def overview(conn: Connection) -> dict[str, Any]:
    """Balances, sums per currency (all zero in a true ledger) and accounts that differ from their entries (none)."""
    sums = {row["currency"]: row["sum_minor"] for row in await queries.sums(conn)}
    return {
        "sum_minor": sum(abs(value) for value in sums.values()),
        "sums_minor": sums,
        "differing_accounts": [row["id"] for row in await queries.differing_accounts(conn)],
        "accounts": [dict(row) for row in await queries.accounts(conn)],
    }

"""`python -m salur.local.ledger_bench`: transfers a second from one hot fund, set-based beside a one-by-one loop.

On a PostgreSQL of its own with all durability on. Every transfer is judged by the same function with every check
(idempotency, both accounts, floor); both loops end in the same invariants or no figure is told.
"""

import asyncio
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import asyncpg
import orjson
import typer

from salur.common.database import SERVER_SETTINGS, migrate
from salur.local.ports import free_ports
from salur.local.postgres import Postgres
from salur.payments import ledger
from salur.payments import main as payments_main
from salur.payments.ledger import Move

MIGRATIONS = Path(payments_main.__file__).parent / "migrations"
STATE = Path("var/ledger-bench")
CURRENCY = "IDR"
AMOUNT_MINOR = 100
CLASSES = 50
"""Credit accounts: the fund pays many classes of beneficiaries, all transfers debit one account."""


def moves_of(name: str, kind: str, count: int) -> list[Move]:
    """Transfers or reserves out of the one fund."""
    fund = ledger.fund("hot", CURRENCY).id
    return [
        Move(f"{name}/{number}", kind, None, fund, f"beneficiaries:{number % CLASSES}", AMOUNT_MINOR, CURRENCY)  # type: ignore[arg-type]
        for number in range(count)
    ]


async def apply_batches(conn: "asyncpg.Connection[asyncpg.Record]", moves: Sequence[Move], size: int) -> float:
    """Transfers a second, one committed statement per batch."""
    began = time.perf_counter()
    for start in range(0, len(moves), size):
        results = await ledger.apply(conn, moves[start : start + size])
        if set(results) != {"created"}:
            raise RuntimeError(f"a transfer was refused: {set(results)}")
    return len(moves) / (time.perf_counter() - began)


async def measure(url: str, transfers: int, singles: int, batch: int) -> dict[str, float | int]:
    """Every figure on one connection. Raises RuntimeError when a promise of the ledger is broken."""
    conn = await asyncpg.connect(url, server_settings=SERVER_SETTINGS)
    try:
        accounts = [ledger.treasury(CURRENCY), ledger.fund("hot", CURRENCY)]
        accounts += [ledger.beneficiaries(str(number), CURRENCY) for number in range(CLASSES)]
        await ledger.open_accounts(conn, accounts)
        total = (transfers * 2 + singles) * AMOUNT_MINOR
        budget = Move("budget/hot", "transfer", None, accounts[0].id, accounts[1].id, total, CURRENCY)
        await ledger.apply_all(conn, [budget])
        one_by_one = await apply_batches(conn, moves_of("single", "transfer", singles), 1)
        set_based = await apply_batches(conn, moves_of("batch", "transfer", transfers), batch)
        reserves = moves_of("reserve", "reserve", transfers)
        reserve = await apply_batches(conn, reserves, batch)
        posts = [Move(f"post/{number}", "post", move.id) for number, move in enumerate(reserves)]
        post = await apply_batches(conn, posts, batch)
        view = await ledger.overview(conn)
        left = await ledger.account_of(conn, accounts[1].id)
        if view["sum_minor"] or view["differing_accounts"] or left != (0, 0):
            raise RuntimeError("the ledger's invariants do not hold after the run")
    finally:
        await conn.close()
    return {
        "transfers": transfers, "batch": batch, "transfers_per_second": round(set_based),
        "reserves_per_second": round(reserve), "posts_per_second": round(post),
        "one_by_one_per_second": round(one_by_one), "times_faster": round(set_based / one_by_one, 1),
    }  # fmt: skip


def main(
    transfers: Annotated[int, typer.Option(min=1, help="How many in each set-based loop.")] = 200_000,
    singles: Annotated[int, typer.Option(min=1, help="How many in the one-by-one loop.")] = 3_000,
    batch: Annotated[int, typer.Option(min=1, max=5_000, help="Transfers per statement.")] = 5_000,
    state_dir: Annotated[Path, typer.Option(help="Folder of the run; emptied before.")] = STATE,
) -> None:
    """Measure the ledger's functions on this machine."""
    (port,) = free_ports(1)
    postgres = Postgres(state_dir / "data", state_dir / "postgres.log", port)
    postgres.start()
    try:
        url = postgres.create_database(f"bench_{secrets.token_hex(4)}", secrets.token_hex(16))
        migrate(url, [MIGRATIONS])
        report = asyncio.run(measure(url, transfers, singles, batch))
    finally:
        postgres.stop()
    typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    typer.run(main)

"""The real ledger functions against a plain model of them, batch by batch.

Six invariants hold after every batch: conservation (entries sum to zero per currency), nothing floored below zero,
balance identity (every balance is the sum of its entries), overdraft safety (posted - reserved never below zero),
holds = open holds (every reserve kept is one that nothing has resolved), and a refused operation changes nothing.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from salur.common.database import migrate
from salur.payments import ledger
from salur.payments.ledger import Move
from salur.payments.ledger.accounts import Account
from support.payments import MIGRATIONS

pytestmark = pytest.mark.integration

ACCOUNTS = [
    ledger.treasury("MXN"),
    ledger.fund("one", "MXN"),
    ledger.fund("two", "MXN"),
    ledger.clearing("bank-a", "MXN"),
    ledger.beneficiaries("one", "MXN"),
    ledger.fund("rupiah", "IDR"),
    ledger.treasury("IDR"),
]
NAMES = [account.id for account in ACCOUNTS] + ["fund:nobody"]
IDS = [f"t{number}" for number in range(12)]
RESOLUTIONS = ("post", "void", "expire")
PAST, FUTURE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2226, 1, 1, tzinfo=UTC)
EXPIRIES = st.sampled_from([None, PAST, FUTURE])
Kind = Literal["transfer", "reserve", "post", "void", "expire"]


@dataclass
class Model:
    """The same rules in plain Python, one move after another."""

    accounts: dict[str, Account] = field(default_factory=lambda: {account.id: account for account in ACCOUNTS})
    posted: dict[str, int] = field(default_factory=lambda: {account.id: 0 for account in ACCOUNTS})
    reserved: dict[str, int] = field(default_factory=lambda: {account.id: 0 for account in ACCOUNTS})
    transfers: dict[str, Move] = field(default_factory=dict)
    resolved: dict[str, str] = field(default_factory=dict)

    def apply(self, moves: list[Move]) -> list[str]:
        """Money that arrives or is freed in a batch counts from the next one; a cut account stays cut."""
        free = {name: self.posted[name] - self.reserved[name] for name in self.accounts}
        spent = dict.fromkeys(self.accounts, 0)
        known, resolved = dict(self.transfers), dict(self.resolved)
        ids: set[str] = set()
        pendings: set[str] = set()
        results = []
        for given in moves:
            repeated = given.id in ids or given.pending_id in pendings
            ids.add(given.id)
            pendings |= {given.pending_id} if given.pending_id else set()
            move = self._whole(given, known)
            result = "repeated-in-batch" if repeated else self._judge(given, move, known, resolved)
            if result == "created" and move.kind in ("transfer", "reserve"):
                assert move.debit is not None
                assert move.amount_minor is not None
                spent[move.debit] += move.amount_minor
                if self.accounts[move.debit].floored and spent[move.debit] > free[move.debit]:
                    result = "insufficient"
            if result == "created":
                self._book(move)
            results.append(result)
        return results

    def _whole(self, move: Move, known: dict[str, Move]) -> Move:
        pending = known.get(move.pending_id or "")
        if pending is None or pending.kind != "reserve":
            return move
        return replace(
            move, debit=pending.debit, credit=pending.credit, amount_minor=pending.amount_minor,
            currency=pending.currency,
        )  # fmt: skip

    def _judge(self, given: Move, move: Move, known: dict[str, Move], resolved: dict[str, str]) -> str:
        if given.id in known:
            return "exists" if known[given.id] == move else "exists-with-different-input"
        if given.kind in RESOLUTIONS:
            assert given.pending_id is not None
            pending = known.get(given.pending_id)
            if pending is None or pending.kind != "reserve":
                return "pending-not-found"
            by = resolved.get(given.pending_id)
            if by:
                return {"post": "already-posted", "void": "already-voided", "expire": "expired"}[by]
            over = pending.expires_at is not None and pending.expires_at <= PAST
            return "not-expired-yet" if given.kind == "expire" and not over else "created"
        debit, credit = self.accounts.get(move.debit or ""), self.accounts.get(move.credit or "")
        if debit is None or credit is None:
            return "account-unknown"
        if debit.currency != move.currency or credit.currency != move.currency:
            return "currency-differs"
        return "amount-invalid" if (move.amount_minor or 0) <= 0 or debit.id == credit.id else "created"

    def _book(self, move: Move) -> None:
        assert move.debit is not None
        assert move.credit is not None
        assert move.amount_minor is not None
        self.transfers[move.id] = move
        if move.pending_id:
            self.resolved[move.pending_id] = move.kind
            self.reserved[move.debit] -= move.amount_minor
        if move.kind == "reserve":
            self.reserved[move.debit] += move.amount_minor
        if move.kind in ("transfer", "post"):
            self.posted[move.debit] -= move.amount_minor
            self.posted[move.credit] += move.amount_minor


def _move(kind: Kind, *values: Any) -> Move:
    move_id, pending, debit, credit, amount, currency, expires_at = values
    if kind in RESOLUTIONS:
        return Move(move_id, kind, pending)
    return Move(move_id, kind, None, debit, credit, amount, currency, expires_at if kind == "reserve" else None)


MOVES = st.builds(
    _move,
    st.sampled_from(["transfer", "reserve", "post", "void", "expire"]),
    st.sampled_from(IDS),
    st.sampled_from(IDS),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    st.sampled_from([-5, 0, 1, 40, 60, 100]),
    st.sampled_from(["MXN", "MXN", "MXN", "IDR"]),
    EXPIRIES,
)


class LedgerMachine(RuleBasedStateMachine):
    """Random batches to both; after each they must agree on every result and every balance."""

    loop: ClassVar["Loop"]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.count = 0
        self.loop.run(self._empty())

    async def _empty(self) -> None:
        conn = self.loop.conn
        for change in ("DISABLE TRIGGER USER", "ENABLE TRIGGER USER"):
            for table in ("account", "transfer", "entry"):
                await conn.execute(f"ALTER TABLE {table} {change}")
            if change.startswith("DISABLE"):
                await conn.execute("TRUNCATE account, transfer, entry")
        await ledger.open_accounts(conn, ACCOUNTS)
        budget = Move("budget", "transfer", None, "treasury:MXN", "fund:one", 150, "MXN")
        assert await ledger.apply(conn, [budget]) == self.model.apply([budget])

    @rule(moves=st.lists(MOVES, min_size=1, max_size=6))
    def batch(self, moves: list[Move]) -> None:
        assert self.loop.run(ledger.apply(self.loop.conn, moves)) == self.model.apply(moves)

    @rule(kinds=st.lists(st.sampled_from(["transfer", "reserve"]), min_size=1, max_size=4), data=st.data())
    def spend(self, kinds: list[Literal["transfer", "reserve"]], data: st.DataObject) -> None:
        """Valid moves out of one fund, often up to its last unit and beyond."""
        free = self.model.posted["fund:one"] - self.model.reserved["fund:one"]
        amounts = st.sampled_from([1, 30, max(free, 1), free + 1])
        moves = [
            _move(kind, self._fresh(), None, "fund:one", "clearing:bank-a:MXN", data.draw(amounts), "MXN",
                  data.draw(EXPIRIES))
            for kind in kinds
        ]  # fmt: skip
        assert self.loop.run(ledger.apply(self.loop.conn, moves)) == self.model.apply(moves)

    @rule(kinds=st.lists(st.sampled_from(RESOLUTIONS), min_size=1, max_size=3), data=st.data())
    def resolve(self, kinds: list[Literal["post", "void", "expire"]], data: st.DataObject) -> None:
        """Resolve reserves, also ones that are resolved already."""
        reserves = sorted(move.id for move in self.model.transfers.values() if move.kind == "reserve")
        if reserves:
            moves = [Move(self._fresh(), kind, data.draw(st.sampled_from(reserves))) for kind in kinds]
            assert self.loop.run(ledger.apply(self.loop.conn, moves)) == self.model.apply(moves)

    def _fresh(self) -> str:
        self.count += 1
        return f"s{self.count}"

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """What was created exists when it comes again, and nothing moves."""
        known = sorted(self.model.transfers.values(), key=lambda move: move.id)
        move = data.draw(st.sampled_from(known))
        assert self.loop.run(ledger.apply(self.loop.conn, [move])) == ["exists"]

    @invariant()
    def books_agree(self) -> None:
        """Balance identity and holds = open holds, by the model and by the entries themselves; conservation."""
        view = self.loop.run(ledger.overview(self.loop.conn))
        rows = {row["account"]: (row["posted_minor"], row["reserved_minor"]) for row in view["accounts"]}
        assert rows == {name: (self.model.posted[name], self.model.reserved[name]) for name in self.model.accounts}
        assert view["sum_minor"] == 0
        assert view["differing_accounts"] == []

    @invariant()
    def nothing_floored_is_below_zero(self) -> None:
        """Non-negative and overdraft safety: neither what is there nor what is left after reserves."""
        for row in self.loop.run(ledger.overview(self.loop.conn))["accounts"]:
            if row["kind"] not in ("treasury", "clearing"):
                assert row["posted_minor"] >= 0
                assert row["available_minor"] >= 0

    @invariant()
    def only_what_was_created_stands(self) -> None:
        """A refused operation changes nothing: the transfers are exactly those the model created, statements agree."""
        transfers = self.loop.run(self.loop.conn.fetch("SELECT id, kind, amount_minor FROM transfer"))
        assert {row["id"]: (row["kind"], row["amount_minor"]) for row in transfers} == {
            move.id: (move.kind, move.amount_minor) for move in self.model.transfers.values()
        }
        assert self.loop.run(ledger.statement(self.loop.conn, "fund:one", None))["equals_ledger"]


class Loop:
    """An event loop in a thread of its own: hypothesis calls rules from inside the test's running loop."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.conn: asyncpg.Connection[asyncpg.Record] = self.run(asyncpg.connect(url))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    def close(self) -> None:
        self.run(self.conn.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()


@pytest.fixture
def loop(database_url: str) -> Iterator[Loop]:
    migrate(database_url, [MIGRATIONS])
    loop = Loop(database_url)
    yield loop
    loop.close()


def test_the_ledger_follows_its_model(loop: Loop) -> None:
    LedgerMachine.loop = loop
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=20,
            deadline=None,
            # A counterexample is shrunk against the database: minutes for a test that has already failed.
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_hash_depends_on_facts_not_on_order(loop: Loop) -> None:
    """Two ledgers with the same transfers in another order and other batches have one hash; one more changes it."""
    budget = Move("budget", "transfer", None, "treasury:MXN", "fund:one", 150, "MXN")
    moves = [Move(f"r{n}", "reserve", None, "fund:one", "clearing:bank-a:MXN", 10, "MXN") for n in range(5)]
    hashes = []
    for order in (moves, moves[::-1]):
        transaction = loop.conn.transaction()
        loop.run(_start(transaction))
        loop.run(ledger.open_accounts(loop.conn, ACCOUNTS))
        loop.run(ledger.apply_all(loop.conn, [budget]))
        for start in range(0, 5, 2):
            loop.run(ledger.apply_all(loop.conn, order[start : start + 2]))
        hashes.append(loop.run(ledger.ledger_hash(loop.conn)))
        loop.run(ledger.apply_all(loop.conn, [Move("v", "void", "r1")]))
        hashes.append(loop.run(ledger.ledger_hash(loop.conn)))
        loop.run(_rollback(transaction))
    assert hashes[0] == hashes[2]
    assert hashes[1] == hashes[3]
    assert hashes[0] != hashes[1]


async def _start(transaction: Any) -> None:
    await transaction.start()


async def _rollback(transaction: Any) -> None:
    await transaction.rollback()

"""Payments on a real database: inputs, lists, instructions and banks' answers, as the service takes them."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson

from salur.audit.domain.ledger import Ledger, differences
from salur.common.contracts.base import Fact
from salur.common.contracts.eligibility import CycleGranted, EntitlementGranted
from salur.common.contracts.registry import PayeeRegistered, RegistryCut
from salur.common.contracts.topics import results_topic, topics_written_by
from salur.common.database import Database, migrate
from salur.common.events import EventStore, OutsideConsumer, Received, partition_for, stream_name
from salur.common.events.consumer import BatchProcessor, Outcome
from salur.common.secrets import Secrets
from salur.common.values import derived_id, instruction_id, payment_id
from salur.payments import ledger
from salur.payments import main as payments_main
from salur.payments.domain.lists import Banks
from salur.payments.domain.reconcile import Line, Statement
from salur.payments.usecases import checks, decisions, funds, inputs, lists, proposals, reconcile, settle, views
from salur.payments.usecases.acts import ACTS
from salur.payments.usecases.checks import ListCommand
from salur.payments.usecases.instruct import Patience, inquire_batch, instruct_batch
from salur.payments.usecases.proposals import Person, Proposal
from support.facts import Record

MIGRATIONS = Path(payments_main.__file__).parent / "migrations"
BANKS = ("bank-a", "bank-b")
PATIENCE = Patience(60, 3600, 60, 600)
IMPATIENT = Patience(0, 3600, 0, 0)
CYCLE, CUT, FUND = derived_id("cycle"), derived_id("cut"), "central"
CURRENCY = "MXN"
AS_INSTRUCTED = "sha256:the account its instruction names"
"""In an answer, until it is sent: each instruction commits to its account under a seed of its own."""
MAKER, CHECKER = "person:maker", "person:checker"
AMOUNT_MINOR = 10_000


def beneficiary(number: int) -> str:
    return derived_id("beneficiary", str(number))


def entitlement(number: int, cycle: str = CYCLE) -> str:
    return derived_id("entitlement", cycle, str(number))


def instruction(number: int, cycle: str = CYCLE) -> str:
    return instruction_id(payment_id(entitlement(number, cycle), 1), 1)


def bank_of(number: int) -> str:
    return BANKS[number % len(BANKS)]


def received(topic: str, key: str, fact: Fact, partition: int | None = None) -> Received:
    """A fact as a consumer's handler sees it."""
    place = partition_for(key) if partition is None else partition
    return Received(
        derived_id(key), fact.event_type, "/salur/test", key, datetime.now(UTC), stream_name(topic, place), 1,
        "person:test", "request-1", topic, place, 0, fact,
    )  # fmt: skip


def payee(
    number: int, *, version: int = 1, status: Any = "active", bank: str | None = None, **changes: Any
) -> Received:
    fact = PayeeRegistered(
        beneficiary_id=beneficiary(number), version=version, status=status, bank=bank or bank_of(number),
        account_number=f"9{number:09d}", account_holder=f"Holder {number}",
        **{"account_token": f"{number:064x}"} | changes,
    )  # fmt: skip
    return received("registry.payees", fact.beneficiary_id, fact)


def granted(number: int, amount_minor: int = AMOUNT_MINOR, cycle: str = CYCLE, payee_id: str | None = None) -> Received:
    fact = EntitlementGranted(
        entitlement_id=entitlement(number, cycle), programme_id="test-programme", cycle_id=cycle,
        beneficiary_id=beneficiary(number), kind="regular", amount_minor=amount_minor, currency=CURRENCY,
        components=[], not_due=[], decision_id=derived_id("decision", str(number)), region="31.71",
        payee_id=payee_id,
    )  # fmt: skip
    return received("eligibility.entitlements", fact.beneficiary_id, fact)


def cut_marks(partitions: Sequence[int]) -> list[Received]:
    """The cut's mark in each of these partitions of the payees' topic."""
    facts = [RegistryCut(cut_id=CUT, name="intake", partition=place, households=1) for place in partitions]
    return [received("registry.payees", CUT, fact, fact.partition) for fact in facts]


def grant_marks(partitions: Sequence[int], count: int, amount_minor: int, cycle: str = CYCLE) -> list[Received]:
    """The cycle's grant mark in each of these partitions, with totals of `count` entitlements."""
    facts = [
        CycleGranted(
            cycle_id=cycle, programme_id="test-programme", cut_id=CUT, partition=place, entitlements=count,
            amount_minor=amount_minor, currency=CURRENCY,
        )
        for place in partitions
    ]  # fmt: skip
    return [received("eligibility.entitlements", cycle, fact, fact.partition) for fact in facts]


def answer(
    number: int,
    status: str = "ACCC",
    *,
    message: str | None = None,
    bank: str | None = None,
    source: str | None = None,
    **changes: Any,
) -> tuple[str, bytes]:
    """(bank whose topic it is on, record value) of a well-formed answer, unless `changes` break it."""
    writer = bank or bank_of(number)
    data = {
        "instruction_id": instruction(number), "status": status, "reason": None, "amount_minor": AMOUNT_MINOR,
        "currency": CURRENCY, "bank_reference": f"REF-{number}", "account_commitment": AS_INSTRUCTED, "inquiry": None,
    } | changes  # fmt: skip
    document = {
        "specversion": "1.0", "id": message or f"m-{number}-{status}", "source": f"/bank/{source or writer}",
        "type": "salur.bank-result.v1", "time": "2026-01-01T00:00:00Z", "data": data,
    }  # fmt: skip
    return writer, orjson.dumps(document)


@dataclass
class House:
    """Payments with its database. `offsets`: the next Kafka offset per bank."""

    db: Database
    store: EventStore
    keys: Secrets
    offsets: dict[str, int] = field(default_factory=dict)
    processor: BatchProcessor = field(init=False)
    statements: int = 0
    banks: Banks = field(default_factory=lambda: Banks(frozenset(BANKS)))

    def __post_init__(self) -> None:
        async def handler(conn: Any, records: Any) -> Any:
            return await settle.take_results(conn, records, self.keys)

        topics = [results_topic(bank).name for bank in BANKS]
        consumer = OutsideConsumer(settle.RESULTS_CONSUMER, topics, handler)
        self.processor = BatchProcessor(consumer, self.db, self.store, self.keys)

    @classmethod
    async def build(cls, db: Database, url: str, keys: Secrets) -> "House":
        migrate(url, [MIGRATIONS])
        store = EventStore("payments", keys)
        async with db.transaction() as conn:
            await store.declare(conn, topics_written_by("payments", BANKS))
            await store.load_partitions(conn)
        house = cls(db, store, keys)
        await house.processor.declare()
        return house

    async def run(self, usecase: Any, *arguments: Any) -> Any:
        """A use case that returns (answer, drafts), in one transaction with its events."""
        async with self.db.transaction() as conn:
            result, drafts = await usecase(conn, *arguments)
            await self.store.append(conn, drafts)
        return result

    async def propose(self, kind: str, subject: str, actor: str = MAKER, **content: Any) -> str:
        """A proposed act; returns its id."""
        proposal = Proposal(kind, subject, "as told", content)
        return str((await self.run(proposals.propose, proposal, Person(actor, "request-6")))["proposal_id"])

    async def decide(self, proposal_id: str, actor: str = CHECKER, *, accept: bool = True) -> dict[str, Any]:
        decide = partial(proposals.decide, executes=ACTS, accept=accept)
        return dict(await self.run(decide, proposal_id, Person(actor, "request-7")))

    async def act(self, kind: str, subject: str, **content: Any) -> dict[str, Any]:
        """An act of two people, proposed and accepted."""
        return await self.decide(await self.propose(kind, subject, **content))

    async def take_payees(self, events: Sequence[Received]) -> None:
        async with self.db.transaction() as conn:
            await inputs.take_payees(conn, events, self.keys, self.banks.checked)

    async def take_entitlements(self, events: Sequence[Received]) -> None:
        async with self.db.transaction() as conn:
            await self.store.append(conn, await inputs.take_entitlements(conn, events))

    async def open_fund(
        self, budget_minor: int, fund_id: str = FUND, region: str = "", programme_id: str | None = None
    ) -> bool:
        command = funds.OpenFund(
            fund_id, "Central budget", CURRENCY, budget_minor, MAKER, "request-1", region, programme_id
        )
        return bool(await self.run(funds.open_fund, command))

    async def grant(self, amounts: Sequence[int], *, without_payee: frozenset[int] = frozenset()) -> None:
        """A complete cycle: payee and entitlement per amount, all marks passed."""
        await self.take_payees([payee(number) for number in range(len(amounts)) if number not in without_payee])
        await self.take_entitlements([granted(number, amount) for number, amount in enumerate(amounts)])
        await self.pass_cut(range(8))
        await self.pass_grant(range(8), len(amounts), sum(amounts))

    async def next_cycle(self, cycle: str, amounts: Sequence[int]) -> dict[str, Any]:
        """Another cycle of the same people, granted and listed. Returns the list."""
        await self.take_entitlements([granted(number, amount, cycle) for number, amount in enumerate(amounts)])
        await self.take_entitlements(grant_marks(range(8), len(amounts), sum(amounts), cycle))
        return dict(
            await self.run(lists.build_list, lists.BuildList(cycle, ((FUND, 1),), self.banks, MAKER, "request-2"))
        )

    async def pay(self, built: dict[str, Any]) -> None:
        """A list submitted, approved and instructed."""
        await self.submit(built["list_id"])
        await self.approve(built["list_id"], built["content_hash"])
        await self.instruct()

    async def pass_cut(self, partitions: Sequence[int]) -> None:
        await self.take_payees(cut_marks(partitions))

    async def pass_grant(self, partitions: Sequence[int], count: int, amount_minor: int) -> None:
        await self.take_entitlements(grant_marks(partitions, count, amount_minor))

    async def build_list(
        self, actor: str = MAKER, funds_of: tuple[tuple[str, int], ...] | None = None
    ) -> dict[str, Any]:
        command = lists.BuildList(CYCLE, funds_of or ((FUND, 1),), self.banks, actor, "request-2")
        return dict(await self.run(lists.build_list, command))

    async def submit(self, list_id: str, actor: str = MAKER, within_s: float = 3600) -> dict[str, Any]:
        return dict(await self.run(checks.submit_list, ListCommand(list_id, actor, "request-3"), within_s))

    async def approve(
        self, list_id: str, content_hash: str, actor: str = CHECKER, regions: tuple[str, ...] = (), **more: Any
    ) -> dict[str, Any]:
        command = ListCommand(list_id, actor, "request-4", regions=regions, **more)
        return dict(await self.run(checks.approve_list, command, content_hash))

    async def follow_up(self, actor: str = MAKER, cycle: str = CYCLE) -> dict[str, Any]:
        command = lists.BuildList(cycle, (), self.banks, actor, "request-8")
        return dict(await self.run(lists.build_follow_up, command))

    async def paid_by_follow_up(self) -> dict[str, Any]:
        """A follow-up list, submitted, approved and instructed."""
        built = await self.follow_up()
        await self.submit(built["list_id"])
        await self.approve(built["list_id"], built["content_hash"])
        await self.instruct()
        return built

    async def decide_item(
        self, number: int, act: Any, regions: tuple[str, ...] = (), cycle: str = CYCLE
    ) -> dict[str, Any]:
        command = decisions.DecideItem(payment_id(entitlement(number, cycle), 1), act, "as told")
        return dict(await self.run(decisions.decide_item, command, Person(MAKER, "request-9", regions)))

    async def refuse(self, list_id: str, actor: str = CHECKER) -> dict[str, Any]:
        return dict(await self.run(checks.refuse_list, ListCommand(list_id, actor, "request-5"), "wrong cycle"))

    async def instruct(self, patience: Patience = PATIENCE, batch: int = 1000) -> None:
        while await self.run(instruct_batch, self.keys, patience, batch):
            pass

    async def inquire(self, patience: Patience = PATIENCE) -> None:
        await self.run(inquire_batch, patience, 1000)

    async def instructed(self, count: int, *, patience: Patience = PATIENCE, budget_minor: int = 10**9) -> str:
        """The whole way to instructions of `count` equal payments. Returns the list's id."""
        await self.open_fund(budget_minor)
        await self.grant([AMOUNT_MINOR] * count)
        built = await self.build_list()
        await self.submit(built["list_id"])
        await self.approve(built["list_id"], built["content_hash"])
        await self.instruct(patience)
        return str(built["list_id"])

    async def answers(self, values: Sequence[tuple[str, bytes | None]]) -> Outcome:
        """A batch of records as the consumer gets them, each at the next offset of its bank's topic."""
        records: list[Any] = []
        for bank, value in await self.named(values):
            offset = self.offsets[bank] = self.offsets.get(bank, -1) + 1
            records.append(Record(results_topic(bank).name, 0, offset, value))
        return await self.processor.process(records)

    @asynccontextmanager
    async def dying(self, error: Exception) -> AsyncIterator[None]:
        """Meanwhile the process dies after a batch was handled and before its transaction is committed."""
        append = self.store.append

        async def die(conn: Any, drafts: Any) -> None:
            await append(conn, drafts)
            raise error

        with patch.object(self.store, "append", die):
            yield

    async def named(self, values: Sequence[tuple[str, bytes | None]]) -> list[tuple[str, bytes | None]]:
        """The answers with the account their instruction names; without one, with none."""
        told = await self.events("salur.payment.instructed.v1")
        accounts = {fact["instruction_id"].encode(): fact["account_number"].encode() for fact in told}

        def name(value: bytes | None) -> bytes | None:
            if value is None or AS_INSTRUCTED.encode() not in value:
                return value
            found = re.search(rb'"instruction_id":"([^"]*)"', value)
            account = accounts.get(found[1]) if found else None
            quoted = b'"%s"' % AS_INSTRUCTED.encode()
            return value.replace(quoted, b'"%s"' % account if account else b"null")

        return [(bank, name(value)) for bank, value in values]

    async def states(self) -> dict[str, str]:
        async with self.db.connection() as conn:
            rows = await conn.fetch("SELECT instruction_id, state FROM payment")
        return {row["instruction_id"]: row["state"] for row in rows}

    async def suspended(self) -> list[str]:
        async with self.db.connection() as conn:
            rows = await conn.fetch("SELECT reason FROM suspense ORDER BY topic, partition, kafka_offset")
        return [row["reason"] for row in rows]

    async def events(self, kind: str) -> list[dict[str, Any]]:
        """The data of every appended event of that type, in order of append per stream."""
        async with self.db.connection() as conn:
            rows = await conn.fetch("SELECT body FROM event WHERE type = $1 ORDER BY stream, sequence", kind)
        return [orjson.loads(row["body"])["data"] for row in rows]

    async def check_books(self) -> dict[str, Any]:
        """I1 on the fund: entries sum to zero, balances = entries, debits = settled + in flight + returned."""
        async with self.db.transaction() as conn:
            view = await views.ledger_view(conn, with_hash=True)
            fund = await views.fund_view(conn, FUND)
            debits = await conn.fetchval(
                "SELECT coalesce(sum(amount_minor), 0) FROM transfer t WHERE debit = $1 AND (kind = 'post' OR"
                " (kind = 'reserve' AND NOT EXISTS (SELECT 1 FROM transfer r WHERE r.pending_id = t.id)))",
                ledger.fund(FUND, CURRENCY).id,
            )
            waiting = await conn.fetchval(
                "SELECT coalesce(sum(i.amount_minor), 0) FROM list_item i JOIN payment_list l USING (list_id)"
                " WHERE l.state IN ('submitted', 'approved') AND rank > instructed_rank AND rank <= last_rank"
                " AND hold IS NULL AND i.fund_id = $1",
                FUND,
            )
        assert view["sum_minor"] == 0
        assert view["differing_accounts"] == []
        clearing = [row for row in view["accounts"] if row["kind"] == "clearing"]
        assert all(row["posted_minor"] == 0 for row in clearing)
        gone = fund["settled_minor"] + fund["disputed_minor"] + fund["to_treasury_minor"]
        come_in = fund["budget_minor"] + fund["recovered_minor"]
        assert come_in == fund["available_minor"] + fund["reserved_minor"] + gone
        assert fund["reserved_minor"] == fund["in_flight_minor"] + waiting
        in_flight = fund["in_flight_minor"] + waiting
        await self.check_reserves(view["accounts"])
        back = await self.returned_ever()
        assert debits == fund["settled_minor"] + fund["disputed_minor"] + in_flight + back
        return fund

    async def check_reserves(self, accounts: Sequence[Any]) -> None:
        """I9 on reserves: the events alone tell what lists have set aside and neither spent nor given back."""
        again, held = Ledger(), Counter[str]()
        async with self.db.connection() as conn:
            for row in await conn.fetch("SELECT type, body FROM event ORDER BY stream, sequence"):
                again.take(row["type"], orjson.loads(row["body"])["data"])
        for row in accounts:
            held[row["currency"]] += row["reserved_minor"]
        assert differences(again.reserved(), held) == {}

    async def returned_ever(self) -> int:
        """Minor units that came back to the fund after they were settled."""
        async with self.db.connection() as conn:
            return int(
                await conn.fetchval(
                    "SELECT coalesce(sum(amount_minor), 0) FROM transfer WHERE credit = $1 AND id LIKE 'refund/%'",
                    ledger.fund(FUND, CURRENCY).id,
                )
            )

    async def statement(self, bank: str, lines: Sequence[Line], until: datetime | None = None) -> dict[str, Any]:
        """A bank's statement of these lines, up to now; each call is another one."""
        self.statements += 1
        moment = until or datetime.now(UTC)
        taken = Statement(bank, f"statement-{self.statements}", moment, tuple(lines))
        return dict(await self.run(reconcile.take_statement, taken))

    async def standing(self) -> dict[str, Any]:
        async with self.db.connection() as conn:
            return await views.cycle_standing(conn, CYCLE)

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        async with self.db.connection() as conn:
            return list(await conn.fetch(sql, *values))


def line(number: int, kind: Any = "credit", *, line_id: str | None = None, attempt: int = 1, **changes: Any) -> Line:
    """A statement's line about a payment of its bank."""
    told: dict[str, Any] = {"instruction_id": f"{instruction(number)[:-3]}{attempt:03d}", "amount_minor": AMOUNT_MINOR,
            "currency": CURRENCY} | changes  # fmt: skip
    return Line(line_id or f"{kind}-{number}-{attempt}", kind, **told)


__all__ = [
    "AMOUNT_MINOR", "AS_INSTRUCTED", "BANKS", "CHECKER", "CURRENCY", "CUT", "CYCLE", "FUND", "IMPATIENT", "MAKER",
    "MIGRATIONS", "PATIENCE", "House", "answer", "bank_of", "beneficiary", "cut_marks", "entitlement", "grant_marks",
    "granted", "instruction", "payee", "received",
]  # fmt: skip

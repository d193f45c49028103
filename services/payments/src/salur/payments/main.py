"""Wiring of payments."""

from pathlib import Path

from salur.common.reseal import Place
from salur.common.retention import Due, End, load_retention
from salur.common.roles import Access
from salur.common.service import Runtime, Service, Worker, run
from salur.common.telemetry import BACKLOG, BACKLOG_AGE_S, RECEIPTS
from salur.payments.consumers import consumers
from salur.payments.files import file_workers
from salur.payments.http import routes
from salur.payments.reissuer import Reissuer
from salur.payments.settings import PaymentsSettings
from salur.payments.store import queries
from salur.payments.usecases.account_checks import Waits, ask_batch, await_earlier
from salur.payments.usecases.checks import expire_list
from salur.payments.usecases.confirmations import recent_rates
from salur.payments.usecases.erasures import accounts_due, end_accounts
from salur.payments.usecases.instruct import Patience, inquire_batch, instruct_batch
from salur.payments.usecases.recalls import ask_again
from salur.payments.usecases.views import backlog

EXPIRE_INTERVAL_S = 5.0
MEASURE_INTERVAL_S = 15.0
RECALL_INTERVAL_S = 60.0
RECEIPTS_INTERVAL_S = 300.0
RECEIPT_CYCLES_MAX = 20
LEDGER = ("account", "transfer", "entry")
_POSITION = "topic || '/' || partition || '/' || kafka_offset"
SEALED = (
    Place("payee", "'payee/' || beneficiary_id"),
    Place("account_check", "check_id", "seed"),
    Place("parked_return", _POSITION),
    Place("suspense", _POSITION),
)
APPEND_ONLY: dict[str, tuple[str, ...]] = {"transfer": (), "entry": ()}


def build(runtime: Runtime) -> Service:
    """Payments: HTTP, consumers, and the workers that instruct and ask banks."""
    settings = runtime.settings
    assert isinstance(settings, PaymentsSettings)
    patience = Patience(
        settings.answer_timeout_s,
        settings.execute_within_s,
        settings.inquiry_interval_s,
        settings.inquiry_interval_max_s,
        settings.cash_within_s,
    )

    async def instruct() -> bool:
        async with runtime.unit_of_work() as unit:
            more, drafts = await instruct_batch(unit.conn, runtime.secrets, patience, settings.instruct_batch)
            unit.emit(*drafts)
        return more

    async def inquire() -> bool:
        async with runtime.unit_of_work() as unit:
            more, drafts = await inquire_batch(unit.conn, patience, settings.instruct_batch)
            unit.emit(*drafts)
        return more

    reissue = Reissuer(runtime, settings)

    async def recall() -> bool:
        async with runtime.unit_of_work() as unit:
            more, drafts = await ask_again(unit.conn, settings.instruct_batch)
            unit.emit(*drafts)
        return more

    waits = Waits(settings.inquiry_interval_s, settings.inquiry_interval_max_s)
    checked = frozenset(settings.checked_banks)
    earlier_noted = False

    async def ask_accounts() -> bool:
        nonlocal earlier_noted
        async with runtime.unit_of_work() as unit:
            if not earlier_noted:
                await await_earlier(unit.conn, checked)
            more, drafts = await ask_batch(unit.conn, runtime.secrets, waits, settings.instruct_batch)
            unit.emit(*drafts)
        earlier_noted = True
        return more

    async def expire() -> bool:
        async with runtime.unit_of_work() as unit:
            more, drafts = await expire_list(unit.conn)
            unit.emit(*drafts)
        return more

    async def measure() -> bool:
        async with runtime.db.connection() as conn:
            rows = (await backlog(conn))["backlog"]
        BACKLOG.clear()
        BACKLOG_AGE_S.clear()
        for row in rows:
            BACKLOG.labels(row["what"], row["bank"]).set(row["count"])
            BACKLOG_AGE_S.labels(row["what"], row["bank"]).set(row["age_s"])
        return False

    async def measure_receipts() -> bool:
        async with runtime.db.connection() as conn:
            receipts = await recent_rates(conn, RECEIPT_CYCLES_MAX)
        RECEIPTS.clear()
        for row in receipts:
            for said in ("asked", "answered", "confirmed"):
                RECEIPTS.labels(row["cycle_id"], said).set(row[said])
        return False

    endings: dict[str, tuple[Due, End]] = {"payment-accounts": (accounts_due, end_accounts)}
    return Service(
        retention=load_retention(Path(__file__).parent / "retention.yaml", endings),
        description="Money to people: funds, ledger, payment lists, instructions to banks and their answers.",
        migrations=Path(__file__).parent / "migrations",
        access=Access(APPEND_ONLY, audited=("event", "stream", *LEDGER)),
        region_of=queries.region_of,
        sealed=SEALED,
        consumers=consumers(runtime),
        workers=[
            Worker("instruct", instruct, settings.worker_interval_s),
            Worker("inquire", inquire, settings.worker_interval_s),
            *([Worker("ask-accounts", ask_accounts, settings.worker_interval_s)] if checked else []),
            Worker("expire", expire, EXPIRE_INTERVAL_S),
            Worker("recall", recall, RECALL_INTERVAL_S),
            Worker("reissue", reissue.step, settings.reissue_interval_s),
            *file_workers(runtime),
            Worker("measure", measure, MEASURE_INTERVAL_S),
            Worker("measure-receipts", measure_receipts, RECEIPTS_INTERVAL_S),
        ],
        routers=[routes(runtime)],
    )


def main() -> None:
    """`python -m salur.payments`"""
    run(build, name="payments", settings_class=PaymentsSettings)

"""Wiring of the registry."""

from pathlib import Path

from salur.common.events import Consumer
from salur.common.logs import get_logger
from salur.common.reseal import Place
from salur.common.retention import counted, load_retention
from salur.common.service import Runtime, Service, Worker, run
from salur.registry.http import household_routes
from salur.registry.http_accounts import account_routes
from salur.registry.http_cases import case_routes
from salur.registry.http_changes import change_routes
from salur.registry.http_duplicates import duplicate_routes
from salur.registry.http_erasures import erasure_routes
from salur.registry.http_feeds import feed_routes
from salur.registry.http_groups import group_routes
from salur.registry.http_imports import import_routes
from salur.registry.http_indicators import indicator_routes
from salur.registry.http_nominations import nomination_routes
from salur.registry.http_notices import notice_routes
from salur.registry.http_principals import principal_routes
from salur.registry.outbox import LocalOutbox
from salur.registry.settings import RegistrySettings
from salur.registry.store import queries
from salur.registry.usecases.cases import mark_overdue
from salur.registry.usecases.consents import CHECKS_CONSUMER, take_checks
from salur.registry.usecases.erasures import erase_again, records_due, request_due
from salur.registry.usecases.guardians import end_what_has_run_out
from salur.registry.usecases.indicators import count_step
from salur.registry.usecases.notices import TOPICS as NOTICE_TOPICS
from salur.registry.usecases.notices import Notices, load_templates
from salur.registry.usecases.send_notices import forget_destroyed, send_notices
from salur.registry.worker import ImportWorker, matching_step

log = get_logger("registry")

IMPORT_POLL_S = 0.2
OVERDUE_POLL_S = 60.0
ERASE_POLL_S = 60.0
RUN_OUT_POLL_S = 60.0
NOTICE_POLL_S = 1.0
CLEAR_POLL_S = 300.0
COUNT_POLL_S = 1.0
NOTICE_RECORDS = 1_000
MATCHING_POLL_S = 1.0
SEALED = (
    Place("identifier", "token"),
    Place("deceased_identifier", "token"),
    Place("household", "household_id", "identity"),
    Place("household_version", "household_id", "identity"),
    Place("payee", "household_id"),
    Place("payee_version", "household_id"),
    Place("group_version", "group_id"),
    Place("change_request", "change_id"),
    Place("feed_match", "match_id"),
    Place("case_text", "text_id"),
    Place("notice", "notice_id"),
    Place("nomination", "nomination_id"),
    Place("meeting", "meeting_id"),
)


def build(runtime: Runtime) -> Service:
    """The registry: HTTP, imports, matching, the watch over deadlines, and messages to people where they are wanted."""
    settings = runtime.settings
    assert isinstance(settings, RegistrySettings)
    outbox = LocalOutbox(settings.state_dir)
    notices = Notices(load_templates(Path(__file__).parent / "notices.toml"), runtime.secrets)

    async def overdue() -> bool:
        async with runtime.unit_of_work() as unit:
            more, drafts = await mark_overdue(unit.conn)
            unit.emit(*drafts)
        return more

    async def run_out() -> bool:
        async with runtime.unit_of_work() as unit:
            more, drafts = await end_what_has_run_out(unit.conn, runtime.secrets)
            unit.emit(*drafts)
        return more

    async def send() -> bool:
        async with runtime.unit_of_work() as unit:
            more, drafts = await send_notices(unit.conn, outbox, runtime.secrets)
            unit.emit(*drafts)
        return more

    async def clear_outbox() -> bool:
        async with runtime.db.connection() as conn:
            await forget_destroyed(conn, outbox)
        return False

    async def erase() -> bool:
        async with runtime.db.transaction() as conn:
            return await erase_again(conn, runtime.secrets)

    async def count() -> bool:
        async with runtime.unit_of_work() as unit:
            more, drafts = await count_step(unit.conn)
            unit.emit(*drafts)
        return more

    told = [Consumer("registry.notices", NOTICE_TOPICS, notices.take, NOTICE_RECORDS)] if settings.notices else []
    kinds = ("case-texts", "feed-matches", "notices", "refused-nominations")
    endings = {kind: counted(queries, kind) for kind in kinds} | {"household-records": (records_due, request_due)}
    return Service(
        retention=load_retention(Path(__file__).parent / "retention.yaml", endings),
        description="Who people are: households, identifiers, payee accounts, imports.",
        migrations=Path(__file__).parent / "migrations",
        region_of=queries.region_of,
        sealed=SEALED,
        consumers=[Consumer(CHECKS_CONSUMER, ["payments.account-checks"], take_checks, NOTICE_RECORDS), *told],
        workers=[
            Worker("imports", ImportWorker(runtime).step, IMPORT_POLL_S),
            Worker("overdue-cases", overdue, OVERDUE_POLL_S),
            Worker("erase-again", erase, ERASE_POLL_S),
            Worker("run-out", run_out, RUN_OUT_POLL_S),
            Worker("send-notices", send, NOTICE_POLL_S),
            Worker("clear-outbox", clear_outbox, CLEAR_POLL_S),
            Worker("count-indicators", count, COUNT_POLL_S),
            Worker("matching", matching_step(runtime), MATCHING_POLL_S, settings.matching_waits),
        ],
        routers=[
            household_routes(runtime),
            import_routes(runtime),
            change_routes(runtime),
            duplicate_routes(runtime),
            group_routes(runtime),
            account_routes(runtime),
            principal_routes(runtime),
            case_routes(runtime),
            notice_routes(runtime),
            feed_routes(runtime),
            nomination_routes(runtime),
            indicator_routes(runtime),
            erasure_routes(runtime),
        ],
    )


def main() -> None:
    """`python -m salur.registry`"""
    run(build, name="registry", settings_class=RegistrySettings)

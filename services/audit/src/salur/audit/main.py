"""Wiring of the audit."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

from salur.audit import store
from salur.audit.announcer import Announcer
from salur.audit.flags.rules import load_rules
from salur.audit.flags.watch import Watch
from salur.audit.http import SEAL_OVERDUE_S, routes
from salur.audit.http_evidence import evidence_routes
from salur.audit.http_flags import flag_routes
from salur.audit.http_ledger import ledger_routes
from salur.audit.http_trail import trail_routes
from salur.audit.log.keys import load_keys
from salur.audit.log.note import Checkpoint, open_checkpoint
from salur.audit.log.policy import Policy
from salur.audit.publisher import Publisher
from salur.audit.search.indexer import Indexer
from salur.audit.settings import AuditSettings
from salur.audit.usecases.record import SEAL_CONTEXT, compare_repeats, record_events, record_outside
from salur.audit.witnesses import Witnesses
from salur.common.contracts.topics import ALL_TOPICS, instructions_topic, results_topic
from salur.common.events import OutsideConsumer, RawConsumer
from salur.common.logs import get_logger
from salur.common.reseal import Place
from salur.common.retention import counted, load_retention
from salur.common.roles import Access
from salur.common.service import Runtime, Service, Worker, run

log = get_logger("audit")

RECORDS_PER_BATCH = 2_000
PUBLISH_CHECK_S = 0.5
CLAIM_INTERVAL_S = 1.0
CLAIMS_PER_STEP = 200
SEAL_CHECK_S = 10.0
ANNOUNCE_INTERVAL_S = 1.0
FLAGS_INTERVAL_S = 1.0
RETAINED = ("checked-seals", "closed-flags", "outside-records", "saved-questions")
APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "entry": (), "outside_record": ("sealed",), "equivocation": (), "cosignature": (), "checkpoint": ("announced_at",)
}  # fmt: skip


def build(runtime: Runtime) -> Service:
    """The audit: takes every topic, writes the log, answers auditors."""
    settings = cast(AuditSettings, runtime.settings)
    keys = load_keys(settings.state_dir, settings.log_origin)

    def opened(note: str) -> Checkpoint:
        return open_checkpoint(note, *keys.verifiers)

    announcer = Announcer(runtime.db, runtime.kafka, settings.log_origin, opened)
    policy = Policy.parse(settings.witness_policy.read_text("utf-8")) if settings.witness_policy else None
    witnesses = Witnesses(runtime.db, policy, keys.verifiers) if policy else None

    async def outside_heads() -> Sequence[Checkpoint]:
        return [*await announcer.heads(), *(await witnesses.heads() if witnesses else ())]

    publisher = Publisher(
        runtime.db, settings.audit_log_dir, keys, settings.publish_interval_s, announcer.keep, outside_heads,
        witnesses.cosign if witnesses else None,
    )  # fmt: skip

    async def announce() -> bool:
        return await announcer.announce(publisher.published())

    overdue: set[str] = set()

    async def check_seals() -> bool:
        """Alarm once when a service stops sealing what it writes, once when it seals again."""
        async with runtime.db.connection() as conn:
            rows = await store.queries.overdue_seals(conn, consumer=store.EVENTS_CONSUMER, age_s=SEAL_OVERDUE_S)
        now = {row["stream"].partition(".")[0] for row in rows}
        for service in now - overdue:
            log.error("seal-overdue", service=service, remedy=f"{service} must seal its streams: look at its workers")
        for service in overdue - now:
            log.info("seal-again", service=service)
        overdue.clear()
        overdue.update(now)
        return False

    async def check_claims() -> bool:
        async with runtime.db.transaction() as conn:
            rows = await store.queries.check_claims(conn, consumer=store.EVENTS_CONSUMER, most=CLAIMS_PER_STEP)
        for row in rows:
            if row["outcome"] == "different":
                log.error(
                    "seal-different", stream=row["stream"], head=row["head"], first_index=row["first_index"],
                    remedy="auditors must compare",
                )  # fmt: skip
        return len(rows) == CLAIMS_PER_STEP

    compare = partial(compare_repeats, secrets=runtime.secrets)
    topics = [topic.name for topic in ALL_TOPICS] + [instructions_topic(bank).name for bank in settings.banks]
    consumers: list[RawConsumer | OutsideConsumer] = [
        RawConsumer(store.EVENTS_CONSUMER, topics, record_events, RECORDS_PER_BATCH, compare)
    ]
    if settings.banks:
        results = [results_topic(bank).name for bank in settings.banks]
        handler = partial(record_outside, secrets=runtime.secrets)
        consumers.append(OutsideConsumer(store.BANKS_CONSUMER, results, handler, RECORDS_PER_BATCH))
    endings = {kind: counted(store.queries, kind) for kind in RETAINED}
    return Service(
        retention=load_retention(Path(__file__).parent / "retention.yaml", endings),
        description="The trail: an append-only Merkle log of every event, with proofs.",
        migrations=Path(__file__).parent / "migrations",
        access=Access(APPEND_ONLY, audited=None),
        sealed=(Place("outside_record", "", fixed=SEAL_CONTEXT.decode()),),
        consumers=consumers,
        workers=[
            Worker("integrate", publisher.step, settings.integrate_interval_s),
            Worker("publish", publisher.publish_due, PUBLISH_CHECK_S),
            Worker("announce", announce, ANNOUNCE_INTERVAL_S),
            Worker("seal-overdue", check_seals, SEAL_CHECK_S),
            Worker("seal-claims", check_claims, CLAIM_INTERVAL_S),
            Worker("search", Indexer(runtime.db).step, settings.search_interval_s),
            Worker("flags", Watch(runtime, load_rules()).step, FLAGS_INTERVAL_S),
        ],
        routers=[
            routes(runtime, publisher, policy),
            evidence_routes(runtime, publisher, policy),
            trail_routes(runtime),
            flag_routes(runtime),
            ledger_routes(runtime),
        ],
    )


def main() -> None:
    """`python -m salur.audit`"""
    run(build, name="audit", settings_class=AuditSettings)

"""One seed: a fresh platform, the main job under its faults, quiet, and the judgement of every promise."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition

from salur.common.contracts.topics import results_topic
from salur.local.crash import invariants
from salur.local.crash.evidence import Evidence, HeadWatch, gather
from salur.local.crash.households import Expected, expected, sample, write_waves
from salur.local.crash.injector import Injector
from salur.local.crash.invariants import Finding
from salur.local.crash.observer import Observer, Snapshot, outside_lag
from salur.local.crash.plan import STOPPED_FOR_GOOD_S, Fault, make_plan
from salur.local.crash.work import Outcome, Work
from salur.local.demo.calls import Patient
from salur.local.demo.pipeline import Pipeline
from salur.local.kafka import run_blocking
from salur.local.platform import Options, Platform, running

TEND_S = 0.05
QUIET_S = 60.0
"""I6: after the last fault and the last payment nothing may wait longer than this."""
OVERCOME_S = 120.0
"""A fault not overcome this long after its end fails the run."""
RUN_S = 540.0
SMALL_BATCHES = {
    "eligibility": {"SALUR_HOUSEHOLD_RECORDS": "200", "SALUR_DECIDE_BATCH": "200", "SALUR_GRANT_BATCH": "100"},
    "payments": {
        "SALUR_INSTRUCT_BATCH": "100",
        "SALUR_ANSWER_TIMEOUT_S": "3",
        "SALUR_INQUIRY_INTERVAL_S": "2",
    },
    "audit": {"SALUR_PUBLISH_INTERVAL_S": "1"},
}
"""More transactions for faults to strike, banks that are asked soon, heads to compare."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is."""

    households: int = 3_000
    waves: int = 30
    rounds: int = 2
    most_rounds: int = 12
    away_s: float = STOPPED_FOR_GOOD_S


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the runs work on, and where."""

    data: Path
    mapping: Path
    programme: Path
    cache_dir: Path
    root: Path


@dataclass
class Judged:
    """A finished run."""

    seed: int
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return bool(self.findings) and all(finding.kept for finding in self.findings)

    def breaks(self, *starts: str) -> int:
        """Breaks of the promises whose text begins so."""
        return sum(finding.breaks for finding in self.findings if finding.promise.startswith(starts))


class Stuck(RuntimeError):
    """The run did not come to its end; the message says what waits."""


def run_seed(seed: int, scale: Scale, inputs: Inputs, say: Callable[[str], None]) -> Judged:
    """Run and judge one seed in `root/seed-N`. Broken promises and a run that is stuck are in the result."""
    options = Options(separate_relays=True, seed=seed, bank_profile="unreliable", env=SMALL_BATCHES)
    platform = Platform(inputs.root / f"seed-{seed}", inputs.cache_dir, options)
    platform.fresh()
    columns, families = sample(inputs.data, scale.households, seed)
    files = write_waves(platform.state_dir / "input", columns, families, scale.waves)
    plan = make_plan(seed, banks=options.banks, rounds=scale.rounds, away_s=scale.away_s)
    began = time.monotonic()

    def told(line: str) -> None:
        say(f"seed {seed} {time.monotonic() - began:6.1f} s  {line}")

    told(f"{len(plan)} faults planned, starting the platform")
    with running(platform):
        run = _Run(platform, plan, files, scale, inputs, told, began)
        judged = Judged(seed)
        try:
            run.to_its_end()
            quiet_s, left = run.until_quiet()
            evidence = gather(
                platform, run.pipeline, run.outcome.programme_id, [family[0]["household_id"] for family in families]
            )
            wanted = expected(families, inputs.programme)
            judged.findings = judge(evidence, run, wanted, quiet_s, left)
        except Exception as error:
            run.injector.undo()
            finding = Finding("the run came to its end")
            finding.look(False, f"{type(error).__name__}: {error}")
            judged.findings = [finding]
        finally:
            run.end()
        judged.facts = run.facts()
    judged.facts["seconds"] = round(time.monotonic() - began, 1)
    return judged


class _Run:
    """The parts of a run, together while it lasts."""

    def __init__(
        self, platform: Platform, plan: list[Fault], files: list[Path], scale: Scale, inputs: Inputs,
        say: Callable[[str], None], began: float,
    ) -> None:  # fmt: skip
        self.platform = platform
        self.began = began
        self.observer = Observer(platform)
        self.heads = HeadWatch(platform.audit_log_dir)
        self.injector = Injector(plan, platform, self.observer, lambda: self.work.progress, say)
        self.work = Work(
            platform, files=files, households=scale.households, mapping=inputs.mapping, programme=inputs.programme,
            rounds=scale.rounds, most_rounds=scale.most_rounds, keeps_back=self.injector.keeps_back,
            calm=lambda: self.injector.calm, more=lambda: self.injector.still_to_strike > 0,
        )  # fmt: skip
        self.plan = plan
        self.scale = scale
        self.say = say
        self.restarts: dict[str, int] = {}
        self.quiet_s: float | None = None
        # Asks in the main thread once the faults are over, so it tends.
        self.pipeline = Pipeline(platform, timeout_s=OVERCOME_S, tend=self.tend)

    @property
    def outcome(self) -> Outcome:
        return self.work.outcome

    def tend(self) -> None:
        """Restart what died, look at the log's head."""
        for name in self.platform.tend():
            self.restarts[name] = self.restarts.get(name, 0) + 1
        self.heads.look()

    def to_its_end(self) -> None:
        """Work and strike until both are done. Raises Stuck, or what the work failed with."""
        deadline = time.monotonic() + RUN_S + self.scale.away_s
        self.observer.start()
        self.work.start()
        while self.work.running or self.injector.unfinished:
            self.tend()
            self.injector.step()
            if self.work.error is not None:
                raise self.work.error
            if not self.work.running and self.injector.still_to_strike:
                raise Stuck(f"{self.injector.still_to_strike} faults found no work to strike")
            self._check_overcome()
            if time.monotonic() > deadline:
                raise Stuck(f"the run is not done: {self._waiting()}")
            time.sleep(TEND_S)

    def _check_overcome(self) -> None:
        now = time.monotonic()
        for blow in self.injector.blows:
            if blow.over_at and not blow.recovered_at and now - blow.since > OVERCOME_S:
                name = f"{blow.fault.kind} {blow.fault.target}"
                raise Stuck(f"{name} is not overcome {now - blow.since:.0f} s after its end: {self._waiting()}")

    def _waiting(self) -> str:
        snapshot = self.observer.latest
        if snapshot is None:
            return "nothing could be read"
        names = [*self.platform.supervisor.children]
        waits = {name: snapshot.pending(name) for name in names if not name.endswith("stand-in")}
        return ", ".join(f"{name} {count}" for name, count in waits.items() if count) or "nothing waits"

    def until_quiet(self) -> tuple[float | None, dict[str, int]]:
        """Wait until nothing waits anywhere, then close the log. Returns the seconds it took, and what still waits."""
        since = max([self.outcome.paid_at, *(blow.over_at for blow in self.injector.blows)])
        patient = Patient(self.tend, OVERCOME_S)
        left = patient.until("quiet", self._left, lambda waits: not any(waits.values()))
        self.quiet_s = time.monotonic() - since
        self.say(f"quiet {self.quiet_s:.1f} s after the last fault and payment, closing the log")
        self.pipeline.close_log()
        self.outcome.log_size = self.pipeline.rest()
        self.tend()
        return round(self.quiet_s, 2), left

    def _left(self) -> dict[str, int]:
        try:
            snapshot = self.observer.look_once()
            ends = run_blocking(_result_ends(self.platform))
        except (psycopg.Error, OSError) as error:
            return {f"{type(error).__name__}": 1}
        return left_waiting(snapshot, ends)

    def end(self) -> None:
        """Stop the threads."""
        self.work.abandon()
        self.observer.stop()

    def facts(self) -> dict[str, Any]:
        """Figures and faults of the run for the report."""
        blows = [blow.facts(self.began) for blow in self.injector.blows]
        return {
            "rounds": len(self.outcome.lists),
            "payments": sum(self.outcome.entitled),
            "events": self.outcome.log_size,
            "heads_seen": len(self.heads.seen),
            "quiet_s": None if self.quiet_s is None else round(self.quiet_s, 2),
            "recovery_s_max": max((blow["recovery_s"] or 0.0 for blow in blows), default=0.0),
            "restarts": self.restarts,
            "faults_without_effect": [f"{fault.kind} {fault.target}" for fault in self.injector.missed],
            "faults": blows,
        }


def left_waiting(snapshot: Snapshot, ends: Mapping[str, int]) -> dict[str, int]:
    """What still waits, by name; all zero when the platform is quiet."""
    return {
        "events not published": snapshot.unpublished(),
        "events not taken": snapshot.untaken(),
        "answers of banks not taken": outside_lag(snapshot, ends),
        "answers of banks not sent": sum(snapshot.unsent.values()),
        "payments in flight": sum(snapshot.in_flight.values()) + snapshot.uninstructed,
        "imports": snapshot.imports,
    }


async def _result_ends(platform: Platform) -> dict[str, int]:
    """Kafka's end offsets of the banks' topics, by stream. Raises OSError when Kafka does not answer."""
    topics = [results_topic(bank) for bank in platform.options.banks]
    consumer = AIOKafkaConsumer(bootstrap_servers=platform.kafka.bootstrap, enable_auto_commit=False)
    try:
        await consumer.start()
        places = [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]
        ends = await consumer.end_offsets(places)
    finally:
        await consumer.stop()
    return {f"{place.topic}/{place.partition}": end for place, end in ends.items()}


def judge(
    evidence: Evidence, run: _Run, wanted: Expected, quiet_s: float | None, left: Mapping[str, int]
) -> list[Finding]:  # fmt: skip
    """Every promise, each by name."""
    e = evidence
    return [
        invariants.money(e.sums_minor, e.differing, e.funds, e.payments, e.kept_minor),
        invariants.finality(e.approved, e.payments),
        invariants.single_payment(e.books),
        invariants.trail(e.appended, e.heads, e.leaves, e.outside, e.results, e.verified.size),
        invariants.signed_heads(run.heads.seen, run.heads.proofs(run.pipeline.auditor), e.verified),
        invariants.moves(e.leaves, e.payments),
        invariants.lag(quiet_s, QUIET_S, left),
        invariants.order(e.records, e.heads, e.leaves, e.book_states),
        invariants.replayed(e.leaves, e.ledger),
        invariants.lost(e.book_states, e.payments, e.entitled, e.held),
        invariants.nobody_forgotten(wanted, e.household_ids, e.leaves, e.eligible, len(run.outcome.lists)),
        _nothing_aside(e),
        struck(run.plan, run.injector),
    ]


def _nothing_aside(evidence: Evidence) -> Finding:
    finding = Finding("no event became a dead letter, no bank's answer was put aside")
    finding.look(evidence.dead_letters == 0, f"{evidence.dead_letters} dead letters")
    finding.look(evidence.suspended == 0, f"{evidence.suspended} answers of banks put aside")
    return finding


def struck(plan: list[Fault], injector: Injector) -> Finding:
    """Whether every planned fault struck and was overcome, those every run must have while work was in flight."""
    finding = Finding("every process was struck and came back, the demanded faults while work was in flight")
    blows = {(blow.fault.kind, blow.fault.target): blow for blow in injector.blows}
    for fault in plan:
        blow = blows.get((fault.kind, fault.target))
        name = f"{fault.kind} {fault.target}"
        finding.look(blow is not None, f"{name} never struck")
        if blow is not None:
            finding.look(bool(blow.recovered_at), f"{name} was not overcome")
            finding.look(not fault.demanded or blow.progress.in_flight > 0, f"{name} struck no work")
    return finding

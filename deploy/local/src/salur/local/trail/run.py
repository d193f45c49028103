"""One run: the audit alone on the real pair, its speed, proofs, witnesses, tamper cases and crashes, and a report."""

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import orjson
import psycopg

from salur.audit.domain.ledger import SETTLED, Ledger, differences
from salur.audit.evidence import verify_bundle
from salur.audit.evidence.bundle import write_bundle
from salur.audit.evidence.select import Question
from salur.audit.log.note import Note, open_checkpoint, parse_keys
from salur.audit.log.policy import Policy
from salur.audit.log.tiles import TileReader
from salur.audit.log.tree import consistency_proof, verify_consistency
from salur.audit.log.verify import verify_log
from salur.common.database import Database, migrate
from salur.local import search_bench
from salur.local.bench.usage import cpu_seconds, spent
from salur.local.cli.demo import DATA, MAPPING, PROGRAMME
from salur.local.client import CallFailed, Client
from salur.local.demo.run import Inputs, new_platform
from salur.local.demo.run import run as run_demo
from salur.local.kafka import run_blocking
from salur.local.ledger import ledger_of
from salur.local.platform import Options, Platform, running
from salur.local.trail.erasure import TOPIC, Outcome, erase_under_log
from salur.local.trail.flags import measure as measure_flags
from salur.local.trail.lab import MIGRATIONS, TOPICS, Lab
from salur.local.trail.load import send
from salur.local.trail.tamper import Case, tamper_all
from salur.local.trail.thirdparty import build

POLL_S = 0.02
SETTLED_LEAF = f'"type":"{SETTLED}"'.encode()
LATENCY_RATE, INDEX_RATE, LATENCY_S = 2_000, 1_000, 15
"""Events a second of a steady stream, for the time to a durable tile and for the time to search."""
QUESTIONS_EACH = 40
FLAG_FAMILIES = 3_000
LEDGER_HOUSEHOLDS = 300
"""Households of the file that are paid, for the ledger made again from the log."""
BUNDLE_ENTRIES = 5_000
KILL_S = (0.3, 2.0)
"""Between two kills."""
DRAIN_TIMEOUT_S = 600.0
APPENDS_GOAL, LATENCY_GOAL_S, VERIFY_GOAL_S, TAMPER_GOAL = 20_000, 2.0, 1.0, 14
QUERY_GOAL_MS, INDEX_LAG_GOAL_S, BREACH_GOAL_S = 100.0, 5.0, 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does. `crash_seeds` kills audit and PostgreSQL during `crash_appends` each."""

    entries: int
    seed: int
    crash_seeds: int
    crash_appends: int
    state_dir: Path
    cache_dir: Path
    tools_dir: Path


@dataclass
class Trail:
    """The figures of a run as they come."""

    plan: Plan
    platform: Platform
    say: Callable[[str], None]
    report: dict[str, Any] = field(default_factory=dict)
    sent: int = 0

    def __post_init__(self) -> None:
        self.client = Client(self.platform.state_dir, "person:auditor", ["auditor", "operator"])

    @property
    def log(self) -> Path:
        return self.platform.audit_log_dir

    def position(self) -> dict[str, int]:
        """Rows, tiles, search and head of the log; zeros while the audit is away."""
        try:
            return dict(self.client.call("audit", "GET", "/log"))
        except CallFailed:
            return {"size": 0, "integrated": 0, "indexed": 0, "published": 0}

    def drained(self, size: int, where: str = "integrated") -> float:
        """Wait until so many entries stand in durable tiles, or are known to search (`indexed`); when that was."""
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while self.position()[where] < size:
            self.platform.tend()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{size} entries are not {where} after {DRAIN_TIMEOUT_S:.0f} s")
            time.sleep(POLL_S)
        return time.monotonic()

    def speed(self) -> None:
        """Records wait in Kafka, then the audit starts: from its first entry to the last one durable in a tile."""
        audit = self.platform.supervisor.children["audit"]
        audit.stop()
        run_blocking(send(self.platform.kafka.bootstrap, self.sent, self.plan.entries))
        self.sent += self.plan.entries
        audit.start()
        began, began_size = self._first_taken()
        before = cpu_seconds(self.platform)
        seconds = self.drained(self.sent) - began
        appended = self.sent - began_size
        used = spent(before, cpu_seconds(self.platform))
        self.report |= {
            "appends_per_second": round(appended / seconds, 1),
            "cpu_us_per_append": {
                name: round(us / appended * 1e6, 1) for name, us in used.items() if us / appended > 1e-7
            },
        }

    def _first_taken(self) -> tuple[float, int]:
        """When the audit was first seen to hold entries, and how many; all of a short log are counted from before."""
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        seen_none = time.monotonic()
        while (size := self.position()["size"]) == 0:
            seen_none = time.monotonic()
            if seen_none > deadline:
                raise TimeoutError("the audit takes nothing")
            time.sleep(POLL_S)
        return (time.monotonic(), size) if size < self.sent else (seen_none, 0)

    def latency(self) -> None:
        """From Kafka's acknowledgement to the entry in a durable tile, and found by search, at steady rates."""
        began = time.monotonic()
        self.report["search_catch_up_s"] = round(self.drained(self.sent, "indexed") - began, 1)
        waits = run_blocking(self._send_and_watch(LATENCY_RATE, "integrated"))
        self.report["integration_p50_s"] = round(waits[len(waits) // 2], 3)
        self.report["integration_p99_s"] = round(waits[int(len(waits) * 0.99)], 3)
        self.drained(self.sent, "indexed")
        self.report["index_lag_s"] = round(run_blocking(self._send_and_watch(INDEX_RATE, "indexed"))[-1], 3)

    async def _send_and_watch(self, rate: int, where: str) -> list[float]:
        """How long each entry of a steady stream waited, the shortest first."""
        count = rate * LATENCY_S
        first, seen = self.sent, [(time.monotonic(), self.sent)]
        sending = asyncio.create_task(send(self.platform.kafka.bootstrap, first, count, rate))
        self.sent += count
        while seen[-1][1] < self.sent:
            position = await asyncio.to_thread(self.position)
            seen.append((time.monotonic(), max(seen[-1][1], position[where])))
            if sending.done() and sending.exception():
                break
            await asyncio.sleep(POLL_S)
        times, waits, at = await sending, [], 0
        for number, acknowledged in enumerate(sorted(times)):
            # Which entry stands where is not known from outside; that n are there is: the n-th acknowledged by then.
            while seen[at][1] < first + number + 1:
                at += 1
            waits.append(max(0.0, seen[at][0] - acknowledged))
        return sorted(waits)

    def search(self) -> None:
        """Questions of every dimension over as many entries as the run has, in a database of their own."""
        found = run_blocking(search_bench.run(self._database("search"), self.plan.entries, QUESTIONS_EACH))
        names = ("query_p95_ms", "breach_report_s", "breach_report_reads")
        self.report |= {"query_entries": found["entries"], **{name: found[name] for name in names}}

    def flags(self) -> None:
        """Precision and recall of the rules over a generated population with planted faults."""
        self.report["flags"] = figures = run_blocking(self._measure_flags())
        for rule, figure in figures.items():
            self.say(f"{rule}: {figure}")

    async def _measure_flags(self) -> dict[str, Any]:
        async with self._audit_database("flags") as database:
            return await measure_flags(database, FLAG_FAMILIES, self.plan.seed)

    @asynccontextmanager
    async def _audit_database(self, name: str) -> AsyncIterator[Database]:
        """An audit database of its own, open."""
        url = self._database(name)
        migrate(url, [MIGRATIONS])
        database = Database(url, pool_size=4, statement_timeout_s=60)
        await database.open()
        try:
            yield database
        finally:
            await database.close()

    def _database(self, name: str) -> str:
        """The address of an empty database."""
        with psycopg.connect(self.platform.postgres.url(), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {name}")
        return self.platform.postgres.url(name)

    def crashes(self) -> None:
        """SIGKILL of audit and PostgreSQL at random moments; afterwards nothing may be lost, doubled or unproven."""
        failures: list[str] = []
        kills = 0
        for number in range(self.plan.crash_seeds):
            chance = random.Random(f"{self.plan.seed}/{number}")  # noqa: S311 - repeatable on purpose
            killed = self._crash(chance)
            kills += killed
            self.say(f"crash seed {number}: {killed} kills, {self.sent} entries")
            failures += [f"seed {number}: {problem}" for problem in self._after_crash()]
        self.report |= {
            "crash_seeds": self.plan.crash_seeds,
            "crash_failures": len(failures),
            "kills": kills,
            "crash_problems": failures,
        }

    def _crash(self, chance: random.Random) -> int:
        audit, postgres = self.platform.supervisor.children["audit"], self.platform.postgres
        run_blocking(send(self.platform.kafka.bootstrap, self.sent, self.plan.crash_appends))
        self.sent += self.plan.crash_appends
        kills, next_kill = 0, time.monotonic() + chance.uniform(*KILL_S)
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while self.position()["integrated"] < self.sent or kills < 2:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.sent} entries are not integrated after {DRAIN_TIMEOUT_S:.0f} s")
            if time.monotonic() >= next_kill:
                if kills % 3 == 1:
                    postgres.kill()
                    postgres.restart()
                else:
                    audit.kill()
                kills += 1
                next_kill = time.monotonic() + chance.uniform(*KILL_S) + 1.5 * (kills > 6)
            self.platform.tend()
            time.sleep(POLL_S)
        return kills

    def _after_crash(self) -> list[str]:
        self.platform_ready()
        problems = []
        head = self.client.call("audit", "POST", "/log/publish")
        if head["published"] != self.sent:
            problems.append(f"{head['published']} entries, {self.sent} were sent")
        compared = self.client.call("audit", "POST", "/log/compare")
        if compared["first_bad_index"] != -1:
            problems.append(f"row {compared['first_bad_index']}: {compared['problem']}")
        verified = verify_log(self.log, *self._keys(), proofs=False, heads=self._heads())
        return problems + verified.problems

    def platform_ready(self) -> None:
        """Wait until the audit answers again."""
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while True:
            self.platform.tend()
            try:
                self.client.call("audit", "GET", "/ready")
                return
            except CallFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)

    def _keys(self) -> tuple[Any, ...]:
        return parse_keys((self.log / "log.pub").read_text(encoding="utf-8"))

    def _heads(self) -> list[str]:
        """Every head the audit has signed, from its database."""
        with psycopg.connect(self.platform.postgres.url("audit")) as conn:
            rows = conn.execute("SELECT note FROM checkpoint ORDER BY size").fetchall()
        return [bytes(row[0]).decode() for row in rows]

    def proofs(self) -> None:
        """Everything again from the files, a bundle's verification, the heads among each other, the witnesses."""
        self.client.call("audit", "POST", "/log/publish")
        self.client.call("audit", "GET", "/log/completeness")
        keys, heads = self._keys(), self._heads()
        verified = verify_log(self.log, *keys, heads=heads)
        note = (self.log / "checkpoint").read_text(encoding="utf-8")
        policy = Policy.parse(self.platform.policy_file.read_text(encoding="utf-8"))
        completeness = self.client.call("audit", "GET", "/completeness")
        self.report |= {
            "sent": self.sent,
            "entries": verified.size,
            "proofs_checked": verified.proofs_checked,
            "proofs_failed": verified.proofs_failed,
            "log_problems": verified.problems,
            "verify_log_seconds": round(verified.seconds, 1),
            "heads": len(heads),
            "heads_inconsistent": self._inconsistent(heads),
            "witnesses": len(policy.cosigners(Note.parse(note))),
            "witness_quorum": policy.is_met(Note.parse(note)),
            "gaps": verified.gaps + verified.missing + completeness["gaps"],
            "verify_seconds_per_1000": self._bundle_seconds(),
        }

    def _inconsistent(self, notes: list[str]) -> int:
        heads = [open_checkpoint(note, *self._keys()) for note in notes]
        reader = TileReader(self.log, heads[-1].size)
        wrong = 0
        for old, new in pairwise(heads):
            proof = consistency_proof(old.size, new.size, reader.hash_at)
            try:
                verify_consistency(old.size, new.size, proof, old.root, new.root)
            except Exception:
                wrong += 1
        return wrong

    def _bundle_seconds(self) -> float:
        size = open_checkpoint((self.log / "checkpoint").read_text(encoding="utf-8"), *self._keys()).size
        indexes = sorted(random.Random(self.plan.seed).sample(range(size), min(size, BUNDLE_ENTRIES)))  # noqa: S311
        path = self.platform.state_dir / "evidence.zip"
        policy = self.platform.policy_file.read_text(encoding="utf-8")
        write_bundle(self.log, Question("period", "2026/2027"), indexes, policy, path)
        began = time.monotonic()
        verify_bundle.verify(verify_bundle._open(path), policy)
        return round((time.monotonic() - began) / len(indexes) * 1000, 3)

    def third_parties(self) -> None:
        """Tessera's fsck and Go's sumdb; None where no Go toolchain is."""
        tools = build(self.plan.tools_dir)
        if tools is None:
            self.report |= {"fsck_ok": None, "sumdb_ok": None}
            return
        step = max(1, self.report["entries"] // 5_000)
        fsck, sumdb = tools.run_fsck(self.log), tools.run_sumdb(self.log, step=step)
        for name, outcome in (("fsck", fsck), ("sumdb", sumdb)):
            if not outcome.ok:
                self.say(f"{name}: {outcome.output[-500:]}")
        self.report |= {"fsck_ok": fsck.ok, "sumdb_ok": sumdb.ok}

    def tampering(self) -> None:
        """Every case on a small log of its own in a database of its own."""
        cases = run_blocking(self._tamper())
        for case in cases:
            if not case.caught:
                self.say(f"not caught: {case.name} ({case.tool}): {case.said}")
        self.report |= {
            "tamper_cases": len(cases),
            "tamper_caught": sum(case.caught for case in cases),
            "tamper": [
                {"case": case.name, "tool": case.tool, "caught": case.caught, "first_bad_index": case.first_bad_index}
                for case in cases
            ],
        }

    async def _tamper(self) -> list[Case]:
        async with self._lab("tamper") as lab:
            return await tamper_all(lab)

    def erasure(self) -> None:
        """Subjects erased under a log of its own."""
        outcome = run_blocking(self._erase())
        for problem in outcome.problems[:10]:
            self.say(f"erasure: {problem}")
        self.report |= {
            "erased_subjects": outcome.erased,
            "erased_subjects_proofs_ok": outcome.erased > 0 and not outcome.problems,
        }

    async def _erase(self) -> Outcome:
        async with self._lab("erasure", (TOPIC,)) as lab:
            return await erase_under_log(lab)

    @asynccontextmanager
    async def _lab(self, name: str, topics: Sequence[str] = TOPICS) -> AsyncIterator[Lab]:
        """A small audit with a database and a folder of its own."""
        folder = self.platform.state_dir / name
        shutil.rmtree(folder, ignore_errors=True)
        async with self._audit_database(name) as database:
            lab = Lab(database, folder, topics=topics)
            try:
                yield lab
            finally:
                lab.close()


def run(plan: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """Every stage; the report. Raises RuntimeError, TimeoutError, OSError when a stage cannot be finished."""
    options = Options(services=("audit",), banks=(), seed=plan.seed)
    platform = Platform(plan.state_dir, plan.cache_dir, options)
    platform.fresh()
    began = time.monotonic()
    with running(platform):
        trail = Trail(plan, platform, say)
        stages = (
            ("append", trail.speed), ("latency", trail.latency), ("search", trail.search), ("flags", trail.flags),
            ("crash", trail.crashes), ("prove", trail.proofs), ("tools of others", trail.third_parties),
            ("tamper", trail.tampering), ("erase", trail.erasure),
        )  # fmt: skip
        for name, stage in stages:
            stage_began = time.monotonic()
            stage()
            say(f"{name}: {time.monotonic() - stage_began:.1f} s")
        trail.client.close()
    ledger_began = time.monotonic()
    trail.report |= paid_again(plan)
    say(f"ledger: {time.monotonic() - ledger_began:.1f} s")
    report = {"seed": plan.seed, **trail.report, "seconds": round(time.monotonic() - began, 1)}
    report["promises"] = [{"text": text, "kept": kept} for text, kept in promises(report)]
    (plan.state_dir / "report.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    return report


def paid_again(plan: Plan) -> dict[str, Any]:
    """Pay some real households on a whole platform: its ledger must be the one its log alone leads to, and one of which
    an event is left out must not."""
    folder = plan.state_dir / "paid"
    data = folder.with_suffix(".csv")
    with DATA.open(encoding="utf-8") as rows:
        data.write_text("".join(islice(rows, LEDGER_HOUSEHOLDS + 1)), encoding="utf-8")
    inputs = Inputs(data, MAPPING, PROGRAMME, folder, plan.cache_dir)
    platform = new_platform(inputs)
    with running(platform):
        result = run_demo(platform, inputs, lambda _stage, _done, _total: None)
    leaves = TileReader(platform.audit_log_dir, result.report["audit_size"]).leaves(0, result.report["audit_size"])
    kept = [leaf for leaf in leaves if SETTLED_LEAF not in leaf]
    return {
        "ledger_hash_equal": result.report["ledger_hash_equal"],
        "ledger_events_left_out": result.report["audit_size"] - len(kept),
        "ledger_left_out_differs": differences(
            Ledger.of(kept).balances(), ledger_of(platform.audit_log_dir).balances()
        ),
        "paid_promises_broken": [promise.text for promise in result.promises if not promise.kept],
    }


def promises(report: dict[str, Any]) -> list[tuple[str, bool]]:
    """What every run must keep. Speed is a figure, not a promise: it hangs on the machine."""
    return [
        ("every entry sent stands in the log once", report["entries"] == report["sent"] and not report["log_problems"]),
        ("kills lose, double and break nothing", report["crash_failures"] == 0),
        ("every proof verifies", report["proofs_failed"] == 0 and report["proofs_checked"] == report["entries"]),
        ("every head extends the one before", report["heads_inconsistent"] == 0 and report["heads"] > 0),
        ("the last head has its quorum of witnesses", report["witness_quorum"] is True),
        ("no stream has a gap", report["gaps"] == 0),
        ("tools of others accept the log", report["fsck_ok"] is not False and report["sumdb_ok"] is not False),
        (
            f"every tamper case is caught, at least {TAMPER_GOAL}",
            report["tamper_caught"] == report["tamper_cases"] >= TAMPER_GOAL,
        ),
        ("an erasure leaves every proof valid and no value open", report["erased_subjects_proofs_ok"]),
        (
            f"95 of 100 questions are answered within {QUERY_GOAL_MS:.0f} ms",
            report["query_p95_ms"] < QUERY_GOAL_MS and report["query_entries"] > 0,
        ),
        (
            f"whose fields a person read is told within {BREACH_GOAL_S:.0f} s",
            report["breach_report_s"] < BREACH_GOAL_S and report["breach_report_reads"] > 0,
        ),
        (
            f"search is at most {INDEX_LAG_GOAL_S:.0f} s behind {INDEX_RATE} events a second",
            report["index_lag_s"] < INDEX_LAG_GOAL_S,
        ),
        (
            "the rules for red flags find all that is planted and nothing else",
            bool(report["flags"])
            and all((rule["precision"], rule["recall"]) == (1.0, 1.0) for rule in report["flags"].values()),
        ),
        (
            "the log alone leads to the ledger of the payments service, and without some events to another",
            report["ledger_hash_equal"] is True
            and (not report["ledger_events_left_out"] or bool(report["ledger_left_out_differs"])),
        ),
        ("the payments behind that ledger keep every promise", not report["paid_promises_broken"]),
        (
            f"a thousand entries are verified within {VERIFY_GOAL_S} s",
            report["verify_seconds_per_1000"] < VERIFY_GOAL_S,
        ),
    ]

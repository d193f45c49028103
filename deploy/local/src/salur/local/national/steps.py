"""What the people of a nation's run do, each as themselves, over the HTTP APIs."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from salur.local.client import CallFailed, Client
from salur.local.demo.calls import Patient
from salur.local.demo.pipeline import Pipeline, Stage, Watch
from salur.local.national.machine import Taken, taking

REGIONS = ["32", "33", "35"]
"""The declared disaster strikes the three most populous provinces: nearly half of all families."""
CYCLE = "2026-1"
POOR_HOUSE = {
    "floor": "soil", "floor_area_m2": 9, "electricity_va": 0, "motorcycle": False, "fridge": False,
    "head_education": "none",
}  # fmt: skip
"""What the scoring model reads: with so little a family stands in the poorest deciles, whatever its size."""
OTHERS = ("eligibility",)
WAITS = ("cut-not-passed", "decisions-pending")
SHOWN = ("decided", "enrolled", "selected", "entitlements", "not_due", "amount_minor", "places", "alarms")


def shown(cycle: dict[str, Any]) -> dict[str, Any]:
    """What a report tells of a cycle."""
    return {name: cycle[name] for name in SHOWN}


@dataclass
class Nation:
    """A running platform and the people who work with it. `reader` waits long for large answers."""

    pipeline: Pipeline
    patient: Patient
    citizen_desk: Client
    reader: Client
    watch: Watch
    cut_id: str = ""
    households: int = 0
    programmes: list[str] = field(default_factory=list)
    stages: dict[str, Taken] = field(default_factory=dict)

    def close(self) -> None:
        """Give every connection back."""
        self.pipeline.close()
        self.citizen_desk.close()
        self.reader.close()

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Time a stage."""
        stage = Stage(name)
        self.watch(name, 0, None)
        with taking(self.pipeline.platform) as taken:
            yield stage
        stage.seconds = taken.seconds
        self.stages[name] = taken

    @contextmanager
    def others_paused(self) -> Iterator[None]:
        """Only the registry, its database and Kafka run: what it can take is measured alone."""
        children = [self.pipeline.platform.supervisor.children[name] for name in OTHERS]
        for child in children:
            child.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for child in children:
                child.signal(signal.SIGCONT)

    def matched(self) -> int:
        """Wait until everybody was looked at for duplicates; how many people that were."""

        def ask() -> dict[str, int]:
            progress: dict[str, int] = self.pipeline.registrar.call("registry", "GET", "/duplicates/progress")
            self.watch("duplicates", progress["people"] - progress["waiting"], None)
            return progress

        done = self.patient.until("the end of matching", ask, lambda p: p["behind"] == p["waiting"] == 0)
        return int(done["people"])

    def publish(self, path: Path) -> str:
        """Proposed by the programme officer, approved by another person."""
        return self._proposed("/programmes", "programme_id", path)

    def publish_model(self, path: Path) -> str:
        """The same for a scoring model."""
        return self._proposed("/score-models", "model_id", path)

    def _proposed(self, place: str, id_name: str, path: Path) -> str:
        content: dict[str, Any] = {"content": path.read_bytes(), "headers": {"content-type": "application/yaml"}}
        proposed = self.patient.command(self.pipeline.officer, "eligibility", place, **content)
        body = {"version": proposed["version"]}
        self.patient.command(self.pipeline.approver, "eligibility", f"{place}/{proposed[id_name]}/approve", json=body)
        return str(proposed[id_name])

    def arrived(self) -> None:
        """Wait until the cut has passed eligibility everywhere."""

        def ask() -> int:
            return int(self.reader.call("eligibility", "GET", f"/cuts/{self.cut_id}")["passed"])

        self.patient.until("the cut at eligibility", ask, lambda passed: passed == 8)

    def decided(self) -> None:
        """Wait until every programme has decided every family."""

        def ask() -> list[str]:
            listed = self.reader.call("eligibility", "GET", "/programmes")["programmes"]
            left = [row["programme_id"] for row in listed if not row["decided"]]
            self.watch("decide", len(listed) - len(left), len(listed))
            return left

        self.patient.until("every decision", ask, lambda left: not left)

    def cycles(self) -> dict[str, dict[str, Any]]:
        """A cycle of each programme on the cut; what fairness holds, another person lets go on with a reason."""
        opened = {name: self._open(name) for name in self.programmes}
        done: dict[str, dict[str, Any]] = {}
        for name, cycle_id in opened.items():
            done[name] = self._granted(cycle_id)
        return done

    def _open(self, programme_id: str) -> str:
        body = {"programme_id": programme_id, "name": CYCLE, "cut_id": self.cut_id}
        answer = self.patient.command(self.pipeline.officer, "eligibility", "/cycles", wait_codes=WAITS, json=body)
        return str(answer["cycle_id"])

    def _granted(self, cycle_id: str) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            cycle: dict[str, Any] = self.reader.call("eligibility", "GET", f"/cycles/{cycle_id}")
            if cycle["state"] == "held":
                reason = {"reason": "first cycle: checked against the reference by hand"}
                self.patient.command(self.pipeline.approver, "eligibility", f"/cycles/{cycle_id}/release", json=reason)
            return cycle

        cycle: dict[str, Any] = self.patient.until("the cycle's entitlements", ask, lambda c: c["state"] == "granted")
        return cycle

    def coverage(self) -> dict[str, Any]:
        """Who is reached by any programme on the cut, by province, decile, sex, disability, age and obstacle."""
        answer: dict[str, Any] = self.reader.call("eligibility", "GET", f"/cuts/{self.cut_id}/coverage")
        return dict(answer["coverage"])

    def simulate(self, rules: Path, change: tuple[str, str]) -> dict[str, Any]:
        """Other rules against those in force; the registry is not touched."""
        text = rules.read_text(encoding="utf-8")
        if change[0] not in text:
            raise ValueError(f"{rules} does not hold {change[0]!r}: nothing would be simulated")
        body = {"rules": text.replace(*change)}
        asked = self.patient.command(self.reader, "eligibility", "/simulations", json=body)
        path = f"/simulations/{asked['simulation_id']}"
        view = self.patient.until(
            "the simulation", lambda: self.reader.call("eligibility", "GET", path), lambda v: v["state"] != "waiting"
        )
        if view["state"] != "done":
            raise CallFailed("the simulation failed: the log of eligibility says why", "simulation-failed", 0)
        return dict(view["result"])

    def emergency(self, programme_id: str) -> tuple[dict[str, Any], float]:
        """Declare a disaster, approve as another person: (the granted cycle, seconds from approval to entitlements)."""
        body = {
            "programme_id": programme_id, "name": "flood", "regions": REGIONS, "started_on": "2026-01-05",
            "cut_id": self.cut_id, "reason": "flood after weeks of rain",
        }  # fmt: skip
        declared = self.patient.command(self.pipeline.officer, "eligibility", "/declarations", json=body)
        began = time.monotonic()
        approved = self.patient.command(
            self.pipeline.approver, "eligibility", f"/declarations/{declared['declaration_id']}/approve"
        )
        cycle = self._granted(approved["cycle_id"])
        return cycle, time.monotonic() - began

    def appeal(self, programme_id: str) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
        """Somebody left out objects, another person puts right what they have: (answer, back-pay cycle, statistics)."""
        refused = self._left_out(programme_id)
        body = {
            "household_id": refused["household_id"], "decision_id": refused["decision_id"], "grounds": "wrong-data",
            "statement": "Rumah kami rusak dan tidak ada yang bekerja.",
        }  # fmt: skip
        opened = self.patient.command(self.citizen_desk, "eligibility", "/appeals", json=body)
        found = {"outcome": "upheld", "reason": "seen at the house", "household": POOR_HOUSE}
        path = f"/appeals/{opened['appeal_id']}/decide"
        answer = self.patient.command(self.pipeline.approver, "eligibility", path, json=found)
        view = self.citizen_desk.call("eligibility", "GET", f"/appeals/{opened['appeal_id']}")
        told = self.citizen_desk.call("eligibility", "GET", "/appeals/statistics")["statistics"]
        return dict(answer), {"amount_minor": view["back_pay_minor"]}, list(told)

    def _left_out(self, programme_id: str) -> dict[str, Any]:
        params = {"programme_id": programme_id, "limit": 1_000}
        page = self.reader.call("eligibility", "GET", "/decisions", params=params)["decisions"]
        return next(dict(row) for row in page if row["outcome"] == "not-enrolled")

"""The main job under fire, in a thread of its own: the main thread stays free to strike and to restart what died.

Households come in many small files, a few of them on the way at any time; then rounds of cycle, list, approval and
payment, at least as many as planned and more while faults are still to strike.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from salur.local.client import CallFailed
from salur.local.crash.injector import Progress
from salur.local.crash.plan import ENTITLE, REGISTER, SETTLE, phase_number
from salur.local.demo.calls import Patient
from salur.local.demo.evidence import book_totals
from salur.local.demo.pipeline import FINAL_STATES, Pipeline, count_of
from salur.local.platform import Platform

WAVES_AHEAD = 3
"""Files sent and not yet registered."""
TIMEOUT_S = 240.0
"""The longest one command or stage may take, outages included."""
POLL_S = 0.05


@dataclass
class Outcome:
    """What the work reached."""

    programme_id: str = ""
    imports: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    funds: list[str] = field(default_factory=list)
    entitled: list[int] = field(default_factory=list)
    """Entitlements of each round."""
    paid_at: float = 0.0
    """When the last payment had its final state, seconds of the monotonic clock."""
    log_size: int = 0


class Work:
    """`keeps_back(files left, files)` delays the next file; a round begins once it is `calm`; `more` asks for another
    one and `most_rounds` bounds them.
    """

    def __init__(
        self,
        platform: Platform,
        *,
        files: Sequence[Path],
        households: int,
        mapping: Path,
        programme: Path,
        rounds: int,
        most_rounds: int,
        keeps_back: Callable[[int, int], bool],
        calm: Callable[[], bool],
        more: Callable[[], bool],
    ) -> None:
        self._platform = platform
        self._files = files
        self._households = households
        self._mapping = yaml.safe_load(mapping.read_text(encoding="utf-8"))
        self._programme = programme
        self._rounds, self._most_rounds = rounds, most_rounds
        self._keeps_back, self._calm, self._more = keeps_back, calm, more
        self._round = 0
        # The main thread tends: children are bound to it.
        self._pipeline = Pipeline(platform, watch=self._watch, timeout_s=TIMEOUT_S, tend=lambda: None)
        self._patient = Patient(self._check, TIMEOUT_S)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="work", daemon=True)
        self.progress = Progress(0, 0, households)
        self.outcome = Outcome()
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def pipeline(self) -> Pipeline:
        return self._pipeline

    def abandon(self) -> None:
        """Give up; the thread ends with its next call."""
        self._stop.set()

    def _check(self) -> None:
        if self._stop.is_set():
            raise CallFailed("the run was abandoned", "abandoned", 410)

    def _run(self) -> None:
        try:
            self._register()
            while self._round < self._rounds or (self._more() and self._round < self._most_rounds):
                self._patient.until("calm before a round", self._calm, bool)
                self._round += 1
                cut = self._pipeline.cut(f"intake {self._round}")
                self._pipeline.decided(self.outcome.programme_id, cut["households"])
                self._pay(cut["cut_id"])
            self.outcome.paid_at = time.monotonic()
        except BaseException as error:
            self.error = error

    def _watch(self, stage: str, done: int, total: int | None) -> None:
        self._check()
        if stage == ENTITLE and total:
            self.progress = Progress(phase_number(stage, self._round), done, total)

    def _register(self) -> None:
        """Send the files, a few ahead; publish the rules half way, so that families are decided both ways."""
        on_the_way: list[str] = []
        for number, file in enumerate(self._files):
            if number == len(self._files) // 2:
                self.outcome.programme_id = self._pipeline.publish(self._programme)
            deadline = time.monotonic() + TIMEOUT_S
            while self._keeps_back(len(self._files) - number, len(self._files)) and time.monotonic() < deadline:
                self._look(on_the_way)
                time.sleep(POLL_S)
            on_the_way.append(self._send(file))
            while len(on_the_way) >= WAVES_AHEAD:
                self._look(on_the_way)
        while on_the_way:
            self._look(on_the_way)

    def _send(self, file: Path) -> str:
        content = file.read_bytes()
        body = {
            "name": file.name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "mapping": self._mapping,
        }
        registrar = self._pipeline.registrar
        import_id: str = self._patient.command(registrar, "registry", "/imports", json=body)["import_id"]

        def put() -> Any:
            path, headers = f"/imports/{import_id}/content", {"content-type": "text/csv"}
            return registrar.call("registry", "PUT", path, content=content, headers=headers)

        self._patient.until(f"the taking of {file.name}", put, bool)
        self.outcome.imports.append(import_id)
        return import_id

    def _look(self, on_the_way: list[str]) -> None:
        """Look once: how many are registered, and whether the oldest file on the way has ended."""
        done = self._ask("/counts")["households"]
        self.progress = Progress(phase_number(REGISTER, 0), done, self._households)
        if not on_the_way:
            return
        status = self._ask(f"/imports/{on_the_way[0]}")
        if status["state"] == "failed":
            raise CallFailed(f"the import failed: {status.get('reason')}", "import-failed", 422)
        if status["state"] == "done":
            on_the_way.pop(0)

    def _ask(self, path: str) -> Any:
        return self._patient.until(
            "an answer of the registry", lambda: self._pipeline.registrar.call("registry", "GET", path), bool
        )

    def _pay(self, cut_id: str) -> None:
        pipeline, fund_id = self._pipeline, f"crash-{self._round}"
        cycle = pipeline.cycle(self.outcome.programme_id, f"round {self._round}", cut_id)
        self.outcome.entitled.append(cycle["entitlements"])
        pipeline.fund(fund_id, cycle["amount_minor"], cycle["currency"])
        self.outcome.funds.append(fund_id)
        built = pipeline.list(cycle["cycle_id"], fund_id)
        pipeline.submit(built["list_id"])
        pipeline.approve(built["list_id"], built["content_hash"])
        self.outcome.lists.append(built["list_id"])
        self._patient.until("every payment's final state, here and at the banks", self._settled, bool)

    def _settled(self) -> bool:
        """Whether every payment of every round is final and the banks' own books say the same."""
        auditor = self._pipeline.auditor
        views = [auditor.call("payments", "GET", f"/lists/{list_id}") for list_id in self.outcome.lists]
        final = sum(count_of(views[-1], state) for state in FINAL_STATES)
        self.progress = Progress(phase_number(SETTLE, self._round), final, views[-1]["funded_items"])
        if not all(view["complete"] for view in views):
            return False
        books = book_totals(self._platform)
        said = tuple(sum(count_of(view, state) for view in views) for state in ("settled", "returned", "rejected"))
        # A return comes after its credit: only the banks know whether one is still on its way.
        return books.waiting_answers == 0 and said == (books.kept, books.returned, books.refused)

"""Register, decide, entitle, list, approve, pay, close: one method per stage, each returns what it reached.

Every method may be called again after a crash of any process: commands carry ids made by their cause.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salur.common.values import derived_id
from salur.local.announce import announcement
from salur.local.client import CallFailed, Client
from salur.local.demo.calls import AWAY_STATUS, Patient
from salur.local.demo.evidence import bank_records, book_totals, stream_heads
from salur.local.platform import Platform

DEFAULT_TIMEOUT_S = 600.0
EARLY = "a demonstration does not wait for the calendar"
"""Why a cycle is opened before its months begin, where it is."""
Watch = Callable[[str, int, int | None], None]
"""Called with the stage, what is done, and the total where it is known."""


@dataclass
class Stage:
    """What a stage reached and how long it took."""

    name: str
    count: int = 0
    amount_minor: int | None = None
    seconds: float = 0.0


def _silent(_stage: str, _done: int, _total: int | None) -> None:
    """Show nothing."""


class Pipeline:
    """The main job against a running platform, each act as the identity that may do it."""

    def __init__(
        self,
        platform: Platform,
        *,
        watch: Watch = _silent,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        tend: Callable[[], object] | None = None,
    ) -> None:
        self.platform = platform
        self.stages: list[Stage] = []
        self._watch = watch
        self._patient = Patient(tend or platform.tend, timeout_s)
        state = platform.state_dir
        self.registrar = Client(state, "person:registrar", ["registrar"])
        self.second_registrar = Client(state, "person:second-registrar", ["registrar"])
        self.officer = Client(state, "person:programme-officer", ["programme-officer"])
        self.maker = Client(state, "person:payment-operator", ["payment-operator"])
        self.approver = Client(state, "person:approver", ["approver"])
        self.auditor = Client(state, "person:auditor", ["auditor"])
        self.operations = Client(state, "person:operations", ["operator"])

    def close(self) -> None:
        """Give the connections of every identity back."""
        for client in (
            self.registrar, self.second_registrar, self.officer, self.maker, self.approver, self.auditor,
            self.operations,
        ):  # fmt: skip
            client.close()

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Time a stage and keep its result."""
        stage = Stage(name)
        self._watch(name, 0, None)
        began = time.monotonic()
        yield stage
        stage.seconds = time.monotonic() - began
        self.stages.append(stage)

    def until(self, what: str, ask: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
        return self._patient.until(what, ask, holds)

    def register(self, file: Path, mapping: Path, *, update: bool = False) -> dict[str, Any]:
        """Import a file; returns the import's final status. Raises CallFailed or FileUnusable when it is refused.

        An `update` states known households anew; a second registrar accepts it.
        """
        with self.stage("register") as stage:
            body = announcement(file, mapping, update=update)
            job = self._patient.command(self.registrar, "registry", "/imports", json=body)
            path = f"/imports/{job['import_id']}"

            def ask() -> dict[str, Any]:
                status: dict[str, Any] = self.registrar.call("registry", "GET", path)
                if status["state"] == "awaiting-content":
                    with file.open("rb") as content:
                        headers = {"content-type": "text/csv"}
                        self.registrar.call("registry", "PUT", f"{path}/content", content=content, headers=headers)
                elif status["state"] == "awaiting-acceptance":
                    self.second_registrar.call("registry", "POST", f"{path}/acceptance")
                self._watch("register", status.get("households") or 0, None)
                return status

            status: dict[str, Any] = self.until("the end of the import", ask, lambda s: s["state"] in _ENDED)
            if status["state"] == "failed":
                raise CallFailed(f"the import failed: {status.get('reason')}", "import-failed", 422)
            stage.count = status["households"]
        return status

    def publish(self, programme: Path) -> str:
        """Propose a programme's rules and approve them as another person; returns its id."""
        with self.stage("publish") as stage:
            headers = {"content-type": "application/yaml"}
            content = programme.read_bytes()
            answer = self._patient.command(self.officer, "eligibility", "/programmes", content=content, headers=headers)
            programme_id = str(answer["programme_id"])
            if answer["state"] == "proposed":
                body = {"version": answer["version"]}
                path = f"/programmes/{programme_id}/approve"
                self._patient.command(self.approver, "eligibility", path, json=body)
            stage.count = 1
        return programme_id

    def cut(self, name: str) -> dict[str, Any]:
        """Close the intake: returns cut_id and the number of households before it."""
        with self.stage("cut") as stage:
            answer: dict[str, Any] = self._patient.command(self.registrar, "registry", "/cuts", json={"name": name})
            stage.count = answer["households"]
        return answer

    def decided(self, programme_id: str, households: int) -> dict[str, Any]:
        """Wait until every household is decided; returns the programme's progress."""
        with self.stage("decide") as stage:

            def ask() -> dict[str, Any]:
                progress: dict[str, Any] = self.auditor.call(
                    "eligibility", "GET", f"/programmes/{programme_id}/progress"
                )
                self._watch("decide", progress["decided"], households)
                return progress

            progress: dict[str, Any] = self.until("every decision", ask, lambda p: p["decided"] >= households)
            stage.count = progress["decided"]
        return progress

    def cycle(self, programme_id: str, name: str, cut_id: str) -> dict[str, Any]:
        """Open a cycle and wait until its entitlements are granted; returns its totals."""
        with self.stage("entitle") as stage:
            cycle_id = self._open_cycle(programme_id, name, cut_id)

            def ask() -> dict[str, Any]:
                cycle: dict[str, Any] = self.officer.call("eligibility", "GET", f"/cycles/{cycle_id}")
                self._watch("entitle", cycle["entitlements"], cycle["enrolled"])
                return cycle

            cycle: dict[str, Any] = self.until("the cycle's entitlements", ask, lambda c: c["state"] == "granted")
            stage.count, stage.amount_minor = cycle["entitlements"], cycle["amount_minor"]
        return cycle

    def _open_cycle(self, programme_id: str, name: str, cut_id: str) -> str:
        body = {"programme_id": programme_id, "name": name, "cut_id": cut_id, "early_reason": EARLY}
        waits = ("cut-not-passed", "decisions-pending")
        try:
            opened = self._patient.command(self.officer, "eligibility", "/cycles", wait_codes=waits, json=body)
        except CallFailed as error:
            if error.code != "cycle-exists":
                raise
            return derived_id("cycle", programme_id, name)  # an answer lost on the way: the cycle's id is its cause's
        return str(opened["cycle_id"])

    def fund(self, fund_id: str, budget_minor: int, currency: str) -> None:
        """Open a fund with its budget."""
        body = {"fund_id": fund_id, "name": fund_id, "currency": currency, "budget_minor": budget_minor}
        self._patient.command(self.maker, "payments", "/funds", json=body)

    def wait_for_list(self, cycle_id: str, funds: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Lock the list of a cycle paid from several funds, once its input is complete."""
        body = {"cycle_id": cycle_id, "funds": funds}
        waits = ("cycle-not-complete",)
        return dict(self._patient.command(self.maker, "payments", "/lists", wait_codes=waits, json=body))

    def list(self, cycle_id: str, fund_id: str) -> dict[str, Any]:
        """Lock the payment list of a cycle; returns the list."""
        with self.stage("list") as stage:
            body = {"cycle_id": cycle_id, "fund_id": fund_id}
            try:
                built = self._patient.command(
                    self.maker, "payments", "/lists", wait_codes=("cycle-not-complete",), json=body
                )
            except CallFailed as error:
                if error.code != "list-exists":
                    raise
                built = self._list_of(cycle_id)
            stage.count, stage.amount_minor = built["items"], built["amount_minor"]
        return dict(built)

    def _list_of(self, cycle_id: str) -> dict[str, Any]:
        lists = self.until("the lists", lambda: self.maker.call("payments", "GET", "/lists"), bool)["lists"]
        found = next(row["list_id"] for row in lists if row["cycle_id"] == cycle_id)
        return dict(self.until("the list", lambda: self.maker.call("payments", "GET", f"/lists/{found}"), bool))

    def submit(self, list_id: str) -> dict[str, Any]:
        """The maker submits: funds are reserved."""
        with self.stage("submit") as stage:
            answer: dict[str, Any] = self._patient.command(self.maker, "payments", f"/lists/{list_id}/submit")
            stage.count, stage.amount_minor = answer["funded_items"], answer["funded_minor"]
        return answer

    def approve(self, list_id: str, content_hash: str) -> dict[str, Any]:
        """Another person approves exactly what the hash covers."""
        with self.stage("approve") as stage:
            body = {"content_hash": content_hash}
            answer: dict[str, Any] = self._patient.command(
                self.approver, "payments", f"/lists/{list_id}/approve", json=body
            )
            stage.count, stage.amount_minor = answer["funded_items"], answer["funded_minor"]
        return answer

    def wait_terminal(self, list_id: str) -> dict[str, Any]:
        """Wait until every payment has its final answer and the banks' own books say the same; returns the list."""
        with self.stage("settle") as stage:

            def ask() -> dict[str, Any]:
                view: dict[str, Any] = self.auditor.call("payments", "GET", f"/lists/{list_id}")
                final = sum(count_of(view, state) for state in FINAL_STATES)
                self._watch("settle", final, view["funded_items"])
                return view

            view: dict[str, Any] = self.until("every payment's final state", ask, self._reconciled)
            stage.count = count_of(view, "settled")
            stage.amount_minor = amount_of(view, "settled")
        return view

    def _reconciled(self, view: dict[str, Any]) -> bool:
        if not view["complete"]:
            return False
        totals = book_totals(self.platform)
        said = (count_of(view, "settled"), count_of(view, "returned"), count_of(view, "rejected"))
        # A return comes after its credit: only the banks know whether one is still on its way.
        return totals.waiting_answers == 0 and said == (totals.kept, totals.returned, totals.refused)

    def close_log(self) -> int:
        """Seal every stream, wait until the log holds every event, publish its head; returns its size."""
        with self.stage("audit") as stage:
            self._seal()
            stage.count = self._published("the whole trail in the log", "audit", "size")
        return stage.count

    def rest(self) -> int:
        """Wait until search and red flags have read the log too, publish its last head; returns its size.

        They follow the log at a distance. A flag is an event of its own and is sealed like any: as long as something is
        left to seal, a service would still write.
        """
        with self.stage("search") as stage:
            while stage.count != self.events():
                stage.count = self._published("search and red flags", "search", "size", "indexed", "checked")
                self._seal()
        return stage.count

    def _seal(self) -> None:
        for service in self.platform.options.services:
            self._patient.command(self.operations, service, "/streams/seal")

    def _published(self, what: str, stage: str, *places: str) -> int:
        """Wait until `places` of the log stand at the number of all events, twice the same; publish the head."""
        last = -1

        def ask() -> tuple[int, ...]:
            events = self.events()
            log = self.auditor.call("audit", "GET", "/log")
            self._watch(stage, log[places[-1]], events)
            return events, *(log[place] for place in places)

        def quiet(seen: tuple[int, ...]) -> bool:
            nonlocal last
            resting, last = {*seen} == {last}, seen[0]
            return resting

        self.until(what, ask, quiet)
        return int(self.until("the signed head", self._publish, lambda size: size >= last))

    def _publish(self) -> int:
        return int(self.auditor.call("audit", "POST", "/log/publish")["published"])

    def events(self) -> int:
        """Sum of all stream heads of all services, plus the records in the banks' topics."""
        heads = sum(stream_heads(self.operations, service) for service in self.platform.options.services)
        return heads + bank_records(self.platform)


FINAL_STATES = ("settled", "rejected", "returned")
_ENDED = frozenset({"done", "failed"})


def count_of(view: dict[str, Any], state: str) -> int:
    """Payments of a list in a state."""
    return int(view["states"].get(state, {}).get("count", 0))


def amount_of(view: dict[str, Any], state: str) -> int:
    """Minor units of a list's payments in a state."""
    return int(view["states"].get(state, {}).get("amount_minor", 0))


__all__ = ["AWAY_STATUS", "FINAL_STATES", "Pipeline", "Stage", "Watch", "amount_of", "count_of"]

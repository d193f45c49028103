"""The stages of one cycle, as the people who run them: registrar, programme officer, operator, approver."""

import csv
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from partner_bank.book import book_path, book_summary
from salur.local.cli.importing import run_import
from salur.local.client import CallFailed, Client
from salur.local.platform import Platform

STAGE_TIMEOUT_S = 300.0
FIND_PAGE = 1_000
FUND_BUDGET_MINOR = 10**12
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Stage:
    """A finished stage: what happened, how much money, how long."""

    name: str
    count: int
    amount_minor: int | None
    seconds: float
    note: str = ""


@dataclass
class Pipeline:
    """Runs the stages in order against a started platform; each returns what the next one needs."""

    platform: Platform
    stages: list[Stage] = field(default_factory=list)

    def __post_init__(self) -> None:
        state = self.platform.state_dir
        self.registrar = Client(state, "person:registrar", ["registrar"])
        self.officer = Client(state, "person:officer", ["programme-officer"])
        self.maker = Client(state, "person:maker", ["payment-operator"])
        self.approver = Client(state, "person:approver", ["approver"])
        self.auditor = Client(state, "person:auditor", ["auditor", "operator"])

    def _wait(self, client: Client, ask: Callable[[], _T], until: Callable[[_T], bool], what: str) -> _T:
        def tended() -> _T:
            self.platform.tend()
            return ask()

        answer: _T = client.wait(tended, until, STAGE_TIMEOUT_S, what)
        return answer

    def _retried(self, client: Client, call: Callable[[], Any], *codes: str) -> Any:
        """Repeat a command that answers "not yet" with one of `codes`."""

        def attempt() -> Any:
            try:
                return call()
            except CallFailed as error:
                if error.code not in codes:
                    raise
                return None

        return self._wait(client, attempt, lambda answer: answer is not None, f"the end of {codes[0]}")

    def _done(self, began: float, name: str, count: int, amount_minor: int | None = None, note: str = "") -> None:
        self.stages.append(Stage(name, count, amount_minor, time.monotonic() - began, note))

    def register(self, file: Path, mapping: Path) -> dict[str, Any]:
        """Import the list. Raises CallFailed when the import fails."""
        began = time.monotonic()
        status = run_import(self.registrar, file, mapping)
        if status["state"] != "done":
            raise CallFailed(f"the import failed: {status['reason']}", "import-failed", 0)
        note = f"{status['warnings']} warnings, {status['refused_rows']} rows refused"
        self._done(began, "register", status["households"], note=note)
        return status

    def decide(self, programme: Path) -> str:
        """Publish the programme and wait until every known household is decided. Returns the programme's id."""
        began = time.monotonic()
        text = programme.read_text(encoding="utf-8")
        programme_id: str = self.officer.call("eligibility", "POST", "/programmes", content=text)["programme_id"]
        registered = self.auditor.call("registry", "GET", "/counts")["households"]
        progress = self._wait(
            self.officer,
            lambda: self.officer.call("eligibility", "GET", f"/programmes/{programme_id}/progress"),
            lambda answer: answer["decided"] >= registered,
            "every decision",
        )
        self._done(began, "decide", progress["decided"], note=f"{progress['enrolled']} enrolled")
        return programme_id

    def entitle(self, programme_id: str, name: str) -> dict[str, Any]:
        """Cut, open the cycle, wait until all is granted."""
        began = time.monotonic()
        cut = self.registrar.call("registry", "POST", "/cuts", json={"name": name})
        body = {"programme_id": programme_id, "name": name, "cut_id": cut["cut_id"]}
        opened = self._retried(
            self.officer,
            lambda: self.officer.call("eligibility", "POST", "/cycles", json=body),
            "cut-not-passed",
            "decisions-pending",
        )
        path = f"/cycles/{opened['cycle_id']}"
        cycle: dict[str, Any] = self._wait(
            self.officer,
            lambda: self.officer.call("eligibility", "GET", path),
            lambda answer: answer["state"] == "granted",
            "every entitlement",
        )
        self._done(began, "entitle", cycle["entitlements"], cycle["amount_minor"])
        return cycle

    def approve(self, cycle: dict[str, Any]) -> str:
        """Build and submit the list as one person, approve it as another. Returns the list's id."""
        began = time.monotonic()
        fund: dict[str, Any] = {"fund_id": "central", "name": "Central fund", "currency": cycle["currency"]}
        fund["budget_minor"] = FUND_BUDGET_MINOR
        self.maker.call("payments", "POST", "/funds", json=fund)
        body = {"cycle_id": cycle["cycle_id"], "fund_id": "central"}
        built = self._retried(
            self.maker, lambda: self.maker.call("payments", "POST", "/lists", json=body), "cycle-not-complete"
        )
        path = f"/lists/{built['list_id']}"
        self.maker.call("payments", "POST", f"{path}/submit")
        self.approver.call("payments", "POST", f"{path}/approve", json={"content_hash": built["content_hash"]})
        self._done(began, "approve", built["items"], built["amount_minor"], "by two people")
        return str(built["list_id"])

    def settle(self, list_id: str) -> dict[str, Any]:
        """Wait until every payment is final. Returns count and amount per state."""
        began = time.monotonic()
        view = self._wait(
            self.auditor,
            lambda: self.auditor.call("payments", "GET", f"/lists/{list_id}"),
            lambda answer: bool(answer["complete"]) and self._banks_agree(answer["states"]),
            "every bank's final answer",
        )
        states: dict[str, Any] = view["states"]
        for state in ("settled", "rejected", "returned", "unknown"):
            item = states.get(state, {"count": 0, "amount_minor": 0})
            self._done(began, state, item["count"], item["amount_minor"])
            began = time.monotonic()
        return states

    def _banks_agree(self, states: dict[str, Any]) -> bool:
        """Whether the banks have said everything and payments has heard it: returns come after settlement."""
        books = [book_summary(book_path(self.platform.bank_dir(bank))) for bank in self.platform.options.banks]
        returned = sum(book["returned"] for book in books)
        heard = states.get("returned", {"count": 0})["count"]
        return heard == returned and not any(book["waiting_answers"] for book in books)

    def agreement(self, file: Path, programme_id: str) -> float:
        """Share of households whose poverty criterion says what the file's published answer says.

        Households are matched one by one through their identifiers.
        """
        published: dict[str, bool] = {}
        with file.open(encoding="utf-8-sig", newline="") as rows:
            for row in csv.DictReader(rows):
                published.setdefault(row["household_id"], row["published_eligible"] == "1")
        decided = self._poverty(programme_id)
        agreeing = 0
        values = list(published)
        for start in range(0, len(values), FIND_PAGE):
            page = values[start : start + FIND_PAGE]
            body = {"scheme": "progresa-household", "values": page}
            found = self.registrar.call("registry", "POST", "/households/find-many", json=body)["household_ids"]
            agreeing += sum(decided.get(i) == published[value] for value, i in zip(page, found, strict=True))
        return agreeing / len(published) if published else 0.0

    def _poverty(self, programme_id: str) -> dict[str, bool]:
        decided: dict[str, bool] = {}
        after = ""
        while True:
            path = f"/decisions?programme_id={programme_id}&limit=1000&after={after}"
            page = self.officer.call("eligibility", "GET", path)["decisions"]
            for item in page:
                outcome = next(c["outcome"] for c in item["criteria"] if c["code"] == "poverty")
                decided[item["household_id"]] = outcome == "met"
            if len(page) < 1000:
                return decided
            after = page[-1]["household_id"]

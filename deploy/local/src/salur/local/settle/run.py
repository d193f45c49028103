"""The stages of a settlement: gate, list, two approvals, instruct, settle, correct, reconcile, end, sign.

Three banks: one works with ISO 20022 files alone; one is slow, silent until it is asked, and reads some instructions
only after it has said that they were not executed; one lies: it says it credited some payments that it never booked.
Each puts its statement, a camt.053 made from its own book, into its folder: there even the liar tells the truth.
"""

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from partner_bank.book import book_path, book_summary
from salur.common.database import migrate
from salur.local.client import Client
from salur.local.demo.pipeline import Pipeline, Watch
from salur.local.kafka import run_blocking
from salur.local.ledger_bench import MIGRATIONS, measure
from salur.local.platform import PAYING_ACCOUNT, Platform
from salur.local.settle.iso import Twins, pain001_rate, published

FILE_BANK = "bank-files"
KAFKA_BANKS = ("bank-slow", "bank-liar")
BANKS = (FILE_BANK, *KAFKA_BANKS)
PROFILES = {FILE_BANK: "prompt", "bank-slow": "slow", "bank-liar": "lying"}
CENTRAL, PARTNER = "settle-central", "settle-partner"
SHARES = {CENTRAL: 7, PARTNER: 3}
CORRECTIONS_MAX = 200
RELEASES_MAX = 50
BY_ORDER = "service:payments"
ORDER_MAX_MINOR = 10**12
LEDGER_TRANSFERS = 100_000
PAIN001_TRANSACTIONS = 100_000
INSTRUCTED = "SELECT count(*) FROM payment_list WHERE state = 'approved' AND instructed_rank < last_rank"


@dataclass
class Settlement:
    """One run on a started platform. `seconds`: per stage."""

    platform: Platform
    watch: Watch
    pipeline: Pipeline = field(init=False)
    seconds: dict[str, float] = field(default_factory=dict)
    cycle_id: str = ""
    twins: Twins = field(init=False)

    def __post_init__(self) -> None:
        self.pipeline = Pipeline(self.platform, watch=self.watch)
        state = self.platform.state_dir
        self.second = Client(state, "person:second-approver", ["approver"])
        self.twins = Twins(self.platform, BANKS)
        self.decider = Client(state, "person:second-registrar", ["registrar"])

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.watch(name, 0, None)
        began = time.monotonic()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - began, 3)

    def maker(self, path: str, **body: Any) -> Any:
        """A command of the payment operator."""
        return self.pipeline.maker.call("payments", "POST", path, json=body)

    def act(self, path: str, **body: Any) -> Any:
        """An act of two people: proposed by the operator, accepted by an approver."""
        proposed = self.maker(path, reason="settlement run", **body)
        return self.pipeline.approver.call("payments", "POST", f"/proposals/{proposed['proposal_id']}/accept")

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What stands in payments' database, for the checks."""
        url = self.platform.service_env("payments")["SALUR_DATABASE_URL"]
        with psycopg.connect(url) as conn:
            return conn.execute(sql, values).fetchall()

    def prepare(self, data: Path, mapping: Path, programme: Path) -> dict[str, Any]:
        """From the file to a granted cycle; returns the cycle."""
        with self.stage("grant"):
            programme_id = self.pipeline.publish(programme)
            self.pipeline.register(data, mapping)
            cut = self.pipeline.cut("settlement")
            self.pipeline.decided(programme_id, cut["households"])
            cycle = self.pipeline.cycle(programme_id, "settlement", cut["cut_id"])
        self.cycle_id = cycle["cycle_id"]
        self._accounts_checked()
        return cycle

    def _accounts_checked(self) -> None:
        """Wait until the banks have said what they find about every account they are asked about."""

        def waiting() -> int:
            rows = self.pipeline.auditor.call("payments", "GET", "/backlog")["backlog"]
            return sum(row["count"] for row in rows if row["what"] == "account-check")

        with self.stage("check-accounts"):
            self.pipeline.until("the banks' word on the accounts", waiting, lambda count: count == 0)

    def pay(self, cycle: dict[str, Any], closed_region: str) -> None:
        """Two funds of which one is too small, the gate, two approvals, instructions, and every bank's answer."""
        amount, currency = cycle["amount_minor"], cycle["currency"]
        with self.stage("gate"):
            self.act(f"/programmes/{cycle['programme_id']}/gate", cool_off_s=0)
            self.act(f"/regions/{closed_region}/close")
            self.act("/approval-bands", currency=currency, over_minor=0, approvers=2)
        for fund_id, share in SHARES.items():
            short = amount // 20 if fund_id == PARTNER else 0
            self.maker(
                "/funds", fund_id=fund_id, name=fund_id, currency=currency, budget_minor=amount * share // 10 - short
            )
        with self.stage("list"):
            shares = [{"fund_id": fund_id, "share": share} for fund_id, share in SHARES.items()]
            built = self.pipeline.wait_for_list(self.cycle_id, shares)
        with self.platform.paused(*BANKS):
            self._approve(built)
            self._instruct()
            with self.stage("copy"), self.platform.paused("payments"):
                self.twins.split()
        self._settle()

    def _instruct(self) -> None:
        """Wait until every bank has been told, on Kafka and in files."""
        url = self.platform.service_env("payments")["SALUR_DATABASE_URL"]

        def left() -> tuple[int, int, int]:
            here = self.rows(INSTRUCTED)[0][0]
            told = self.rows("SELECT count(*) FROM outgoing_file WHERE state = 'planned'")[0][0]
            return here, told, published(url)

        with self.stage("instruct"):
            self.pipeline.until("every instruction", left, lambda seen: seen == (0, 0, 0))

    def _approve(self, built: dict[str, Any]) -> None:
        path = f"/lists/{built['list_id']}"
        with self.stage("submit"):
            self.maker(f"{path}/submit")
        with self.stage("approve"):
            for client in (self.pipeline.approver, self.second):
                client.call("payments", "POST", f"{path}/approve", json={"content_hash": built["content_hash"]})

    def _settle(self) -> None:
        """Wait until nothing is in flight, no answer waits at a bank, and every return they booked is here."""
        with self.stage("settle"):

            def ask() -> tuple[int, int, int]:
                standing = self.standing()
                books = [book_summary(book_path(self.platform.bank_dir(bank))) for bank in BANKS]
                here = self.rows("SELECT count(*) FROM payment WHERE state = 'returned'")[0][0]
                self.watch("settle", standing["payments"] - standing["in_flight"], standing["payments"])
                waiting = sum(book["waiting_answers"] for book in books)
                return standing["in_flight"], waiting, sum(book["returned"] for book in books) - here

            self.pipeline.until("every bank's answer", ask, lambda seen: seen == (0, 0, 0))

    def standing(self) -> dict[str, Any]:
        """Every payment of the cycle in exactly one state."""
        return dict(self.pipeline.auditor.call("payments", "GET", f"/cycles/{self.cycle_id}/standing"))

    def reissue(self, programme_id: str) -> None:
        """Accounts of half of what failed are corrected; a standing order issues that again by itself."""
        path = f"/programmes/{programme_id}/re-issue"
        with self.stage("correct"):
            self._correct()
        with self.stage("reissue"):
            self.act(path, max_minor=ORDER_MAX_MINOR)
            listed = "SELECT list_id, content_hash FROM payment_list WHERE submitted_by = %s AND state = 'submitted'"
            found = self.pipeline.until("the order's list", lambda: self.rows(listed, BY_ORDER), bool)
            # The order counts as one approver; the amount band asks for another.
            for list_id, content_hash in found:
                body = {"content_hash": content_hash}
                self.second.call("payments", "POST", f"/lists/{list_id}/approve", json=body)
            self.act(path, max_minor=0)
        self._settle()

    def follow_up(self) -> None:
        """Release and cancel held ones, top up the funds; one more list pays all that."""
        with self.stage("release"):
            held = self.rows("SELECT DISTINCT payment_id FROM gate_hit ORDER BY payment_id LIMIT %s", RELEASES_MAX)
            for number, (payment_id,) in enumerate(held):
                act = "cancel" if number % 3 == 2 else "release"
                self.maker(f"/payments/{payment_id}/decisions", act=act, reason="settlement run")
            for fund_id in SHARES:
                self.act(f"/funds/{fund_id}/top-ups", amount_minor=self._short_minor())
        with self.stage("list"):
            built = self.maker(f"/cycles/{self.cycle_id}/follow-up")
        self._approve(built)
        self._settle()

    def _short_minor(self) -> int:
        """What a fund may lack at most: all that is held, and what came back and will go to the treasury."""
        held = "SELECT coalesce(sum(amount_minor), 0) FROM list_item WHERE hold IN ('no-funds', 'region-closed')"
        failed = "SELECT coalesce(sum(amount_minor), 0) FROM payment WHERE state IN ('rejected', 'returned')"
        return max(1, int(self.rows(held)[0][0] + self.rows(failed)[0][0]))

    def _correct(self) -> None:
        # Half of those that failed come with a new account; the others never do.
        failed = self.rows(
            "SELECT beneficiary_id, bank FROM payment WHERE state IN ('rejected', 'returned')"
            " AND reason IN ('AC04', 'AC06') AND get_byte(decode(left(instruction_id, 2), 'hex'), 0) < 128"
            " ORDER BY instruction_id LIMIT %s", CORRECTIONS_MAX,
        )  # fmt: skip
        for number, (household_id, bank) in enumerate(failed):
            payee = {"bank": bank, "number": f"7{number:015d}", "holder": f"Example holder {number:07d}"}
            body = {"kind": "payee", "household_id": household_id, "reason": "account corrected", "payee": payee}
            change = self.pipeline.registrar.call("registry", "POST", "/changes", json=body)
            self.decider.call("registry", "POST", f"/changes/{change['change_id']}/accept", json={})

        def arrived() -> int:
            return int(self.rows("SELECT count(*) FROM payee WHERE version > 1")[0][0])

        self.pipeline.until("the corrected accounts", arrived, lambda count: count >= len(failed))
        self._accounts_checked()

    def reconcile(self) -> int:
        """Every bank's true statement, from its own book. Returns how many payments it proved never paid."""
        with self.stage("reconcile"):
            self._statements()
            breaks = self._open_breaks()
            for bank, statement_id, kind in sorted({(row["bank"], row["statement_id"], row["kind"]) for row in breaks}):
                path = f"/banks/{bank}/statements/{statement_id}/breaks"
                self.maker(f"{path}/owner", owner="person:payment-operator", kind=kind)
                self.act(f"{path}/resolve", resolution="not-paid", kind=kind)
        return len(breaks)

    def _statements(self) -> None:
        """Each bank writes its camt.053; waits until payments has taken all of them.

        A statement ends with a whole second: what changed within its last one would be left to the next statement.
        """
        past = "SELECT coalesce(max(changed_at) < date_trunc('second', clock_timestamp()), true) FROM payment"
        self.pipeline.until("the end of the statements' second", lambda: self.rows(past)[0][0], bool)
        for bank in BANKS:
            folder = self.platform.bank_files_dir / bank
            command = [sys.executable, "-m", "partner_bank.statement", "--bank", bank, "--files", str(folder)]
            book = ["--state-dir", str(self.platform.bank_dir(bank)), "--account", PAYING_ACCOUNT]
            subprocess.run([*command, *book], check=True)  # noqa: S603 - the command is ours

        def waiting() -> list[str]:
            folders = [self.platform.bank_files_dir / bank for bank in BANKS]
            if refused := [path.name for folder in folders for path in (folder / "refused").iterdir()]:
                raise RuntimeError(f"a bank's file was refused: {', '.join(refused)}")
            return [path.name for folder in folders for path in (folder / "inbox").iterdir()]

        self.pipeline.until("the statements", waiting, lambda names: names == [])

    def _open_breaks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["break_id"] if found else ""
            params: dict[str, str | int] = {"after": after, "limit": 1_000}
            page = self.pipeline.maker.call("payments", "GET", "/breaks", params=params)["breaks"]
            found += page
            if len(page) < 1_000:
                return found

    def end(self) -> int:
        """What failed ends by two people, each bank is signed, both funds close. Returns the banks not signed."""
        with self.stage("end"):
            self.act(f"/cycles/{self.cycle_id}/end-failed")
            unsigned = 0
            for bank in BANKS:
                path = f"/cycles/{self.cycle_id}/banks/{bank}/sign-off"
                signed = self.pipeline.approver.call("payments", "POST", path)
                unsigned += signed["difference_minor"] != 0
            for fund_id in SHARES:
                self.act(f"/funds/{fund_id}/close")
        return unsigned

    def transfers_per_second(self) -> float:
        """The ledger alone on the same PostgreSQL, in a database of its own."""
        with self.stage("ledger"):
            postgres = self.platform.postgres
            url = postgres.create_database(f"ledger_{secrets.token_hex(4)}", secrets.token_hex(16))
            migrate(url, [MIGRATIONS])
            figures = run_blocking(measure(url, LEDGER_TRANSFERS, 500, 5_000))
        return float(figures["transfers_per_second"])

    def iso(self) -> dict[str, Any]:
        """The same list through Kafka and through files alone, and how fast documents are written."""
        with self.stage("pain001"):
            rate = pain001_rate(PAIN001_TRANSACTIONS, self.platform.state_dir)
        with self.stage("iso"):
            return {"pain001_transactions_per_second": rate} | self.twins.compare()

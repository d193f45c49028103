"""Search over the trail on the real PostgreSQL: what is found, by whom, and that asking leaves a trace."""

import csv
import hashlib
import io
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from python_calamine import CalamineWorkbook

from salur.audit import main as audit_main
from salur.audit import store
from salur.audit.flags.rules import load_rules
from salur.audit.search.indexer import Indexer
from salur.audit.settings import AuditSettings
from salur.audit.store import Entry
from salur.audit.usecases.flags import check_rules
from salur.common.auth import local_issuer, mint
from salur.common.contracts.topics import topics_written_by
from salur.common.contracts.trail import FlagRaised
from salur.common.database import Database, migrate
from salur.common.service import Process, Runtime
from salur.common.values import derived_id
from salur.local.trail.flags import measure

pytestmark = pytest.mark.integration
MIGRATIONS = Path(audit_main.__file__).parent / "migrations"
HOUSEHOLD, OTHER = derived_id("household", "a"), derived_id("household", "b")
ENTITLEMENT, PAYMENT = derived_id("entitlement", "a"), derived_id("payment", "a")[:30]
CYCLE = derived_id("cycle")
RESULT = "banks.results.bank-a/3/17"
AT = "2026-11-24T10:00:{:02d}.000000Z"


class Trail:
    """A log with search over it."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.indexer = Indexer(db, partition_entries=4)
        self.sequences: dict[str, int] = {}

    async def add(self, *facts: tuple[str, str, str, dict[str, Any]], cause: str = "") -> list[str]:
        """(topic, type, key, data): one leaf each, as the services write them. Returns the event ids."""
        async with self.db.transaction() as conn:
            first = await store.lock_size(conn)
            rows = [self._row(first + n, cause, *fact) for n, fact in enumerate(facts)]
            await store.insert_entries(conn, rows)
        return [str(row.event_id) for row in rows]

    def _row(self, index: int, cause: str, topic: str, kind: str, key: str, data: dict[str, Any]) -> Entry:
        stream = f"{topic}/0"
        sequence = self.sequences[stream] = self.sequences.get(stream, 0) + 1
        event_id, time = derived_id("event", str(index)), AT.format(index % 60)
        document = {
            "specversion": "1.0", "id": event_id, "source": "/salur/x", "type": kind, "subject": key, "time": time,
            "actor": "person:budi", "cause": cause, "data": data, "stream": stream, "sequence": sequence,
        }  # fmt: skip
        leaf = orjson.dumps(document)
        return Entry(index, leaf, topic, 0, sequence, stream, sequence, event_id, kind, key, time)

    async def add_bank_record(self) -> None:
        async with self.db.transaction() as conn:
            first = await store.lock_size(conn)
            leaf = orjson.dumps({"topic": "banks.results.bank-a", "partition": 3, "offset": 17, "commitment": "00"})
            place = ("banks.results.bank-a", 3, 17, None, None, None, None, None, None)
            await store.insert_entries(conn, [Entry(first, leaf, *place)])

    async def index(self) -> None:
        await self.indexer.catch_up()


@pytest.fixture
async def trail(db: Database, database_url: str) -> Trail:
    migrate(database_url, [MIGRATIONS])
    return Trail(db)


@pytest.fixture
async def api(trail: Trail, database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The audit's application on the test's database."""
    key = tmp_path / "master.key"
    key.write_text(bytes(range(32)).hex())
    settings = AuditSettings(
        database_url=database_url, kafka_bootstrap="127.0.0.1:1", jwks_file=local_issuer(tmp_path / "issuer"),
        master_key_file=key, state_dir=tmp_path / "audit", audit_log_dir=tmp_path / "log",
    )  # fmt: skip
    runtime = Runtime("audit", settings)
    await runtime.db.open()
    async with runtime.db.transaction() as conn:
        await runtime.store.declare(conn, topics_written_by("audit"))
        await runtime.store.load_partitions(conn)
    app = Process(runtime, audit_main.build(runtime), frozenset()).app()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://audit") as client:
        yield client
    await runtime.db.close()


def _as(tmp_path: Path, *regions: str, role: str = "auditor") -> dict[str, str]:
    return {"authorization": f"Bearer {mint(tmp_path / 'issuer', 'person:sri', [role], list(regions))}"}


def registered(household: str, region: str) -> tuple[str, str, str, dict[str, Any]]:
    data = {"household_id": household, "region": region}
    return "registry.households", "salur.household.registered.v1", household, data


def granted() -> tuple[str, str, str, dict[str, Any]]:
    data = {"entitlement_id": ENTITLEMENT, "beneficiary_id": HOUSEHOLD, "cycle_id": CYCLE, "programme_id": "pkh"}
    said = {"region": "31.71.01", "amount_minor": 75_000_000, "currency": "IDR"}
    return "eligibility.entitlements", "salur.entitlement.granted.v1", HOUSEHOLD, data | said


def instructed() -> tuple[str, str, str, dict[str, Any]]:
    data = {"payment_id": PAYMENT, "entitlement_id": ENTITLEMENT, "bank": "bank-a"}
    return "payments.instructions.bank-a", "salur.payment.instructed.v1", PAYMENT, data


def inquired() -> tuple[str, str, str, dict[str, Any]]:
    return "payments.instructions.bank-a", "salur.payment.inquired.v1", PAYMENT, {"payment_id": PAYMENT}


def settled() -> tuple[str, str, str, dict[str, Any]]:
    data = {"payment_id": PAYMENT, "entitlement_id": ENTITLEMENT, "beneficiary_id": HOUSEHOLD, "cycle_id": CYCLE}
    return "payments.payments", "salur.payment.settled.v1", PAYMENT, data


async def one_household(trail: Trail) -> None:
    """Registered, granted, paid; another household beside it. The money stands in the log before what it is for."""
    await trail.add(inquired(), instructed())
    await trail.index()
    await trail.add_bank_record()
    await trail.add(settled(), cause=RESULT)
    await trail.add(registered(HOUSEHOLD, "31.71.01"), registered(OTHER, "32.04.05"), granted())
    await trail.index()


async def found(api: httpx.AsyncClient, headers: dict[str, str], **asked: Any) -> list[str]:
    answer = await api.get("/trail", params=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    return [entry["type"] or entry["topic"] for entry in answer.json()["entries"]]


async def test_an_entry_is_found_by_what_it_names_and_by_what_follows_from_it_in_whatever_order_it_came(
    trail: Trail, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    await one_household(trail)
    auditor = _as(tmp_path)
    of_payment = ["salur.payment.inquired.v1", "salur.payment.instructed.v1", "salur.payment.settled.v1"]
    assert await found(api, auditor, payment=PAYMENT) == of_payment
    for asked in ({"programme": "pkh"}, {"cycle": CYCLE}, {"entitlement": ENTITLEMENT}):
        assert await found(api, auditor, **asked) == [*of_payment, "salur.entitlement.granted.v1"], asked
    whole = [*of_payment, "salur.household.registered.v1", "salur.entitlement.granted.v1"]
    assert await found(api, auditor, household=HOUSEHOLD) == whole
    assert await found(api, auditor, region="31.71") == whole
    assert await found(api, auditor, bank="bank-a", type="salur.payment.settled.v1", actor="person:budi") == [
        "salur.payment.settled.v1"
    ]
    assert await found(api, auditor, bank="bank-a", programme="other") == []
    assert await found(api, auditor, since=AT.format(5), until=AT.format(6)) == ["salur.household.registered.v1"]


async def test_pages_follow_each_other_without_a_repeat_or_a_gap(
    trail: Trail, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    await trail.add(*[registered(derived_id("h", str(n)), "31.71.01") for n in range(23)])
    await trail.index()
    seen: list[int] = []
    after: int | None = -1
    while after is not None:
        params: dict[str, str | int] = {"type": "salur.household.registered.v1", "limit": 5, "after": after}
        answer = (await api.get("/trail", params=params, headers=_as(tmp_path))).json()
        seen += [entry["leaf_index"] for entry in answer["entries"]]
        after = answer["next"]
    assert seen == list(range(23))


async def test_a_regional_auditor_sees_their_region_alone(trail: Trail, api: httpx.AsyncClient, tmp_path: Path) -> None:
    await one_household(trail)
    near, far = _as(tmp_path, "31.71"), _as(tmp_path, "32.04", "33")
    assert len(await found(api, near)) == 5
    assert await found(api, far) == ["salur.household.registered.v1"]
    assert await found(api, far, payment=PAYMENT) == []
    refused = await api.get("/trail", params={"region": "31.71"}, headers=far)
    assert (refused.status_code, refused.json()["who_must_act"]) == (403, "central office")
    assert (await api.get(f"/trail/households/{HOUSEHOLD}", headers=far)).status_code == 404
    assert (await api.get(f"/trail/causes/{RESULT}", headers=far)).status_code == 404


async def test_the_timeline_of_a_household_ends_with_the_banks_own_record(
    trail: Trail, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    await one_household(trail)
    view = (await api.get(f"/trail/households/{HOUSEHOLD}", headers=_as(tmp_path))).json()
    assert [entry["leaf_index"] for entry in view["entries"]] == [0, 1, 2, 3, 4, 6]
    paid = next(entry for entry in view["entries"] if entry["type"] == "salur.payment.settled.v1")
    assert (paid["cause"], paid["cause_in_timeline"]) == (RESULT, True)
    chain = (await api.get(f"/trail/causes/{RESULT}", headers=_as(tmp_path))).json()
    assert [entry["event_id"] for entry in chain["entries"]] == [RESULT, paid["event_id"]]


async def test_every_question_is_an_event_that_names_who_asked(
    trail: Trail, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    await one_household(trail)
    auditor = _as(tmp_path)
    await found(api, auditor, payment=PAYMENT)
    await api.get(f"/trail/households/{HOUSEHOLD}", headers=auditor)
    await api.post("/trail/questions", json={"name": "mine", "question": {"bank": "bank-a"}}, headers=auditor)
    asked = await activity(trail.db)
    assert [(event["actor"], event["data"]["kind"], event["data"]["question"]) for event in asked] == [
        ("person:sri", "search", {"payment": PAYMENT}),
        ("person:sri", "timeline", {"household": HOUSEHOLD}),
        ("person:sri", "save", {"bank": "bank-a"}),
    ]
    saved = (await api.get("/trail/questions", headers=auditor)).json()["questions"]
    assert [(row["name"], row["question"]) for row in saved] == [("mine", {"bank": "bank-a"})]


async def activity(db: Database) -> Sequence[dict[str, Any]]:
    async with db.connection() as conn:
        rows = await conn.fetch("SELECT body FROM event WHERE type = 'salur.trail.asked.v1' ORDER BY recorded_at, id")
    return [orjson.loads(row["body"]) for row in rows]


async def test_an_export_is_exactly_the_view_and_its_hash_stands_in_the_trail(
    trail: Trail, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    await one_household(trail)
    await trail.add(("registry.activity", "salur.action.refused.v1", "=cmd", {"reason": "=1+1"}))
    await trail.index()
    rows: list[dict[str, Any]] = []
    for format_, question in (
        ("csv", {"payment": PAYMENT}), ("jsonl", {"payment": PAYMENT}), ("xlsx", {"payment": PAYMENT}), ("xlsx", {}),
        ("csv", {}),
    ):  # fmt: skip
        answer = await api.get("/trail/export", params={"format": format_, **question}, headers=_as(tmp_path))
        event = next(e for e in await activity(trail.db) if e["data"]["query_id"] == answer.headers["salur-query"])
        assert event["data"]["file_sha256"] == hashlib.sha256(answer.content).hexdigest()
        if format_ == "jsonl":
            rows = [orjson.loads(line) for line in answer.content.splitlines()]
        elif format_ == "xlsx":
            names, *cells = CalamineWorkbook.from_filelike(io.BytesIO(answer.content)).get_sheet_by_index(0).to_python()
            rows = [dict(zip(map(str, names), row, strict=True)) for row in cells]
            assert {type(cell) for row in cells for cell in row} == {str}, "texts alone: no cell is a formula"
            assert question or rows[-1]["subject"] == "=cmd"
        else:
            rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [int(row["leaf_index"]) for row in rows] == ([0, 1, 3] if question else list(range(8)))
        assert event["data"]["found"] == len(rows)
    assert rows[-1]["subject"] == "'=cmd", "no spreadsheet may take it for a formula"


async def test_a_number_that_could_be_a_persons_is_not_searched_for_nor_repeated(
    trail: Trail, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    answer = await api.get("/trail", params={"subject": "0171014501900001"}, headers=_as(tmp_path))
    assert (answer.status_code, answer.json()["code"]) == (422, "looks-personal")
    assert "0171014501900001" not in answer.text
    assert (await api.get("/trail", params={"nik": "x"}, headers=_as(tmp_path))).status_code == 422
    assert await activity(trail.db) == []


async def test_odd_bytes_never_stop_search_and_the_lag_is_told(
    trail: Trail, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    await trail.add(
        ("registry.activity", "salur.new.v9", "k", {"note": "a\x00b", "payment_id": PAYMENT}),
        ("registry.activity", "salur.new.v9", "k", {"payment_id": "x" * 5_000, "cycle_id": {"deep": [1]}}),
        ("registry.activity", "salur.new.v9", "k", {"payment_id": 2**62, "region": "not a region"}),
        registered(HOUSEHOLD, "31.71.01"),
    )
    lag = (await api.get("/trail/lag", headers=_as(tmp_path))).json()
    assert (lag["entries"], lag["indexed"]) == (4, 0)
    await trail.index()
    assert (await api.get("/trail/lag", headers=_as(tmp_path))).json()["entries"] == 0
    assert await found(api, _as(tmp_path), type="salur.new.v9") == ["salur.new.v9"] * 3
    assert await found(api, _as(tmp_path), household=HOUSEHOLD) == ["salur.household.registered.v1"]


async def test_the_money_of_a_cycle_adds_up_from_entries_that_can_be_asked_for(
    trail: Trail, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    money = {"currency": "IDR", "amount_minor": 700}
    topic, kind, key, data = settled()
    other = data | {"payment_id": derived_id("payment", "b")[:30], "entitlement_id": derived_id("entitlement", "b")}
    lists = {"list_id": derived_id("list"), "cycle_id": CYCLE, "fund_id": "central", "currency": "IDR"}
    await trail.add(
        (topic, kind, key, data | money),
        (topic, kind, key, other | money | {"amount_minor": 300}),
        ("payments.payments", "salur.payment.returned.v1", key, data | money),
        ("payments.lists", "salur.payment-list.approved.v1", "l",
         lists | {"amount_minor": 2_000, "funded_minor": 1_000}),
        ("payments.funds", "salur.fund.opened.v1", "central",
         {"fund_id": "central", "budget_minor": 5_000, "currency": "IDR"}),
        ("payments.payments", kind, key, {"cycle_id": derived_id("cycle", "other")} | money),
    )  # fmt: skip
    await trail.index()
    expected = [("approved", 1, 1_000), ("settled", 2, 1_000), ("returned", 1, 700)]
    for path, steps in (
        (f"cycle/{CYCLE}", expected),
        ("fund/central", [("budget", 1, 5_000), *expected]),
        (f"household/{HOUSEHOLD}", [("settled", 2, 1_000), ("returned", 1, 700)]),
    ):
        figures = (await api.get(f"/trail/money/{path}", headers=_as(tmp_path))).json()["figures"]
        assert [(row["step"], row["entries"], row["amount_minor"]) for row in figures] == steps, path
        for row in figures:
            assert len(await found(api, _as(tmp_path), **row["question"])) == row["entries"]


async def test_the_ledger_again_from_the_log_equals_the_true_one_and_names_what_differs(
    trail: Trail, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    topic, kind, key, data = settled()
    money = {"currency": "IDR", "fund_id": "central", "instruction_id": "i1", "bank": "bank-a", "amount_minor": 300}
    await trail.add(
        registered(HOUSEHOLD, "31.71.01"),
        ("payments.funds", "salur.fund.opened.v1", "central",
         {"fund_id": "central", "budget_minor": 5_000, "currency": "IDR"}),
        (topic, kind, key, data | money),
        ("payments.payments", "salur.payment.returned.v1", key, data | money),
    )  # fmt: skip
    await trail.index()
    auditor = _as(tmp_path)
    again = (await api.get("/trail/ledger", headers=auditor)).json()
    balances = {row["account"]: row["posted_minor"] for row in again["accounts"]}
    assert balances == {
        "fund:central": 5_000, "treasury:IDR": -5_000, "beneficiaries:central": 0, "clearing:bank-a:IDR": 0,
    }  # fmt: skip
    same = (await api.post("/trail/ledger/compare", json=again, headers=auditor)).json()
    assert (same["equal"], same["differences"]) == (True, [])
    other = again | {"accounts": [{"account": "fund:central", "posted_minor": 4_999}]}
    differs = (await api.post("/trail/ledger/compare", json=other, headers=auditor)).json()
    assert not differs["equal"]
    assert {"account": "fund:central", "by_log_minor": 5_000, "stated_minor": 4_999} in differs["differences"]
    moved = (await api.get("/trail/ledger/fund:central", headers=auditor)).json()["movements"]
    assert [(row["id"], row["leaf_index"], row["amount_minor"]) for row in moved] == [
        ("budget/central", 1, 5_000), ("post/i1", 2, 300), ("refund/i1", 3, 300),
    ]  # fmt: skip
    assert (await api.get("/trail/ledger", headers=_as(tmp_path, "31"))).status_code == 403


async def test_a_breach_report_names_whose_values_somebody_read_between_two_times(
    trail: Trail, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    def read(subject: str, field: str) -> tuple[str, str, str, dict[str, Any]]:
        data = {"subject": subject, "kind": "event-field", "field": field, "reason": "field-check"}
        return "registry.activity", "salur.personal-value.read.v1", subject, data

    await trail.add(read(OTHER, "name"), read(HOUSEHOLD, "name"), read(HOUSEHOLD, "name"), read(HOUSEHOLD, "account"))
    await trail.index()
    params = {"actor": "person:budi", "since": AT.format(1), "until": AT.format(59)}
    report = (await api.get("/trail/reads", params=params, headers=_as(tmp_path))).json()
    assert report["subjects"] == 1
    assert [(row["subject"], row["field"], row["reads"]) for row in report["reads"]] == [
        (HOUSEHOLD, "account", 1), (HOUSEHOLD, "name", 2),
    ]  # fmt: skip
    nobody = params | {"actor": "person:other"}
    assert (await api.get("/trail/reads", params=nobody, headers=_as(tmp_path))).json()["reads"] == []
    assert (await api.get("/trail/reads", params=params, headers=_as(tmp_path, "31"))).status_code == 403


def payee(household: str, token: str, version: int = 1) -> tuple[str, str, str, dict[str, Any]]:
    data = {"beneficiary_id": household, "account_token": token, "version": version, "bank": "bank-a"}
    return "registry.payees", "salur.payee.registered.v1", household, data


async def flags_of(trail: Trail) -> dict[str, list[tuple[str, list[int]]]]:
    """Every rule run to the end: subject and evidence of each new flag, by rule."""
    await trail.index()
    found_by: dict[str, list[tuple[str, list[int]]]] = {}
    async with trail.db.transaction() as conn:
        await store.queries.declare_rules(conn, rules=[rule.rule for rule in load_rules()])
        more = True
        while more:
            more, drafts = await check_rules(conn, load_rules())
            for draft in drafts:
                fact = draft.data
                assert isinstance(fact, FlagRaised)
                found_by.setdefault(fact.rule, []).append((fact.subject, fact.evidence))
    return found_by


async def test_rules_find_what_was_planted_and_nothing_else(trail: Trail) -> None:
    few, many = "a" * 64, "b" * 64
    families = [derived_id("family", str(number)) for number in range(6)]
    list_ = {"list_id": derived_id("list"), "cycle_id": CYCLE, "fund_id": "central"}
    slow = {"list_id": derived_id("slow"), "cycle_id": derived_id("cycle", "2"), "fund_id": "central"}
    await trail.add(
        payee(families[0], few), payee(families[1], few), payee(families[0], few, 2),
        payee(families[2], many), payee(families[3], many), payee(families[4], many),
        payee(HOUSEHOLD, "c" * 64), payee(HOUSEHOLD, "d" * 64, 2),
        granted(), instructed(),
        ("payments.lists", "salur.payment-list.submitted.v1", "slow", slow),
        ("payments.lists", "salur.payment-list.submitted.v1", "l", list_),
        ("payments.lists", "salur.payment-list.approved.v1", "l", list_),
        ("eligibility.programmes", "salur.programme.published.v1", "pkh",
         {"programme_id": "pkh", "proposed_by": "person:budi"}),
        ("eligibility.programmes", "salur.programme.published.v1", "other",
         {"programme_id": "other", "proposed_by": "person:ani"}),
        ("eligibility.cycles", "salur.cycle.opened.v1", CYCLE, {"programme_id": "pkh", "cycle_id": CYCLE}),
        *[registered(derived_id("filler", str(number)), "31.71.01") for number in range(12)],
        ("payments.lists", "salur.payment-list.approved.v1", "slow", slow),
    )  # fmt: skip
    assert await flags_of(trail) == {
        "shared-account": [(f"account={many}", [3, 4, 5])],
        "account-changed-before-payment": [(f"household={HOUSEHOLD}", [7, 9])],
        "approved-too-fast": [(f"list={list_['list_id']}", [11, 12])],
        "rules-changed-before-cycle": [("programme=pkh", [13, 15])],
        "programme-approved-by-its-proposer": [(f"event={derived_id('event', '13')}", [13])],
    }
    await trail.add(payee(families[5], many))
    assert await flags_of(trail) == {}, "what is known is no second flag"
    await trail.add(payee(families[5], few))
    assert await flags_of(trail) == {"shared-account": [(f"account={few}", [0, 1, 30])]}


async def test_the_rules_find_what_is_planted_in_a_population_and_accuse_nobody_else(trail: Trail) -> None:
    figures = await measure(trail.db, families=1_500, seed=1)
    assert figures.keys() == {rule.rule for rule in load_rules()}
    for rule, figure in figures.items():
        assert figure["planted"] > 0, rule
        assert (figure["precision"], figure["recall"]) == (1.0, 1.0), (rule, figure)


async def test_a_flag_is_a_case_with_one_owner_and_an_outcome(
    trail: Trail, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    await trail.add(*[payee(derived_id("family", str(number)), "a" * 64) for number in range(3)])
    await flags_of(trail)
    auditor = _as(tmp_path)
    colleague = {"authorization": f"Bearer {mint(tmp_path / 'issuer', 'person:tono', ['auditor'], [])}"}
    flag = (await api.get("/flags", params={"state": "open"}, headers=auditor)).json()["flags"][0]
    path, body = f"/flags/{flag['flag_id']}", {"outcome": "confirmed", "reason": "three families of one clerk"}
    assert (await api.post(f"{path}/close", json=body, headers=auditor)).status_code == 409
    for _ in range(2):
        assert (await api.post(f"{path}/take", headers=auditor)).json()["owner"] == "person:sri"
    assert (await api.post(f"{path}/take", headers=colleague)).json()["code"] == "flag-taken"
    assert (await api.post(f"{path}/close", json=body, headers=colleague)).json()["code"] == "flag-not-yours"
    for _ in range(2):
        assert (await api.post(f"{path}/close", json=body, headers=auditor)).json()["outcome"] == "confirmed"
    again = body | {"outcome": "mistaken"}
    assert (await api.post(f"{path}/close", json=again, headers=auditor)).status_code == 409
    assert (await api.get("/flags", headers=_as(tmp_path, "31"))).status_code == 403
    async with trail.db.connection() as conn:
        rows = await conn.fetch("SELECT body FROM event WHERE type = 'salur.flag.changed.v1' ORDER BY recorded_at")
    assert [orjson.loads(row["body"])["data"]["state"] for row in rows] == ["taken", "closed"]

"""A whole run over seeded people, faults and bad input included: nothing that leaves a service tells who they are.

Logs, metrics, topic keys, unrestricted topics, bodies of every topic, HTTP errors, the audit log's files, and what
rests on disk are searched for names, numbers and accounts in every form (plain, URL, JSON, base64, hex, hashed).
"""

import csv
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import pytest
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from salur.audit.log.note import VerifierKey, open_checkpoint
from salur.common.contracts.topics import CHECKPOINTS_TOPIC, SERVICES, Topic, results_topic
from salur.local.client import CallFailed
from salur.local.demo.pipeline import Pipeline
from salur.local.demo.run import PAYMENTS_ENV, Inputs, new_platform
from salur.local.kafka import run_blocking
from salur.local.platform import Options, Platform, declared_topics, running
from support.seeds import IDENTITY, MARKERS, Family, Search

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
FAMILIES = [Family(number) for number in range(1, 31)]
STRANGER, LATECOMER = Family(901), Family(902)
SEARCH = Search(MARKERS, [*FAMILIES, STRANGER, LATECOMER])
BANKS = ("bank-a", "bank-b")
NOWHERE = "99.99"
"""A region the databases are made to refuse, to see what becomes of a driver's message."""
COLUMNS = (
    "kk", "region", "poverty_index", "state_cutoff", "village_treated", "job", "nik", "enrolled", "bank", "account",
    "holder",
)  # fmt: skip
MAPPING: dict[str, Any] = {
    "name": "seeded",
    "household": {"scheme": "kk", "column": "kk"},
    "region": "region",
    "attributes": {
        "poverty_index": {"column": "poverty_index", "type": "float", "required": True},
        "state_cutoff": {"column": "state_cutoff", "type": "float", "required": True},
        "village_treated": {"column": "village_treated", "type": "bool"},
        "job": {"column": "job", "type": "string"},
    },
    "member": {
        "identifier": {"scheme": "nik", "column": "nik"},
        "attributes": {"enrolled": {"column": "enrolled", "type": "bool"}},
    },
    "payee": {"columns": {"bank": "bank", "number": "account", "holder": "holder"}},
}


def rows_of(family: Family, **changes: str) -> list[dict[str, str]]:
    row = {
        "kk": family.kk, "region": "31.71", "poverty_index": "600.5", "state_cutoff": "700", "village_treated": "1",
        "job": family.job, "enrolled": "1", "bank": BANKS[family.number % 2], "account": family.account,
        "holder": family.holder,
    }  # fmt: skip
    return [{**row, "nik": nik, **changes} for nik in family.niks]


def bad_rows() -> list[dict[str, str]]:
    """Personal values where none belong, as when columns have shifted."""
    base = rows_of(STRANGER)[0]
    wrong = ({"region": STRANGER.niks[0]}, {"poverty_index": STRANGER.kk}, {"bank": STRANGER.holder},
             {"account": STRANGER.holder}, {"nik": ""}, {"village_treated": STRANGER.account})  # fmt: skip
    taken = {"nik": FAMILIES[0].niks[0]}  # a member of another household
    return [base | change for change in (*wrong, taken)]


def write_csv(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


@dataclass
class Seen:
    """Everything a run let out."""

    errors: dict[str, bytes] = field(default_factory=dict)
    metrics: dict[str, bytes] = field(default_factory=dict)
    reports: dict[str, bytes] = field(default_factory=dict)
    records: list[ConsumerRecord] = field(default_factory=list)
    topics: dict[str, Topic] = field(default_factory=dict)
    view: dict[str, Any] = field(default_factory=dict)
    state_dir: Path = Path()


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    """One run, stopped again; its folder stays for the searches."""
    folder = Path(tempfile.mkdtemp(prefix="salur-test-"))
    inputs = Inputs(
        data=write_csv(folder / "list.csv", [row for f in FAMILIES for row in rows_of(f)] + bad_rows()),
        mapping=folder / "mapping.yaml",
        programme=ROOT / "examples" / "progresa" / "programme.yaml",
        state_dir=folder / "run",
        cache_dir=ROOT / "var" / "cache" / "kafka",
    )
    inputs.mapping.write_text(yaml.safe_dump(MAPPING), encoding="utf-8")
    platform = new_platform(inputs, Options(banks=BANKS, env={"payments": PAYMENTS_ENV}))
    result = Seen(state_dir=inputs.state_dir, topics={t.name: t for t in declared_topics(BANKS)})
    try:
        with running(platform):
            with closing(Pipeline(platform)) as pipeline:
                pay(pipeline, inputs, result)
                Trouble(pipeline, result).make(folder)
            for service in SERVICES:
                result.metrics[service] = httpx.get(f"{platform.url(service)}/metrics").content
            result.records = run_blocking(everything_on_kafka(platform.kafka.bootstrap, list(result.topics.values())))
        yield result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pay(pipeline: Pipeline, inputs: Inputs, result: Seen) -> None:
    """The main job, from the list to proven payments."""
    status = pipeline.register(inputs.data, inputs.mapping)
    assert (status["households"], status["refused_rows"]) == (len(FAMILIES), len(bad_rows()))
    report = pipeline.registrar.call("registry", "GET", f"/imports/{status['import_id']}/report")
    result.reports["import report"] = report.encode()
    programme_id = pipeline.publish(inputs.programme)
    cut = pipeline.cut("seeded intake")
    pipeline.decided(programme_id, cut["households"])
    cycle = pipeline.cycle(programme_id, "first", cut["cut_id"])
    assert cycle["entitlements"] == len(FAMILIES)
    pipeline.fund("example-fund", cycle["amount_minor"], cycle["currency"])
    built = pipeline.list(cycle["cycle_id"], "example-fund")
    pipeline.submit(built["list_id"])
    pipeline.approve(built["list_id"], built["content_hash"])
    result.view = pipeline.wait_terminal(built["list_id"])
    pipeline.close_log()
    pipeline.rest()


class Trouble:
    """Bad requests, broken messages and databases that refuse a row, all with personal values in them."""

    def __init__(self, pipeline: Pipeline, result: Seen) -> None:
        self._pipeline = pipeline
        self._platform: Platform = pipeline.platform
        self._result = result
        roles = ("registrar", "programme-officer", "payment-operator", "approver", "auditor", "operator")
        self._token = {"authorization": f"Bearer {self._platform.token('person:all', *roles)}"}

    def make(self, folder: Path) -> None:
        self._bad_requests()
        self._refused_rows(folder)
        self._broken_messages()

    def _ask(self, service: str, method: str, path: str, statuses: set[int], **request: Any) -> httpx.Response:
        """A request that must fail; its answer is kept."""
        request = {"headers": self._token} | request
        answer = httpx.request(method, self._platform.url(service) + path, **request)
        assert answer.status_code in statuses, (path, answer.text)
        self._result.errors[f"{len(self._result.errors)} {method} {service} {answer.status_code}"] = (
            answer.content + str(answer.headers).encode()
        )
        return answer

    def _bad_requests(self) -> None:
        body = self._household(FAMILIES[0])
        broken: list[dict[str, Any]] = [
            body | {"region": STRANGER.niks[0]},
            body | {STRANGER.holder: STRANGER.kk},
            body | {"attributes": {STRANGER.holder: 1}},
            body | {"attributes": {"job": {"nested": STRANGER.job}}},
            body | {"members": [{"identifiers": [{"scheme": STRANGER.holder, "value": STRANGER.niks[0]}]}]},
            body | {"payee": {"bank": "bank-a", "number": STRANGER.holder, "holder": STRANGER.holder}},
            body | {"payee": {"bank": STRANGER.holder, "number": STRANGER.account, "holder": STRANGER.holder}},
            body | {"payee": {"bank": "bank-z", "number": STRANGER.account, "holder": STRANGER.holder}},
            body | {"identifiers": STRANGER.kk},
        ]
        for content in broken:
            self._ask("registry", "POST", "/households", {422}, json=content)
        self._ask("registry", "POST", "/households", {409}, json=body)  # known with other content
        taken = self._household(STRANGER) | {"members": body["members"]}
        self._ask("registry", "POST", "/households", {409}, json=taken)
        self._ask("registry", "POST", "/households", {422}, content=f'{{"a": "{STRANGER.kk}'.encode())
        self._ask("registry", "POST", "/households/find", {404}, json={"scheme": "kk", "value": STRANGER.kk})
        for service, path in (
            ("registry", f"/households/{STRANGER.kk}"),
            ("registry", f"/imports/{STRANGER.holder}"),
            ("audit", f"/entries/{STRANGER.niks[0]}"),
            ("audit", f"/log/{STRANGER.holder}"),
            ("payments", f"/payments/{STRANGER.account}"),
            ("payments", f"/payments?holder={STRANGER.holder}"),
            ("eligibility", f"/decisions/{STRANGER.holder}/{STRANGER.kk}"),
        ):
            self._ask(service, "GET", path, {404, 422})
            self._ask(
                service, "GET", path, {401, 404}, headers={"authorization": f"Bearer {STRANGER.holder.encode()!r}"}
            )
            citizen = {"authorization": f"Bearer {self._platform.token('person:citizen', 'citizen')}"}
            self._ask(service, "GET", path, {403, 404}, headers=citizen)
        rules = f"id: {STRANGER.holder}\nnote: {STRANGER.kk}"
        self._ask("eligibility", "POST", "/programmes", {422}, content=rules.encode())

    def _household(self, family: Family) -> dict[str, Any]:
        return {
            "identifiers": [{"scheme": "kk", "value": family.kk}],
            "region": "31.71",
            "attributes": {"poverty_index": 1.5, "state_cutoff": 2.5, "village_treated": True, "job": family.job},
            "members": [{"identifiers": [{"scheme": "nik", "value": nik}]} for nik in family.niks],
            "payee": {"bank": "bank-a", "number": family.account, "holder": family.holder},
        }

    def _refused_rows(self, folder: Path) -> None:
        """Drivers whose messages repeat the whole row: in a request, in an import, in a consumer."""
        self._constrain("registry", f"ALTER TABLE household ADD CONSTRAINT nowhere CHECK (region <> '{NOWHERE}')")
        self._constrain("payments", "ALTER TABLE payee ADD CONSTRAINT first_only CHECK (version < 2)")
        there = self._household(LATECOMER) | {"region": NOWHERE}
        self._ask("registry", "POST", "/households", {500}, json=there)
        file = write_csv(folder / "nowhere.csv", rows_of(LATECOMER, region=NOWHERE))
        with pytest.raises(CallFailed, match="a fault on our side") as failed:
            self._pipeline.register(file, folder / "mapping.yaml")
        self._result.errors["the failed import"] = str(failed.value).encode()
        find = {"scheme": "kk", "value": FAMILIES[3].kk}
        known = self._pipeline.registrar.call("registry", "POST", "/households/find", json=find)["household_id"]
        payee = {"bank": "bank-a", "number": LATECOMER.account, "holder": LATECOMER.holder}
        proposal = {"kind": "payee", "household_id": known, "reason": "a new account", "payee": payee}
        change = self._pipeline.registrar.call("registry", "POST", "/changes", json=proposal)
        self._pipeline.second_registrar.call("registry", "POST", f"/changes/{change['change_id']}/accept", json={})
        self._until_dead_letters("payments", 1)

    def _constrain(self, service: str, sql: str) -> None:
        with psycopg.connect(self._platform.postgres.url(service), autocommit=True) as conn:
            conn.execute(sql)

    def _until_dead_letters(self, service: str, count: int) -> None:
        operations = self._pipeline.operations

        def ask() -> list[dict[str, Any]]:
            return list(operations.call(service, "GET", "/dead-letters")["dead_letters"])

        letters = operations.wait(ask, lambda found: len(found) >= count, 60, f"dead letters of {service}")
        self._result.errors[f"dead letters of {service}"] = orjson.dumps(letters)

    def _broken_messages(self) -> None:
        """Rubbish with personal values on a stream's topic, and a bank that says what it must not."""
        junk = orjson.dumps({"specversion": "1.0", "id": STRANGER.kk, "type": STRANGER.holder, "source": STRANGER.job})
        said = {"instruction_id": "0" * 30 + "-001", "status": STRANGER.holder, "reason": STRANGER.account}
        # Its own ids and references must name nobody: the contract says so, payments keeps them in clear.
        document = {"specversion": "1.0", "id": "m-1", "source": "/bank/bank-a", "type": "salur.bank-result.v1"}
        unknown = said | {
            "status": "ACCC", "reason": None, "amount_minor": 5, "currency": "MXN", "bank_reference": "REF-1",
        }  # fmt: skip
        answers = [
            STRANGER.holder.encode(),
            orjson.dumps(document | {"data": said}),
            orjson.dumps(document | {"data": unknown}),
        ]
        run_blocking(self._send("registry.households", [junk]))
        run_blocking(self._send(results_topic("bank-a").name, answers))
        self._until_dead_letters("eligibility", 1)
        auditor = self._pipeline.auditor

        def ask() -> list[dict[str, Any]]:
            return list(auditor.call("payments", "GET", "/suspense")["suspense"])

        suspense = auditor.wait(ask, lambda found: len(found) == len(answers), 60, "the answers in suspense")
        self._result.reports["suspense"] = orjson.dumps(suspense)

        def whole() -> bool:
            events = self._pipeline.events() + 1  # the junk is a leaf and no event
            return bool(auditor.call("audit", "GET", "/log")["size"] >= events)

        auditor.wait(whole, bool, 60, "the whole trail in the log")
        auditor.call("audit", "POST", "/log/publish")

    async def _send(self, topic: str, values: Sequence[bytes]) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self._platform.kafka.bootstrap) as producer:
            for value in values:
                await producer.send_and_wait(topic, value, partition=0)


async def everything_on_kafka(bootstrap: str, topics: Sequence[Topic]) -> list[ConsumerRecord]:
    """Every record of every topic."""
    places = [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        records: list[ConsumerRecord] = []
        wanted = sum(ends.values())
        while len(records) < wanted:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records += batch
        return records
    finally:
        await consumer.stop()


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def events_on(seen: Seen, topic: str) -> list[dict[str, Any]]:
    values = [record.value for record in seen.records if record.topic == topic]
    return [orjson.loads(value) for value in values if value.startswith(b"{")]


def test_the_run_was_whole_and_its_values_are_where_they_belong(seen: Seen) -> None:
    """Without this the silence elsewhere would prove nothing."""
    assert sum(row["count"] for row in seen.view["states"].values()) == len(FAMILIES)
    headers = {
        topic: b"".join(value for record in seen.records if record.topic == topic for _, value in record.headers)
        for topic in seen.topics
    }
    assert {found.split()[0] for found in SEARCH.found_in(headers["registry.payees"])} == {"account", "holder"}
    assert {found.split()[0] for found in SEARCH.found_in(headers["registry.households"])} == {"job"}
    instructions = b"".join(headers[f"payments.instructions.{bank}"] for bank in BANKS)
    for family in FAMILIES:
        assert family.account.encode() in instructions
    carrying = {topic for topic, data in headers.items() if SEARCH.found_in(data)}
    assert all(seen.topics[topic].restricted for topic in carrying)
    assert not any(found.startswith(("nik", "kk")) for data in headers.values() for found in SEARCH.found_in(data))


def test_faults_and_refusals_did_happen(seen: Seen) -> None:
    logs = b"".join(files_below(seen.state_dir / "logs").values()).decode()
    for expected in (
        "CheckViolationError 23514 on nowhere", '"event":"import-fault"', '"event":"fault"', '"event":"denied"',
    ):  # fmt: skip
        assert expected in logs
    reasons = {event["data"]["reason"] for event in events_on(seen, "payments.activity") if "reason" in event["data"]}
    assert {"CheckViolationError on first_only", "undecodable", "malformed", "instruction-unknown"} <= reasons
    assert len(seen.errors) > 30


def test_logs_tell_nobody(seen: Seen) -> None:
    logs = files_below(seen.state_dir / "logs")
    assert {f"{name}.log" for name in (*SERVICES, *BANKS, "postgres", "kafka")} <= logs.keys()
    assert SEARCH.escapes(logs) == {}


def test_metrics_tell_nobody(seen: Seen) -> None:
    assert all(b"salur_" in text for text in seen.metrics.values())
    assert SEARCH.escapes(seen.metrics) == {}


def test_topic_keys_tell_nobody(seen: Seen) -> None:
    keys = {f"{r.topic}/{r.partition}@{r.offset}": r.key for r in seen.records if r.key}
    assert len(keys) > len(FAMILIES) * 5
    assert SEARCH.escapes(keys) == {}


def test_unrestricted_topics_tell_nobody(seen: Seen) -> None:
    records = [record for record in seen.records if not seen.topics[record.topic].restricted]
    assert {"eligibility.entitlements", "payments.payments", "payments.activity"} <= {r.topic for r in records}
    places = {
        f"{r.topic}/{r.partition}@{r.offset}": b"\n".join([r.value or b"", *(value for _, value in r.headers)])
        for r in records
    }
    assert SEARCH.escapes(places) == {}


def test_bodies_of_events_tell_nobody_on_restricted_topics_either(seen: Seen) -> None:
    """Bodies are the leaves of the log and stay for ever. What we sent as rubbish is not ours."""
    places = {
        f"{r.topic}/{r.partition}@{r.offset}": r.value
        for r in seen.records
        if seen.topics[r.topic].restricted and r.headers
    }
    assert len(places) > len(FAMILIES) * 4
    assert SEARCH.escapes(places) == {}


def test_http_errors_and_reports_tell_nobody(seen: Seen) -> None:
    assert SEARCH.escapes(seen.errors | seen.reports) == {}


def test_the_signed_heads_are_on_their_topic(seen: Seen) -> None:
    key = VerifierKey.parse((seen.state_dir / "audit-log" / "log.pub").read_text(encoding="utf-8"))
    notes = [record.value.decode() for record in seen.records if record.topic == CHECKPOINTS_TOPIC.name]
    sizes = [open_checkpoint(note, key).size for note in notes]
    assert sizes
    assert sizes == sorted(set(sizes)), "one note per size, growing"


def test_the_files_of_the_audit_log_tell_nobody(seen: Seen) -> None:
    files = files_below(seen.state_dir / "audit-log")
    assert any("entries" in name for name in files)
    assert SEARCH.escapes(files) == {}


def test_nothing_at_rest_outside_the_restricted_topics_tells_who_somebody_is(seen: Seen) -> None:
    """Databases, the banks' books and spooled files: names, numbers and accounts rest sealed."""
    identity = Search(IDENTITY, [*FAMILIES, STRANGER, LATECOMER])
    files = {name: data for name, data in files_below(seen.state_dir).items() if not name.startswith("kafka/")}
    assert any(name.startswith("postgres/") for name in files)
    assert identity.escapes(files) == {}

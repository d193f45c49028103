"""The AsyncAPI documents: up to date, whole, true to topics and consumers; every golden event fits its schema."""

import re
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from jsonschema import Draft7Validator

from salur.common.contracts import CONTRACTS
from salur.common.contracts.banks import OUTSIDE, BankResult
from salur.common.contracts.topics import ALL_TOPICS, CHECKPOINTS_TOPIC, SERVICES, Topic, instructions_topic
from salur.common.service import Process
from salur.local.cli.asyncapi import DOCS, HEAD, documents
from salur.local.offline import offline_processes
from support.golden import Golden, golden_events
from support.shapes import ALL_CONTRACTS

ROOT = Path(__file__).parents[2]
GENERATED = documents()
DOCUMENTS: dict[str, dict[str, Any]] = {path.as_posix(): yaml.safe_load(text) for path, text in GENERATED.items()}
PARTNERS = DOCUMENTS["partners/asyncapi.yaml"]
OPTIONAL_OF_BANKS = {"time", "datacontenttype"}
every_document = pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Process]:
    return offline_processes(tmp_path_factory.mktemp("offline"))


def of_service(name: str) -> dict[str, Any]:
    return DOCUMENTS[f"asyncapi/{name}.yaml"]


def test_the_committed_documents_are_those_the_code_gives() -> None:
    for path, text in GENERATED.items():
        assert (ROOT / DOCS / path).read_text(encoding="utf-8") == text, "run `salur asyncapi` and commit"
    committed = {*(ROOT / DOCS / "asyncapi").iterdir(), ROOT / DOCS / "partners" / "asyncapi.yaml"}
    assert committed == {ROOT / DOCS / path for path in GENERATED}


def resolve(document: dict[str, Any], reference: str) -> Any:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for item in node for found in references(item)] if isinstance(node, list) else []


@every_document
def test_a_document_is_asyncapi_3_and_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    read = ApplicationSchema.model_validate(document)
    assert (read.asyncapi, len(read.channels)) == ("3.0.0", len(document["channels"]))
    assert read.operations
    found = references(document)
    assert found
    for reference in found:
        assert resolve(document, reference)
    used = set(found)
    for kind in ("messages", "schemas"):
        assert {f"#/components/{kind}/{name}" for name in document["components"][kind]} <= used, "nothing is idle"


def declared(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name, "partitions": topic.partitions, "retention_ms": topic.retention_ms,
        "restricted": topic.restricted, "writer": topic.writer,
    }  # fmt: skip


def stated(channel: dict[str, Any]) -> dict[str, Any]:
    kafka = channel["bindings"]["kafka"]
    assert kafka["topic"] == channel["address"]
    return {
        "address": channel["address"], "partitions": kafka["partitions"],
        "retention_ms": kafka["topicConfiguration"]["retention.ms"], "restricted": channel["x-restricted"],
        "writer": channel["x-writer"],
    }  # fmt: skip


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_sends_on_exactly_its_own_topics(service: str) -> None:
    document = of_service(service)
    own = {channel["address"]: stated(channel) for channel in document["channels"].values()}
    topics = [topic for topic in (*ALL_TOPICS, CHECKPOINTS_TOPIC) if topic.writer == service]
    topics += [instructions_topic("{bank}")] if service == "payments" else []
    for topic in topics:
        assert own[topic.name] == declared(topic)
    sent = sent_on(document)
    spoken = {pattern.replace("*", "{bank}") for model in CONTRACTS.values() for pattern in model.topics}
    spoken.add(CHECKPOINTS_TOPIC.name)
    assert sent.keys() == {topic.name for topic in topics} & spoken
    for model in CONTRACTS.values():
        for pattern in model.topics:
            address = pattern.replace("*", "{bank}")
            assert (model.event_type in sent.get(address, set())) == (address in sent)


def channel_of(operation: dict[str, Any]) -> str:
    return str(operation["channel"]["$ref"])


def sent_on(document: dict[str, Any]) -> dict[str, set[str]]:
    """Message names by the address of the channel they are sent on."""
    return {
        resolve(document, channel_of(operation))["address"]: {
            reference["$ref"].rsplit("/", 1)[1] for reference in operation["messages"]
        }
        for operation in document["operations"].values()
        if operation["action"] == "send"
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_receives_exactly_what_its_consumers_take(service: str, processes: dict[str, Process]) -> None:
    document = of_service(service)
    received = {
        (operation["bindings"]["kafka"]["groupId"]["enum"][0], resolve(document, channel_of(operation))["address"])
        for operation in document["operations"].values()
        if operation["action"] == "receive"
    }
    spoken = {address for name in SERVICES for address in sent_on(of_service(name))} | {"banks.results.{bank}"}
    taken = {
        (consumer.name, topic.replace("bank-a", "{bank}"))
        for consumer in processes[service].consumers
        for topic in consumer.topics
    }
    assert received == {(group, address) for group, address in taken if address in spoken}
    assert "registry.principals" in {address for _, address in received}


def test_the_banks_document_holds_what_a_bank_may_see_and_no_more() -> None:
    channels = {channel["address"]: set(channel["messages"]) for channel in PARTNERS["channels"].values()}
    assert channels == {
        "payments.instructions.{bank}": {
            "salur.payment.instructed.v1",
            "salur.payment.inquired.v1",
            "salur.payment.recall-requested.v1",
            "salur.account-check.asked.v1",
        },
        "banks.results.{bank}": {model.event_type for model in OUTSIDE},
        "audit.checkpoints": {"audit.checkpoint"},
    }
    assert sent_on(PARTNERS).keys() == {"banks.results.{bank}"}


def fits(document: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    """Whether a value is valid by a schema of the document."""
    rooted = {"components": document["components"], **schema}
    Draft7Validator.check_schema(schema)
    return bool(Draft7Validator(rooted).is_valid(value))


def homes(golden: Golden) -> list[dict[str, Any]]:
    """Every document that speaks of the event."""
    found = [document for document in DOCUMENTS.values() if golden.event_type in document["components"]["messages"]]
    assert found, "no document speaks of it"
    return found


@pytest.mark.parametrize("golden", golden_events(), ids=lambda golden: golden.name)
def test_every_golden_event_fits_its_published_schema_and_broken_ones_do_not(golden: Golden) -> None:
    for document in homes(golden):
        message = document["components"]["messages"][golden.event_type]
        payload = message["payload"]
        assert fits(document, payload, golden.document)
        assert not fits(document, payload, golden.document | {"type": "salur.other.v1"})
        for name in golden.document.keys() - (OPTIONAL_OF_BANKS if golden.event_type not in CONTRACTS else set()):
            assert not fits(document, payload, {k: v for k, v in golden.document.items() if k != name}), name
        data = golden.document["data"]
        for name in data.keys() - optional(golden):
            assert not fits(document, payload, golden.document | {"data": {k: data[k] for k in data.keys() - {name}}})
            assert not fits(document, payload, golden.document | {"data": data | {name: {"a": {"b": []}}}})


def optional(golden: Golden) -> set[str]:
    model = ALL_CONTRACTS[golden.event_type]
    needed = {"bank_reference"} if model is BankResult else set()  # the golden answer is a return
    return {name for name, field in model.model_fields.items() if not field.is_required()} - needed


@pytest.mark.parametrize("golden", [g for g in golden_events() if g.header], ids=lambda golden: golden.name)
def test_every_personal_header_fits_its_published_schema(golden: Golden) -> None:
    assert golden.header is not None
    header = orjson.loads(golden.header)
    for document in homes(golden):
        stated_header = document["components"]["messages"][golden.event_type]["headers"]["properties"]["personal"]
        schema = resolve(document, stated_header["x-schema"]["$ref"])
        assert fits(document, schema, header)
        assert not fits(document, schema, {"values": header["values"]})
        for path in header["values"]:
            broken = header | {"values": header["values"] | {path: {"a": {"b": {}}}}}
            assert not fits(document, schema, broken), path


def test_personal_values_have_no_place_in_the_published_bodies() -> None:
    """What only a personal value is made of is not even described in a body's schema."""
    schemas = of_service("registry")["components"]["schemas"]
    committed = schemas["HouseholdRegistered"]["properties"]
    assert committed["members"] == {"$ref": "#/components/schemas/Commitment"}
    assert committed["attributes"]["additionalProperties"] == {"$ref": "#/components/schemas/Commitment"}
    assert "Member" not in schemas


async def assert_page_needs_nobody_else(client: httpx.AsyncClient) -> None:
    """The OpenAPI page opens on a machine without the internet: every address in it is the service's own."""
    page = (await client.get("/docs")).text
    assert "openapi.json" in page
    loaded = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page)
    assert len(loaded) == 2
    for address in loaded:
        assert "//" not in address
        answer = await client.get(f"/{address}")
        assert answer.status_code == 200
        assert len(answer.content) > 10_000


async def test_services_serve_the_same_documents_to_everyone(processes: dict[str, Process]) -> None:
    for name, process in processes.items():
        transport = httpx.ASGITransport(process.app())
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{name}") as client:
            answer = await client.get("/asyncapi.yaml")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/yaml")
            assert HEAD + answer.text == GENERATED[Path("asyncapi") / f"{name}.yaml"]
            await assert_page_needs_nobody_else(client)
            openapi = (await client.get("/openapi.json")).json()
            assert openapi["openapi"].startswith("3.")
            assert "/live" in openapi["paths"]
            if name == "payments":
                text = (await client.get("/partners/asyncapi.yaml")).text
                assert HEAD + text == GENERATED[Path("partners") / "asyncapi.yaml"]

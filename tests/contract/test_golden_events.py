"""Every contract has a committed event: this version reads it, writes it to the byte, and bears older and newer."""

import re
from typing import Any

import orjson
import pytest

from partner_bank.wire import Inquiry, Instruction, Recall
from partner_bank.wire import read as read_at_the_bank
from salur.common.contracts import CONTRACTS
from salur.common.contracts.banks import OUTSIDE
from salur.common.contracts.base import Fact
from salur.common.contracts.topics import topic_named
from salur.common.events import Draft, partition_for
from salur.common.events.envelope import Unacceptable
from support.golden import FOLDER, Golden, golden_events, read_golden, written_again

OF_BANKS = {model.event_type for model in OUTSIDE}
EVENTS = [golden for golden in golden_events() if golden.event_type not in OF_BANKS]
PERSONAL = [golden for golden in EVENTS if golden.header is not None]
NEWEST = {golden.event_type: golden for golden in EVENTS}
every_event = pytest.mark.parametrize("golden", EVENTS, ids=lambda golden: golden.name)
every_personal = pytest.mark.parametrize("golden", PERSONAL, ids=lambda golden: golden.name)
Json = dict[str, Any]


def test_every_contract_has_a_golden_event_and_every_golden_event_a_contract() -> None:
    declared = CONTRACTS.keys() | OF_BANKS
    assert {golden.event_type for golden in golden_events()} == declared, "see tests/support/golden.py"
    files = {path.stem.removesuffix(".personal") for path in FOLDER.glob("*.json")}
    assert {re.sub(r"\.[0-9]+$", "", name) for name in files} == declared
    assert {golden.event_type for golden in PERSONAL} == {
        name for name, model in CONTRACTS.items() if model.personal_fields
    }


@every_event
def test_it_is_read_and_written_again_to_the_byte(golden: Golden) -> None:
    received = golden.read()
    value, header = written_again(golden, received)
    if golden is NEWEST[golden.event_type]:
        assert (value, header) == (golden.value, golden.header)
    else:
        assert contains(orjson.loads(value), golden.document), "an older event lost something"


@every_event
def test_what_is_written_is_read_back_as_the_same_fact(golden: Golden) -> None:
    received = golden.read()
    value, header = written_again(golden, received)
    assert golden.read(value, header) == received
    assert type(received.data) is CONTRACTS[golden.event_type]


@every_event
def test_it_stands_where_its_contract_says(golden: Golden) -> None:
    received = golden.read()
    topic, partition = golden.place
    draft = Draft(received.data, received.key, received.actor, received.cause, topic=topic)
    assert draft.resolved_topic() == topic
    assert received.source == f"/salur/{topic_named(topic).writer}"
    marked = getattr(received.data, "partition", None) if type(received.data).__name__ in IN_EVERY_PARTITION else None
    assert partition == (partition_for(received.key) if marked is None else marked)


IN_EVERY_PARTITION = {"RegistryCut", "CycleGranted"}
"""Marks that are written into every partition, whatever their key."""


@pytest.mark.parametrize("event_type", CONTRACTS)
def test_the_newest_golden_event_shows_every_field(event_type: str) -> None:
    """Unknown fields are kept, so a field that was removed or renamed would still come back: here it is missed."""
    data = NEWEST[event_type].read().data
    assert differing_fields(data, "data") == []


def differing_fields(value: Any, at: str) -> list[str]:
    """Where a value has fields its model does not declare, or the golden data lacks declared ones."""
    if isinstance(value, list):
        return [found for item in value for found in differing_fields(item, f"{at}[]")]
    if not hasattr(value, "model_fields_set"):
        return []
    declared = set(type(value).model_fields)
    found = [f"{at}.{name}" for name in sorted(declared ^ value.model_fields_set)]
    for name in declared:
        found += differing_fields(getattr(value, name), f"{at}.{name}")
    return found


@every_event
def test_what_a_newer_version_adds_is_kept(golden: Golden) -> None:
    document = golden.document
    document["data"]["added_later"] = {"amount_minor": 7}
    document["dataschema"] = "urn:salur:later"
    received = golden.read(orjson.dumps(document))
    assert received.data.model_extra == {"added_later": {"amount_minor": 7}}
    assert orjson.loads(written_again(golden, received)[0])["data"]["added_later"] == {"amount_minor": 7}


@every_event
def test_another_version_is_refused_by_its_name(golden: Golden) -> None:
    document = golden.document | {"type": golden.event_type.replace(".v1", ".v2")}
    with pytest.raises(Unacceptable, match=r"v2' is unknown here: deploy the version that knows it"):
        golden.read(orjson.dumps(document))


@every_event
def test_a_field_that_is_gone_or_of_another_type_is_refused_without_its_value(golden: Golden) -> None:
    model = CONTRACTS[golden.event_type]
    for name in required_of(model):
        lacking = golden.document
        del lacking["data"][name]
        broken = golden.document
        broken["data"][name] = {"nik": {"3171": "3171010101010001"}}
        for document in (lacking, broken):
            with pytest.raises(Unacceptable) as refused:
                golden.read(orjson.dumps(document))
            assert "3171010101010001" not in str(refused.value)


def required_of(model: type[Fact]) -> list[str]:
    return [name for name, field in model.model_fields.items() if field.is_required()]


@every_personal
def test_personal_values_stand_beside_the_body_only(golden: Golden) -> None:
    assert golden.header is not None
    header = orjson.loads(golden.header)
    for value in header["values"].values():
        if isinstance(value, str) and len(value) > 4:
            assert value not in golden.value.decode()
    committed = {
        f"{name}.{key}" if isinstance(mark, dict) else name: mark[key] if isinstance(mark, dict) else mark
        for name in CONTRACTS[golden.event_type].personal_fields
        for mark in [golden.document["data"][name]]
        for key in (mark if isinstance(mark, dict) else [""])
    }
    assert committed.keys() == header["values"].keys()
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", mark) for mark in committed.values())


@every_personal
def test_another_value_or_none_beside_the_body_is_refused(golden: Golden) -> None:
    assert golden.header is not None
    header: Json = orjson.loads(golden.header)
    path = sorted(header["values"])[0]
    other = header | {"values": header["values"] | {path: "another"}}
    with pytest.raises(Unacceptable, match=f"beside field {path} is not the one the event commits to"):
        golden.read(header=orjson.dumps(other))
    without = Golden(golden.name, golden.value, None)
    with pytest.raises(Unacceptable, match="absent: its writer must publish it again"):
        without.read()


def test_a_bank_that_knows_only_the_public_contract_reads_the_same() -> None:
    golden = read_golden("salur.payment.instructed.v1")
    seen = read_at_the_bank(golden.value, golden.header)
    assert isinstance(seen, Instruction)
    ours = golden.read().data.model_dump()
    assert seen.proven
    assert [getattr(seen, name) for name in SHARED] == [ours[name] for name in SHARED]
    asked = read_golden("salur.payment.inquired.v1")
    assert read_at_the_bank(asked.value, None) == Inquiry(**head_of(asked), number=1)
    back = read_golden("salur.payment.recall-requested.v1")
    assert read_at_the_bank(back.value, None) == Recall(**head_of(back), number=1)


def head_of(golden: Golden) -> Json:
    data = golden.document["data"]
    return {name: data[name] for name in ("instruction_id", "payment_id", "amount_minor", "currency")}


SHARED = ("instruction_id", "payment_id", "entitlement_id", "part", "amount_minor", "currency")


def contains(whole: Any, part: Any) -> bool:
    """Whether `whole` has everything of `part`, at every depth."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and contains(whole[name], part[name]) for name in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)

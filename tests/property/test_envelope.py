"""Envelope and commitments: what is written is read back; nothing but declared errors leaves the decoder."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salur.common.contracts.base import CONTRACTS, Fact
from salur.common.events import personal
from salur.common.events.envelope import (
    Draft,
    EventTooLarge,
    Unacceptable,
    Undecodable,
    accept,
    encode,
    parse,
    partition_for,
)
from support.facts import household

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
TOPIC = "registry.households"


@given(st.dictionaries(st.text(min_size=1, max_size=10), scalars, max_size=5), scalars)
def test_personal_values_leave_the_body_and_come_back(values: dict[str, object], single: object) -> None:
    data = {"many": dict(values), "one": single, "open": 1}
    fields = frozenset({"many", "one"})
    header = personal.split(data, fields)
    assert all(str(mark).startswith("sha256:") for mark in (*data["many"].values(), data["one"]))  # type: ignore[attr-defined]
    personal.join(data, fields, header)
    assert data == {"many": values, "one": single, "open": 1}


def test_another_value_beside_the_body_is_refused() -> None:
    data = {"one": "620-1"}
    header = orjson.loads(personal.split(data, frozenset({"one"})))
    header["values"]["one"] = "620-2"
    with pytest.raises(personal.CommitmentBroken):
        personal.join(data, frozenset({"one"}), orjson.dumps(header))


def test_an_event_survives_the_wire() -> None:
    draft = household("a", poverty_index=759.36)
    encoded = encode(draft, "/salur/registry", "2026-01-01T00:00:00Z")
    partition = partition_for(draft.key)
    value = encoded.at(f"{TOPIC}/{partition}", 7)
    assert b"759.36" not in value
    envelope = parse(value, topic=TOPIC, partition=partition, writer="registry")
    received = accept(envelope, encoded.personal, topic=TOPIC, partition=partition, offset=3)
    assert received.data == draft.data
    assert (received.sequence, received.key) == (7, draft.key)


@given(st.binary(max_size=200) | st.none())
def test_rubbish_gives_declared_errors_only(value: bytes | None) -> None:
    with pytest.raises(Undecodable):
        parse(value, topic=TOPIC, partition=0, writer="registry")


@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12))
def test_any_data_gives_declared_errors_only(data: object) -> None:
    """An event whose data is any JSON whatsoever is Undecodable or Unacceptable, never a crash."""
    document = {
        "specversion": "1.0", "id": "x", "source": "/salur/registry", "type": "salur.household.registered.v1",
        "subject": "k", "time": "2026-01-01T00:00:00Z", "stream": f"{TOPIC}/0", "sequence": 1, "data": data,
    }  # fmt: skip
    try:
        value = orjson.dumps(document)
    except TypeError:  # integers beyond 64 bits and lone surrogates are no JSON for us
        return
    with pytest.raises((Undecodable, Unacceptable)):
        accept(parse(value, topic=TOPIC, partition=0, writer="registry"), None, topic=TOPIC, partition=0, offset=0)


@pytest.mark.parametrize(
    "change",
    [
        {"source": "/salur/payments"},
        {"stream": f"{TOPIC}/1"},
        {"sequence": 0},
        {"specversion": "0.3"},
        {"id": "x" * 300},
        {"subject": "nul\x00"},
    ],
)
def test_misaddressed_and_malformed_events_are_refused(change: dict[str, object]) -> None:
    draft = household("a")
    document = orjson.loads(encode(draft, "/salur/registry", "2026-01-01T00:00:00Z").at(f"{TOPIC}/0", 1)) | change
    with pytest.raises(Undecodable):
        parse(orjson.dumps(document), topic=TOPIC, partition=0, writer="registry")


def test_an_unknown_version_is_named_with_its_remedy() -> None:
    draft = household("a")
    document = orjson.loads(encode(draft, "/salur/registry", "2026-01-01T00:00:00Z").at(f"{TOPIC}/0", 1))
    document["type"] = "salur.household.registered.v2"
    envelope = parse(orjson.dumps(document), topic=TOPIC, partition=0, writer="registry")
    with pytest.raises(Unacceptable, match="deploy the version that knows it"):
        accept(envelope, None, topic=TOPIC, partition=0, offset=0)


def test_an_event_older_than_a_personal_field_is_taken_and_a_newer_ones_unknown_field_is_kept() -> None:
    """Changes are additive, also for personal fields: both versions read each other's events."""

    class Older(Fact):
        event_type, topics = "salur.test.told.v1", (TOPIC,)
        personal_fields = frozenset({"one"})
        one: str

    class Newer(Older):
        personal_fields = frozenset({"one", "two"})
        two: str | None = None

    for written, read, expected in (
        (Older(one="a"), Newer, {"one": "a", "two": None}),
        (Newer(one="a", two="b"), Older, {"one": "a"}),
    ):
        encoded = encode(Draft(written, "k", "a", "c"), "/salur/registry", "2026-01-01T00:00:00Z")
        envelope = parse(encoded.at(f"{TOPIC}/0", 1), topic=TOPIC, partition=0, writer="registry")
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(CONTRACTS, Older.event_type, read)
            got = accept(envelope, encoded.personal, topic=TOPIC, partition=0, offset=0).data.model_dump()
        assert expected.items() <= got.items()
        assert got.keys() == {"one", "two"}


@pytest.mark.parametrize("attributes", [{"note": "x" * 300_000}, {f"a{n}": n for n in range(500)}])
def test_what_is_too_large_is_refused_before_it_is_stored(attributes: dict[str, object]) -> None:
    """Too much beside the body, too much in it: a record Kafka would refuse for ever would stop the whole relay."""
    draft = household("a")
    large = Draft(draft.data.model_copy(update={"attributes": attributes}), draft.key, "a", "c")
    with pytest.raises(EventTooLarge, match="the limit is"):
        encode(large, "/salur/registry", "2026-01-01T00:00:00Z")

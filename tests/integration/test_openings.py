"""Personal values of events are opened one by one: by whom may, for a purpose and a reason, never unseen."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from salur.common.database import Database
from salur.common.events import Draft
from salur.common.events.personal import CommitmentBroken, Opening, check_opening
from salur.common.service import Runtime
from support.golden import Golden, golden_events
from support.households import household
from support.offices import open_office
from support.staff import Staff, staff_of

pytestmark = pytest.mark.integration
WHY = {"purpose": "complaint", "reason": "returned-payment"}
PERSONAL = [golden for golden in golden_events() if golden.header is not None]


async def investigate(staff: Staff, asked: dict[str, Any], **more: Any) -> Any:
    return await staff.ask("rina", ["investigator"], "POST", "/openings", asked, **more)


async def leaf(db: Database, stream: str, sequence: int) -> dict[str, Any]:
    async with db.connection() as conn:
        body = await conn.fetchval("SELECT body FROM event WHERE stream = $1 AND sequence = $2", stream, sequence)
    document: dict[str, Any] = orjson.loads(body)
    return document


def paths(data: dict[str, Any], fields: frozenset[str]) -> list[str]:
    """Every committed value of an event's data."""
    return [
        path
        for field in sorted(fields & data.keys())
        for path in ([f"{field}.{key}" for key in data[field]] if isinstance(data[field], dict) else [field])
    ]


@pytest.mark.parametrize("service", sorted({golden.document["source"].rpartition("/")[2] for golden in PERSONAL}))
async def test_every_personal_field_of_every_contract_is_opened_and_proven(
    service: str, database_url: str, tmp_path: Path
) -> None:
    own = [golden for golden in PERSONAL if golden.document["source"] == f"/salur/{service}"]
    async with (
        open_office(service, database_url, tmp_path) as process,
        staff_of(process.app(), process.runtime) as staff,
    ):
        await _append(process.runtime, own)
        async with process.runtime.db.connection() as conn:
            places = await conn.fetch("SELECT stream, sequence FROM event ORDER BY id")
        assert len(places) == len(own)
        for place in places:
            document = await leaf(process.runtime.db, place["stream"], place["sequence"])
            golden = next(golden for golden in own if golden.document["data"].keys() == document["data"].keys())
            wanted = paths(document["data"], golden.read().data.personal_fields)
            assert wanted
            for path in wanted:
                asked = {"stream": place["stream"], "sequence": place["sequence"], "field": path, **WHY}
                answer = (await investigate(staff, asked)).json()
                opening = Opening(path, answer["value"], bytes.fromhex(answer["salt"]))
                assert check_opening(document["data"], opening) == answer["commitment"]


async def _append(runtime: Runtime, goldens: list[Golden]) -> None:
    async with runtime.unit_of_work() as unit:
        for golden in goldens:
            received = golden.read()
            unit.emit(Draft(received.data, received.key, received.actor, received.cause, topic=golden.place[0]))


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> Any:
    async with (
        open_office("registry", database_url, tmp_path) as process,
        staff_of(process.app(), process.runtime) as staff,
    ):
        body = household(1, payee={"bank": "bank-a", "number": "1234567890", "holder": "Siti Example"})
        registered = await staff.ask("ani", ["registrar"], "POST", "/households", body)
        assert registered.status_code == 201, registered.text
        async with process.runtime.db.connection() as conn:
            place = await conn.fetchrow("SELECT stream, sequence FROM event WHERE type = 'salur.payee.registered.v1'")
        assert place is not None
        yield staff, process.runtime, {**dict(place), "field": "account_number", **WHY}


async def test_an_opening_is_an_event_that_tells_all_but_the_value(office: Any) -> None:
    staff, runtime, asked = office
    case = "5b5f0c0a9a1be4d6c8e3f2a1b0c9d8e7"
    answer = await investigate(staff, {**asked, "case_id": case})
    assert answer.json()["value"] == "1234567890"
    async with runtime.db.connection() as conn:
        bodies = await conn.fetch("SELECT body FROM event WHERE type = 'salur.personal-value.read.v1'")
    (body,) = [row["body"] for row in bodies]
    told = orjson.loads(body)
    entry = await leaf(runtime.db, asked["stream"], asked["sequence"])
    assert told["actor"] == "person:rina"
    assert told["data"] == {"subject": entry["subject"], "kind": "event-field", "case_id": case, **asked}
    assert b"1234567890" not in body


async def test_who_may_not_asks_in_vain_and_nothing_is_written(office: Any) -> None:
    staff, runtime, asked = office
    answers = [
        await staff.ask("rina", ["auditor"], "POST", "/openings", asked),
        await investigate(staff, asked, regions=["99"]),
        await investigate(staff, {key: value for key, value in asked.items() if key != "reason"}),
        await investigate(staff, {key: value for key, value in asked.items() if key != "purpose"}),
        await investigate(staff, {**asked, "field": "bank"}),
        await investigate(staff, {**asked, "field": "account_number.0"}),
        await investigate(staff, {**asked, "sequence": 99}),
        await investigate(staff, {**asked, "stream": "payments.payments/0"}),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (403, "not-permitted"), (404, "value-unknown"), (422, "invalid-request"), (422, "invalid-request"),
        (404, "value-unknown"), (404, "value-unknown"), (404, "value-unknown"), (404, "value-unknown"),
    ]  # fmt: skip
    assert not any("1234567890" in answer.text for answer in answers)
    async with runtime.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM event WHERE type = 'salur.personal-value.read.v1'") == 0
    entry = await leaf(runtime.db, asked["stream"], asked["sequence"])
    async with runtime.db.connection() as conn:
        region = await conn.fetchval("SELECT region FROM household WHERE household_id = $1", entry["subject"])
    assert (await investigate(staff, asked, regions=[region[:2]])).status_code == 200


async def test_another_opening_does_not_open_the_entry(office: Any) -> None:
    staff, runtime, asked = office
    answer = (await investigate(staff, asked)).json()
    data = (await leaf(runtime.db, asked["stream"], asked["sequence"]))["data"]
    salt = bytes.fromhex(answer["salt"])
    for wrong in (
        Opening("account_number", "1234567891", salt),
        Opening("account_number", 1234567890, salt),
        Opening("account_number", "1234567890", bytes(32)),
        Opening("account_holder", "1234567890", salt),
        Opening("account_number.0", "1234567890", salt),
        Opening("bank", "bank-a", salt),
        Opening("nothing", "1234567890", salt),
    ):
        with pytest.raises(CommitmentBroken):
            check_opening(data, wrong)

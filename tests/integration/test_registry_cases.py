"""Complaints over HTTP on the real database: moves, deadlines, who may see what, and no text outside its seal."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from salur.common.service import Process, Runtime, Service
from support.registry import open_registry, worker_of
from support.staff import Staff, staff_of

pytestmark = pytest.mark.integration
Office = tuple[Staff, Runtime, Service]
STORY, CONTACT = "Pendamping meminta potongan dari Ibu Sulastri", "+62 812 5550 1234"


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    async with (
        open_registry(database_url, tmp_path) as (runtime, service),
        staff_of(Process(runtime, service, frozenset({"http"})).app(), runtime) as staff,
    ):
        yield staff, runtime, service


def complaint(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "reference": f"letter-{number:04d}", "category": "service", "region": "31.71.01", "channel": "office",
        "text": STORY, "contact": CONTACT,
    } | changes  # fmt: skip


async def officer(staff: Staff, method: str, url: str, json: Any = None, *, who: str = "dewi", **more: Any) -> Any:
    return await staff.ask(who, ["case-officer"], method, url, json, **more)


async def registrar(staff: Staff, method: str, url: str, json: Any = None, *, who: str = "ani", **more: Any) -> Any:
    return await staff.ask(who, ["registrar"], method, url, json, **more)


async def told(runtime: Runtime) -> list[dict[str, Any]]:
    async with runtime.db.connection() as conn:
        rows = await conn.fetch("SELECT body FROM event WHERE type = 'salur.case.changed.v1' ORDER BY id")
    return [orjson.loads(row["body"])["data"] for row in rows]


async def opened(staff: Staff, **changes: Any) -> str:
    answer = await registrar(staff, "POST", "/cases", complaint(**changes))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["case_id"])


def codes(*answers: httpx.Response) -> list[tuple[int, str]]:
    return [(answer.status_code, answer.json().get("code", "")) for answer in answers]


async def test_a_case_goes_its_way_and_every_move_is_told(office: Office) -> None:
    staff, runtime, _ = office
    case = f"/cases/{await opened(staff)}"
    story = {"outcome": "upheld", "text": "The money was given back."}
    early = await officer(staff, "POST", f"{case}/resolve", story)
    given = await officer(staff, "POST", f"{case}/assign", {"owner": "person:dewi"})
    again = await officer(staff, "POST", f"{case}/assign", {"owner": "person:dewi"})
    await officer(staff, "POST", f"{case}/notes", {"text": "Called the village."})
    other = await officer(staff, "POST", f"{case}/resolve", story, who="eko")
    await officer(staff, "POST", f"{case}/resolve", story)
    await registrar(staff, "POST", f"{case}/reopen", {"text": "Half of it only."})
    await officer(staff, "POST", f"{case}/resolve", story)
    closed = await officer(staff, "POST", f"{case}/close")
    late = await officer(staff, "POST", f"{case}/notes", {"text": "One more word."})
    assert codes(early, other, late) == [(409, "case-state"), (403, "not-owner"), (409, "case-state")]
    assert (again.json(), closed.json()["state"]) == (given.json(), "closed")
    events = await told(runtime)
    assert [(event["change"], event["state"], event["priority"]) for event in events] == [
        ("opened", "open", "normal"), ("assigned", "in-progress", "normal"), ("noted", "in-progress", "normal"),
        ("resolved", "resolved", "normal"), ("reopened", "in-progress", "high"), ("resolved", "resolved", "high"),
        ("closed", "closed", "high"),
    ]  # fmt: skip
    assert [event["version"] for event in events] == list(range(1, 8))


async def test_the_same_reference_is_the_same_case(office: Office) -> None:
    staff, runtime, _ = office
    case_id = await opened(staff)
    again = await registrar(staff, "POST", "/cases", complaint())
    other = await registrar(staff, "POST", "/cases", complaint(text="Something else."))
    someone = await registrar(staff, "POST", "/cases", complaint(), who="budi")
    assert (again.status_code, again.json()["case_id"]) == (200, case_id)
    assert codes(other) == [(409, "reference-taken")]
    assert someone.json()["case_id"] != case_id
    assert len(await told(runtime)) == 2


async def test_a_sensitive_case_is_kept_from_others_and_from_whom_it_is_about(office: Office) -> None:
    staff, runtime, _ = office
    secret = {"category": "misconduct", "about": "person:budi", "household_id": "a" * 32}
    case = f"/cases/{await opened(staff, **secret)}"
    await opened(staff, number=2)
    opener, colleague, accused, overseer = (
        await registrar(staff, "GET", "/cases"), await registrar(staff, "GET", "/cases", who="citra"),
        await officer(staff, "GET", "/cases", who="budi"), await officer(staff, "GET", "/cases"),
    )  # fmt: skip
    assert [len(answer.json()["cases"]) for answer in (opener, colleague, accused, overseer)] == [2, 1, 1, 2]
    hidden = [
        await registrar(staff, "GET", case, who="citra"),
        await officer(staff, "POST", f"{case}/texts", {"reason": "handling"}, who="budi"),
        await officer(staff, "GET", case, regions=["31.72"]),
    ]
    assert codes(*hidden) == [(404, "case-unknown")] * 3
    to_accused = await officer(staff, "POST", f"{case}/assign", {"owner": "person:budi"})
    await officer(staff, "POST", f"{case}/assign", {"owner": "person:dewi"})
    await officer(staff, "POST", f"{case}/resolve", {"outcome": "upheld", "text": "It was so."})
    alone = await officer(staff, "POST", f"{case}/close")
    assert codes(to_accused, alone) == [(403, "owner-not-free"), (403, "same-person")]
    assert (await officer(staff, "POST", f"{case}/close", who="eko")).status_code == 200
    events = [event for event in await told(runtime) if event["sensitive"]]
    assert {(event["region"], event["household_id"]) for event in events} == {("31", None)}
    assert "budi" not in str(events)


async def test_texts_rest_sealed_and_reading_them_is_an_event(office: Office) -> None:
    staff, runtime, _ = office
    case_id = await opened(staff)
    listed = await officer(staff, "GET", f"/cases/{case_id}")
    without = await officer(staff, "POST", f"/cases/{case_id}/texts", {})
    read = await officer(staff, "POST", f"/cases/{case_id}/texts", {"reason": "handling"})
    assert [(text["kind"], text["text"]) for text in read.json()["texts"]] == [
        ("complaint", STORY),
        ("contact", CONTACT),
    ]
    assert without.status_code == 422
    async with runtime.db.connection() as conn:
        bodies = [bytes(row["body"]).decode() for row in await conn.fetch("SELECT body FROM event ORDER BY id")]
        rows = str(await conn.fetch("SELECT t.*, c.* FROM case_text t JOIN case_file c USING (case_id)"))
    for value in ("Sulastri", "5550"):
        assert value not in listed.text + rows + "".join(bodies)
    last = orjson.loads(bodies[-1])
    assert (last["type"], last["subject"], last["actor"]) == ("salur.personal-value.read.v1", case_id, "person:dewi")


async def test_a_case_past_its_deadline_is_marked_once(office: Office) -> None:
    staff, runtime, service = office
    late, _fresh = await opened(staff), await opened(staff, number=2)
    async with runtime.db.transaction() as conn:
        await conn.execute("UPDATE case_file SET due_at = now() - interval '1 minute' WHERE case_id = $1", late)
    worker = worker_of(service, "overdue-cases")
    assert not await worker.step()
    assert not await worker.step()
    page = await officer(staff, "GET", "/cases?overdue=true")
    counts = await officer(staff, "GET", "/cases/counts")
    assert [case["case_id"] for case in page.json()["cases"]] == [late]
    assert {(row["overdue"], row["cases"]) for row in counts.json()["counts"]} == {(True, 1), (False, 1)}
    assert [event["change"] for event in await told(runtime)] == ["opened", "opened", "overdue"]
    sooner = await officer(staff, "POST", f"/cases/{late}/priority", {"priority": "urgent"})
    assert (sooner.json()["priority"], sooner.json()["overdue"]) == ("urgent", False)


@pytest.mark.parametrize(
    "changes",
    [{"text": "x"}, {"text": "x" * 5_001}, {"category": "other"}, {"region": "3171"}, {"reference": "short"},
     {"about": "Budi Santoso"}, {"state": "closed"}, {"channel": "Kantor Desa"}, {"text": "ab\x00cd"},
     {"contact": "ab\x00cd"}, {"text": "ab\ud800cd"}],
)  # fmt: skip
async def test_what_is_no_complaint_is_refused_and_not_repeated(office: Office, changes: dict[str, Any]) -> None:
    staff, runtime, _ = office
    answer = await registrar(staff, "POST", "/cases", complaint(**changes))
    assert answer.status_code == 422
    assert not any(str(value) in answer.text for value in changes.values() if len(str(value)) > 5)
    elsewhere = await registrar(staff, "POST", "/cases", complaint(), regions=["32"])
    assert codes(elsewhere) == [(403, "other-region")]
    assert await told(runtime) == []

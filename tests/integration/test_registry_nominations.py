"""A family is proposed, the community's meeting looks at it, the office decides: on the real database."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from salur.common.service import Process, Runtime
from support.households import household
from support.registry import open_registry
from support.staff import Staff, staff_of

pytestmark = pytest.mark.integration
Office = tuple[Staff, Runtime]
STORY, CONTACT, NAME = "Keluarga Ibu Marni belum terdata", "+62 811 4440 999", "Pak Lurah Sukirman"


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    async with (
        open_registry(database_url, tmp_path) as (runtime, service),
        staff_of(Process(runtime, service, frozenset({"http"})).app(), runtime) as staff,
    ):
        yield staff, runtime


async def registrar(staff: Staff, method: str, url: str, json: Any = None, **more: Any) -> Any:
    return await staff.ask("ani", ["registrar"], method, url, json, **more)


async def proposed(staff: Staff, number: int = 1, region: str = "31.71.01") -> str:
    usul = {
        "reference": f"usul-{number:05d}", "nominated_by": "self", "region": region, "text": STORY, "contact": CONTACT
    }  # fmt: skip
    answer = await staff.ask("warga", ["citizen"], "POST", "/nominations", usul)
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["nomination_id"])


def meeting(*verdicts: tuple[str, str], number: int = 1, **changes: Any) -> dict[str, Any]:
    roles = ("village-head", "women", "women", "residents")
    return {
        "reference": f"musdes-{number:05d}", "region": "31.71.01", "held_on": "2026-03-01",
        "participants": [{"role": role, "name": NAME} for role in roles],
        "verdicts": [{"nomination_id": i, "outcome": outcome, "reason": "known"} for i, outcome in verdicts],
    } | changes  # fmt: skip


def codes(*answers: httpx.Response) -> list[tuple[int, str]]:
    return [(answer.status_code, answer.json().get("code", "")) for answer in answers]


async def told(runtime: Runtime, kind: str) -> list[dict[str, Any]]:
    async with runtime.db.connection() as conn:
        rows = await conn.fetch("SELECT body FROM event WHERE type = $1 ORDER BY id", kind)
    return [orjson.loads(row["body"])["data"] for row in rows]


async def test_a_citizens_proposal_goes_through_the_meeting_to_a_registered_family(office: Office) -> None:
    staff, runtime = office
    good, bad = await proposed(staff), await proposed(staff, 2)
    assert await proposed(staff) == good
    household_id = (await registrar(staff, "POST", "/households", household(1))).json()["household_id"]
    decision = {"household_id": household_id, "reason": "supported"}
    early = await registrar(staff, "POST", f"/nominations/{good}/decide", decision)
    held = await registrar(staff, "POST", "/meetings", meeting((good, "supported"), (bad, "not-supported")))
    again = await registrar(staff, "POST", "/meetings", meeting((good, "supported"), (bad, "not-supported")))
    twice = await registrar(staff, "POST", "/meetings", meeting((good, "supported"), number=2))
    other = await registrar(staff, "POST", "/meetings", meeting((good, "supported")))
    unsupported = await registrar(staff, "POST", f"/nominations/{bad}/decide", decision)
    done = await registrar(staff, "POST", f"/nominations/{good}/decide", decision)
    refused = await registrar(staff, "POST", f"/nominations/{bad}/decide", {"reason": "not-supported"})
    assert codes(early, twice, other, unsupported) == [
        (409, "nomination-state"), (409, "nomination-state"), (409, "reference-taken"), (409, "nomination-state"),
    ]  # fmt: skip
    assert (held.status_code, again.status_code, again.json()) == (201, 200, held.json())
    assert held.json()["participants"] == {"residents": 1, "village-head": 1, "women": 2}
    assert (done.json()["state"], refused.json()["state"]) == ("registered", "refused")
    (event,) = await told(runtime, "salur.meeting.recorded.v1")
    assert (event["supported"], event["not_supported"], event["held_on"]) == (1, 1, "2026-03-01")
    states = [fact["state"] for fact in await told(runtime, "salur.nomination.changed.v1")]
    assert sorted(states) == ["not-supported", "proposed", "proposed", "refused", "registered", "supported"]


async def test_nobody_decides_on_their_own_proposal_or_on_another_place(office: Office) -> None:
    staff, _ = office
    usul = {"reference": "usul-own-1", "nominated_by": "organisation", "region": "31.71.01", "text": STORY}
    own = (await registrar(staff, "POST", "/nominations", usul)).json()["nomination_id"]
    elsewhere = await proposed(staff, 3, "32.73")
    answers = [
        await registrar(staff, "POST", f"/nominations/{own}/decide", {"reason": "wrong"}),
        await registrar(staff, "POST", "/meetings", meeting((own, "supported"), (elsewhere, "supported"))),
        await registrar(staff, "POST", f"/nominations/{elsewhere}/decide", {"reason": "wrong"}, regions=["31"]),
        await registrar(staff, "POST", "/meetings", meeting((own, "supported")), regions=["32"]),
        await registrar(staff, "POST", "/nominations", usul | {"reference": "usul-own-2"}, regions=["32"]),
        await staff.ask("warga", ["citizen"], "GET", "/nominations"),
    ]
    assert codes(*answers) == [
        (403, "same-person"), (404, "nomination-unknown"), (404, "nomination-unknown"), (403, "other-region"),
        (403, "other-region"), (403, "not-permitted"),
    ]  # fmt: skip
    left = (await registrar(staff, "GET", "/nominations?state=proposed")).json()["nominations"]
    assert {item["nomination_id"] for item in left} == {own, elsewhere}


async def test_words_and_names_rest_sealed(office: Office) -> None:
    staff, runtime = office
    nomination_id = await proposed(staff)
    await registrar(staff, "POST", "/meetings", meeting((nomination_id, "supported")))
    read = await registrar(staff, "POST", f"/nominations/{nomination_id}/read", {"reason": "verifying"})
    assert (read.json()["text"], read.json()["contact"]) == (STORY, CONTACT)
    listed = await registrar(staff, "GET", "/nominations")
    async with runtime.db.connection() as conn:
        rows = str(await conn.fetch("SELECT * FROM nomination")) + str(await conn.fetch("SELECT * FROM meeting"))
        bodies = "".join(row["body"].decode() for row in await conn.fetch("SELECT body FROM event"))
    for value in ("Marni", "4440", "Sukirman"):
        assert value not in rows + bodies + listed.text


@pytest.mark.parametrize(
    "changes",
    [{"participants": []}, {"held_on": "2999-01-01"}, {"held_on": "2026-02-30"}, {"verdicts": []},
     {"region": "3171"}, {"reference": "x"}, {"status": "done"}],
)  # fmt: skip
async def test_what_is_no_meeting_is_refused(office: Office, changes: dict[str, Any]) -> None:
    staff, runtime = office
    nomination_id = await proposed(staff)
    answer = await registrar(staff, "POST", "/meetings", meeting((nomination_id, "supported"), **changes))
    assert answer.status_code == 422
    assert NAME not in answer.text
    assert await told(runtime, "salur.meeting.recorded.v1") == []

"""People who work here, over HTTP on the real database: two people give a right, one takes it, each change is told."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from salur.common.service import Process, Runtime
from support.households import household
from support.registry import open_registry
from support.staff import Staff, staff_of

pytestmark = pytest.mark.integration
NOTHING = "0" * 32


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[Staff, Runtime]]:
    async with open_registry(database_url, tmp_path) as (runtime, service):
        app = Process(runtime, service, frozenset({"http"})).app()
        async with staff_of(app, runtime) as staff:
            yield staff, runtime


async def told(runtime: Runtime) -> list[dict[str, Any]]:
    """Every event about principals: (who, what changed, roles held), in order."""
    async with runtime.db.connection() as conn:
        rows = await conn.fetch("SELECT body FROM event WHERE type = 'salur.principal.changed.v1' ORDER BY id")
    return [orjson.loads(row["body"]) for row in rows]


def changes(events: list[dict[str, Any]]) -> list[tuple[str, int, str, list[str]]]:
    facts = [event["data"] for event in events]
    return [
        (fact["principal_id"], fact["version"], fact["change"], [grant["role"] for grant in fact["grants"]])
        for fact in facts
    ]


async def test_one_proposes_another_accepts_and_every_change_is_an_event(office: tuple[Staff, Runtime]) -> None:
    staff, runtime = office
    grant_id = await staff.give("ani", "registrar", "31.71")
    events = await told(runtime)
    assert changes(events) == [
        ("person:ani", 1, "registered", []),
        ("person:ani", 2, "granted", ["registrar"]),
    ]
    assert (events[1]["actor"], events[1]["data"]["proposed_by"]) == ("person:yusuf", "person:wati")
    assert events[1]["data"]["grants"][0]["regions"] == ["31.71"]
    taken = await staff.administrator("wati", "POST", f"/grants/{grant_id}/revoke", {"reason": "left"})
    again = await staff.administrator("wati", "POST", f"/grants/{grant_id}/revoke", {"reason": "left"})
    assert (taken.status_code, again.json()) == (200, taken.json())
    assert changes(await told(runtime))[2:] == [("person:ani", 3, "revoked", [])]
    late = await staff.administrator("yusuf", "POST", f"/grants/{grant_id}/accept")
    assert (late.status_code, late.json()["code"]) == (409, "grant-decided")


async def test_nobody_gives_alone_or_to_themselves_or_beyond_their_regions(office: tuple[Staff, Runtime]) -> None:
    staff, runtime = office
    for who in ("ani", "wati"):
        await staff.administrator("wati", "POST", "/principals", {"principal_id": f"person:{who}"})
    url, wish = "/principals/person:ani/grants", {"role": "approver"}
    proposed = await staff.administrator("wati", "POST", url, wish)
    again = await staff.administrator("wati", "POST", url, wish)
    other = await staff.administrator("yusuf", "POST", url, wish)
    assert (proposed.status_code, again.status_code, again.json()) == (201, 200, proposed.json())
    assert (other.status_code, other.json()["code"]) == (409, "grant-proposed")
    accept = f"/grants/{proposed.json()['grant_id']}/accept"
    refused = [
        await staff.administrator("wati", "POST", accept),
        await staff.administrator("ani", "POST", accept),
        await staff.administrator("wati", "POST", "/principals/person:wati/grants", wish),
        await staff.administrator("jaka", "POST", url, wish, regions=["31"]),
        await staff.administrator("jaka", "POST", accept, regions=["31"]),
        await staff.administrator("wati", "POST", url, {"role": "payment-operator"}),
        await staff.administrator("wati", "POST", url, {"role": "registrar", "expires_at": "2020-01-01T00:00:00Z"}),
        await staff.administrator("wati", "POST", "/principals/person:nobody/grants", wish),
        await staff.ask("eve", ["registrar"], "POST", url, wish),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [
        (403, "own-proposal"), (403, "own-right"), (403, "own-right"), (403, "other-region"), (404, "grant-unknown"),
        (422, "right-refused"), (422, "right-refused"), (404, "principal-unknown"), (403, "not-permitted"),
    ]  # fmt: skip
    assert changes(await told(runtime)) == [("person:ani", 1, "registered", []), ("person:wati", 1, "registered", [])]


@pytest.mark.parametrize("name", ["Siti Aminah", "person:3171234567890001x@y", "person:", "person:" + "a" * 80, "x"])
async def test_an_id_that_is_no_pseudonym_is_refused(office: tuple[Staff, Runtime], name: str) -> None:
    staff, _ = office
    answer = await staff.administrator("wati", "POST", "/principals", {"principal_id": name})
    assert answer.status_code == 422
    assert name not in answer.text


async def test_what_is_lent_ends_with_the_lenders_right(office: tuple[Staff, Runtime]) -> None:
    staff, runtime = office
    source = await staff.give("budi", "approver", "31")
    await staff.administrator("wati", "POST", "/principals", {"principal_id": "person:citra"})
    until = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    wish = {"principal_id": "person:citra", "role": "approver", "regions": ["31.71"], "expires_at": until}
    far = wish | {"expires_at": (datetime.now(UTC) + timedelta(days=40)).isoformat()}
    answers = [
        await staff.ask("budi", ["approver"], "POST", "/me/delegations", body)
        for body in (far, wish | {"regions": ["32"]}, wish | {"principal_id": "person:budi"}, wish)
    ]
    assert [answer.status_code for answer in answers] == [422, 403, 403, 201]
    on = wish | {"principal_id": "person:budi"}
    assert (await staff.ask("citra", ["approver"], "POST", "/me/delegations", on)).status_code == 403
    mine = (await staff.ask("citra", ["approver"], "GET", "/me/rights")).json()["grants"]
    assert [(grant["role"], grant["delegated_by"]) for grant in mine] == [("approver", "person:budi")]
    await staff.administrator("wati", "POST", f"/grants/{source}/revoke", {"reason": "misuse"})
    fallen = changes(await told(runtime))[-2:]
    assert sorted(fallen) == [("person:budi", 3, "revoked", []), ("person:citra", 3, "revoked", [])]


async def test_suspension_takes_back_what_was_lent_and_two_people_end_it(office: tuple[Staff, Runtime]) -> None:
    staff, runtime = office
    await staff.give("budi", "approver")
    await staff.administrator("wati", "POST", "/principals", {"principal_id": "person:citra"})
    until = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    wish = {"principal_id": "person:citra", "role": "approver", "expires_at": until}
    assert (await staff.ask("budi", ["approver"], "POST", "/me/delegations", wish)).status_code == 201
    beyond = await staff.administrator(
        "jaka", "POST", "/principals/person:budi/suspend", {"reason": "x"}, regions=["31"]
    )
    stopped = await staff.administrator("wati", "POST", "/principals/person:budi/suspend", {"reason": "misuse"})
    alone = await staff.administrator("wati", "POST", "/principals/person:budi/reinstate")
    ended = await staff.administrator("yusuf", "POST", "/principals/person:budi/reinstate")
    assert [a.status_code for a in (beyond, stopped, alone, ended)] == [403, 200, 403, 200]
    assert sorted(changes(await told(runtime))[-3:-1]) == [
        ("person:budi", 3, "suspended", ["approver"]), ("person:citra", 3, "revoked", []),
    ]  # fmt: skip


async def test_a_revoked_device_leaves_its_holder_bound_to_devices(office: tuple[Staff, Runtime]) -> None:
    staff, runtime = office
    await staff.give("ani", "registrar")
    made = await staff.administrator("wati", "POST", "/principals/person:ani/devices")
    gone = await staff.administrator("wati", "POST", f"/devices/{made.json()['device_id']}/revoke", {"reason": "lost"})
    unknown = await staff.administrator("wati", "POST", f"/devices/{NOTHING}/revoke", {"reason": "lost"})
    assert [a.status_code for a in (made, gone, unknown)] == [201, 200, 404]
    told_of = [(e["data"]["device_bound"], len(e["data"]["devices"])) for e in await told(runtime)][-2:]
    assert told_of == [(True, 1), (True, 0)]


async def test_a_lent_right_does_not_let_its_lender_decide_on_her_own_proposal(office: tuple[Staff, Runtime]) -> None:
    """Ani proposes, lends her right to Citra, who holds none, and Citra would accept with it."""
    staff, runtime = office
    family = (await staff.ask("ani", ["registrar"], "POST", "/households", household(1))).json()["household_id"]
    payee = household(1)["payee"] | {"number": "99887766"}
    change = {"kind": "payee", "household_id": family, "payee": payee, "reason": "seen on the card"}
    proposed = (await staff.ask("ani", ["registrar"], "POST", "/changes", change)).json()["change_id"]
    lent = {
        "grant_id": NOTHING, "role": "registrar", "regions": [], "delegated_by": "person:ani",
        "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    }  # fmt: skip
    async with runtime.db.connection() as conn:
        await conn.execute(
            "INSERT INTO known_principal VALUES ('person:citra', 1, 'active', $1, false, '{}', false)", [lent]
        )
    accepted = await staff.ask("citra", ["registrar"], "POST", f"/changes/{proposed}/accept", {})
    assert (accepted.status_code, accepted.json()["code"]) == (403, "same-person")
    assert (await staff.ask("dewi", ["registrar"], "POST", f"/changes/{proposed}/accept", {})).status_code == 200

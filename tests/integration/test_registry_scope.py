"""Every route of the registry, tried by somebody of another region with ids that exist: nothing shown, nothing done."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi.routing import APIRoute

from salur.common.http import permission_of, routes_of
from salur.common.service import Process, Runtime, Service
from support.households import consent, group, household, member
from support.registry import announced, api, open_registry, run_matching

pytestmark = pytest.mark.integration
HERE, ELSEWHERE = "31.71", "32"
USUL = {"reference": "usul-00001", "nominated_by": "other", "region": HERE, "text": "Not registered yet."}
MEETING = {
    "reference": "musdes-0001", "region": HERE, "held_on": "2026-03-01",
    "participants": [{"role": "residents", "name": "Somebody"}] * 3,
}  # fmt: skip
FEED = {"kind": "deaths", "source": "Dukcapil", "name": "2026-02", "as_of": "2026-02-28"}
COMPLAINT = {
    "reference": "letter-0001", "category": "service", "region": HERE, "channel": "office", "text": "Nobody came."
}  # fmt: skip
COMMON = (
    "/live",
    "/ready",
    "/metrics",
    "/streams",
    "/dead-letters",
    "/openapi",
    "/asyncapi",
    "/docs",
    "/seals",
    "/marks",
    "/openings",
)
RIGHTS = ("/principals", "/grants", "/devices", "/me/")
"""Who works here: a registrar may not ask; their own tests try other regions."""


@dataclass
class Known:
    """What exists in region HERE."""

    household_id: str
    member_id: str
    other_id: str
    change_id: str
    import_id: str
    case_id: str
    feed_id: str
    match_id: str
    pair_id: str
    group_id: str
    consent_id: str
    nomination_id: str


Call = Callable[[Known], tuple[dict[str, str], Any]]
"""Path parameters and body of a call that would succeed for somebody of the region."""


def _case(known: Known) -> dict[str, str]:
    return {"case_id": known.case_id}


def _household(known: Known) -> dict[str, str]:
    return {"household_id": known.household_id}


CALLS: dict[str, Call] = {
    "POST /households": lambda _: ({}, household(900)),
    "GET /households/{household_id}": lambda k: (_household(k), None),
    "GET /households/{household_id}/versions": lambda k: (_household(k), None),
    "GET /households/{household_id}/guardians": lambda k: (_household(k), None),
    "GET /consents/{consent_id}/receipt": lambda k: ({"consent_id": k.consent_id}, None),
    "PUT /feeds/{feed_id}/content": lambda k: ({"feed_id": k.feed_id}, "value\n1\n"),
    "PUT /households/{household_id}": lambda k: (_household(k), {"attributes": {"a": 1}}),
    "POST /households/find": lambda _: ({}, household(1)["identifiers"][0]),
    "POST /households/find-many": lambda _: ({}, {"scheme": "kk", "values": [household(1)["identifiers"][0]["value"]]}),
    "GET /counts": lambda _: ({}, None),
    "POST /cuts": lambda _: ({}, {"name": "2026-Q1"}),
    "POST /imports": lambda _: ({}, announced(b"kk,region\n1,31\n")),
    "PUT /imports/{import_id}/content": lambda k: ({"import_id": k.import_id}, "kk,region\n"),
    "GET /imports/{import_id}": lambda k: ({"import_id": k.import_id}, None),
    "POST /imports/{import_id}/acceptance": lambda k: ({"import_id": k.import_id}, None),
    "GET /imports/{import_id}/absent": lambda k: ({"import_id": k.import_id}, None),
    "GET /imports/{import_id}/report": lambda k: ({"import_id": k.import_id}, None),
    "POST /changes": lambda k: (
        {}, {"kind": "members", "household_id": k.household_id, "members": [member(5)], "reason": "r"}
    ),
    "GET /changes": lambda _: ({}, None),
    "GET /changes/{change_id}": lambda k: ({"change_id": k.change_id}, None),
    "POST /changes/{change_id}/accept": lambda k: ({"change_id": k.change_id}, {}),
    "POST /changes/{change_id}/refuse": lambda k: ({"change_id": k.change_id}, {}),
    "POST /changes/{change_id}/withdraw": lambda k: ({"change_id": k.change_id}, {}),
    "GET /households/{household_id}/notices": lambda k: (_household(k), None),
    "POST /feeds": lambda _: ({}, FEED | {"name": "mine"}),
    "GET /feeds": lambda _: ({}, None),
    "POST /feeds/{feed_id}/records": lambda k: (
        {"feed_id": k.feed_id}, {"records": [household(1)["members"][0]["identifiers"][0]]}
    ),
    "POST /feeds/{feed_id}/rows": lambda k: ({"feed_id": k.feed_id}, "value\n1\n"),
    "GET /feed-matches": lambda _: ({}, None),
    "POST /feed-matches/{match_id}/read": lambda k: ({"match_id": k.match_id}, {"reason": "deciding"}),
    "POST /feed-matches/{match_id}/decide": lambda k: (
        {"match_id": k.match_id}, {"outcome": "confirmed", "reason": "seen"}
    ),
    "POST /erasures": lambda k: (
        {}, {"household_id": k.household_id, "basis": "subject-request", "reference": "letter-17"}
    ),
    "GET /erasures": lambda _: ({}, None),
    "POST /erasures/{erasure_id}/accept": lambda k: ({"erasure_id": k.case_id}, {"reason": "valid"}),
    "POST /erasures/{erasure_id}/refuse": lambda k: ({"erasure_id": k.case_id}, {"reason": "wrong"}),
    "POST /nominations": lambda _: ({}, USUL | {"reference": "usul-00002"}),
    "GET /nominations": lambda _: ({}, None),
    "POST /meetings": lambda k: ({}, MEETING | {"verdicts": [
        {"nomination_id": k.nomination_id, "outcome": "supported", "reason": "known"}
    ]}),
    "POST /nominations/{nomination_id}/read": lambda k: (
        {"nomination_id": k.nomination_id}, {"reason": "verifying"}
    ),
    "POST /nominations/{nomination_id}/decide": lambda k: ({"nomination_id": k.nomination_id}, {"reason": "wrong"}),
    "POST /indicators": lambda _: ({}, {"name": "mine"}),
    "PUT /indicators/references": lambda _: (
        {}, {"source": "s", "references": [{"dimension": "all", "region": HERE, "band": "all", "persons": 1}]}
    ),
    "GET /indicators": lambda _: ({}, None),
    "GET /indicators/{run_id}": lambda k: ({"run_id": k.case_id}, None),
    "GET /notices/counts": lambda _: ({}, None),
    "POST /cases": lambda _: ({}, COMPLAINT | {"reference": "letter-0002"}),
    "GET /cases": lambda _: ({}, None),
    "GET /cases/counts": lambda _: ({}, None),
    "GET /cases/{case_id}": lambda k: (_case(k), None),
    "POST /cases/{case_id}/texts": lambda k: (_case(k), {"reason": "handling"}),
    "POST /cases/{case_id}/assign": lambda k: (_case(k), {"owner": "person:elsewhere"}),
    "POST /cases/{case_id}/priority": lambda k: (_case(k), {"priority": "urgent"}),
    "POST /cases/{case_id}/notes": lambda k: (_case(k), {"text": "A note."}),
    "POST /cases/{case_id}/resolve": lambda k: (_case(k), {"outcome": "upheld", "text": "A word."}),
    "POST /cases/{case_id}/close": lambda k: (_case(k), None),
    "POST /cases/{case_id}/reopen": lambda k: (_case(k), {"text": "A word."}),
    "GET /duplicates": lambda _: ({}, None),
    "GET /duplicates/progress": lambda _: ({}, None),
    "GET /shared-accounts": lambda _: ({}, None),
    "POST /duplicates/{pair_id}/dismiss": lambda k: ({"pair_id": k.pair_id}, {"reason": "r"}),
    "POST /duplicates/{pair_id}/merge": lambda k: ({"pair_id": k.pair_id}, {"reason": "r"}),
    "GET /households/{household_id}/payees": lambda k: (_household(k), None),
    "POST /households/{household_id}/payee-checks": lambda k: (_household(k), {"version": 1, "result": "matches"}),
    "POST /households/{household_id}/consents": lambda k: (_household(k), consent()),
    "GET /households/{household_id}/consents": lambda k: (_household(k), None),
    "POST /consents/{consent_id}/withdraw": lambda k: ({"consent_id": k.consent_id}, {"reason": "r"}),
    "POST /groups": lambda _: ({}, group()),
    "GET /groups": lambda _: ({}, None),
    "GET /groups/{group_id}": lambda k: ({"group_id": k.group_id}, None),
    "PUT /groups/{group_id}": lambda k: ({"group_id": k.group_id}, group()),
    "POST /groups/{group_id}/accept": lambda k: ({"group_id": k.group_id}, {}),
    "POST /groups/{group_id}/refuse": lambda k: ({"group_id": k.group_id}, {}),
}  # fmt: skip
SHOWS_NOTHING = {
    "POST /households/find-many",
    "GET /changes",
    "GET /duplicates",
    "GET /shared-accounts",
    "GET /groups",
    "GET /cases",
    "GET /indicators",
    "GET /feed-matches",
    "GET /nominations",
}
"""Answers 200 with an empty list: the question itself is allowed everywhere."""
OPEN = {"GET /counts", "GET /duplicates/progress", "POST /imports", "POST /feeds"}
"""Totals of the country; files and lists whose rows are judged one by one."""


async def _prepare(client: httpx.AsyncClient, service: Service) -> Known:
    ids = []
    for number in (1, 2):
        answer = await client.post("/households", json=household(number))
        ids.append(answer.json()["household_id"])
    read = (await client.get(f"/households/{ids[0]}")).json()
    proposal = {"kind": "members", "household_id": ids[0], "members": [], "reason": "r"}
    change_id = (await client.post("/changes", json=proposal)).json()["change_id"]
    import_id = (await client.post("/imports", json=announced(b"kk,region\n3171000000000077,31\n"))).json()["import_id"]
    case_id = (await client.post("/cases", json=COMPLAINT)).json()["case_id"]
    feed_id = (await client.post("/feeds", json=FEED)).json()["feed_id"]
    number = household(1)["members"][0]["identifiers"][0]
    await client.post(f"/feeds/{feed_id}/records", json={"records": [number]})
    match_id = (await client.get("/feed-matches")).json()["matches"][0]["match_id"]
    await run_matching(service)
    (pair,) = (await client.get("/duplicates")).json()["pairs"]
    member_id = read["members"][0]["member_id"]
    given = (await client.post(f"/households/{ids[0]}/consents", json=consent())).json()
    usul = (await client.post("/nominations", json=USUL)).json()
    group_id = (await client.post("/groups", json=group())).json()["group_id"]
    return Known(
        ids[0],
        member_id,
        ids[1],
        change_id,
        import_id,
        case_id,
        feed_id,
        match_id,
        pair["pair_id"],
        group_id,
        given["consent_id"],
        usul["nomination_id"],
    )


def own_routes(runtime: Runtime, service: Service) -> list[tuple[str, str]]:
    """(method, path) of every route that is the registry's own."""
    app = Process(runtime, service, frozenset({"http"})).app()
    return [
        (method, route.path)
        for route in routes_of(app)
        if isinstance(route, APIRoute)
        and permission_of(route) != "public"
        and not route.path.startswith(COMMON + RIGHTS)
        for method in sorted(route.methods or ())
    ]


async def _state(runtime: Runtime) -> list[str]:
    """Every row the registry holds, as text, but the migrations'."""
    async with runtime.db.connection() as conn:
        tables = await conn.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '%yoyo%'"
        )
        rows = [
            f"{table['tablename']}: {row[0]}"
            for table in tables
            for row in await conn.fetch(f'SELECT t::text FROM "{table["tablename"]}" t')
        ]
    return sorted(rows)


async def test_every_route_hides_and_refuses_what_lies_in_another_region(database_url: str, tmp_path: Path) -> None:
    async with (
        open_registry(database_url, tmp_path) as (runtime, service),
        api(runtime, service) as central,
        api(runtime, service, [ELSEWHERE], "person:elsewhere") as outside,
        api(runtime, service, [HERE], "person:here") as inside,
    ):
        known = await _prepare(central, service)
        routes = own_routes(runtime, service)
        assert {f"{method} {path}" for method, path in routes} == CALLS.keys(), "state a call for every route"
        ids = [value for value in vars(known).values() if value]
        before = await _state(runtime)
        for name, call in ((name, call) for name, call in CALLS.items() if name not in OPEN):
            method, path = name.split()
            places, body = call(known)
            content = body.encode() if isinstance(body, str) else orjson.dumps(body) if body is not None else None
            headers = {"content-type": "text/csv" if isinstance(body, str) else "application/json"}
            answer = await outside.request(method, path.format(**places), content=content, headers=headers)
            assert answer.status_code in ((200,) if name in SHOWS_NOTHING else (403, 404)), (name, answer.text)
            assert not any(value in answer.text for value in ids), name
        assert await _state(runtime) == before
        assert (await inside.get(f"/households/{known.household_id}")).status_code == 200
        assert (await inside.get("/changes")).json()["changes"][0]["change_id"] == known.change_id

"""Whoever asks the trail is in the trail: each route of the audit writes an event, or says here why it does not."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi.routing import APIRoute

from salur.audit import store
from salur.audit.evidence import verify_bundle
from salur.audit.search.indexer import Indexer
from salur.audit.store import Entry
from salur.common.auth import mint
from salur.common.http import permission_of, routes_of
from salur.common.service import Process
from salur.common.values import derived_id
from salur.local.trail.lab import event
from support.offices import open_office
from support.pair import Addresses

pytestmark = pytest.mark.integration
UNASKED = {
    "GET /log": "counts alone, polled by monitors",
    "GET /completeness": "counts alone, polled by monitors",
    "GET /log/completeness": "the signed statement every copy of the log holds",
    "GET /log/witnesses": "signatures alone, polled by monitors",
    "GET /log/{path:path}": "hashes of the log, no entry",
    "POST /log/publish": "changes nothing but the time of the next head, which is announced itself",
    "POST /log/compare": "a check of rows against files; its finding is an alarm",
    "GET /trail/lag": "counts alone, polled by monitors",
    "GET /trail/questions": "the caller's own words, saved by an event",
    "GET /streams": "heads of streams, no entry",
    "GET /marks": "places in streams, no entry",
    "GET /dead-letters": "places and reasons, no entry; the audit makes none",
    "POST /dead-letters/{letter_id}/replay": "an event of its own when there is a letter; the audit makes none",
    "POST /streams/seal": "the seal is the event",
    "POST /openings": "the audit's events hold no personal value; elsewhere it is an event: test_openings",
    "POST /flags/{flag_id}/take": "an event of its own when there is a flag: test_audit_search",
    "POST /flags/{flag_id}/close": "an event of its own when there is a flag: test_audit_search",
}
PAYMENT = derived_id("payment", "a")[:30]
HOUSEHOLD = derived_id("household")
EVENT = event("payments.payments", 0, 1, payment_id=PAYMENT, household_id=HOUSEHOLD)
EVENT_ID = orjson.loads(EVENT)["id"]
TIMES = {"since": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "GET /entries/{event_id}": (f"/entries/{EVENT_ID}", {}),
    "GET /receipts/{event_id}": (f"/receipts/{EVENT_ID}", {}),
    "GET /log/tile/entries/{path:path}": ("/log/tile/entries/000.p/1", {}),
    "GET /trail": ("/trail", {"params": {"payment": PAYMENT}}),
    "GET /trail/export": ("/trail/export", {"params": {"payment": PAYMENT, "format": "xlsx"}}),
    "GET /trail/households/{household_id}": (f"/trail/households/{HOUSEHOLD}", {}),
    "GET /trail/causes/{event:path}": (f"/trail/causes/{EVENT_ID}", {}),
    "POST /trail/questions": ("/trail/questions", {"json": {"name": "mine", "question": {"payment": PAYMENT}}}),
    "GET /trail/money/{dimension}/{value}": ("/trail/money/cycle/abc", {}),
    "GET /trail/reads": ("/trail/reads", {"params": {"actor": "person:x", **TIMES}}),
    "GET /trail/ledger": ("/trail/ledger", {}),
    "GET /trail/ledger/{account}": ("/trail/ledger/fund:x", {}),
    "POST /trail/ledger/compare": ("/trail/ledger/compare", {"json": {"accounts": [], "moved_hash": "0" * 64}}),
    "GET /flags": ("/flags", {}),
    "GET /bundles/{about}": ("/bundles/payment", {"params": {"value": PAYMENT}}),
}


@pytest.fixture
async def audit(
    database_url: str, pair: Addresses, topics: None, tmp_path: Path
) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """An audit with one published entry."""
    async with open_office("audit", database_url, tmp_path, pair.kafka) as process:
        app = process.app()
        token = mint(tmp_path / "issuer", "person:auditor", ["auditor", "operator"])
        headers = {"authorization": f"Bearer {token}"}
        async with process.runtime.db.transaction() as conn:
            entry = Entry(0, EVENT, "payments.payments", 0, 0, "payments.payments/0", 1, EVENT_ID,
                          "salur.fund.opened.v1", "x", "2026-01-02T03:04:05Z")  # fmt: skip
            await store.lock_size(conn)
            await store.insert_entries(conn, [entry])
        await Indexer(process.runtime.db).catch_up()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://audit", headers=headers) as client:
            assert (await client.post("/log/publish")).json()["published"] == 1
            yield process, client


async def written(process: Process) -> int:
    async with process.runtime.db.connection() as conn:
        return int(await conn.fetchval("SELECT count(*) FROM event WHERE type = 'salur.trail.asked.v1'"))


async def test_every_route_that_answers_about_entries_writes_that_it_was_asked(
    audit: tuple[Process, httpx.AsyncClient],
) -> None:
    process, client = audit
    routes = {
        f"{method} {route.path}"
        for route in routes_of(process.app())
        if isinstance(route, APIRoute) and permission_of(route) != "public"
        for method in route.methods or ()
    }
    assert routes == ASKED.keys() | UNASKED.keys()
    for name, (url, request) in ASKED.items():
        before = await written(process)
        answer = await client.request(name.partition(" ")[0], url, **request)
        assert answer.status_code == (201 if name == "POST /trail/questions" else 200), (name, answer.text)
        assert await written(process) == before + 1, name


async def test_what_is_not_found_was_asked_all_the_same(audit: tuple[Process, httpx.AsyncClient]) -> None:
    process, client = audit
    before = await written(process)
    unknown = "a" * 32
    urls = (f"/entries/{unknown}", f"/receipts/{unknown}", "/bundles/cycle?value=unknown",
            f"/trail/households/{unknown}", f"/trail/causes/{unknown}")  # fmt: skip
    for url in urls:
        assert (await client.get(url)).status_code == 404
    assert await written(process) == before + len(urls)
    assert (await client.get("/bundles/period?value=now")).status_code == 422
    assert (await client.get("/bundles/person?value=x")).status_code == 422


async def test_a_bundle_over_http_is_the_one_that_verifies(
    audit: tuple[Process, httpx.AsyncClient], tmp_path: Path
) -> None:
    _, client = audit
    answer = await client.get("/bundles/payment", params={"value": PAYMENT})
    path = tmp_path / "evidence.zip"
    path.write_bytes(answer.content)
    assert answer.headers["content-type"] == "application/zip"
    assert verify_bundle.main([str(path), "--json"]) == 0


async def test_a_gap_shows_since_when_and_who_must_act(audit: tuple[Process, httpx.AsyncClient]) -> None:
    process, client = audit
    async with process.runtime.db.transaction() as conn:
        await conn.execute(
            "INSERT INTO mark (consumer, stream, sequence) VALUES ('audit.events', 'payments.payments/0', 1)"
        )
        await conn.execute(
            "INSERT INTO seal_claim (stream, first, head, range_hash, claimed_at)"
            " VALUES ('payments.payments/0', 1, 3, '', now() - interval '90 s')"
        )
    (stream,) = (await client.get("/completeness")).json()["streams"]
    assert (stream["missing"], stream["who_must_act"]) == (2, "payments")
    assert 90 <= stream["missing_age_s"] < 300


async def test_whoever_acts_for_some_regions_reads_their_entries_alone(
    audit: tuple[Process, httpx.AsyncClient], tmp_path: Path
) -> None:
    """An entry of 32.04 and one of no region: a regional auditor gets entry and receipt of the first alone, no
    regional caller a bundle of whole entries, an operator neither; hashes are for all who read the log."""
    process, client = audit
    local = event("registry.households", 0, 1, household_id=derived_id("other"), region="32.04")
    local_id = orjson.loads(local)["id"]
    async with process.runtime.db.transaction() as conn:
        entry = Entry(1, local, "registry.households", 0, 0, "registry.households/0", 1, local_id,
                      "salur.household.registered.v1", derived_id("other"), "2026-01-02T03:04:05Z")  # fmt: skip
        await store.lock_size(conn)
        await store.insert_entries(conn, [entry])
    await Indexer(process.runtime.db).catch_up()
    assert (await client.post("/log/publish")).json()["published"] >= 2
    paths = (f"/entries/{local_id}", f"/receipts/{local_id}", f"/entries/{EVENT_ID}", f"/receipts/{EVENT_ID}",
             "/log/tile/entries/000.p/1", "/log/tile/0/000.p/1", "/log/entries/000.p/1")  # fmt: skip
    for role, regions, expected in (
        ("auditor", [], [200, 200, 200, 200, 200, 200, 422]),
        ("auditor", ["32"], [200, 200, 404, 404, 403, 200, 422]),
        ("investigator", ["32.04"], [200, 200, 404, 404, 403, 200, 422]),
        ("auditor", ["35"], [404, 404, 404, 404, 403, 200, 422]),
        ("operator", [], [403, 403, 403, 403, 403, 200, 422]),
    ):
        headers = {"authorization": f"Bearer {mint(tmp_path / 'issuer', 'person:sri', [role], regions)}"}
        answers = [(await client.get(path, headers=headers)).status_code for path in paths]
        assert answers == expected, (role, regions)

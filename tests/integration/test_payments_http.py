"""The HTTP API of payments: permissions, problem documents, the whole way of a list."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from salur.common.auth import local_issuer, mint
from salur.common.database import Database
from salur.common.secrets import Secrets
from salur.common.service import Process, Runtime
from salur.payments.main import build
from salur.payments.settings import PaymentsSettings
from support.payments import AMOUNT_MINOR, BANKS, CYCLE, FUND, House, answer, entitlement, instruction

pytestmark = pytest.mark.integration


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    return await House.build(db, database_url, keys)


@pytest.fixture
async def api(house: House, database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The service's application on the test's database."""
    key = tmp_path / "master.key"
    key.write_text(bytes(range(32)).hex())
    settings = PaymentsSettings(
        database_url=database_url, kafka_bootstrap="127.0.0.1:1", jwks_file=local_issuer(tmp_path / "issuer"),
        master_key_file=key, banks=BANKS,
    )  # fmt: skip
    runtime = Runtime("payments", settings)
    await runtime.db.open()
    async with runtime.db.transaction() as conn:
        await runtime.store.load_partitions(conn)
    app = Process(runtime, build(runtime), frozenset()).app()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://payments") as client:
        yield client
    await runtime.db.close()


def _as(tmp_path: Path, who: str, *roles: str, regions: list[str] | None = None) -> dict[str, str]:
    return {"authorization": f"Bearer {mint(tmp_path / 'issuer', who, list(roles), regions)}"}


async def test_the_way_of_a_list(api: httpx.AsyncClient, house: House, tmp_path: Path) -> None:
    maker = _as(tmp_path, "person:ani", "payment-operator")
    both = _as(tmp_path, "person:ani", "payment-operator", "approver")
    checker = _as(tmp_path, "person:budi", "approver")
    fund = {"fund_id": FUND, "name": "Central", "currency": "MXN", "budget_minor": 3 * AMOUNT_MINOR}
    assert (await api.post("/funds", json=fund, headers=maker)).status_code == 201
    assert (await api.post("/funds", json=fund, headers=maker)).status_code == 200

    early = await api.post("/lists", json={"cycle_id": CYCLE, "fund_id": FUND}, headers=maker)
    assert (early.status_code, early.json()["code"]) == (409, "cycle-not-complete")
    assert int(early.headers["retry-after"]) >= 1
    await house.grant([AMOUNT_MINOR] * 3)
    built = await api.post("/lists", json={"cycle_id": CYCLE, "fund_id": FUND}, headers=maker)
    assert built.status_code == 201
    summary = built.json()
    assert (summary["items"], summary["amount_minor"], summary["held"]) == (3, 3 * AMOUNT_MINOR, {})
    twice = await api.post("/lists", json={"cycle_id": CYCLE, "fund_id": FUND}, headers=maker)
    assert (twice.status_code, twice.json()["code"]) == (409, "list-exists")
    path = f"/lists/{summary['list_id']}"
    assert (await api.post(f"{path}/submit", headers=maker)).json()["funded_items"] == 3

    approval = {"content_hash": summary["content_hash"]}
    refused = await api.post(f"{path}/approve", json=approval, headers=both)
    assert (refused.status_code, refused.json()["code"]) == (403, "same-person")
    assert (await api.post(f"{path}/approve", json=approval, headers=maker)).status_code == 403
    assert (await api.post(f"{path}/approve", json=approval, headers=checker)).status_code == 200
    view = (await api.get(path, headers=checker)).json()
    assert view["states"] == {"approved": {"count": 3, "amount_minor": 3 * AMOUNT_MINOR}}
    assert not view["complete"]

    await house.instruct()
    await house.answers([answer(0), answer(1), answer(2, "RJCT", reason="AC04")])
    view = (await api.get(path, headers=checker)).json()
    assert view["complete"]
    assert view["states"]["settled"]["count"] == 2
    money = (await api.get(f"/funds/{FUND}", headers=maker)).json()
    assert (money["settled_minor"], money["available_minor"]) == (2 * AMOUNT_MINOR, AMOUNT_MINOR)
    ledger = (await api.get("/ledger", headers=maker)).json()
    assert ledger["sum_minor"] == 0
    assert len(ledger["hash"]) == 64


async def test_why_a_payment_is_not_paid_within_the_callers_region(
    api: httpx.AsyncClient, house: House, tmp_path: Path
) -> None:
    await house.instructed(2)
    await house.answers([answer(0, "RJCT", reason="AC04")])
    payment = instruction(0).split("-")[0]
    near = _as(tmp_path, "person:a", "payment-operator", regions=["31"])
    far = _as(tmp_path, "person:b", "payment-operator", regions=["32"])
    view = (await api.get(f"/payments/{payment}", headers=near)).json()
    assert (view["state"], view["reason"], view["entitlement_id"]) == ("rejected", "AC04", entitlement(0))
    assert view["who_must_act"].startswith("registrar")
    assert (await api.get(f"/payments/{payment}", headers=far)).status_code == 404
    list_id = view["list_id"]
    assert len((await api.get(f"/lists/{list_id}/payments", headers=near)).json()["payments"]) == 2
    assert (await api.get(f"/lists/{list_id}/payments", headers=far)).json()["payments"] == []
    page = (await api.get(f"/lists/{list_id}/payments?state=rejected&limit=1", headers=near)).json()
    assert [row["payment_id"] for row in page["payments"]] == [payment]


async def test_nobody_acts_without_the_role(api: httpx.AsyncClient, tmp_path: Path) -> None:
    for headers in ({}, _as(tmp_path, "person:c", "citizen")):
        for method, path in [
            ("POST", "/funds"), ("GET", "/funds/x"), ("POST", "/lists"), ("GET", "/lists"), ("GET", "/ledger"),
            ("GET", f"/payments/{'a' * 30}"), ("POST", f"/lists/{'a' * 32}/approve"), ("GET", "/suspense"),
            ("POST", f"/lists/{'a' * 32}/submit"), ("POST", f"/lists/{'a' * 32}/refuse"),
        ]:  # fmt: skip
            response = await api.request(method, path, headers=headers)
            assert response.status_code in (401, 403), (method, path)


async def test_what_is_not_there_is_said_plainly(api: httpx.AsyncClient, tmp_path: Path) -> None:
    operator = _as(tmp_path, "person:d", "payment-operator")
    for path, code in [
        (f"/lists/{'a' * 32}", "list-unknown"),
        ("/funds/none", "fund-unknown"),
        (f"/payments/{'a' * 30}", "payment-unknown"),
    ]:
        response = await api.get(path, headers=operator)
        assert (response.status_code, response.json()["code"]) == (404, code)
        assert response.json()["who_must_act"]
    assert (await api.get("/payments/not-an-id", headers=operator)).status_code == 422

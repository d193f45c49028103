"""Whose an account is, by a keyed hash of their NIK: from the registry to the gate that holds whom it pays twice."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from salur.audit.search.terms import Read, terms_of
from salur.common.contracts.eligibility import EntitlementGranted
from salur.common.contracts.registry import PayeeRegistered
from salur.common.database import Database
from salur.common.events import Received
from salur.common.secrets import Secrets
from salur.common.service import Runtime, Service
from salur.common.values import payment_id
from support.households import household, nik
from support.payments import AMOUNT_MINOR, House, entitlement, granted, received
from support.registry import announced, api, changed, open_registry, run_imports

pytestmark = pytest.mark.integration
Registry = tuple[Runtime, Service, httpx.AsyncClient, httpx.AsyncClient]


@pytest.fixture
async def registry(other_database_url: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with (
        open_registry(other_database_url, tmp_path) as (runtime, service),
        api(runtime, service) as first,
        api(runtime, service, sub="person:second") as second,
    ):
        yield runtime, service, first, second


def account(number: int, **more: Any) -> dict[str, Any]:
    return {"bank": "bank-a", "number": f"55000000{number:02d}", "holder": "Siti Example"} | more


async def registered(client: httpx.AsyncClient, number: int, people: int = 2, **more: Any) -> tuple[str, list[str]]:
    body = household(number, people, **({"payee": account(number)} | more))
    answer = await client.post("/households", json=body)
    assert answer.status_code == 201, answer.text
    household_id = str(answer.json()["household_id"])
    members = (await client.get(f"/households/{household_id}")).json()["members"]
    return household_id, [member["member_id"] for member in members]


async def bodies(runtime: Runtime) -> list[bytes]:
    """Of every account told, in order: the very bytes that go to Kafka and into the trail."""
    async with runtime.db.connection() as conn:
        rows = await conn.fetch("SELECT body FROM event WHERE type = 'salur.payee.registered.v1' ORDER BY id")
    return [row["body"] for row in rows]


async def identities(runtime: Runtime, beneficiary_id: str) -> list[str | None]:
    told = [orjson.loads(body)["data"] for body in await bodies(runtime)]
    return [data["identity_token"] for data in told if data["beneficiary_id"] == beneficiary_id]


def as_taken(body: bytes) -> Received:
    """As payments take it: sealed values do not matter here."""
    data = orjson.loads(body)["data"] | {"account_number": "55000000", "account_holder": "Siti Example"}
    fact = PayeeRegistered(**data)
    return received("registry.payees", fact.beneficiary_id, fact)


async def test_two_families_paid_under_one_nik_are_held_and_the_trail_knows_them_by_one_term(
    registry: Registry, db: Database, database_url: str, keys: Secrets
) -> None:
    """The second family's account is held under the NIK of the first one's head; the third is nobody else's."""
    runtime, _, client, _ = registry
    families = [
        (await registered(client, 1))[0],
        (await registered(client, 2, payee=account(2, holder_nik=nik(10))))[0],
        (await registered(client, 3))[0],
    ]
    told = await bodies(runtime)
    house = await House.build(db, database_url, keys)
    await house.open_fund(10**9)
    await house.take_payees([as_taken(body) for body in told])
    due = []
    for number, family in enumerate(families):
        fact = granted(number).data
        assert isinstance(fact, EntitlementGranted)
        due.append(received("eligibility.entitlements", family, fact.model_copy(update={"beneficiary_id": family})))
    await house.take_entitlements(due)
    await house.pass_cut(range(8))
    await house.pass_grant(range(8), len(due), AMOUNT_MINOR * len(due))
    built = await house.build_list()
    held = await house.fetch("SELECT payment_id, hold FROM list_item WHERE hold IS NOT NULL")
    assert {row["payment_id"]: row["hold"] for row in held} == {
        payment_id(entitlement(number), 1): "duplicate-identity" for number in (0, 1)
    }
    assert built["items"] == 1
    hits = await house.fetch("SELECT evidence FROM gate_hit WHERE check_code = 'duplicate-identity'")
    assert [set(hit["evidence"]["beneficiaries"]) for hit in hits] == [set(families[:2])] * 2

    terms = [terms_of(Read(body, "registry.payees", 0, 0, "registry.payees/0", None, None)) for body in told]
    by_identity = [next(term for term in found if term.startswith("identity=")) for found in terms]
    assert by_identity[0] == by_identity[1] != by_identity[2]
    assert not any(nik(10).encode() in body for body in told)


async def test_an_account_goes_by_the_number_of_whoever_is_head_now(registry: Registry) -> None:
    """Another head, a new version; the same account again, none; a closed account is nobody's."""
    runtime, _, first, second = registry
    home, (father, _) = await registered(first, 1)
    other, _ = await registered(first, 2)
    (of_father,), (of_other,) = await identities(runtime, home), await identities(runtime, other)
    assert None not in (of_father, of_other) and of_father != of_other

    members = (await first.get(f"/households/{home}")).json()["members"]
    mother = {"member_id": members[1]["member_id"], "attributes": {"relation": "head"}}
    leaves = {"member_id": father, "attributes": {"relation": "other"}}
    answer = await changed(first, second, {"kind": "members", "household_id": home, "members": [leaves, mother]})
    assert answer.status_code == 200, answer.text
    of_mother = (await identities(runtime, home))[-1]
    assert of_mother not in (None, of_father, of_other)
    (now, _) = (await first.get(f"/households/{home}/payees")).json()["payees"]
    assert (now["version"], now["bank"], now["status"]) == (2, "bank-a", "active")

    same = {"kind": "payee", "household_id": home, "payee": account(1)}
    assert (await changed(first, second, same)).status_code == 200
    assert await identities(runtime, home) == [of_father, of_mother]

    merge = {"kind": "merge", "household_id": home, "into": other, "same": {}}
    assert (await changed(first, second, merge)).status_code == 200
    assert (await identities(runtime, home))[-1] is None, "who is paid elsewhere by now is not paid twice"
    assert await identities(runtime, other) == [of_other]


async def test_a_stated_holder_stays_whoever_is_head_and_a_ward_has_none(registry: Registry) -> None:
    runtime, _, first, second = registry
    home, (_, child) = await registered(first, 1, payee=account(1, holder_nik=nik(77)))
    (stated,) = await identities(runtime, home)
    members = (await first.get(f"/households/{home}")).json()["members"]
    turned = [{"member_id": m["member_id"], "attributes": {"relation": r}}
              for m, r in zip(members, ("other", "head"), strict=True)]  # fmt: skip
    assert (await changed(first, second, {"kind": "members", "household_id": home, "members": turned})).is_success
    unstated = {"kind": "payee", "household_id": home, "payee": account(1)}
    assert (await changed(first, second, unstated)).is_success
    assert await identities(runtime, home) == [stated]
    await registered(first, 2)
    guardian = {"kind": "guardian", "household_id": home, "member_id": child, "evidence": "order 7/2026",
                "person": {"scheme": "nik", "value": nik(20)}, "receives": True}  # fmt: skip
    assert (await changed(first, second, guardian)).is_success
    assert await identities(runtime, child) == [None]


async def test_a_list_may_state_the_holders_number_and_a_wrong_one_refuses_its_row(registry: Registry) -> None:
    runtime, service, client, _ = registry
    mapping = {
        "name": "accounts", "household": {"scheme": "kk", "column": "kk"}, "region": "region",
        "member": {"identifier": {"scheme": "nik", "column": "nik"}},
        "payee": {"columns": {"bank": "bank", "number": "number", "holder": "holder", "holder_nik": "of"}},
    }  # fmt: skip
    rows = [
        "kk,region,nik,bank,number,holder,of",
        f"3171015501900001,31.71,{nik(1)},bank-a,5500000001,Siti,",
        f"3171015501900002,31.71,{nik(2)},bank-a,5500000002,Siti,{nik(1)}",
        f"3171015501900003,31.71,{nik(3)},bank-a,5500000003,Siti,1234",
    ]
    content = "\n".join(rows).encode() + b"\n"
    sent = (await client.post("/imports", json=announced(content, mapping))).json()
    await client.put(f"/imports/{sent['import_id']}/content", content=content)
    await run_imports(service)
    status = (await client.get(f"/imports/{sent['import_id']}")).json()
    assert (status["state"], status["households"], status["refused_rows"]) == ("done", 2, 1)
    report = (await client.get(f"/imports/{sent['import_id']}/report")).text
    assert report.splitlines()[1].startswith('"list.csv",4,"of",error,') and "1234" not in report
    told = [orjson.loads(body)["data"]["identity_token"] for body in await bodies(runtime)]
    assert told[0] == told[1] is not None

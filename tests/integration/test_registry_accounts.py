"""Accounts over time: history, rest before first use, the bank's word, sharing as an alarm; and consents."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from salur.common.contracts.payments import AccountChecked
from salur.common.events import Received
from salur.common.service import Runtime
from salur.registry.usecases.consents import take_checks
from salur.registry.usecases.payees import COOL_OFF
from support.households import consent, household
from support.payments import received
from support.registry import api, changed, event_counts, open_registry

pytestmark = pytest.mark.integration
Registry = tuple[Runtime, httpx.AsyncClient, httpx.AsyncClient]
OTHER = {"bank": "bank-b", "number": "1112223334", "holder": "Siti Example"}


@pytest.fixture
async def registry(database_url: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with (
        open_registry(database_url, tmp_path) as (runtime, service),
        api(runtime, service) as first,
        api(runtime, service, sub="person:second") as second,
    ):
        yield runtime, first, second


async def register(client: httpx.AsyncClient, number: int, **changes: Any) -> str:
    return str((await client.post("/households", json=household(number, **changes))).json()["household_id"])


async def payee_events(runtime: Runtime) -> list[dict[str, Any]]:
    async with runtime.db.connection() as conn:
        rows = await conn.fetch("SELECT body FROM event WHERE type = 'salur.payee.registered.v1' ORDER BY id")
    return [orjson.loads(row["body"])["data"] for row in rows]


async def test_a_changed_account_rests_before_its_first_use_and_the_old_one_stays_on_record(registry: Registry) -> None:
    runtime, first, second = registry
    household_id = await register(first, 1)
    checked = {"version": 1, "result": "matches"}
    assert (await first.post(f"/households/{household_id}/payee-checks", json=checked)).status_code == 201
    await changed(first, second, {"kind": "payee", "household_id": household_id, "payee": OTHER})
    new, old = (await first.get(f"/households/{household_id}/payees")).json()["payees"]
    assert [(v["version"], v["bank"], v["check_result"]) for v in (new, old)] == [
        (2, "bank-b", None), (1, "bank-a", "matches"),
    ]  # fmt: skip
    assert old["valid_until"] == new["valid_from"]
    then = {"as_of": old["valid_from"]}
    (held,) = (await first.get(f"/households/{household_id}/payees", params=then)).json()["payees"]
    assert held["version"] == 1
    rest = datetime.fromisoformat(new["usable_from"]) - datetime.fromisoformat(new["valid_from"])
    assert abs(rest - COOL_OFF) < timedelta(minutes=1)
    told = [event["usable_from"] for event in await payee_events(runtime)]
    assert told[0] is None  # an account given at registration may be used at once
    assert datetime.fromisoformat(told[1]) == datetime.fromisoformat(new["usable_from"])
    passed = await first.post(f"/households/{household_id}/payee-checks", json=checked)
    assert (passed.status_code, passed.json()["code"]) == (409, "version-passed")


async def test_what_a_bank_found_is_recorded_with_time_and_evidence_on_the_version_it_was_asked_about(
    registry: Registry,
) -> None:
    runtime, first, _ = registry
    household_id = await register(first, 1)
    answered = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def checked(version: int) -> Received:
        fact = AccountChecked(
            beneficiary_id=household_id, version=version, check_id="c" * 32, bank="bank-a", result="name-close",
            asked_at=answered, answered_at=answered, bank_message_id="m-1",
        )  # fmt: skip
        return received("payments.account-checks", household_id, fact)

    for version, told in ((2, 0), (1, 1)):
        async with runtime.unit_of_work() as unit:
            drafts = await take_checks(unit.conn, [checked(version)])
            unit.emit(*drafts)
        assert len(drafts) == told
    (seen,) = (await first.get(f"/households/{household_id}/payees")).json()["payees"]
    assert [seen[name] for name in ("check_result", "name_match", "check_evidence")] == ["matches", "close", "m-1"]
    assert datetime.fromisoformat(seen["checked_at"]) == answered


async def test_an_account_that_many_families_come_to_share_raises_an_alarm(registry: Registry) -> None:
    runtime, first, second = registry
    ids = [await register(first, number, payee=None) for number in (1, 2, 3)]
    for household_id in ids:
        answer = await changed(first, second, {"kind": "payee", "household_id": household_id, "payee": OTHER})
        assert answer.status_code == 200
    async with runtime.db.connection() as conn:
        assert (await event_counts(conn))["salur.account.shared.v1"] == 1
        assert await conn.fetchval("SELECT key FROM event WHERE type = 'salur.account.shared.v1'") == ids[2]


async def test_a_consent_is_given_once_and_withdrawn_once(registry: Registry) -> None:
    runtime, first, _ = registry
    path = f"/households/{await register(first, 1)}/consents"
    answers = [await first.post(path, json=consent()) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    law = await first.post(path, json=consent(lawful_basis="public-task", purpose="decide-eligibility"))
    ended = f"/consents/{law.json()['consent_id']}/withdraw"
    assert (await first.post(ended, json={"reason": "r"})).json()["code"] == "not-consent"
    withdraw = f"/consents/{answers[0].json()['consent_id']}/withdraw"
    assert (await first.post(withdraw, json={"reason": "moved bank"})).status_code == 200
    assert (await first.post(withdraw, json={"reason": "again"})).json()["code"] == "consent-withdrawn"
    use = {"pii_categories": ["income"], "recipients": ["bank-a"], "language": "en", "controller": "Dinas Sosial"}
    survey = await first.post(path, json=consent(purpose="survey", valid_until="2026-02-01", **use))
    shown = (await first.get(f"/consents/{survey.json()['consent_id']}/receipt")).json()
    assert shown["record"]["schema_version"] == "ISO/IEC TS 27560:2023"
    assert shown["processing"]["purposes"][0]["pii_categories"] == ["income"]
    assert shown["parties"] == [{"role": "pii-controller", "name": "Dinas Sosial"}]
    before = {"as_of": "2026-01-03T00:00:00+07:00"}
    then_given = (await first.get(path, params=before)).json()["consents"]
    assert {consent["purpose"]: consent["state"] for consent in then_given}["share-with-bank"] == "given"
    taken_back = (await first.get(f"/consents/{answers[0].json()['consent_id']}/receipt")).json()
    assert [event["state"] for event in taken_back["events"]] == ["given", "withdrawn"]
    states = {shown["purpose"]: shown["state"] for shown in (await first.get(path)).json()["consents"]}
    assert states == {"share-with-bank": "withdrawn", "decide-eligibility": "given", "survey": "expired"}
    async with runtime.db.connection() as conn:
        events = await event_counts(conn)
    assert (events["salur.consent.given.v1"], events["salur.consent.withdrawn.v1"]) == (3, 1)


@pytest.mark.parametrize(
    "wrong",
    [{"given_at": "2999-01-01T00:00:00Z"}, {"given_at": "2026-01-01"}, {"given_at": "2026-02-30T00:00:00Z"},
     {"valid_until": "2026-13-01"}, {"lawful_basis": "habit"}, {"member_id": "0" * 32}, {"purpose": "Not A Code"}],
)  # fmt: skip
async def test_a_consent_that_cannot_be_is_refused(registry: Registry, wrong: dict[str, str]) -> None:
    _, first, _ = registry
    path = f"/households/{await register(first, 1)}/consents"
    assert (await first.post(path, json=consent(**wrong))).status_code == 422
    assert (await first.get(path)).json()["consents"] == []

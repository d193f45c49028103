"""A family is erased: its key and values are destroyed everywhere for good, and the history keeps every byte."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from salur.common.contracts.erasures import SubjectErased
from salur.common.database import Database
from salur.common.errors import Conflict, NotFound
from salur.common.events import Draft, personal
from salur.common.events.envelope import parse
from salur.common.events.openings import open_value
from salur.common.events.recover import recover
from salur.common.events.relay import Tail
from salur.common.secrets import Secrets
from salur.common.values import derived_id, payment_id
from salur.eligibility.usecases.replay import replay_page
from salur.payments.usecases.erasures import erase_due
from support.eligibility import Office
from support.eligibility import household as facts_of
from support.erasures import Registry, as_records, everything, published
from support.households import HOLDER, NAMES, NUMBER, PHONE, household, nik
from support.offices import open_office
from support.payments import House, beneficiary, entitlement, received
from support.registry import run_matching, worker_of
from support.staff import staff_of

pytestmark = pytest.mark.integration
ERASURE = derived_id("erasure")
LATER = timedelta(days=1)


@pytest.fixture
async def registry(database_url: str, tmp_path: Path) -> Any:
    async with (
        open_office("registry", database_url, tmp_path) as process,
        staff_of(process.app(), process.runtime) as staff,
    ):
        made = Registry(process, staff)
        registered = await staff.ask("ani", ["registrar"], "POST", "/households", household(1, 2))
        await staff.ask("ani", ["registrar"], "POST", "/households", household(2, 2))
        made.household_id = registered.json()["household_id"]
        yield made


async def test_two_people_erase_a_family_and_the_history_keeps_every_byte(registry: Registry) -> None:
    before = await registry.history()
    asked = await registry.ask()
    erasure_id = asked.json()["erasure_id"]
    again = await registry.ask()
    other_basis = await registry.ask(basis="court-order")
    himself = await registry.accept(erasure_id, "sari")
    elsewhere = await registry.accept(erasure_id, "dian", regions=["99"])
    registrar = await registry.staff.ask(
        "ani", ["registrar"], "POST", f"/erasures/{erasure_id}/accept", {"reason": "x"}
    )
    assert [(answer.status_code, answer.json().get("code")) for answer in (asked, again, other_basis)] == [
        (201, None), (200, None), (409, "erasure-exists"),
    ]  # fmt: skip
    assert [(answer.status_code, answer.json()["code"]) for answer in (himself, elsewhere, registrar)] == [
        (403, "same-person"), (404, "erasure-unknown"), (403, "not-permitted"),
    ]  # fmt: skip
    assert await registry.rows("SELECT 1 FROM subject_key WHERE subject = $1", registry.household_id)
    done = await registry.accept(erasure_id)
    assert (done.status_code, done.json()["state"], done.json()["decided_by"]) == (200, "accepted", "person:budi")
    assert (await registry.accept(erasure_id)).json() == done.json()
    after = await registry.history()
    assert before.items() <= after.items()
    told = [row["type"] for row in await registry.rows("SELECT type FROM event WHERE type LIKE '%eras%' ORDER BY type")]
    assert told == ["salur.erasure.decided.v1", "salur.erasure.requested.v1", *["salur.subject.erased.v1"] * 2]


async def test_nothing_of_the_family_can_be_opened_and_the_other_family_stands(registry: Registry) -> None:
    places = await registry.rows("SELECT stream, sequence, key FROM event WHERE stream LIKE 'registry.payees/%'")
    await run_matching(registry.process.service)
    assert await registry.rows("SELECT 1 FROM match_person WHERE household_id = $1", registry.household_id)
    await registry.erased()
    await run_matching(registry.process.service)
    for place in places:
        asked = {"stream": place["stream"], "sequence": place["sequence"], "field": "account_number",
                 "purpose": "complaint", "reason": "test"}  # fmt: skip
        answer = await registry.staff.ask("rina", ["investigator"], "POST", "/openings", asked)
        mine = place["key"] == registry.household_id
        assert (answer.status_code, answer.json().get("code")) == ((404, "erased") if mine else (200, None))
    for table, column in (("identifier", "household_id"), ("payee", "household_id"), ("subject_key", "subject"),
                          ("match_person", "household_id"), ("payee_version", "household_id")):  # fmt: skip
        assert not await registry.rows(f"SELECT 1 FROM {table} WHERE {column} = $1", registry.household_id), table
    held = await registry.rows("SELECT identity, attributes, members FROM household WHERE household_id = $1",
                               registry.household_id)  # fmt: skip
    assert [dict(row) for row in held] == [{"identity": None, "attributes": {}, "members": []}]
    kept = await registry.rows("SELECT sealed FROM event_personal WHERE subject = $1", registry.household_id)
    assert kept
    assert {row["sealed"] for row in kept} == {b""}
    async with registry.db.connection() as conn:
        text = await everything(conn)
    assert not [value for value in (NUMBER, HOLDER, PHONE, *NAMES, nik(10), nik(11)) if value in text]


async def test_an_erased_family_cannot_come_back(registry: Registry) -> None:
    await registry.erased()
    registrar = registry.staff.ask
    answers = [
        await registrar("ani", ["registrar"], "POST", "/households", household(1, 2)),
        await registrar("ani", ["registrar"], "POST", "/changes", {
            "kind": "contact", "household_id": registry.household_id, "reason": "moved", "contact": {"phone": PHONE}}),
        await registry.ask(reference="letter-18"),
    ]  # fmt: skip
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "household-erased")] * 3
    with pytest.raises(Conflict, match="erased"):
        async with registry.process.runtime.unit_of_work() as unit:
            unit.emit(Draft(facts_of("any"), registry.household_id, "person:test", "request-1"))


async def test_what_is_open_keeps_a_family(registry: Registry) -> None:
    change = {"kind": "contact", "household_id": registry.household_id, "reason": "moved", "contact": {"phone": PHONE}}
    await registry.staff.ask("ani", ["registrar"], "POST", "/changes", change)
    erasure_id = (await registry.ask()).json()["erasure_id"]
    refused = await registry.accept(erasure_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "household-needed")
    assert "change" in refused.json()["detail"]
    assert await registry.rows("SELECT 1 FROM subject_key WHERE subject = $1", registry.household_id)


async def test_a_wards_account_goes_with_the_family_and_is_no_longer_lent_first(registry: Registry) -> None:
    """A member of family 1 has a guardian of family 2, who receives for them."""
    home = await registry.staff.ask("ani", ["registrar"], "GET", f"/households/{registry.household_id}")
    ward = home.json()["members"][1]["member_id"]
    body = {
        "kind": "guardian", "household_id": registry.household_id, "member_id": ward, "reason": "r",
        "evidence": "order 7", "person": {"scheme": "nik", "value": nik(20)}, "receives": True,
    }  # fmt: skip
    change_id = (await registry.staff.ask("ani", ["registrar"], "POST", "/changes", body)).json()["change_id"]
    made = await registry.staff.ask("dian", ["registrar"], "POST", f"/changes/{change_id}/accept", {})
    assert made.status_code == 200, made.text
    (guardian,) = await registry.rows("SELECT payer_id FROM guardianship")
    kept = await registry.ask(household_id=guardian["payer_id"], reference="letter-18")
    needed = await registry.accept(kept.json()["erasure_id"])
    assert (needed.status_code, needed.json()["code"]) == (409, "household-needed")
    await registry.erased()
    assert (
        await registry.rows("SELECT FROM guardianship UNION ALL SELECT FROM payee WHERE household_id = $1", ward) == []
    )
    assert await registry.rows("SELECT FROM subject_key WHERE subject = $1", ward) == []
    told = await registry.rows(
        "SELECT stream FROM event WHERE type = 'salur.subject.erased.v1' AND key = $1", ward
    )  # fmt: skip
    assert [row["stream"].split("/")[0] for row in told] == ["registry.payees"]


async def test_history_sent_again_brings_nothing_back_to_who_consumes_it(
    registry: Registry, keys: Secrets, other_database_url: str
) -> None:
    await registry.erased()
    sent = await published(registry)
    headers = {dict(o.headers).get(personal.HEADER) for o in sent if o.key.decode() == registry.household_id}
    assert headers == {personal.ERASED, None}
    db = Database(other_database_url, pool_size=2, statement_timeout_s=30)
    await db.open()
    try:
        office = await Office.build(db, other_database_url, keys)
        outcome = await office.process(as_records(sent, "registry.households"))
        assert (outcome.dead, outcome.parked, outcome.holes) == (0, 0, {})
        async with db.connection() as conn:
            rows = await conn.fetch("SELECT household_id, attributes, merged_into FROM household ORDER BY merged_into")
        assert [(row["attributes"] != {}, row["merged_into"]) for row in rows] == [(False, "erased"), (True, None)]
    finally:
        await db.close()


async def test_a_restored_backup_is_erased_again(registry: Registry) -> None:
    """The backup is from before the erasure: rows and key are back, the erasure comes from Kafka."""
    saved = await registry.rows("SELECT * FROM household WHERE household_id = $1", registry.household_id)
    erasure_id = await registry.erased()
    sent = await published(registry)
    async with registry.db.transaction() as conn:  # what the backup brings back, and what it has lost
        await conn.execute("ALTER TABLE event DISABLE TRIGGER ALL")
        await conn.execute("DELETE FROM event WHERE type LIKE 'salur.%eras%'")
        await conn.execute(
            "UPDATE stream SET sequence = coalesce((SELECT max(sequence) FROM event e WHERE e.stream = name), 0)"
        )
        await conn.execute("DELETE FROM erased_subject")
        await conn.execute(
            "UPDATE household SET status = 'active', attributes = $2, members = $3, identity = $4, content_token = 'x'"
            " WHERE household_id = $1",
            registry.household_id, saved[0]["attributes"], saved[0]["members"], saved[0]["identity"],
        )  # fmt: skip
        secret = registry.process.runtime.secrets.seal(bytes(32), registry.household_id.encode())
        await conn.execute("INSERT INTO subject_key VALUES ($1, $2)", registry.household_id, secret)

    async def tails(_partitions: Sequence[tuple[str, int]]) -> dict[str, Any]:
        newest = {o.stream: o for o in sorted(sent, key=lambda o: o.sequence)}
        return {name: Tail(o.sequence, orjson.loads(o.value)["id"]) for name, o in newest.items()}

    async def stream(topic: str, partition: int) -> Any:
        for record in as_records(sent, topic):
            if record.partition == partition:
                yield record, parse(record.value, topic=topic, partition=partition, writer="registry")

    assert await recover(registry.db, registry.process.runtime.store, tails, stream) == 0
    assert not await registry.rows("SELECT 1 FROM subject_key WHERE subject = $1", registry.household_id)
    ((held,),) = await registry.rows("SELECT erasure_id FROM erased_subject WHERE subject = $1", registry.household_id)
    assert held == erasure_id
    await worker_of(registry.process.service, "erase-again").step()
    (row,) = await registry.rows(
        "SELECT status, identity FROM household WHERE household_id = $1", registry.household_id
    )
    assert (row["status"], row["identity"]) == ("erased", None)


@pytest.fixture
async def office(db: Database, database_url: str, keys: Secrets) -> Office:
    return await Office.build(db, database_url, keys)


def gone(household_id: str, version: int) -> SubjectErased:
    return SubjectErased(erasure_id=ERASURE, household_id=household_id, version=version, basis="subject-request")


async def test_eligibility_forgets_facts_and_reasons_and_can_still_replay_the_others(
    office: Office, db: Database, keys: Secrets
) -> None:
    await office.publish()
    first, second = facts_of("one"), facts_of("two")
    await office.take(first, second)
    await office.take(gone(first.household_id, 2))
    await office.take(facts_of("three"), gone(derived_id("three"), 2))
    async with db.connection() as conn:
        rows = await conn.fetch(
            "SELECT attributes, members FROM household WHERE household_id <> $1", second.household_id
        )
        criteria = await conn.fetch("SELECT criteria FROM decision WHERE household_id = $1", first.household_id)
        places = await conn.fetch("SELECT stream, sequence, key FROM event WHERE type = 'salur.decision.made.v1'")
        assert {(str(row["attributes"]), str(row["members"])) for row in rows} == {("{}", "[]")}
        assert [row["criteria"] for row in criteria] == [[]]
        assert len(places) == 2
        for place in places:
            opening = open_value(conn, keys, place["stream"], place["sequence"], "criteria")
            if place["key"] == second.household_id:
                assert (await opening).opening.value
            else:
                with pytest.raises(NotFound, match="erased"):
                    await opening
    await office.backfill()
    async with db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM event WHERE type = 'salur.decision.made.v1'") == 2
        replayed = await replay_page(conn, office.rules, None, (0, "", 0, ""), 100)
    assert (replayed["replayed"], replayed["different"]) == (1, [])


async def test_payments_keep_the_account_of_a_payment_as_long_as_the_law_asks_and_no_longer(
    db: Database, database_url: str, keys: Secrets
) -> None:
    house = await House.build(db, database_url, keys)
    await house.instructed(2)
    fact = gone(beneficiary(0), 2)
    await house.take_payees([received("registry.payees", fact.household_id, fact)])
    async with db.connection() as conn:
        status = await conn.fetchval(
            "SELECT status FROM payee WHERE beneficiary_id = $1 ORDER BY version DESC LIMIT 1", beneficiary(0)
        )
        asked = await conn.fetchval("SELECT count(*) FROM payment WHERE beneficiary_id = $1", beneficiary(0))
    assert (status, asked) == ("closed", 1)
    now = datetime.now(UTC)
    async with db.transaction() as conn:
        assert await erase_due(conn, now + LATER, 100) == 0, "a payment is under way"
        await conn.execute("UPDATE payment SET state = 'settled'")
        assert await erase_due(conn, now - LATER, 100) == 0, "the last payment is too new"
        assert await erase_due(conn, now + LATER, 100) == 1
        assert await erase_due(conn, now + LATER, 100) == 0, "once"
    async with db.connection() as conn:
        sealed = await conn.fetch("SELECT sealed FROM payee WHERE beneficiary_id = $1", beneficiary(0))
        places = await conn.fetch("SELECT stream, sequence, key FROM event WHERE type = 'salur.payment.instructed.v1'")
        assert {row["sealed"] for row in sealed} == {b""}
        assert len(places) == 2
        for place in places:
            opening = open_value(conn, keys, place["stream"], place["sequence"], "account_number")
            if place["key"] == payment_id(entitlement(0), 1):
                with pytest.raises(NotFound, match="erased"):
                    await opening
            else:
                assert (await opening).opening.value

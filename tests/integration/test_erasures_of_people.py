"""One person of a family, or a group, is erased: what speaks of them is destroyed, the others and every proof stay."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from salur.common.contracts.erasures import PersonErased
from salur.common.database import Database
from salur.common.errors import NotFound
from salur.common.events import personal
from salur.common.events.envelope import parse
from salur.common.events.openings import Opened, open_value
from salur.common.events.personal import CommitmentBroken, check_opening
from salur.common.events.recover import recover
from salur.common.events.relay import Tail
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.eligibility.usecases.replay import replay_page
from support.eligibility import Office
from support.erasures import Registry, as_records, everything, published
from support.households import NAMES, group, household, nik
from support.offices import open_office
from support.registry import run_matching, worker_of
from support.staff import staff_of

pytestmark = pytest.mark.integration
ACCOUNT = {"bank": "bank-a", "number": "5544332211", "holder": "Kelompok Melati"}


@pytest.fixture
async def registry(database_url: str, tmp_path: Path) -> AsyncIterator[Registry]:
    """Family 1 of three people; the second of them changed the family once. Family 2 of one."""
    async with (
        open_office("registry", database_url, tmp_path) as process,
        staff_of(process.app(), process.runtime) as staff,
    ):
        made = Registry(process, staff)
        registered = await staff.ask("ani", ["registrar"], "POST", "/households", household(1, 3))
        await staff.ask("ani", ["registrar"], "POST", "/households", household(2, 1))
        made.household_id = registered.json()["household_id"]
        path = f"/households/{made.household_id}"
        changed = await staff.ask("ani", ["registrar"], "PUT", path, {"attributes": {"poverty_index": 500.5}})
        assert changed.status_code == 200, changed.text
        yield made


async def member(registry: Registry, place: int) -> str:
    home = await registry.staff.ask("ani", ["registrar"], "GET", f"/households/{registry.household_id}")
    return str(home.json()["members"][place]["member_id"])


async def openings(registry: Registry, path: str) -> list[Opened | None]:
    """Of the family's events with such a value, in order: what opens it; None where it is erased."""
    topic = "registry.payees" if path.startswith("account") else "registry.households"
    places = await registry.rows(
        "SELECT stream, sequence FROM event WHERE key = $1 AND stream LIKE $2 AND type ~ 'registered|changed'"
        " ORDER BY sequence", registry.household_id, f"{topic}/%",
    )  # fmt: skip
    found: list[Opened | None] = []
    async with registry.db.connection() as conn:
        for place in places:
            try:
                opened = await open_value(
                    conn, registry.process.runtime.secrets, place["stream"], place["sequence"], path
                )
                found.append(opened)
            except NotFound as error:
                assert error.code == "erased"
                found.append(None)
    return found


async def test_two_people_erase_one_person_and_the_others_can_still_be_opened(registry: Registry) -> None:
    """Before: the person stands in two events, in names, numbers, matching. After: nowhere, and what was said of the
    family and of its account opens as before; the list of members opens again from the snapshot without them."""
    person, other = await member(registry, 1), await member(registry, 2)
    await run_matching(registry.process.service)
    before, account = await registry.history(), await openings(registry, "account_number")
    members, poverty = await openings(registry, "members"), await openings(registry, "attributes.poverty_index")
    assert (len(members), len(poverty), len(account)) == (2, 2, 1)
    key = await registry.rows("SELECT sealed FROM subject_key WHERE subject = $1", registry.household_id)

    asked = await registry.ask(member_id=person)
    assert (asked.status_code, asked.json()["member_id"]) == (201, person)
    himself = await registry.accept(asked.json()["erasure_id"], "sari")
    assert (himself.status_code, himself.json()["code"]) == (403, "same-person")
    done = await registry.accept(asked.json()["erasure_id"])
    assert (done.status_code, done.json()["state"]) == (200, "accepted"), done.text
    assert (await registry.accept(asked.json()["erasure_id"])).json() == done.json()
    await run_matching(registry.process.service)

    after = await registry.history()
    assert before.items() <= after.items(), "every entry keeps its bytes, so every proof holds"
    assert [row["type"] for row in await registry.rows(
        "SELECT type FROM event WHERE stream LIKE 'registry.households/%' AND key = $1 ORDER BY sequence DESC LIMIT 2",
        registry.household_id,
    )] == ["salur.household.changed.v1", "salur.person.erased.v1"]  # fmt: skip
    now = await openings(registry, "members")
    assert now[:2] == [None, None]
    assert now[2] is not None
    assert person not in str(now[2].opening.value)
    assert other in str(now[2].opening.value)
    assert (await openings(registry, "attributes.poverty_index"))[:2] == poverty
    assert await openings(registry, "account_number") == account
    kept = members[0]
    assert kept is not None
    body = await registry.rows("SELECT body FROM event WHERE type = 'salur.household.registered.v1' AND key = $1",
                               registry.household_id)  # fmt: skip
    check_opening(orjson.loads(body[0]["body"])["data"], kept.opening)
    with pytest.raises(CommitmentBroken):
        check_opening(orjson.loads(body[0]["body"])["data"], now[2].opening)

    assert await registry.rows("SELECT sealed FROM subject_key WHERE subject = $1", registry.household_id) != key
    async with registry.db.connection() as conn:
        text = await everything(conn)
    assert NAMES[1] not in text
    assert nik(11) not in text
    for table in ("identifier", "match_person"):
        column = "person_id" if table == "match_person" else "member_id"
        assert not await registry.rows(f"SELECT 1 FROM {table} WHERE {column} = $1", person), table
    for table in ("household", "household_version"):
        assert not await registry.rows(f"SELECT 1 FROM {table} WHERE members::text LIKE $1", f"%{person}%"), table
    home = await registry.staff.ask("ani", ["registrar"], "GET", f"/households/{registry.household_id}")
    assert [found["member_id"] for found in home.json()["members"]] == [await member(registry, 0), other]
    again = await registry.ask(member_id=person, reference="letter-18")
    assert (again.status_code, again.json()["code"]) == (404, "member-unknown")


async def test_names_and_numbers_are_sealed_without_the_person_in_every_version(registry: Registry) -> None:
    """Names rest sealed in the family's present row and in each earlier version: all are sealed again without them."""
    person = await member(registry, 1)
    secrets = registry.process.runtime.secrets

    async def sealed() -> list[bytes]:
        rows = await registry.rows(
            "SELECT identity FROM household WHERE household_id = $1"
            " UNION ALL SELECT identity FROM household_version WHERE household_id = $1", registry.household_id,
        )  # fmt: skip
        return [secrets.open(row["identity"], registry.household_id.encode()) for row in rows]

    assert [NAMES[1].encode() in plain for plain in await sealed()] == [True, True]
    done = await registry.accept((await registry.ask(member_id=person)).json()["erasure_id"])
    assert done.status_code == 200, done.text
    plain = await sealed()
    assert len(plain) == 3
    assert not [each for each in plain if NAMES[1].encode() in each or person.encode() in each]
    assert all(NAMES[2].encode() in each for each in plain)


async def test_a_person_whom_something_open_needs_is_not_erased_and_the_answer_says_what(registry: Registry) -> None:
    person, head = await member(registry, 1), await member(registry, 0)
    change = {"kind": "contact", "household_id": registry.household_id, "reason": "moved",
              "contact": {"phone": "080099887766"}}  # fmt: skip
    change_id = (await registry.staff.ask("ani", ["registrar"], "POST", "/changes", change)).json()["change_id"]
    erasure_id = (await registry.ask(member_id=person)).json()["erasure_id"]
    open_change = await registry.accept(erasure_id)
    assert (open_change.status_code, open_change.json()["code"]) == (409, "person-needed")
    assert "change" in open_change.json()["detail"]
    await registry.staff.ask("dian", ["registrar"], "POST", f"/changes/{change_id}/refuse", {"note": "no"})
    paid = {"kind": "payee", "household_id": registry.household_id, "reason": "new", "payee": {
        "bank": "bank-a", "number": "1231231231", "holder": NAMES[1].upper()}}  # fmt: skip
    change_id = (await registry.staff.ask("ani", ["registrar"], "POST", "/changes", paid)).json()["change_id"]
    made = await registry.staff.ask("dian", ["registrar"], "POST", f"/changes/{change_id}/accept", {})
    assert made.status_code == 200, made.text
    is_paid = await registry.accept(erasure_id)
    assert (is_paid.status_code, is_paid.json()["code"]) == (409, "person-is-paid")
    assert "account" in is_paid.json()["detail"]
    stranger = await registry.ask(member_id=derived_id("nobody"), reference="letter-19")
    both = await registry.ask(member_id=head, group_id=derived_id("group"), reference="letter-20")
    assert [(answer.status_code, answer.json()["code"]) for answer in (stranger, both)] == [
        (404, "member-unknown"), (422, "erasure-of-nobody"),
    ]  # fmt: skip


async def test_the_only_person_of_a_family_is_erased_with_the_family(registry: Registry) -> None:
    (row,) = await registry.rows("SELECT household_id FROM household WHERE household_id <> $1", registry.household_id)
    registry.household_id = row["household_id"]
    erasure_id = (await registry.ask(member_id=await member(registry, 0))).json()["erasure_id"]
    refused = await registry.accept(erasure_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "person-is-the-family")


async def test_history_sent_again_tells_eligibility_of_the_family_without_the_person(
    registry: Registry, keys: Secrets, other_database_url: str
) -> None:
    person = await member(registry, 1)
    await registry.accept((await registry.ask(member_id=person)).json()["erasure_id"])
    sent = await published(registry)
    mine = [record for record in sent if record.key.decode() == registry.household_id]
    headers = [dict(record.headers).get(personal.HEADER) for record in mine if record.topic == "registry.households"]
    assert headers[:2] == [personal.PART_ERASED] * 2
    db = Database(other_database_url, pool_size=2, statement_timeout_s=30)
    await db.open()
    try:
        office = await Office.build(db, other_database_url, keys)
        outcome = await office.process(as_records(sent, "registry.households"))
        assert (outcome.dead, outcome.parked, outcome.holes) == (0, 0, {})
        rows = await office.rows("SELECT members FROM household WHERE household_id = $1", registry.household_id)
        assert [len(row["members"]) for row in rows] == [2]
    finally:
        await db.close()


async def test_eligibility_forgets_the_person_and_every_reason_they_may_have_given(
    db: Database, database_url: str, keys: Secrets
) -> None:
    """A family of two is decided, one of them erased: what was decided stands, its reasons are gone for good, and the
    family without them is decided anew, with reasons that open and can be made again."""
    from support.eligibility import household as facts_of

    office = await Office.build(db, database_url, keys)
    await office.publish()
    first, without = facts_of("one", enrolled=(True, True)), facts_of("one", enrolled=(True,), version=2)
    await office.take(first)
    (before,) = await office.rows("SELECT enrolled, amount_minor FROM decision")
    person = first.members[1].member_id
    gone = PersonErased(
        erasure_id=derived_id("e"), household_id=first.household_id, member_id=person, version=2,
        basis="subject-request",
    )  # fmt: skip
    await office.take(gone, without)
    rows = await office.rows("SELECT version, members FROM household ORDER BY version")
    assert [(row["version"], person in str(row["members"])) for row in rows] == [(1, False), (2, False)]
    decided = await office.rows("SELECT enrolled, amount_minor, criteria FROM decision ORDER BY household_version")
    assert [(dict(row) | {"criteria": bool(row["criteria"])}) for row in decided] == [
        dict(before) | {"criteria": False}, dict(decided[1]) | {"criteria": True},
    ]  # fmt: skip
    places = await office.rows("SELECT stream, sequence FROM event WHERE type = 'salur.decision.made.v1' ORDER BY 2")
    async with db.connection() as conn:
        with pytest.raises(NotFound, match="erased"):
            await open_value(conn, keys, places[0]["stream"], places[0]["sequence"], "criteria")
        assert (await open_value(conn, keys, places[1]["stream"], places[1]["sequence"], "criteria")).opening.value
        replayed = await replay_page(conn, office.rules, None, (0, "", 0, ""), 100)
    assert (replayed["replayed"], replayed["different"]) == (1, [])


async def test_a_restored_backup_has_the_person_taken_out_again(registry: Registry) -> None:
    """The backup is from before the erasure: members, names and values are back, the erasure comes from Kafka."""
    person = await member(registry, 1)
    saved = {
        table: await registry.rows(f"SELECT * FROM {table} WHERE {column} = $1", registry.household_id)
        for table, column in (("household", "household_id"), ("event_personal", "subject"), ("subject_key", "subject"))
    }
    await registry.accept((await registry.ask(member_id=person)).json()["erasure_id"])
    sent = await published(registry)
    (old,) = saved["household"]
    async with registry.db.transaction() as conn:  # what the backup brings back, and what it has lost
        await conn.execute("ALTER TABLE event DISABLE TRIGGER ALL")
        await conn.execute(
            "DELETE FROM event_personal p USING event e WHERE p.stream = e.stream AND p.sequence = e.sequence"
            " AND e.key = $1 AND e.sequence >"
            " (SELECT max(sequence) FROM event WHERE type = 'salur.person.erased.v1' AND stream = e.stream)",
            registry.household_id,
        )
        await conn.execute(
            "DELETE FROM event WHERE type LIKE 'salur.%eras%' OR (key = $1 AND type = 'salur.household.changed.v1'"
            " AND sequence > (SELECT max(sequence) FROM event e WHERE e.stream = event.stream AND e.type ="
            " 'salur.person.erased.v1'))",
            registry.household_id,
        )
        await conn.execute(
            "UPDATE stream SET sequence = coalesce((SELECT max(sequence) FROM event e WHERE e.stream = name), 0)"
        )
        await conn.execute("DELETE FROM erased_subject")
        await conn.execute("DELETE FROM person_erased")
        await conn.execute(
            "UPDATE household SET version = $2, members = $3, identity = $4 WHERE household_id = $1",
            registry.household_id, old["version"], old["members"], old["identity"],
        )  # fmt: skip
        await conn.execute("DELETE FROM household_version WHERE household_id = $1 AND version >= $2",
                           registry.household_id, old["version"])  # fmt: skip
        await conn.execute("UPDATE subject_key SET sealed = $2 WHERE subject = $1",
                           registry.household_id, saved["subject_key"][0]["sealed"])  # fmt: skip
        for row in saved["event_personal"]:
            await conn.execute("UPDATE event_personal SET sealed = $3 WHERE stream = $1 AND sequence = $2",
                               row["stream"], row["sequence"], row["sealed"])  # fmt: skip
    assert None not in await openings(registry, "members")

    async def tails(_partitions: Any) -> dict[str, Any]:
        newest = {o.stream: o for o in sorted(sent, key=lambda o: o.sequence)}
        return {name: Tail(o.sequence, orjson.loads(o.value)["id"]) for name, o in newest.items()}

    async def stream(topic: str, partition: int) -> Any:
        for record in as_records(sent, topic):
            if record.partition == partition:
                yield record, parse(record.value, topic=topic, partition=partition, writer="registry")

    assert await recover(registry.db, registry.process.runtime.store, tails, stream) == 0
    await worker_of(registry.process.service, "erase-again").step()
    now = await openings(registry, "members")
    assert [opened is None for opened in now] == [True, True, False]
    rows = await registry.rows("SELECT members FROM household WHERE household_id = $1", registry.household_id)
    assert person not in str(rows)
    assert not await registry.rows("SELECT 1 FROM identifier WHERE member_id = $1", person)


async def test_a_group_is_erased_by_two_people_and_its_history_stays(registry: Registry) -> None:
    ask = registry.staff.ask
    proposed = await ask("ani", ["registrar"], "POST", "/groups", group(10, 11, payee=ACCOUNT))
    group_id = proposed.json()["group_id"]
    wanted = {"household_id": None, "group_id": group_id}
    early = await registry.accept((await registry.ask(**wanted)).json()["erasure_id"])
    assert (early.status_code, early.json()["code"]) == (409, "group-needed")
    assert "proposal" in early.json()["detail"]
    await ask("dian", ["registrar"], "POST", f"/groups/{group_id}/accept", {})
    before = await registry.history()
    (asked,) = (await ask("sari", ["data-protection-officer"], "GET", "/erasures")).json()["erasures"]
    assert (asked["group_id"], asked["household_id"], asked["state"]) == (group_id, None, "requested")
    elsewhere = await registry.accept(asked["erasure_id"], "dian", regions=["99"])
    assert elsewhere.status_code == 404
    done = await registry.accept(asked["erasure_id"])
    assert (done.status_code, done.json()["group_id"]) == (200, group_id), done.text
    assert before.items() <= (await registry.history()).items()
    async with registry.db.connection() as conn:
        text = await everything(conn)
        for place in await conn.fetch(
            "SELECT stream, sequence FROM event WHERE key = $1 AND type ~ 'registered'", group_id
        ):
            with pytest.raises(NotFound):
                await open_value(
                    conn, registry.process.runtime.secrets, place["stream"], place["sequence"],
                    "account_number" if "payees" in place["stream"] else "members",
                )  # fmt: skip
    assert ACCOUNT["number"] not in text
    assert not await registry.rows("SELECT 1 FROM payee WHERE household_id = $1", group_id)
    assert not await registry.rows("SELECT 1 FROM subject_key WHERE subject = $1", group_id)
    assert (await ask("ani", ["registrar"], "GET", "/groups")).json()["groups"] == []
    told = await registry.rows("SELECT stream FROM event WHERE type = 'salur.subject.erased.v1' AND key = $1", group_id)
    assert sorted(row["stream"].split("/")[0] for row in told) == ["registry.households", "registry.payees"]
    answers = [
        await ask("ani", ["registrar"], "POST", "/groups", group(10, 11)),
        await ask("ani", ["registrar"], "PUT", f"/groups/{group_id}", group(10)),
        await registry.ask(**wanted, reference="letter-18"),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "group-erased")] * 3
    assert (await ask("ani", ["registrar"], "GET", f"/groups/{group_id}")).status_code == 200

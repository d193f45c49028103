"""Lists from outside on the real database: matches are evidence, a second person decides, a death takes effect."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from salur.common.http import MAX_BODY_SIZE
from salur.common.service import Process, Runtime
from support.households import household, member, nik
from support.registry import event_counts, open_registry
from support.staff import Staff, staff_of

pytestmark = pytest.mark.integration
Office = tuple[Staff, Runtime]
DIED = "2026-02-14"


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    async with (
        open_registry(database_url, tmp_path) as (runtime, service),
        staff_of(Process(runtime, service, frozenset({"http"})).app(), runtime) as staff,
    ):
        yield staff, runtime


async def sender(staff: Staff, method: str, url: str, json: Any = None, *, who: str = "sari", **more: Any) -> Any:
    return await staff.ask(who, ["registrar"], method, url, json, **more)


async def decider(staff: Staff, method: str, url: str, json: Any = None, *, who: str = "dian", **more: Any) -> Any:
    return await staff.ask(who, ["registrar"], method, url, json, **more)


async def registered(staff: Staff, number: int, people: int = 2) -> tuple[str, list[str]]:
    answer = await sender(staff, "POST", "/households", household(number, people))
    household_id = answer.json()["household_id"]
    read = (await sender(staff, "GET", f"/households/{household_id}")).json()
    return household_id, [person["member_id"] for person in read["members"]]


async def begun(staff: Staff, kind: str = "deaths", name: str = "2026-02") -> str:
    feed = {"kind": kind, "source": "Dukcapil", "name": name, "as_of": "2026-02-28"}
    return str((await sender(staff, "POST", "/feeds", feed)).json()["feed_id"])


async def match_of(staff: Staff, feed_id: str, *values: str, **says: Any) -> list[str]:
    records = [{"value": value} | says for value in values]
    answer = await sender(staff, "POST", f"/feeds/{feed_id}/records", {"records": records})
    assert answer.status_code == 200, answer.text
    page = (await decider(staff, "GET", "/feed-matches?state=open")).json()["matches"]
    return [match["match_id"] for match in page if match["feed_id"] == feed_id]


def codes(*answers: httpx.Response) -> list[tuple[int, str]]:
    return [(answer.status_code, answer.json().get("code", "")) for answer in answers]


async def events(runtime: Runtime, kind: str) -> list[dict[str, Any]]:
    async with runtime.db.connection() as conn:
        rows = await conn.fetch("SELECT body FROM event WHERE type = $1 ORDER BY id", kind)
    return [orjson.loads(row["body"]) for row in rows]


async def test_a_confirmed_death_takes_the_person_out_and_stops_the_account_of_the_head(office: Office) -> None:
    staff, runtime = office
    household_id, (head, child) = await registered(staff, 1)
    (match_id,) = await match_of(staff, await begun(staff), nik(10), nik(999), on_date=DIED)
    own = await sender(staff, "POST", f"/feed-matches/{match_id}/decide", {"outcome": "confirmed", "reason": "seen"})
    decision = {"outcome": "confirmed", "reason": "certificate-seen"}
    done = await decider(staff, "POST", f"/feed-matches/{match_id}/decide", decision)
    again = await decider(staff, "POST", f"/feed-matches/{match_id}/decide", decision)
    other = await decider(staff, "POST", f"/feed-matches/{match_id}/decide", decision | {"outcome": "dismissed"})
    assert codes(own, other) == [(403, "same-person"), (409, "match-decided")]
    assert (done.json()["state"], again.json()) == ("confirmed", done.json())
    read = (await sender(staff, "GET", f"/households/{household_id}")).json()
    assert [person["member_id"] for person in read["members"]] == [child]
    assert read["payee"]["status"] == "suspended"
    told = await events(runtime, "salur.person.deceased.v1")
    assert [(event["data"]["member_id"], event["subject"]) for event in told] == [(head, household_id)]
    assert DIED not in str(told)
    assert (await events(runtime, "salur.household.changed.v1"))[0]["data"]["member_count"] == 1


async def test_payments_are_told_that_nobody_is_left_of_a_family(office: Office) -> None:
    staff, runtime = office
    for number, people, left in ((1, 1, "deceased"), (2, 2, "alive")):
        household_id, _ = await registered(staff, number, people)
        (match_id,) = await match_of(staff, await begun(staff, name=f"2026-0{number}"), nik(number * 10))
        decision = {"outcome": "confirmed", "reason": "certificate-seen"}
        assert (await decider(staff, "POST", f"/feed-matches/{match_id}/decide", decision)).status_code == 200
        told = [event["data"] for event in await events(runtime, "salur.payee.registered.v1")]
        assert [(fact["status"], fact["living"]) for fact in told if fact["beneficiary_id"] == household_id] == [
            ("active", "alive"),
            ("suspended", left),
        ]


async def test_nobody_is_registered_under_the_number_of_who_has_died(office: Office) -> None:
    staff, _ = office
    await registered(staff, 1)
    (match_id,) = await match_of(staff, await begun(staff), nik(11))
    await decider(staff, "POST", f"/feed-matches/{match_id}/decide", {"outcome": "confirmed", "reason": "seen"})
    body = household(2, 1, members=[member(11)])
    assert codes(await sender(staff, "POST", "/households", body)) == [(409, "identifier-taken")]
    assert codes(await sender(staff, "POST", "/households/find", {"scheme": "nik", "value": nik(11)})) == [
        (404, "household-unknown")
    ]


async def test_a_dismissed_match_changes_nobody_and_a_list_sent_again_finds_nothing_new(office: Office) -> None:
    staff, runtime = office
    household_id, _ = await registered(staff, 1)
    feed_id = await begun(staff)
    (match_id,) = await match_of(staff, feed_id, nik(10))
    await decider(
        staff, "POST", f"/feed-matches/{match_id}/decide", {"outcome": "dismissed", "reason": "another-person"}
    )
    assert await match_of(staff, feed_id, nik(10)) == []
    assert (await begun(staff)) == feed_id
    read = (await sender(staff, "GET", f"/households/{household_id}")).json()
    assert (read["version"], read["payee"]["status"]) == (1, "active")
    async with runtime.db.connection() as conn:
        counts = await event_counts(conn)
    assert (counts["salur.feed-match.found.v1"], counts["salur.feed-match.decided.v1"]) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "attribute"), [("exclusion", "on_exclusion_list"), ("wages", "formal_wage"), ("tax", "taxpayer")]
)
async def test_a_confirmed_entry_becomes_an_attribute_that_rules_may_read(
    office: Office, kind: str, attribute: str
) -> None:
    staff, _ = office
    household_id, (head, child) = await registered(staff, 1)
    (match_id,) = await match_of(staff, await begun(staff, kind), nik(10), amount_minor=5_500_000_00, currency="IDR")
    url = f"/feed-matches/{match_id}"
    says = await decider(staff, "POST", f"{url}/read", {"reason": "deciding"})
    assert says.json()["says"] == {"amount_minor": 5_500_000_00, "currency": "IDR"}
    await decider(staff, "POST", f"{url}/decide", {"outcome": "confirmed", "reason": "payslip-seen"})
    read = (await sender(staff, "GET", f"/households/{household_id}")).json()
    people = {person["member_id"]: person["attributes"] for person in read["members"]}
    assert (people[head].get(attribute), people[child].get(attribute)) == (True, None)


async def test_what_a_list_says_rests_sealed_and_stays_in_its_region(office: Office) -> None:
    staff, runtime = office
    await registered(staff, 1)
    feed_id = await begun(staff)
    (match_id,) = await match_of(staff, feed_id, nik(10), on_date=DIED, note="Almarhum Example")
    elsewhere = [
        await decider(staff, "POST", f"/feed-matches/{match_id}/read", {"reason": "deciding"}, regions=["32"]),
        await decider(staff, "POST", f"/feed-matches/{match_id}/decide", {"outcome": "confirmed", "reason": "seen"},
                      regions=["32"]),
        await sender(staff, "POST", f"/feeds/{feed_id}/records", {"records": [{"value": nik(10)}]}, who="eve"),
    ]  # fmt: skip
    assert codes(*elsewhere) == [(404, "match-unknown"), (404, "match-unknown"), (404, "feed-unknown")]
    assert (await decider(staff, "GET", "/feed-matches", regions=["32"])).json() == {"matches": []}
    async with runtime.db.connection() as conn:
        rows = str(await conn.fetch("SELECT * FROM feed_match"))
        bodies = "".join(row["body"].decode() for row in await conn.fetch("SELECT body FROM event"))
    for value in (DIED, "Almarhum", nik(10)):
        assert value not in rows + bodies


async def test_rows_of_csv_are_taken_whole_or_not_at_all(office: Office) -> None:
    staff, _ = office
    await registered(staff, 1)
    url = f"/feeds/{await begun(staff)}/rows"
    good = await staff.send("sari", ["registrar"], "POST", url, f"\ufeffvalue,on_date\n{nik(10)},{DIED}\n0,\n".encode())
    assert good.json() == {"records": 2, "matches": 1, "new_matches": 1}
    for content in (
        b"", b"value,on_date\n", b"value\n\xff\n", b"on_date\n2026-01-01\n",
        f"value,on_date\n{nik(10)},30 Feb\n".encode(),
        f"value,salary\n{nik(10)},5\n".encode(), f"value,amount_minor\n{nik(10)},-1\n".encode(), b"value\n\x00\n",
        f"value\n{nik(10)},{nik(11)}\n".encode(), b'value\n"open\n',
    ):  # fmt: skip
        bad = await staff.send("sari", ["registrar"], "POST", url, content)
        assert codes(bad) == [(422, "rows-invalid")], content
        assert nik(10) not in bad.text


async def test_a_whole_file_is_taken_past_its_bad_lines_and_again_finds_nothing_new(office: Office) -> None:
    staff, runtime = office
    await registered(staff, 1)
    url = f"/feeds/{await begun(staff)}/content"
    unknown = b"".join(b"0,\n" for _ in range(2_500))
    content = f"value,on_date\n{nik(10)},{DIED}\n{nik(11)},30 Feb\n".encode() + unknown
    taken = (await staff.send("sari", ["registrar"], "PUT", url, content)).json()
    problems = taken.pop("problems")
    assert taken == {"records": 2_501, "matches": 1, "new_matches": 1, "refused": 1}
    assert [(p["row"], p["field"]) for p in problems] == [(3, "on_date")]
    assert (await staff.send("sari", ["registrar"], "PUT", url, content)).json()["new_matches"] == 0
    bad = await staff.send("sari", ["registrar"], "PUT", url, b"nik\n1\n")
    assert codes(bad) == [(422, "rows-invalid")]
    other = await staff.send("dian", ["registrar"], "PUT", url, content)
    assert codes(other) == [(404, "feed-unknown")]
    assert len(await events(runtime, "salur.feed-match.found.v1")) == 1


async def test_a_whole_file_of_more_than_a_mebibyte_is_taken_to_its_last_line(office: Office) -> None:
    staff, _ = office
    await registered(staff, 1)
    url = f"/feeds/{await begun(staff)}/content"
    content = b"value,on_date\n" + b"".join(b"%030d,\n" % 0 for _ in range(34_000)) + f"{nik(10)},{DIED}\n".encode()
    assert len(content) > MAX_BODY_SIZE
    sent = await staff.send("sari", ["registrar"], "PUT", url, content)
    assert sent.status_code == 200, sent.text
    assert (sent.json()["records"], sent.json()["new_matches"]) == (34_001, 1)

"""The HTTP API of eligibility: permissions, problem documents, explanations, regions."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from salur.common.auth import local_issuer, mint
from salur.common.database import Database
from salur.common.secrets import Secrets
from salur.common.service import Process, Runtime
from salur.common.values import derived_id
from salur.eligibility.main import build
from salur.eligibility.settings import EligibilitySettings
from salur.local.population.files import body as family_body
from salur.local.population.generate import households
from support.eligibility import RULES, Office, household, registered

pytestmark = pytest.mark.integration
PMT = (Path(__file__).parents[2] / "services/eligibility/scoring/pmt.yaml").read_text(encoding="utf-8")


@pytest.fixture
async def office(db: Database, database_url: str, keys: Secrets) -> Office:
    return await Office.build(db, database_url, keys)


@pytest.fixture
async def api(office: Office, database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The service's application on the test's database."""
    key = tmp_path / "master.key"
    key.write_text(bytes(range(32)).hex())
    settings = EligibilitySettings(
        database_url=database_url, kafka_bootstrap="127.0.0.1:1", jwks_file=local_issuer(tmp_path / "issuer"),
        master_key_file=key,
    )  # fmt: skip
    runtime = Runtime("eligibility", settings)
    await runtime.db.open()
    async with runtime.db.transaction() as conn:
        await runtime.store.load_partitions(conn)
    app = Process(runtime, build(runtime), frozenset()).app()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://eligibility") as client:
        yield client
    await runtime.db.close()


def _as(tmp_path: Path, *roles: str, regions: list[str] | None = None, sub: str = "person:ani") -> dict[str, str]:
    return {"authorization": f"Bearer {mint(tmp_path / 'issuer', sub, list(roles), regions)}"}


async def _publish(api: httpx.AsyncClient, tmp_path: Path, text: str = RULES) -> httpx.Response:
    """Proposed by one person, approved by another."""
    proposed = (await api.post("/programmes", content=text, headers=_as(tmp_path, "programme-officer"))).json()
    path, body = f"/programmes/{proposed['programme_id']}/approve", {"version": proposed["version"]}
    return await api.post(path, json=body, headers=_as(tmp_path, "approver", sub="person:budi"))


async def test_a_programme_needs_two_people_and_is_read_back_byte_for_byte(
    api: httpx.AsyncClient, office: Office, tmp_path: Path
) -> None:
    officer, auditor = _as(tmp_path, "programme-officer"), _as(tmp_path, "auditor")
    assert (await api.post("/programmes", content=RULES, headers=auditor)).status_code == 403
    first = await api.post("/programmes", content=RULES, headers=officer)
    again = await api.post("/programmes", content=RULES, headers=officer)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["state"] == "proposed"
    assert (await api.get("/programmes/progresa", headers=auditor)).status_code == 404

    approve, body = "/programmes/progresa/approve", {"version": first.json()["version"]}
    both = _as(tmp_path, "programme-officer", "approver")
    own = await api.post(approve, json=body, headers=both)
    assert (own.status_code, own.json()["code"], own.json()["who_must_act"]) == (403, "same-person", "another approver")
    other = _as(tmp_path, "approver", sub="person:budi")
    unread = await api.post(approve, json={"version": "0" * 64}, headers=other)
    assert (unread.status_code, unread.json()["code"]) == (404, "proposal-unknown")
    for _ in range(2):
        assert (await api.post(approve, json=body, headers=other)).json()["state"] == "in-force"
    assert (await api.post("/programmes", content=RULES, headers=officer)).json()["state"] == "in-force"
    read = (await api.get("/programmes/progresa", headers=auditor)).json()
    assert (read["rules"], read["version"]) == (RULES, first.json()["version"])
    listed = (await api.get("/programmes", headers=auditor)).json()["programmes"]
    assert [(item["programme_id"], item["name"]["id"]) for item in listed] == [
        ("progresa", "Bantuan keluarga PROGRESA")
    ]
    (event,) = await office.events("salur.programme.published.v1")
    assert (event["data"]["rules"], event["data"]["proposed_by"], event["actor"]) == (
        RULES,
        "person:ani",
        "person:budi",
    )


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            RULES.replace("poverty_index <= state_cutoff", "poverty_index <= 'low'").encode(),
            "a decimal number and text",
        ),
        (RULES.replace("village_treated\n", "village_treated &&\n").encode(), "Syntax error"),
        (b"\xff\xfe", "byte 0 is not UTF-8"),
        (b"", "line 1: the document is empty"),
    ],
)
async def test_a_bad_programme_is_refused_for_its_author_and_leaves_nothing(
    api: httpx.AsyncClient, office: Office, tmp_path: Path, body: bytes, detail: str
) -> None:
    answer = await api.post("/programmes", content=body, headers=_as(tmp_path, "programme-officer"))
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "programme-invalid")
    assert problem["who_must_act"] == "author of the programme"
    assert detail in problem["detail"]
    assert not await office.rows("SELECT 1 FROM programme UNION ALL SELECT 1 FROM event")


async def test_the_way_of_a_cycle(api: httpx.AsyncClient, office: Office, tmp_path: Path) -> None:
    officer = _as(tmp_path, "programme-officer")
    body = {"programme_id": "progresa", "name": "1998-1", "cut_id": "c" * 32}
    unknown = await api.post("/cycles", json=body, headers=officer)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "programme-unknown")
    await _publish(api, tmp_path)
    early = await api.post("/cycles", json=body, headers=officer)
    assert (early.status_code, early.json()["code"], early.headers["retry-after"]) == (409, "cut-not-passed", "1")

    await office.take(household("a", enrolled=[True, None]), household("b", village_treated=None))
    cut_id = await office.cut("intake", 2)
    opened = await api.post("/cycles", json=body | {"cut_id": cut_id}, headers=officer)
    assert (opened.status_code, opened.json()["decided"], opened.json()["enrolled"]) == (201, 2, 1)
    again = await api.post("/cycles", json=body | {"cut_id": cut_id}, headers=officer)
    assert (again.status_code, again.json()["code"], "retry-after" in again.headers) == (409, "cycle-exists", False)

    path = f"/cycles/{opened.json()['cycle_id']}"
    assert (await api.get(path, headers=officer)).json()["state"] == "granting"
    await office.grant()
    cycle = (await api.get(path, headers=officer)).json()
    shown = {name: cycle[name] for name in ("state", "entitlements", "not_due", "amount_minor", "currency")}
    assert shown == {"state": "granted", "entitlements": 1, "not_due": 0, "amount_minor": 34_000, "currency": "MXN"}

    progress = (await api.get("/programmes/progresa/progress", headers=officer)).json()
    counts = {name: progress[name] for name in ("known", "decided", "enrolled", "eligible_by_criterion")}
    met = {"poverty": 2, "treated-village": 1}
    assert counts == {"known": 2, "decided": 2, "enrolled": 1, "eligible_by_criterion": met}


@pytest.mark.parametrize(
    "wrong", [{"starts_on": "2026-02-30"}, {"starts_on": "0001-01-01"}, {"starts_on": "9999-12-31"}, {"starts_on": 7},
              {"early_reason": "  "}, {"ends_on": "2026-01-01"}],
)  # fmt: skip
async def test_no_day_is_refused_before_anything_is_opened(
    api: httpx.AsyncClient, office: Office, tmp_path: Path, wrong: dict[str, object]
) -> None:
    await office.publish()
    await office.take(household("a"))
    cut_id = await office.cut("intake", 1)
    body = {"programme_id": "progresa", "name": "1", "cut_id": cut_id} | wrong
    answer = await api.post("/cycles", json=body, headers=_as(tmp_path, "programme-officer"))
    assert answer.status_code == 422, answer.text
    assert await office.rows("SELECT 1 FROM cycle") == []


async def test_a_decision_explains_itself(api: httpx.AsyncClient, office: Office, tmp_path: Path) -> None:
    await office.publish()
    await office.take(household("a", enrolled=[True, None]), household("b", village_treated=None))
    officer = _as(tmp_path, "programme-officer")
    told = (await api.get(f"/decisions/progresa/{derived_id('a')}", headers=officer)).json()
    assert (told["outcome"], told["reproduced"], told["household_version"]) == ("enrolled", True, 1)
    assert told["criteria"][0] == {
        "code": "poverty", "outcome": "met", "values": {"poverty_index": 600.0, "state_cutoff": 700.0},
        "text": {
            "en": "The poverty index is at most the cut-off of the state",
            "id": "Indeks kemiskinan tidak melebihi batas negara bagian",
        },
        "legal": "Schultz 2004, section 2", "expression": "poverty_index <= state_cutoff", "member_id": None,
        "sentence": {
            "en": "Met: The poverty index is at most the cut-off of the state"
            " (poverty index is 600.0, state cutoff is 700.0).",
            "id": "Terpenuhi: Indeks kemiskinan tidak melebihi batas negara bagian"
            " (poverty index adalah 600.0, state cutoff adalah 700.0).",
        },
    }  # fmt: skip
    assert told["summary"]["id"] == "Keluarga memenuhi syarat Bantuan keluarga PROGRESA."
    assert told["benefit"]["amount_minor"] == 34_000
    assert [reason["reason"]["id"] for reason in told["benefit"]["not_due"]] == ["status sekolah belum dilaporkan"]
    missing = (await api.get(f"/decisions/progresa/{derived_id('b')}", headers=officer)).json()
    assert (missing["outcome"], missing["unmet"]) == ("not-enrolled", ["treated-village"])
    assert missing["criteria"][1]["outcome"] == "not-reported"
    assert missing["criteria"][1]["values"] == {"village_treated": None}
    assert missing["criteria"][1]["sentence"]["id"].endswith("(village treated belum dilaporkan).")
    assert missing["benefit"]["components"] == []


SCORED = """
id: poorest
name: {{en: Help for the poorest, id: Bantuan bagi yang termiskin}}
kind: household
function: assistance
approach: targeted
legal: none
currency: IDR
cycle_months: 1
score_model: {{id: pmt, version: {version}}}
inputs: {{}}
criteria: [{{code: poorest, text: {{en: t, id: t}}, legal: l, when: decile <= 4}}]
benefit: [{{code: grant, text: {{en: t, id: t}}, per: household, unit_minor: 100}}]
"""


async def test_a_scoring_model_of_two_people_decides_and_a_new_one_leaves_old_decisions_as_they_were(
    api: httpx.AsyncClient, office: Office, tmp_path: Path
) -> None:
    officer, approver = _as(tmp_path, "programme-officer"), _as(tmp_path, "approver", sub="person:budi")

    async def publish_model(text: str) -> str:
        proposed = await api.post("/score-models", content=text, headers=officer)
        version = str(proposed.json()["version"])
        unread = await api.post("/programmes", content=SCORED.format(version=version), headers=officer)
        assert (unread.status_code, "publish it" in unread.json()["detail"]) == (422, True)
        path, body = "/score-models/pmt/approve", {"version": version}
        own = await api.post(path, json=body, headers=_as(tmp_path, "programme-officer", "approver"))
        assert (own.status_code, own.json()["code"]) == (403, "same-person")
        assert (await api.post(path, json=body, headers=approver)).status_code == 200
        assert (await _publish(api, tmp_path, SCORED.format(version=version))).status_code == 200
        await office.backfill()
        return version

    families = [family_body(family) for family in households(40, 1)]
    await office.take(*(registered(number, family) for number, family in enumerate(families)))
    first = await publish_model(PMT)
    stated = {derived_id(f"family-{n}"): family["attributes"] for n, family in enumerate(families)}
    page = await api.get("/decisions", params={"programme_id": "poorest"}, headers=officer)
    decided = {row["household_id"]: row["outcome"] for row in page.json()["decisions"]}
    assert decided == {
        name: "enrolled" if told["decile"] <= 4 else "not-enrolled" for name, told in stated.items()
    }  # fmt: skip
    name = derived_id("family-0")
    score = (await api.get(f"/decisions/poorest/{name}", headers=officer)).json()["score"]
    assert (score["model_version"], score["decile"]) == (first, stated[name]["decile"])
    assert score["base"] + sum(term["adds"] for term in score["terms"]) == pytest.approx(score["score"], abs=0.006)

    second = await publish_model(PMT.replace("base: 46.0", "base: 20.0"))
    again = (await api.get(f"/decisions/poorest/{name}", headers=officer)).json()
    assert (again["score"]["model_version"], again["outcome"]) == (second, "enrolled")
    replayed = (await api.get("/decisions/replay", headers=_as(tmp_path, "auditor"))).json()
    assert (replayed["replayed"], replayed["different"]) == (80, [])


async def test_old_decisions_are_made_again_page_by_page_and_a_changed_row_is_found(
    api: httpx.AsyncClient, office: Office, tmp_path: Path
) -> None:
    await office.publish()
    await office.take(*(household(str(n), enrolled=[True, None][: n % 3]) for n in range(5)), household("0", version=2))
    await office.publish(RULES.replace("14000", "15000"))
    await office.backfill()
    auditor = _as(tmp_path, "auditor")

    async def replay(**query: str | int) -> tuple[int, list[str]]:
        count = 0
        different: list[str] = []
        after: str | None = ""
        while after is not None:
            page = (
                await api.get("/decisions/replay", params={"after": after, "limit": 4, **query}, headers=auditor)
            ).json()
            count, different, after = count + page["replayed"], different + page["different"], page["next"]
        return count, different

    assert await replay() == (6 + 5, [])
    assert await replay(programme_id="progresa") == (11, [])
    assert await replay(programme_id="other") == (0, [])
    await office.rows("UPDATE decision SET amount_minor = amount_minor + 1 WHERE household_id = $1", derived_id("3"))
    count, different = await replay()
    assert (count, len(different)) == (11, 2)
    refused = await api.get("/decisions/replay", params={"after": "3/x"}, headers=auditor)
    assert (refused.status_code, refused.json()["code"]) == (422, "place-invalid")


async def test_decisions_are_paged_and_narrowed_to_the_callers_regions(
    api: httpx.AsyncClient, office: Office, tmp_path: Path
) -> None:
    await office.publish()
    regions = {"a": "31", "b": "31.71", "c": "31.71.01", "d": "32.71", "e": "31.70"}
    await office.take(*(household(name, region=region) for name, region in regions.items()))

    async def seen(limit: int, headers: dict[str, str]) -> list[str]:
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            query: dict[str, str | int] = {"programme_id": "progresa", "after": after, "limit": limit}
            page = (await api.get("/decisions", params=query, headers=headers)).json()
            assert len(page["decisions"]) <= limit
            found += [item["household_id"] for item in page["decisions"]]
            after = page["next"]
        assert found == sorted(found)
        return found

    assert set(await seen(2, _as(tmp_path, "auditor"))) == {derived_id(name) for name in regions}
    narrowed = _as(tmp_path, "programme-officer", regions=["31.71"])
    assert set(await seen(1, narrowed)) == {derived_id("b"), derived_id("c")}
    hidden = await api.get(f"/decisions/progresa/{derived_id('d')}", headers=narrowed)
    absent = await api.get(f"/decisions/progresa/{derived_id('nobody')}", headers=narrowed)
    assert (hidden.status_code, hidden.json()) == (404, absent.json())


async def test_a_dead_letter_is_found_refused_again_while_its_cause_stands_and_replayed_when_it_is_mended(
    api: httpx.AsyncClient, office: Office, tmp_path: Path
) -> None:
    operator = _as(tmp_path, "operator")
    refuse = "ALTER TABLE household ADD CONSTRAINT drill CHECK (region <> '99') NOT VALID"
    await office.rows(refuse)
    await office.take(household("a"), household("b", region="99"))
    (letter,) = (await api.get("/dead-letters", headers=operator)).json()["dead_letters"]
    assert (letter["state"], letter["reason"]) == ("raised", "CheckViolationError on drill")
    replay, body = f"/dead-letters/{letter['id']}/replay", {"reason": "the region is known now"}
    again = await api.post(replay, json=body, headers=operator)
    assert (again.status_code, again.json()["code"]) == (409, "still-refused")
    assert "CheckViolationError on drill" in again.json()["detail"]
    marks = (await api.get("/marks", headers=operator)).json()["marks"]
    assert sum(mark["sequence"] for mark in marks) == 2, "a dead letter moves the mark"
    await office.rows("ALTER TABLE household DROP CONSTRAINT drill")
    assert (await api.post(replay, json=body, headers=operator)).json() == {"replayed": 1}
    closed = await api.post(replay, json=body, headers=operator)
    assert (closed.status_code, closed.json()["code"]) == (409, "dead-letter-closed")
    (replayed,) = await office.events("salur.dead-letter.replayed.v1")
    assert (replayed["actor"], replayed["data"]["reason"]) == ("person:ani", "the region is known now")

"""What had been kept as long as it may be is told in a dry run, and ended with its legal basis as an event."""

from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from salur.common.retention import end_due, load_retention, tell_due
from salur.common.service import Process
from support.households import household
from support.offices import open_office
from support.staff import staff_of

pytestmark = pytest.mark.integration
OLD = "now() - interval '30 years'"
NOTICE = "INSERT INTO notice VALUES ($1, 'h', 'paid', 'contact', 'id', 'c', '\\x01', 'sent', now(), {})"
LETTER = (
    "INSERT INTO dead_letter VALUES (gen_random_uuid(), 'c', 't', 0, 0, 's', 1, 'k', 'replayed', 'r', '\\x01', now(),"
    " {})"
)


async def execute(process: Process, *statements: str) -> None:
    async with process.runtime.db.transaction() as conn:
        for statement in statements:
            await conn.execute(statement)


async def due(process: Process) -> dict[str, int]:
    assert process.service.retention is not None
    async with process.runtime.db.connection() as conn:
        return {row["name"]: row["due"] for row in await tell_due(conn, process.service.retention) if row["due"]}


async def ended(process: Process) -> dict[str, int]:
    assert process.service.retention is not None
    return {name: count for name, count in (await end_due(process.runtime, process.service.retention)).items() if count}


async def told(process: Process) -> list[dict[str, Any]]:
    async with process.runtime.db.connection() as conn:
        rows = await conn.fetch("SELECT body FROM event WHERE type = 'salur.retention.applied.v1' ORDER BY key")
    return [orjson.loads(row["body"])["data"] for row in rows]


async def test_the_registry_ends_what_is_due_and_people_decide_on_families(database_url: str, tmp_path: Path) -> None:
    async with (
        open_office("registry", database_url, tmp_path) as process,
        staff_of(process.app(), process.runtime) as staff,
    ):
        for number in (1, 2):
            await staff.ask("ani", ["registrar"], "POST", "/households", household(number))
        await execute(
            process,
            "ALTER TABLE household DISABLE TRIGGER ALL",
            f"UPDATE household SET changed_at = {OLD} WHERE household_id = (SELECT min(household_id) FROM household)",
            NOTICE.replace("$1", "'old'").format(OLD), NOTICE.replace("$1", "'new'").format("now()"),
            LETTER.format(OLD), LETTER.format("now()").replace("'s', 1", "'s', 2"),
        )  # fmt: skip
        wanted = {"dead-letters": 1, "household-records": 1, "notices": 1}
        assert await due(process) == wanted
        assert await due(process) == wanted, "a dry run changes nothing"
        assert await ended(process) == wanted
        assert await ended(process) == {}
        assert [(fact["retention_class"], fact["ended"]) for fact in await told(process)] == sorted(wanted.items())
        assert all("Law" in fact["basis"] for fact in await told(process))
        (asked,) = (await staff.ask("sari", ["data-protection-officer"], "GET", "/erasures")).json()["erasures"]
        assert (asked["basis"], asked["requested_by"], asked["state"]) == (
            "retention-ended", "service:registry", "requested",
        )  # fmt: skip
        path, body = f"/erasures/{asked['erasure_id']}/accept", {"reason": "valid"}
        assert (await staff.ask("sari", ["data-protection-officer"], "POST", path, body)).status_code == 200
        async with process.runtime.db.connection() as conn:
            assert await conn.fetchval("SELECT count(*) FROM household WHERE status = 'erased'") == 1
            assert await conn.fetchval("SELECT count(*) FROM notice") == 1


async def test_the_evidence_of_a_death_ends_and_the_death_stays(database_url: str, tmp_path: Path) -> None:
    """With it what was kept to take the death back; nobody can register under the number again."""
    async with open_office("registry", database_url, tmp_path) as process:
        await execute(
            process,
            "INSERT INTO feed VALUES ('f', 'deaths', 'n', 's', now(), 'person:a')",
            "INSERT INTO feed_match VALUES ('m', 'f', 'h', 'p', '31.71', '\\x01', 'person:a', 'confirmed', 'r', "
            f"'person:b', {OLD})",
            "INSERT INTO person_death VALUES ('m', 'h', 'p', 1, false)",
            "INSERT INTO deceased_identifier VALUES ('nik', 'token', 'm', '\\x01')",
            NOTICE.replace("$1", "'old'").format(OLD),
        )
        assert await ended(process) == {"feed-matches": 1, "notices": 1}
        async with process.runtime.db.connection() as conn:
            assert await conn.fetchval("SELECT count(*) FROM person_death") == 0
            assert [tuple(row) for row in await conn.fetch("SELECT token, sealed FROM deceased_identifier")] == [
                ("token", None)
            ]


async def test_a_class_that_cannot_end_keeps_no_other_from_it(database_url: str, tmp_path: Path) -> None:
    async with open_office("registry", database_url, tmp_path) as process:
        await execute(
            process,
            LETTER.format(OLD),
            NOTICE.replace("$1", "'old'").format(OLD),
            "CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'it stays'; END $$",
            "CREATE TRIGGER stays BEFORE UPDATE ON dead_letter EXECUTE FUNCTION stays()",
        )
        with pytest.raises(asyncpg.RaiseError):
            await ended(process)
        assert await due(process) == {"dead-letters": 1}


async def test_the_audit_ends_what_stands_beside_the_log_and_never_the_log(database_url: str, tmp_path: Path) -> None:
    """Of each class one record is old and one new. The old one ends; entries, open flags, differing seals stay."""
    flag = "INSERT INTO flag VALUES ({}, 'r', 'low', 's', '{{0}}', {}, {})"
    async with open_office("audit", database_url, tmp_path) as process:
        await execute(
            process,
            "INSERT INTO entry SELECT n, '\\x00', 'banks.results.a', 0, n FROM generate_series(0, 1) AS n",
            f"INSERT INTO outside_record VALUES (0, '\\x01', {OLD}), (1, '\\x02', now())",
            f"INSERT INTO saved_query VALUES ('o', 'old', '{{}}', {OLD}), ('o', 'new', '{{}}', now())",
            flag.format("'old'", "'closed'", f"'o', 'confirmed', now(), {OLD}"),
            flag.format("'new'", "'closed'", "'o', 'confirmed', now(), now()"),
            flag.format("'open'", "'open'", f"NULL, NULL, {OLD}, {OLD}"),
            "INSERT INTO seal_claim (stream, first, head, range_hash, claimed_at, outcome) VALUES"
            f" ('s/0', 1, 1, 'h', {OLD}, 'equal'), ('s/0', 2, 2, 'h', {OLD}, 'different'),"
            f" ('s/0', 3, 3, 'h', {OLD}, 'equal')",
        )
        wanted = {"checked-seals": 1, "closed-flags": 1, "outside-records": 1, "saved-questions": 1}
        assert await due(process) == wanted
        assert await ended(process) == wanted
        assert await ended(process) == {}
        assert [(fact["retention_class"], fact["ended"]) for fact in await told(process)] == sorted(wanted.items())
        async with process.runtime.db.connection() as conn:
            held = [
                await conn.fetchval(f"SELECT string_agg({what}, ',' ORDER BY {what}) FROM {table}")
                for what, table in (("name", "saved_query"), ("flag_id", "flag"), ("head::text", "seal_claim"),
                                    ("leaf_index::text", "entry"), ("sealed::text", "outside_record"))
            ]  # fmt: skip
        assert held == ["new", "new,open", "2,3", "0,1", "\\x,\\x02"]


@pytest.mark.parametrize("service", ["registry", "eligibility", "payments", "audit"])
async def test_every_class_can_be_asked_and_ended_where_nothing_is_due(
    service: str, database_url: str, tmp_path: Path
) -> None:
    async with open_office(service, database_url, tmp_path) as process:
        assert process.service.retention is not None
        assert len(process.service.retention.classes) >= 2
        assert (await due(process), await ended(process), await told(process)) == ({}, {}, [])


def test_a_class_that_nothing_ends_is_refused(tmp_path: Path) -> None:
    (tmp_path / "retention.yaml").write_text(
        '[{name: letters-of-love, holds: letters, keep_days: 1, counted_from: sending, act: none, basis: "Law 1"}]'
    )
    with pytest.raises(ValueError, match="dead-letters"):
        load_retention(tmp_path / "retention.yaml", {})

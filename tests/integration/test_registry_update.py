"""A later list over an earlier one: who changed, stayed, arrived and left is told apart; a second person accepts."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from salur.common.service import Runtime, Service
from support.registry import api, event_counts, open_registry, run_imports

pytestmark = pytest.mark.integration
PROGRESA = Path(__file__).parents[2] / "examples" / "progresa"
MAPPING: dict[str, Any] = yaml.safe_load((PROGRESA / "mapping.yaml").read_text())
UPDATE = MAPPING | {"known": "update"}
REGISTERED, CHANGED, PAYEE, CONFIRMED = (
    "salur.household.registered.v1",
    "salur.household.changed.v1",
    "salur.payee.registered.v1",
    "salur.household.confirmed.v1",
)
HOUSEHOLDS = 60


def families(year: int) -> dict[str, list[dict[str, str]]]:
    """The first households of a year's real file, by id."""
    found: dict[str, list[dict[str, str]]] = {}
    with (PROGRESA / f"households-{year}.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["household_id"] not in found and len(found) == HOUSEHOLDS:
                break
            found.setdefault(row["household_id"], []).append(row)
    return found


def as_file(*groups: list[dict[str, str]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, next(iter(groups))[0], lineterminator="\n")
    writer.writeheader()
    for rows in groups:
        writer.writerows(rows)
    return out.getvalue().encode()


class Office:
    """Two registrars of the same registry."""

    def __init__(self, runtime: Runtime, service: Service, first: httpx.AsyncClient, second: httpx.AsyncClient) -> None:
        self.runtime, self.service, self.first, self.second = runtime, service, first, second

    async def send(self, content: bytes, mapping: dict[str, Any]) -> str:
        """Announce and send a file as the first registrar; returns the import's id."""
        digest = hashlib.sha256(content).hexdigest()
        body = {"name": "list.csv", "sha256": digest, "size": len(content), "mapping": mapping}
        import_id: str = (await self.first.post("/imports", json=body)).json()["import_id"]
        sent = await self.first.put(f"/imports/{import_id}/content", content=content)
        assert sent.status_code == 202, sent.text
        return import_id

    async def take(self, content: bytes, mapping: dict[str, Any]) -> dict[str, Any]:
        """The final status of a file, accepted where it needs to be."""
        import_id = await self.send(content, mapping)
        if mapping.get("known") == "update":
            assert (await self.second.post(f"/imports/{import_id}/acceptance")).status_code == 200
        await run_imports(self.service)
        status: dict[str, Any] = (await self.first.get(f"/imports/{import_id}")).json()
        assert (status["state"], status["share"]) == ("done", 1.0), status
        return status

    async def events(self) -> dict[str, int]:
        async with self.runtime.db.connection() as conn:
            return await event_counts(conn)


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    async with (
        open_registry(database_url, tmp_path) as (runtime, service),
        api(runtime, service) as first,
        api(runtime, service, sub="person:second") as second,
    ):
        yield Office(runtime, service, first, second)


async def test_who_changed_stayed_arrived_and_left_is_told_apart(office: Office) -> None:
    before, after = families(1997), families(1998)
    common = [key for key in before if key in after]
    left = [key for key in before if key not in after]
    arrived, stayed, changed = common[:3], common[3:8], common[8:]
    assert left, "households left between the surveys"
    await office.take(as_file(*(rows for key, rows in before.items() if key not in arrived)), MAPPING)

    later = [before[key] if key in stayed else after[key] for key in common]
    status = await office.take(as_file(*later), UPDATE)

    told = {name: status[name] for name in ("households", "changed", "unchanged", "absent", "refused_rows")}
    assert told == {
        "households": len(arrived), "changed": len(changed), "unchanged": len(stayed), "absent": len(left),
        "refused_rows": 0,
    }  # fmt: skip
    absent = (await office.first.get(f"/imports/{status['import_id']}/absent")).json()
    assert len(absent["absent"]) == len(left)
    assert absent["next"] is None
    assert await office.events() == {
        REGISTERED: len(before), PAYEE: len(before), CHANGED: len(changed), CONFIRMED: len(stayed),
    }, "a change, and so a decision, only where something differs; who stayed is told to be as known"  # fmt: skip


async def test_the_new_state_is_exactly_what_the_later_list_says(office: Office) -> None:
    before, after = families(1997), families(1998)
    await office.take(as_file(*before.values()), MAPPING)
    await office.take(as_file(*after.values()), UPDATE)
    async with office.runtime.db.connection() as conn:
        rows = await conn.fetch("SELECT members FROM household h WHERE import_id = (SELECT import_id FROM bulk_import"
                                " WHERE mapping->>'known' = 'update')")  # fmt: skip
    stored = Counter((m["attributes"]["age"], m["attributes"]["enrolled"]) for row in rows for m in row["members"])
    reported = {"1": True, "0": False, "": None}
    told = [row for group in after.values() for row in group]
    assert stored == Counter((int(row["child_age"]), reported[row["child_enrolled"]]) for row in told)
    assert any(enrolled is None for _, enrolled in stored), "what is no longer reported is not kept from before"


async def test_nothing_moves_before_another_person_has_accepted(office: Office) -> None:
    before, after = families(1997), families(1998)
    await office.take(as_file(*before.values()), MAPPING)
    events = await office.events()
    import_id = await office.send(as_file(*after.values()), UPDATE)
    await run_imports(office.service)
    own = await office.first.post(f"/imports/{import_id}/acceptance")
    assert (own.status_code, own.json()["code"]) == (403, "same-person")
    assert (await office.first.get(f"/imports/{import_id}")).json()["state"] == "awaiting-acceptance"
    assert await office.events() == events

    answers = [await office.second.post(f"/imports/{import_id}/acceptance") for _ in range(2)]
    assert [answer.json()["state"] for answer in answers] == ["queued", "queued"]
    await run_imports(office.service)
    assert (await office.events())[CHANGED] > 0


async def test_a_registrar_of_another_region_neither_sees_nor_accepts_it(office: Office) -> None:
    import_id = await office.send(as_file(*families(1998).values()), UPDATE)
    async with api(office.runtime, office.service, ["31"], "person:regional") as regional:
        assert (await regional.post(f"/imports/{import_id}/acceptance")).status_code == 404
        assert (await regional.get(f"/imports/{import_id}/absent")).status_code == 404


async def test_a_member_of_another_household_refuses_the_rows_and_leaves_both_as_they_were(office: Office) -> None:
    before = families(1997)
    one, other, *_ = before.values()
    await office.take(as_file(one, other), MAPPING)
    taken = [row | {"child_id": other[0]["child_id"], "child_age": "9"} for row in one[:1]]
    status = await office.take(as_file(taken, [row | {"child_age": "10"} for row in other]), UPDATE)
    assert (status["changed"], status["refused_rows"], status["absent"]) == (1, 1, 1)
    report = (await office.first.get(f"/imports/{status['import_id']}/report")).text
    assert "belongs to somebody else" in report
    assert other[0]["child_id"] not in report

"""Coverage and gaps on the real database: counted page by page, held against references, narrowed to one's regions."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from salur.common.service import Process, Runtime, Service
from salur.registry.usecases import indicators
from support.households import household, member
from support.registry import open_registry, worker_of
from support.staff import Staff, staff_of

pytestmark = pytest.mark.integration
Office = tuple[Staff, Runtime, Service]
PEOPLE: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    ("31.71", {"decile": 1, "obstacle": "geographic"}, [{"sex": "female", "age": 70, "disability": "severe"}]),
    ("31.71", {"decile": 1}, [{"sex": "male", "age": 5}, {"sex": "Ibu Siti Example", "age": "nine"}]),
    ("31.74.01", {}, [{"sex": "female", "age": 6, "disability": "none"}]),
    ("32.73", {"decile": 9}, [{"sex": "female", "age": 59}]),
]


@pytest.fixture
async def office(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """Four families; the second has no account, one person of it no NIK. A step counts one family."""
    monkeypatch.setattr(indicators, "PAGE", 1)
    async with (
        open_registry(database_url, tmp_path) as (runtime, service),
        staff_of(Process(runtime, service, frozenset({"http"})).app(), runtime) as staff,
    ):
        for number, (region, attributes, people) in enumerate(PEOPLE):
            members = [member(10 * number + place) | {"attributes": own} for place, own in enumerate(people)]
            if number == 1:
                members[1].pop("identifiers")
            body = household(number, region=region, attributes=attributes, members=members)
            if number == 1:
                body.pop("payee")
            answer = await staff.ask("ani", ["registrar"], "POST", "/households", body)
            assert answer.status_code == 201, answer.text
        yield staff, runtime, service


async def officer(staff: Staff, method: str, url: str, json: Any = None, **more: Any) -> Any:
    return await staff.ask("citra", ["programme-officer"], method, url, json, **more)


async def counted(staff: Staff, service: Service, name: str, level: str = "regency") -> str:
    run_id = (await officer(staff, "POST", "/indicators", {"name": name, "level": level})).json()["run_id"]
    unfinished = await officer(staff, "GET", f"/indicators/{run_id}")
    assert (unfinished.status_code, unfinished.json()["code"]) == (409, "count-unfinished")
    while await worker_of(service, "count-indicators").step():
        pass
    return f"/indicators/{run_id}"


async def bands(staff: Staff, url: str, dimension: str, **more: Any) -> dict[tuple[str, str], int]:
    rows = (await officer(staff, "GET", f"{url}?dimension={dimension}", **more)).json()["rows"]
    return {(row["region"], row["band"]): row["persons"] for row in rows}


async def test_everybody_is_counted_once_in_each_dimension(office: Office) -> None:
    staff, runtime, service = office
    url = await counted(staff, service, "before", "province")
    assert await bands(staff, url, "all") == {("31", "all"): 4, ("32", "all"): 1}
    assert await bands(staff, url, "sex") == {
        ("31", "female"): 2, ("31", "male"): 1, ("31", "other"): 1, ("32", "female"): 1,
    }  # fmt: skip
    assert await bands(staff, url, "age") == {
        ("31", "0-5"): 1, ("31", "6-17"): 1, ("31", "60-and-over"): 1, ("31", "not-reported"): 1, ("32", "18-59"): 1,
    }  # fmt: skip
    for dimension in ("disability", "decile", "obstacle"):
        assert sum((await bands(staff, url, dimension)).values()) == 5
    async with runtime.db.connection() as conn:
        (row,) = await conn.fetch("SELECT body FROM event WHERE type = 'salur.indicators.counted.v1'")
    assert orjson.loads(row["body"])["data"]["persons"] == 5


async def test_coverage_and_gaps_against_what_another_source_says(office: Office) -> None:
    staff, _, service = office
    said = [
        {"dimension": "all", "region": region, "band": "all", "persons": persons}
        for region, persons in (("31.71", 4), ("33.74", 10), ("31", 99))
    ]
    answer = await officer(staff, "PUT", "/indicators/references", {"source": "census", "references": said})
    assert answer.json() == {"references": 3}
    url = await counted(staff, service, "now")
    rows = {row["region"]: row for row in (await officer(staff, "GET", url)).json()["rows"]}
    assert rows.keys() == {"31.71", "31.74", "32.73", "33.74"}
    assert (rows["31.71"]["coverage"], rows["31.71"]["gaps"]) == (
        0.75, {"not_registered": 1, "without_number": 1, "without_account": 2},
    )  # fmt: skip
    assert (rows["33.74"]["persons"], rows["33.74"]["coverage"], rows["33.74"]["gaps"]["not_registered"]) == (0, 0, 10)
    assert (rows["32.73"]["coverage"], rows["32.73"]["gaps"]["not_registered"]) == (None, None)


async def test_who_acts_for_a_region_sees_that_region(office: Office) -> None:
    staff, _, service = office
    url = await counted(staff, service, "now")
    assert (await bands(staff, url, "all", regions=["31"])).keys() == {("31.71", "all"), ("31.74", "all")}
    assert await bands(staff, url, "all", regions=["33"]) == {}
    begun = await officer(staff, "POST", "/indicators", {"name": "mine"}, regions=["31"])
    assert (begun.status_code, begun.json()["code"]) == (403, "other-region")


async def test_two_counts_tell_the_change_between_them(office: Office) -> None:
    staff, _, service = office
    before = await counted(staff, service, "before")
    await staff.ask("ani", ["registrar"], "POST", "/households", household(50, region="31.71"))
    after = await counted(staff, service, "after")
    rows = (await officer(staff, "GET", f"{after}?before={before.split('/')[-1]}")).json()["rows"]
    assert {row["region"]: row["change"] for row in rows} == {"31.71": 1, "31.74": 0, "32.73": 0}
    provinces = await counted(staff, service, "provinces", "province")
    other = await officer(staff, "GET", f"{after}?before={provinces.split('/')[-1]}")
    again = await officer(staff, "POST", "/indicators", {"name": "after", "level": "regency"})
    taken = await officer(staff, "POST", "/indicators", {"name": "after", "level": "district"})
    assert [(a.status_code, a.json().get("code")) for a in (other, again, taken)] == [
        (409, "levels-differ"), (200, None), (409, "name-taken"),
    ]  # fmt: skip

"""A spreadsheet is imported row for row as its CSV would be; what cannot be read is refused whole."""

import csv
import io
import zipfile
from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
import xlsxwriter

from salur.common.service import Runtime, Service
from salur.registry import sheets
from salur.registry.spool import spooled_ids
from support.households import nik
from support.registry import announced, api, event_counts, open_registry, run_imports

pytestmark = pytest.mark.integration
Registry = tuple[Runtime, Service, httpx.AsyncClient]
HEADER = ("kk", "region", "size", "nik", "name", "born")
MAPPING: dict[str, Any] = {
    "name": "sheet",
    "household": {"scheme": "kk", "column": "kk"},
    "region": "region",
    "attributes": {"size": {"column": "size", "type": "int"}},
    "member": {
        "identifier": {"scheme": "nik", "column": "nik"},
        "person": {"name": "name", "birth_date": "born"},
    },
}


@pytest.fixture
async def registry(database_url: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with open_registry(database_url, tmp_path) as (runtime, service), api(runtime, service) as client:
        yield runtime, service, client


def card(number: int) -> str:
    return f"317101121220{number:04d}"


def workbook(rows: Sequence[Sequence[Any]]) -> bytes:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content) as book:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet = book.add_worksheet()
        for place, row in enumerate((HEADER, *rows)):
            for column, cell in enumerate(row):
                if isinstance(cell, date):
                    sheet.write_datetime(place, column, cell, day)
                else:
                    sheet.write(place, column, cell)
    return content.getvalue()


async def send(client: httpx.AsyncClient, content: bytes) -> tuple[str, httpx.Response]:
    job = (await client.post("/imports", json=announced(content, MAPPING, name="list.xlsx"))).json()
    return job["import_id"], await client.put(f"/imports/{job['import_id']}/content", content=content)


async def test_rows_of_a_sheet_become_households_and_bad_ones_are_reported_by_row(registry: Registry) -> None:
    runtime, service, client = registry
    content = workbook([
        (card(1), "31.71", 2, nik(10), "Budi Xample", date(2012, 12, 12)),
        (card(1), "31.71", 2, nik(11), "Siti, \"Qori\"", "1980-02-03"),
        (card(2), "31.71", 1.5, nik(20), "Agus", ""),
        (3171011212200003, "31.71", 1, nik(30), "Dewi", ""),
        (card(4), "31.71", 1, nik(40), "Joko\nUntung", "2001-01-01"),
    ])  # fmt: skip
    import_id, sent = await send(client, content)
    assert sent.status_code == 202, sent.text
    await run_imports(service)
    status = (await client.get(f"/imports/{import_id}")).json()
    report = list(csv.DictReader(io.StringIO((await client.get(f"/imports/{import_id}/report")).text)))
    assert (status["state"], status["households"], status["refused_rows"]) == ("done", 2, 3)
    assert [(line["row"], line["column"]) for line in report] == [("3", "name"), ("4", "size"), ("5", "kk")]
    async with runtime.db.connection() as conn:
        assert (await event_counts(conn))["salur.household.registered.v1"] == 2


@pytest.mark.parametrize("content", [b"PK\x03\x04 is no archive", b"PK\x03\x04"])
async def test_what_is_no_spreadsheet_fails_the_import_and_leaves_nothing(registry: Registry, content: bytes) -> None:
    runtime, _, client = registry
    import_id, sent = await send(client, content)
    assert (sent.status_code, sent.json()["code"]) == (422, "sheet-invalid")
    assert (await client.get(f"/imports/{import_id}")).json()["state"] == "failed"
    assert spooled_ids(runtime.settings.state_dir) == []
    assert list((runtime.settings.state_dir / "spool").iterdir()) == []


async def test_an_archive_that_unpacks_too_far_or_a_sheet_of_too_many_rows_is_refused(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, client = registry
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b"0" * 4_000_000)
    monkeypatch.setattr(sheets, "MAX_UNPACKED_SIZE", 1_000_000)
    assert "unpacks" in (await send(client, bomb.getvalue()))[1].json()["detail"]
    monkeypatch.undo()
    monkeypatch.setattr(sheets, "MAX_ROWS", 2)
    many = workbook([(card(n), "31.71", 1, nik(n), "A", "") for n in range(5)])
    assert "over 2 rows" in (await send(client, many))[1].json()["detail"]

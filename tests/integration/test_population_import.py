"""The registry takes a generated population at once: every row, except those planted to be refused."""

import csv
import hashlib
import io
import resource
from pathlib import Path

import pytest
import yaml

from salur.local.population import body, households, write_population
from support.registry import announced, api, event_counts, open_registry, run_imports

pytestmark = pytest.mark.integration
FAMILIES = 4_000
MOST_GROWTH_MIB = 20
REFUSED = {"same-nik", "invalid-nik"}


async def test_an_import_refuses_only_what_was_planted(database_url: str, tmp_path: Path) -> None:
    written = write_population(tmp_path / "people", FAMILIES, 5)
    content = (tmp_path / "people" / "population.csv").read_bytes()
    with (tmp_path / "people" / "truth.csv").open(encoding="utf-8", newline="") as file:
        planted = {(row["kk"], row["nik"]) for row in csv.DictReader(file) if row["kind"] in REFUSED}
    assert planted, "the slice holds none of the rows to be refused: choose another seed"
    announcement = {
        "name": "population.csv",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "mapping": yaml.safe_load((tmp_path / "people" / "mapping.yaml").read_text(encoding="utf-8")),
    }
    async with open_registry(database_url, tmp_path) as (runtime, service), api(runtime, service) as client:
        job = (await client.post("/imports", json=announcement)).json()
        path = f"/imports/{job['import_id']}"
        assert (await client.put(f"{path}/content", content=content)).status_code == 202
        await run_imports(service)
        status = (await client.get(path)).json()
        report = list(csv.DictReader(io.StringIO((await client.get(f"{path}/report")).text)))
        async with runtime.db.connection() as conn:
            events = await event_counts(conn)
    assert status["state"] == "done", status
    assert status["households"] == FAMILIES
    lines = content.decode().splitlines()
    header = lines[0].split(",")
    refused = [dict(zip(header, lines[int(issue["row"]) - 1].split(","), strict=True)) for issue in report]
    assert {(row["kk"], row["nik"]) for row in refused} == planted
    assert status["refused_rows"] == len(planted)
    assert status["warnings"] == 0
    assert events["salur.household.registered.v1"] == FAMILIES
    assert written.persons == len(lines) - 1


async def test_memory_does_not_grow_with_the_file(database_url: str, tmp_path: Path) -> None:
    """Four times the rows, no more memory: a file of a million rows needs what a small one does."""
    async with open_registry(database_url, tmp_path) as (runtime, service), api(runtime, service) as client:
        peaks = []
        for families, seed in ((1_000, 5), (4_000, 6)):
            write_population(tmp_path / str(seed), families, seed)
            content = (tmp_path / str(seed) / "population.csv").read_bytes()
            mapping = yaml.safe_load((tmp_path / str(seed) / "mapping.yaml").read_text(encoding="utf-8"))
            job = (await client.post("/imports", json=announced(content, mapping))).json()
            await client.put(f"/imports/{job['import_id']}/content", content=content)
            del content
            await run_imports(service)
            assert (await client.get(f"/imports/{job['import_id']}")).json()["state"] == "done"
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    assert peaks[1] - peaks[0] < MOST_GROWTH_MIB, peaks


async def test_a_family_as_a_body_is_the_same_registration(database_url: str, tmp_path: Path) -> None:
    """What the mapping makes of the rows and the HTTP body are one statement: the second changes nothing."""
    write_population(tmp_path / "people", 50, 5)
    content = (tmp_path / "people" / "population.csv").read_bytes()
    mapping = yaml.safe_load((tmp_path / "people" / "mapping.yaml").read_text(encoding="utf-8"))
    announcement = {"name": "p.csv", "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    async with open_registry(database_url, tmp_path) as (runtime, service), api(runtime, service) as client:
        job = (await client.post("/imports", json=announcement | {"mapping": mapping})).json()
        await client.put(f"/imports/{job['import_id']}/content", content=content)
        await run_imports(service)
        answers = [await client.post("/households", json=body(family)) for family in households(50, 5)]
        async with runtime.db.connection() as conn:
            events = await event_counts(conn)
    assert {answer.status_code for answer in answers} == {200}
    assert events["salur.household.registered.v1"] == 50

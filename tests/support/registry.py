"""A registry without its process: real database, real migrations, no relay."""

import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from salur.common.auth import local_issuer, mint
from salur.common.contracts.topics import topics_written_by
from salur.common.database import Connection, migrate
from salur.common.service import Process, Runtime, Service, Worker
from salur.registry.main import build
from salur.registry.settings import RegistrySettings

BANKS = "bank-a,bank-b,bank-c"


@asynccontextmanager
async def open_registry(database_url: str, folder: Path) -> AsyncIterator[tuple[Runtime, Service]]:
    """A runtime with its streams declared, and the service built on it."""
    key = folder / "master.key"
    if not key.exists():
        key.write_text(os.urandom(32).hex())
    settings = RegistrySettings(
        database_url=database_url, kafka_bootstrap="127.0.0.1:1", jwks_file=local_issuer(folder / "issuer"),
        master_key_file=key, state_dir=folder / "state", banks=BANKS,
        notices=True,
    )  # fmt: skip
    runtime = Runtime("registry", settings)
    service = build(runtime)
    migrate(database_url, [service.migrations])
    await runtime.db.open()
    try:
        async with runtime.db.transaction() as conn:
            await runtime.store.declare(conn, topics_written_by("registry"))
            await runtime.store.load_partitions(conn)
        yield runtime, service
    finally:
        await runtime.db.close()


@asynccontextmanager
async def api(
    runtime: Runtime,
    service: Service,
    regions: list[str] | None = None,
    sub: str = "person:registrar",
    roles: Sequence[str] = ("registrar",),
) -> AsyncIterator[httpx.AsyncClient]:
    """The HTTP API as a registrar sees it, of the whole country or of some regions."""
    app = Process(runtime, service, frozenset({"http"})).app()
    token = mint(runtime.settings.jwks_file.parent, sub, list(roles), regions)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://registry", headers=headers
    ) as client:
        yield client


SMALL: dict[str, Any] = {"name": "small", "household": {"scheme": "kk", "column": "kk"}, "region": "region"}
"""The smallest mapping."""


def announced(content: bytes, mapping: dict[str, Any] = SMALL, **changes: Any) -> dict[str, Any]:
    """What is posted to announce a file."""
    digest = hashlib.sha256(content).hexdigest()
    return {"name": "list.csv", "sha256": digest, "size": len(content), "mapping": mapping} | changes


def worker_of(service: Service, name: str) -> Worker:
    return next(worker for worker in service.workers if worker.name == name)


def imports_worker(service: Service) -> Worker:
    return worker_of(service, "imports")


async def run_imports(service: Service, most: int = 1_000) -> None:
    """Let the import worker step until nothing waits."""
    await run_worker(service, "imports", most)


async def run_matching(service: Service, most: int = 1_000) -> None:
    """Let matching step until everybody is compared."""
    await run_worker(service, "matching", most)


async def run_worker(service: Service, name: str, most: int = 1_000) -> None:
    worker = worker_of(service, name)
    for _ in range(most):
        if not await worker.step():
            return
    raise AssertionError(f"{name} still waits after {most} steps")


async def changed(proposer: httpx.AsyncClient, decider: httpx.AsyncClient, proposal: dict[str, Any]) -> httpx.Response:
    """Propose as one person, accept as another; the answer of the acceptance."""
    proposed = await proposer.post("/changes", json={"reason": "seen on the card"} | proposal)
    assert proposed.status_code == 201, proposed.text
    return await decider.post(f"/changes/{proposed.json()['change_id']}/accept", json={})


async def buried(first: httpx.AsyncClient, second: httpx.AsyncClient, *values: str, name: str = "2026-02") -> str:
    """Confirm the death of the one member with one of these NIKs, from a list of its own; returns the evidence's id."""
    feed = {"kind": "deaths", "name": name, "source": "dukcapil", "as_of": "2026-02-01"}
    feed_id = (await first.post("/feeds", json=feed)).json()["feed_id"]
    records = {"records": [{"scheme": "nik", "value": value, "on_date": "2026-01-30"} for value in values]}
    answer = await first.post(f"/feeds/{feed_id}/records", json=records)
    assert answer.is_success, answer.text
    (match,) = (await first.get("/feed-matches", params={"state": "open"})).json()["matches"]
    decided = {"outcome": "confirmed", "reason": "certificate-seen"}
    done = await second.post(f"/feed-matches/{match['match_id']}/decide", json=decided)
    assert done.status_code == 200, done.text
    return str(match["match_id"])


async def event_counts(conn: Connection) -> dict[str, int]:
    """Events by type."""
    rows = await conn.fetch("SELECT type, count(*) AS n FROM event GROUP BY type")
    return {row["type"]: row["n"] for row in rows}

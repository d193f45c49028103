"""A service that has not compared its database with Kafka yet takes no command."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from salur.common.auth import local_issuer, mint
from salur.common.database import Database, migrate
from salur.common.service import Process, Runtime
from salur.local.ports import free_ports
from salur.registry.main import build
from salur.registry.settings import RegistrySettings
from support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
async def url(database_url: str, tmp_path: Path) -> AsyncIterator[str]:
    """A registry whose Kafka does not answer, by its address."""
    key = tmp_path / "master.key"
    key.write_text(os.urandom(32).hex())
    port, nobody = free_ports(2)
    settings = RegistrySettings(
        database_url=database_url, kafka_bootstrap=f"127.0.0.1:{nobody}", jwks_file=local_issuer(tmp_path / "issuer"),
        master_key_file=key, state_dir=tmp_path / "state", http_port=port, banks="bank-a",
    )  # fmt: skip
    runtime = Runtime("registry", settings)
    service = build(runtime)
    migrate(database_url, [service.migrations])
    process = Process(runtime, service, frozenset({"http", "workers"}))
    running = asyncio.create_task(process.run())
    yield f"http://127.0.0.1:{port}"
    process._stop.set()
    await running


async def test_no_command_is_taken_before_the_comparison_with_kafka(url: str, db: Database, tmp_path: Path) -> None:
    token = mint(tmp_path / "issuer", "person:registrar", ["registrar"])
    async with httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {token}"}) as client:

        async def live() -> bool:
            try:
                return (await client.get("/live")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(live, what="the HTTP server")
        ready, cut, page = (
            await client.get("/ready"),
            await client.post("/cuts", json={"name": "x"}),
            await client.get("/counts"),
        )
    assert [answer.status_code for answer in (ready, cut, page)] == [503] * 3
    assert [answer.json()["code"] for answer in (ready, cut, page)] == ["not-ready"] * 3
    async with db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM registry_cut") == 0
        assert await conn.fetchval("SELECT count(*) FROM event") == 0

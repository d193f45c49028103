"""A service answers whatever its OpenAPI document allows, and much it does not, without a fault of its own."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from salur.common.auth import PERMISSIONS, local_issuer, mint
from salur.common.database import Database
from salur.common.secrets import Secrets
from salur.common.service import Process, Runtime
from salur.eligibility.main import build
from salur.eligibility.settings import EligibilitySettings
from support.eligibility import Office
from support.eligibility import household as family
from support.households import consent, group, household
from support.registry import announced, api, open_registry
from support.waiting import eventually

pytestmark = pytest.mark.integration
EXAMPLES = "3"
"""Random requests a route, behind the systematic ones; the seed is fixed, so that a failure can be looked at again."""
CEILING_S = 120.0
COMPLAINT = {
    "reference": "letter-0001", "category": "service", "region": "31.71", "channel": "letter",
    "text": "Nobody answered the first letter.",
}  # fmt: skip


async def test_no_request_makes_the_registry_fail(database_url: str, tmp_path: Path) -> None:
    async with open_registry(database_url, tmp_path) as (runtime, service):
        async with api(runtime, service, roles=sorted(PERMISSIONS)) as client:
            known = {
                "household_id": await _made(client, "household_id", "/households", household(1, 3)),
                "group_id": await _made(client, "group_id", "/groups", group(10, 11)),
                "case_id": await _made(client, "case_id", "/cases", COMPLAINT),
                "import_id": await _made(client, "import_id", "/imports", announced(b"kk,region\n")),
            }
            contact = {"kind": "contact", "household_id": known["household_id"], "contact": {"phone": "0800123456"}}
            known["change_id"] = await _made(client, "change_id", "/changes", contact | {"reason": "a new telephone"})
            consents = f"/households/{known['household_id']}/consents"
            known["consent_id"] = await _made(client, "consent_id", consents, consent())
        app = Process(runtime, service, frozenset({"http"})).app()
        await _try_everything(app, tmp_path, known)


async def test_no_request_makes_eligibility_fail(
    db: Database, database_url: str, keys: Secrets, tmp_path: Path
) -> None:
    office = await Office.build(db, database_url, keys)
    await office.publish()
    await office.take(family("a"), family("b"))
    known = {"programme_id": "progresa", "household_id": family("a").household_id}
    key = tmp_path / "master.key"
    key.write_text(bytes(range(32)).hex())
    settings = EligibilitySettings(
        database_url=database_url, kafka_bootstrap="127.0.0.1:1", jwks_file=local_issuer(tmp_path / "issuer"),
        master_key_file=key, state_dir=tmp_path / "state",
    )  # fmt: skip
    runtime = Runtime("eligibility", settings)
    await runtime.db.open()
    try:
        async with runtime.db.transaction() as conn:
            await runtime.store.load_partitions(conn)
        await _try_everything(Process(runtime, build(runtime), frozenset()).app(), tmp_path, known)
    finally:
        await runtime.db.close()


async def _made(client: httpx.AsyncClient, name: str, path: str, body: dict[str, Any]) -> str:
    answer = await client.post(path, json=body)
    assert answer.is_success, answer.text
    return str(answer.json()[name])


async def _try_everything(app: FastAPI, folder: Path, known: dict[str, str]) -> None:
    """Each parameter's and field's borders first, with ids of nobody; then random bodies about what is `known`."""
    token = mint(folder / "issuer", "person:tester", sorted(PERMISSIONS))
    (folder / "borders.toml").write_text("[phases.coverage]\nunexpected-methods = []\n")
    ids = "".join(f'"path.{name}" = "{value}"\n' for name, value in known.items())
    (folder / "random.toml").write_text(f"[parameters]\n{ids}")
    called: set[tuple[str, str]] = set()
    async with _served(_noting(app, called)) as url:
        for config, phase in (("borders.toml", "coverage"), ("random.toml", "fuzzing")):
            command = (
                str(Path(sys.executable).parent / "schemathesis"), "--config-file", config, "run",
                f"{url}/openapi.json", "--header", f"Authorization: Bearer {token}", "--exclude-path", "/ready",
                "--checks", "not_a_server_error", "--phases", phase, "--max-examples", EXAMPLES, "--seed", "1",
                "--warnings", "off", "--no-color",
            )  # fmt: skip
            process = await asyncio.create_subprocess_exec(
                *command, cwd=folder, env=os.environ | {"PYTHONWARNINGS": "ignore"}, stdout=PIPE, stderr=STDOUT
            )
            async with asyncio.timeout(CEILING_S):
                output, _ = await process.communicate()
            assert process.returncode == 0, output.decode()[-6_000:]
            assert b" 0 generated" not in output
    await _all_were_called(app, called)


async def _all_were_called(app: FastAPI, called: set[tuple[str, str]]) -> None:
    """Every operation of the document was tried: one that no request reaches would be found sound for nothing."""
    told = app.openapi()["paths"]
    methods = {"get", "put", "post", "patch", "delete"}
    operations = {(method.upper(), path) for path, of in told.items() for method in of if method in methods}
    assert operations - called - {("GET", "/ready")} == set()


def _noting(app: FastAPI, called: set[tuple[str, str]]) -> Any:
    """The application, and which operations its routes were found for."""

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        finally:
            if (route := scope.get("route")) is not None:
                called.add((scope["method"], route.path))

    return noted


@asynccontextmanager
async def _served(app: Any) -> AsyncIterator[str]:
    """The application on a real port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await eventually(started, what="the HTTP server")
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving

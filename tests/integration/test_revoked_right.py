"""A right taken away in the registry is refused in another service within seconds, on the real pair."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from salur.common.auth import local_issuer
from salur.common.contracts.topics import ALL_TOPICS
from salur.common.database import migrate
from salur.common.service import Process, Runtime
from salur.eligibility.main import build as build_eligibility
from salur.eligibility.settings import EligibilitySettings
from salur.local.kafka import create_topics
from salur.registry.main import build as build_registry
from salur.registry.settings import RegistrySettings
from support.pair import Pair
from support.staff import Staff, staff_of
from support.waiting import eventually

pytestmark = pytest.mark.integration
BOUND_S = 5.0
"""What is promised (docs/adr): the time of one event from registry to service, and FRESH_S."""
BUILDS = {"registry": (build_registry, RegistrySettings), "eligibility": (build_eligibility, EligibilitySettings)}


@asynccontextmanager
async def running(service: str, pair: Pair, folder: Path, policy: str) -> AsyncIterator[Staff]:
    """A whole service on the pair, spoken to as its staff does."""
    with psycopg.connect(pair.postgres.url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {service}")
    url = pair.postgres.url().rsplit("/", 1)[0] + f"/{service}"
    key = folder / f"{service}.key"
    key.write_text(secrets.token_hex(32))
    build, settings_class = BUILDS[service]
    settings = settings_class(
        database_url=url, kafka_bootstrap=pair.kafka.bootstrap, jwks_file=local_issuer(folder / "issuer"),
        master_key_file=key, state_dir=folder / service, http_port=0, unregistered_principals=policy,
    )  # fmt: skip
    runtime = Runtime(service, settings)
    declared = build(runtime)
    migrate(url, [declared.migrations])
    process = Process(runtime, declared, frozenset({"consumers", "relay"}))
    task = asyncio.create_task(process.run())
    try:
        async with staff_of(process.app(), runtime) as staff:

            async def ready() -> bool:
                return process.ready

            await eventually(ready, what=f"{service} ready")
            yield staff
    finally:
        process._stop.set()
        await task


async def until(staff: Staff, who: str, code: str | None, *, device: str = "") -> float:
    """Ask to list programmes until the answer is that refusal (None: let in). Returns the seconds it took."""
    started = time.monotonic()

    async def answered() -> bool:
        answer = await staff.ask(who, ["programme-officer"], "GET", "/programmes", device=device)
        return (answer.status_code == 200) if code is None else answer.json().get("code") == code

    await eventually(answered, BOUND_S, f"{code or 'entry'} for {who}")
    return time.monotonic() - started


async def test_a_revoked_right_is_refused_in_another_service_within_the_bound(fresh_pair: Pair, tmp_path: Path) -> None:
    """The token says programme officer all the time: what counts is the registry's word."""
    await create_topics(fresh_pair.kafka.bootstrap, list(ALL_TOPICS))
    async with (
        running("registry", fresh_pair, tmp_path, "refused") as registry,
        running("eligibility", fresh_pair, tmp_path, "refused") as eligibility,
    ):
        await until(eligibility, "ani", "not-registered")
        grant_id = await registry.give("ani", "programme-officer")
        await until(eligibility, "ani", None)
        revoked = await registry.administrator("wati", "POST", f"/grants/{grant_id}/revoke", {"reason": "left"})
        assert revoked.status_code == 200
        await until(eligibility, "ani", "not-permitted")

        await registry.give("budi", "programme-officer", "31")
        await until(eligibility, "budi", None)
        device = (await registry.administrator("wati", "POST", "/principals/person:budi/devices")).json()["device_id"]
        await until(eligibility, "budi", "other-device")
        await until(eligibility, "budi", None, device=device)
        await until(eligibility, "rini", "device-of-another", device=device)  # a checker cannot sit where the maker sat
        await registry.administrator("wati", "POST", "/principals/person:budi/suspend", {"reason": "misuse"})
        await until(eligibility, "budi", "suspended", device=device)
        # Two administrators stand registered: from now on a token alone makes nobody one.
        await registry.give("wati2", "administrator")
        await registry.give("yusuf2", "administrator")

        async def refused() -> bool:
            answer = await registry.administrator("wati", "GET", "/principals")
            return bool(answer.json().get("code") == "not-registered")

        await eventually(refused, BOUND_S, "an administrator by token alone is refused")
        # Their time ran out: who holds the issuer's key begins anew, or nobody ever could.
        with psycopg.connect(fresh_pair.postgres.url().rsplit("/", 1)[0] + "/registry", autocommit=True) as database:
            database.execute(
                "UPDATE known_principal SET grants = jsonb_set(grants, '{0,expires_at}', '\"2026-01-01T00:00:00Z\"') "
                "WHERE administers"
            )

        async def let_in() -> bool:
            return (await registry.administrator("wati", "GET", "/principals")).status_code == 200

        await eventually(let_in, BOUND_S, "an administrator by token when all others' rights have ended")

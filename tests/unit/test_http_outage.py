"""While the database is away a caller is told so and may try again; a fault of ours is told apart."""

from pathlib import Path
from typing import Annotated

import asyncpg
import httpx
import pytest

from salur.common.auth import Verifier, local_issuer
from salur.common.http import Caller, make_app, public


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (asyncpg.InternalClientError("cannot switch to state 12"), 503, "unavailable"),
        (asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"), 503, "unavailable"),
        (asyncpg.CannotConnectNowError("the database system is starting up"), 503, "unavailable"),
        (ConnectionRefusedError(), 503, "unavailable"),
        (asyncpg.UniqueViolationError("a fault of ours"), 500, "internal"),
    ],
)  # fmt: skip
async def test_an_outage_is_503_and_a_fault_500(tmp_path: Path, error: Exception, status: int, code: str) -> None:
    local_issuer(tmp_path)
    app = make_app("test", "", Verifier(tmp_path / "jwks.json"))

    @app.get("/")
    async def fails(_caller: Annotated[Caller, public()]) -> None:
        raise error

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers.get("retry-after") == ("2" if status == 503 else None)

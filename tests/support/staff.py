"""People who work here, as clients of a service's real application."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from json import dumps
from typing import Any

import httpx
from fastapi import FastAPI

from salur.common.auth import mint
from salur.common.service import Runtime


class Staff:
    """Requests under tokens of different people."""

    def __init__(self, client: httpx.AsyncClient, runtime: Runtime) -> None:
        self._client = client
        self._issuer = runtime.settings.jwks_file.parent

    async def ask(
        self,
        who: str,
        roles: Sequence[str],
        method: str,
        url: str,
        json: Any = None,
        *,
        regions: Sequence[str] = (),
        device: str = "",
    ) -> httpx.Response:
        content = None if json is None else dumps(json).encode()
        return await self.send(who, roles, method, url, content, regions=regions, device=device)

    async def send(
        self,
        who: str,
        roles: Sequence[str],
        method: str,
        url: str,
        content: bytes | None,
        *,
        regions: Sequence[str] = (),
        device: str = "",
    ) -> httpx.Response:
        """Bytes as they are."""
        token = mint(self._issuer, f"person:{who}", list(roles), list(regions), device=device)
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        return await self._client.request(method, url, content=content, headers=headers)

    async def administrator(
        self, who: str, method: str, url: str, json: Any = None, *, regions: Sequence[str] = ()
    ) -> httpx.Response:
        return await self.ask(who, ["administrator"], method, url, json, regions=regions)

    async def give(self, who: str, role: str, *regions: str, expires_at: str | None = None) -> str:
        """A right for `who`: proposed by one administrator, accepted by another. Returns its id."""
        body = {"role": role, "regions": list(regions), "expires_at": expires_at}
        await self.administrator("wati", "POST", "/principals", {"principal_id": f"person:{who}"})
        proposed = await self.administrator("wati", "POST", f"/principals/person:{who}/grants", body)
        assert proposed.status_code == 201, proposed.text
        grant_id = str(proposed.json()["grant_id"])
        accepted = await self.administrator("yusuf", "POST", f"/grants/{grant_id}/accept")
        assert accepted.status_code == 200, accepted.text
        return grant_id


@asynccontextmanager
async def staff_of(app: FastAPI, runtime: Runtime) -> AsyncIterator[Staff]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield Staff(client, runtime)

"""Deny by default: every route of every service declares who may call it, and refuses everybody else."""

import base64
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import jsonschema
import orjson
import pytest
import structlog
from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from joserfc import jwt
from joserfc.jwk import OKPKey
from starlette.routing import BaseRoute

from salur.common.auth import AUDIENCE, PERMISSIONS, local_issuer, mint
from salur.common.http import MAX_BODY_SIZE, Caller, include, permission_of, permit, permit_of, public, routes_of
from salur.common.service import Process
from salur.local.offline import offline_processes
from salur.registry.bodies import MAX_IMPORT_SIZE

PUBLIC_EVERYWHERE = {"/live", "/ready", "/metrics", "/openapi.json", "/docs", "/docs/{file}", "/asyncapi.yaml"}
PUBLIC = {
    "registry": PUBLIC_EVERYWHERE,
    "eligibility": PUBLIC_EVERYWHERE,
    "payments": PUBLIC_EVERYWHERE | {"/partners/asyncapi.yaml"},
    "audit": PUBLIC_EVERYWHERE
    | {"/log/checkpoint", "/log/keys", "/log/policy", "/proofs/inclusion", "/proofs/consistency"},
}
CENTRAL = {
    "registry": {"/cuts", "/notices/counts", "/feeds", "/indicators", "/indicators/references"},
    "eligibility": {"/programmes", "/programmes/{programme_id}/approve", "/cycles", "/decisions/replay"},
    "payments": {
        "/funds",
        "/lists",
        "/lists/{list_id}/submit",
        "/cycles/{cycle_id}/follow-up",
        "/approval-bands",
        "/programmes/{programme_id}/gate",
        "/programmes/{programme_id}/payee",
        "/programmes/{programme_id}/re-issue",
        "/regions/{region}/close",
        "/regions/{region}/reopen",
        "/account-reports",
        "/banks/{bank}/statements",
        "/breaks",
        "/breaks/{break_id}/owner",
        "/breaks/{break_id}/resolve",
        "/banks/{bank}/statements/{statement_id}/breaks/owner",
        "/banks/{bank}/statements/{statement_id}/breaks/resolve",
        "/cycles/{cycle_id}/banks/{bank}",
        "/cycles/{cycle_id}/banks/{bank}/sign-off",
        "/unclaimed",
        "/closings",
        "/closings/{day}",
        "/suspense/{suspense_id}/end",
        "/cycles/{cycle_id}/recall-unclaimed",
        "/backlog",
        "/cycles/{cycle_id}/confirmations",
        "/confirmations",
        "/lists/{list_id}/stop",
        "/cycles/{cycle_id}/end-failed",
    },
    "audit": {
        "/bundles/{about}",
        "/log/tile/entries/{path:path}",
        "/trail/reads",
        "/trail/ledger",
        "/trail/ledger/compare",
        "/trail/ledger/{account}",
        "/flags",
        "/flags/{flag_id}/take",
        "/flags/{flag_id}/close",
    },
}
"""Commands that act on every region: whoever acts for some of them is refused."""
VALUES = {
    "day": "2026-01-01", "letter_id": "00000000-0000-0000-0000-000000000001", "path": "tile/0/000", "about": "payment",
}  # fmt: skip
ID = "0" * 32
CENTRAL["eligibility"] |= {"/score-models", "/score-models/{model_id}/approve", "/cycles/{cycle_id}/release"}
CENTRAL["eligibility"] |= {"/simulations", "/simulations/{simulation_id}"}
CENTRAL["eligibility"] |= {"/declarations", "/declarations/{declaration_id}/approve"}
CENTRAL["payments"] |= {"/bank-files", "/banks/{bank}/keys", "/banks/{bank}/keys/{key_id}/end"}
OUTSIDERS = ("bank:bank-a", "citizen", "nobody-knows-this-role")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Every call that gets in meets a database that is nowhere: a fault each, logged."""
    with structlog.testing.capture_logs():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("offline")


@pytest.fixture(scope="module")
def processes(folder: Path) -> dict[str, Process]:
    return offline_processes(folder)


def door_of(process: Process) -> FastAPI:
    """The application with the door of tokens alone: whom the registry knows stands in a database that is nowhere."""
    app = process.app()
    app.state.rights = None
    return app


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the real application; its database is nowhere, so what gets past the door fails behind it."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


def url_of(route: APIRoute) -> str:
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: VALUES.get(found[1], ID), route.path)


def api_routes(app: FastAPI, *, of_public: bool = False) -> list[APIRoute]:
    routes = [route for route in routes_of(app) if isinstance(route, APIRoute)]
    return [route for route in routes if (permission_of(route) == "public") == of_public]


def method_of(route: APIRoute) -> str:
    methods = sorted(route.methods or ())
    assert len(methods) == 1
    return methods[0]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def undeclared(app: FastAPI) -> list[BaseRoute]:
    """Routes that do not say who may call them: bare ones, and whole applications mounted beside ours."""
    return [route for route in routes_of(app) if permission_of(route) is None]


def test_every_route_of_every_service_declares_its_permission(processes: dict[str, Process]) -> None:
    for name, process in processes.items():
        app = process.app()
        assert undeclared(app) == [], name
        assert len(routes_of(app)) > len(PUBLIC[name]) + 4


def test_a_route_that_declares_nothing_is_found_wherever_it_hides() -> None:
    router, inner = APIRouter(), APIRouter()

    @router.get("/good")
    async def good(_caller: Annotated[Caller, permit("household:read")]) -> None: ...

    @inner.get("/forgotten")
    async def forgotten() -> None: ...

    router.include_router(inner)
    app = FastAPI()
    include(app, router)
    app.mount("/site", PlainTextResponse("no permission"))
    app.add_api_websocket_route("/socket", good)
    found = {getattr(route, "path", "") for route in undeclared(app)}
    assert found == {"/forgotten", "/site", "/socket", "/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}


def test_what_is_public_is_written_down_here(processes: dict[str, Process]) -> None:
    for name, process in processes.items():
        assert {route.path for route in api_routes(process.app(), of_public=True)} == PUBLIC[name]


def test_every_permission_is_held_by_a_role_and_opens_a_route(processes: dict[str, Process]) -> None:
    wanted = {permission_of(route) for process in processes.values() for route in api_routes(process.app())}
    assert wanted == {permission for held in PERMISSIONS.values() for permission in held}


async def test_the_openapi_document_tells_each_routes_permission_and_how_it_refuses(
    processes: dict[str, Process],
) -> None:
    for process in processes.values():
        async with client_of(door_of(process)) as client:
            document = (await client.get("/openapi.json")).json()
            refused = (await client.get("/streams")).json()
        described = [route for route in routes_of(process.app()) if isinstance(route, APIRoute)]
        for route in (one for one in described if one.include_in_schema):
            operation = document["paths"][route.path_format][method_of(route).lower()]
            assert operation["x-permission"] == permission_of(route)
            assert bool(operation["security"]) == (permission_of(route) != "public")
            assert operation["responses"]["default"]["content"].keys() == {"application/problem+json"}
        jsonschema.validate(refused, document["components"]["schemas"]["Problem"])
        assert "HTTPValidationError" not in str(document)


async def test_without_a_token_every_other_route_answers_401(processes: dict[str, Process]) -> None:
    for process in processes.values():
        app = door_of(process)
        async with client_of(app) as client:
            for route in api_routes(app):
                answer = await client.request(method_of(route), url_of(route))
                assert (answer.status_code, answer.json()["code"]) == (401, "token-missing"), route.path
                basic = await client.request(method_of(route), url_of(route), headers={"authorization": "Basic YTpi"})
                assert basic.status_code == 401, route.path


async def test_a_token_we_did_not_issue_is_worth_nothing(
    processes: dict[str, Process], folder: Path, tmp_path: Path
) -> None:
    for process in processes.values():
        app = door_of(process)
        async with client_of(app) as client:
            for token in worthless_tokens(folder, tmp_path):
                for route in api_routes(app):
                    answer = await client.request(method_of(route), url_of(route), headers=bearer(token))
                    assert (answer.status_code, answer.json()["code"]) == (401, "token-invalid"), route.path
                    assert token[:20] not in answer.text


def worthless_tokens(folder: Path, other: Path) -> list[str]:
    """Expired, unsigned, of another issuer, for somebody else, without roles, and rubbish."""
    local_issuer(other)
    roles = sorted(PERMISSIONS)
    key = OKPKey.import_key(orjson.loads((folder / "issuer" / "issuer.json").read_bytes()))
    now = int(time.time())
    claims: dict[str, Any] = {
        "sub": "person:a", "aud": AUDIENCE, "iat": now, "exp": now + 600, "roles": roles, "regions": [],
    }  # fmt: skip

    def signed(**changes: Any) -> str:
        said = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode({"alg": "Ed25519", "kid": key.kid}, said, key, algorithms=["Ed25519"])

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()

    return [
        signed(exp=now - 3_600),
        f"{part({'alg': 'none'})}.{part(claims)}.",
        f"{part({'alg': 'HS256'})}.{part(claims)}.{'A' * 43}",
        mint(other, "person:a", roles),
        signed(aud="another"),
        signed(roles=None),
        signed(sub=None),
        signed(exp=None),
        signed()[:-8] + "AAAAAAAA",
        "rubbish",
    ]


async def test_every_role_gets_through_exactly_the_doors_its_permissions_open(
    processes: dict[str, Process], folder: Path
) -> None:
    opened = 0
    for process in processes.values():
        app = door_of(process)
        async with client_of(app) as client:
            for role in (*PERMISSIONS, *OUTSIDERS):
                token = bearer(mint(folder / "issuer", "person:a", [role]))
                for route in api_routes(app):
                    answer = await client.request(method_of(route), url_of(route), headers=token)
                    if permission_of(route) in PERMISSIONS.get(role, frozenset()):
                        assert answer.status_code not in (401, 403), (role, route.path)
                        opened += 1
                    else:
                        seen = (answer.status_code, answer.json()["code"], answer.json()["who_must_act"])
                        assert seen == (403, "not-permitted", "administrator"), (role, route.path)
    assert opened > 100


async def test_what_acts_on_every_region_is_refused_to_who_acts_for_some(
    processes: dict[str, Process], folder: Path
) -> None:
    for name, process in processes.items():
        app = door_of(process)
        central = {route.path for route in api_routes(app) if is_central(route)}
        assert central == CENTRAL[name]
        token = bearer(mint(folder / "issuer", "person:a", sorted(PERMISSIONS), ["31.71"]))
        async with client_of(app) as client:
            for route in api_routes(app):
                answer = await client.request(method_of(route), url_of(route), headers=token)
                assert (answer.status_code == 403) == is_central(route), route.path
                if is_central(route):
                    assert answer.json()["code"] == "other-region"


def is_central(route: APIRoute) -> bool:
    declared = permit_of(route)
    return declared is not None and declared.central


async def test_bodies_over_the_limit_are_refused_stated_or_chunked_whoever_sends_them(
    processes: dict[str, Process], folder: Path
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b'"' + b"x" * (MAX_BODY_SIZE // 4)

    token = bearer(mint(folder / "issuer", "person:a", sorted(PERMISSIONS)))
    with_body = 0
    for process in processes.values():
        app = door_of(process)
        async with client_of(app) as client:
            for route in api_routes(app):
                if route.body_field is None or route.path == "/imports/{import_id}/content":
                    continue
                with_body += 1
                for content in (b"x" * (MAX_BODY_SIZE + 1), chunks()):
                    answer = await client.request(method_of(route), url_of(route), content=content, headers=token)
                    assert (answer.status_code, answer.json()["code"]) == (413, "too-large"), route.path
                within = await client.request(method_of(route), url_of(route), content=b"{}", headers=token)
                assert within.status_code == 422, route.path
    assert with_body > 10


async def test_streamed_files_have_a_limit_of_their_own(processes: dict[str, Process], folder: Path) -> None:
    token = bearer(mint(folder / "issuer", "person:a", ["registrar"]))
    app = door_of(processes["registry"])
    async with client_of(app) as client:
        larger = await client.put(f"/imports/{ID}/content", content=b"x" * (MAX_BODY_SIZE + 1), headers=token)
        assert larger.status_code == 503  # past the limit, into the database that is not there
    limits = {route.path: route.max_body_size for route in api_routes(app) if route.max_body_size is not None}
    assert limits == dict.fromkeys(("/imports/{import_id}/content", "/feeds/{feed_id}/content"), MAX_IMPORT_SIZE)


async def test_what_the_framework_refuses_is_a_problem_document_too(processes: dict[str, Process]) -> None:
    async with client_of(processes["payments"].app()) as client:
        for method, url, status, code in (
            ("GET", "/nothing-here", 404, "no-such-route"),
            ("DELETE", "/ledger", 405, "other-method"),
        ):
            answer = await client.request(method, url)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert answer.headers["content-type"] == "application/problem+json"


def test_public_is_a_word_one_must_write() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/open")
    async def opened(_caller: Annotated[Caller, public()]) -> None: ...

    assert [permission_of(route) for route in routes_of(app)] == ["public"]

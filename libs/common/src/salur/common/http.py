"""HTTP: problem documents (RFC 9457), permissions on every route, the routes every service has."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from salur.common.auth import Caller, Verifier
from salur.common.database import TRANSIENT
from salur.common.errors import Forbidden, SalurError, Unauthenticated
from salur.common.logs import get_logger
from salur.common.memory import end_if_out_of_memory
from salur.common.telemetry import REQUEST_SECONDS
from salur.common.values.ids import new_id

log = get_logger("http")

MAX_BODY_SIZE = 1024 * 1024
"""Bytes a request body may have, except on routes that stream (they state their own limit)."""


class Permit:
    """A route's permission, as a FastAPI dependency that yields the Caller. `permission` None = public."""

    def __init__(self, permission: str | None) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> Caller:
        request_id = new_id()
        if self.permission is None:
            return Caller("anonymous", frozenset(), (), request_id)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("a bearer token is needed: sign in", code="token-missing", who="caller")
        verifier: Verifier = request.app.state.verifier
        caller = verifier.verify(token, request_id)
        if not caller.may(self.permission):
            log.warning("denied", actor=caller.actor, permission=self.permission, route=request.url.path[:100])
            raise Forbidden(
                f"your roles do not allow {self.permission}: ask an administrator for a role that does",
                code="not-permitted",
                who="administrator",
            )
        return caller


def permit(permission: str) -> Any:
    """Declare a route's permission: `caller: Annotated[Caller, permit("household:read")]`."""
    return Depends(Permit(permission))


def public() -> Any:
    """Declare a route open to everyone (health, public proofs)."""
    return Depends(Permit(None))


def permission_of(route: APIRoute) -> str | None:
    """The permission a route declares: a name, `public`, or None when it declares none (a fault)."""
    for dependency in route.dependant.dependencies:
        if isinstance(dependency.call, Permit):
            return dependency.call.permission or "public"
    return None


def problem(status: int, detail: str, code: str, who: str, retry_after_s: float | None = None) -> JSONResponse:
    """An RFC 9457 problem document."""
    headers = {"retry-after": str(max(1, round(retry_after_s)))} if retry_after_s else None
    content = {
        "type": f"urn:salur:problem:{code}", "title": code.replace("-", " "), "status": status, "detail": detail,
        "code": code, "who_must_act": who,
    }  # fmt: skip
    return JSONResponse(content, status, headers, media_type="application/problem+json")


async def _on_salur_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SalurError)
    return problem(error.status, str(error), error.code, error.who, error.retry_after_s)


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    where = [".".join(str(part) for part in item["loc"]) + ": " + str(item["type"]) for item in error.errors()[:10]]
    return problem(422, f"the request breaks its form at {'; '.join(where)[:600]}", "invalid-request", "caller")


async def _on_transient(_request: Request, error: Exception) -> Response:
    end_if_out_of_memory(error)
    log.warning("unavailable", error=type(error).__name__)
    return problem(
        503,
        "the database does not answer now; nothing was changed, try again",
        "unavailable",
        "operations",
        2,
    )


async def _on_fault(_request: Request, error: Exception) -> Response:
    end_if_out_of_memory(error)
    log.error("fault", error=type(error).__name__, exc_info=error)
    return problem(500, "a fault on our side; nothing was changed", "internal", "operations")


async def _measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    started = time.perf_counter()
    length = request.headers.get("content-length", "0")
    if request.method != "PUT" and (not length.isdigit() or int(length) > MAX_BODY_SIZE):
        return problem(413, f"the body is over {MAX_BODY_SIZE} bytes", "too-large", "caller")
    response = await call_next(request)
    route = request.scope.get("route")
    path = route.path if isinstance(route, APIRoute) else "unmatched"
    REQUEST_SECONDS.labels(path, request.method, str(response.status_code)).observe(time.perf_counter() - started)
    return response


def make_app(title: str, description: str, verifier: Verifier) -> FastAPI:
    """A FastAPI application with our errors and limits; routers are added by the caller."""
    # FastAPI's own document routes declare no permission: ours stand in `routes.document_routes`.
    app = FastAPI(title=title, description=description, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.verifier = verifier
    app.middleware("http")(_measure)
    app.add_exception_handler(SalurError, _on_salur_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    for transient in TRANSIENT:
        app.add_exception_handler(transient, _on_transient)
    app.add_exception_handler(Exception, _on_fault)
    return app


__all__ = ["Caller", "Permit", "make_app", "permission_of", "permit", "problem", "public"]

"""HTTP: problem documents (RFC 9457), permissions on every route, the routes every service has."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import asyncpg
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from salur.common.auth import Caller, Verifier
from salur.common.database import TRANSIENT
from salur.common.errors import Forbidden, SalurError, Unauthenticated
from salur.common.logs import get_logger
from salur.common.memory import end_if_out_of_memory
from salur.common.rights import Rights
from salur.common.telemetry import REQUEST_SECONDS
from salur.common.traces import describe
from salur.common.values.ids import new_id

log = get_logger("http")
_FIELD = re.compile(r"[a-z][a-z_]{0,39}")

_WRONG: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "json_invalid": "is no JSON",
    "string_type": "must be a text",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must have {min_length} characters at least",
    "string_too_long": "must have {max_length} characters at most",
    "too_short": "must have {min_length} items at least",
    "too_long": "must have {max_length} items at most",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_attributes_type": "must be an object",
}
"""What is wrong, by pydantic's type of error; the limits come from its context."""

MAX_BODY_SIZE = 1024 * 1024
"""Bytes a request body may have, except on routes that state a `max_body_size` of their own."""


class Permit:
    """A route's permission, as a FastAPI dependency that yields the Caller. `permission` None = public.

    `central`: the command acts on every region, so a caller with a region scope may not give it.
    """

    def __init__(self, permission: str | None, *, central: bool = False) -> None:
        self.permission = permission
        self.central = central

    async def __call__(self, request: Request) -> Caller:
        request_id = new_id()
        if self.permission is None:
            return Caller("anonymous", frozenset(), (), request_id)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("a bearer token is needed: sign in", code="token-missing", who="caller")
        verifier: Verifier = request.app.state.verifier
        caller = verifier.verify(token, request_id)
        rights: Rights | None = request.app.state.rights
        if rights is not None:
            caller = await rights.bound(caller, self.permission)
        if not caller.may(self.permission):
            route = request.scope.get("route")  # its template: the path itself may hold anything
            path = route.path if isinstance(route, APIRoute) else ""
            log.warning("denied", actor=caller.actor, permission=self.permission, route=path)
            raise Forbidden(
                f"your roles do not allow {self.permission}: ask an administrator for a role that does",
                code="not-permitted",
                who="administrator",
            )
        if self.central and caller.regions:
            raise Forbidden(
                f"{self.permission} acts on every region and you act for {', '.join(caller.regions)[:100]}: "
                "central must do it",
                code="other-region",
                who="central office",
            )
        return caller


def permit(permission: str, *, central: bool = False) -> Any:
    """Declare a route's permission: `caller: Annotated[Caller, permit("household:read")]`. See Permit."""
    return Depends(Permit(permission, central=central))


def public() -> Any:
    """Declare a route open to everyone (health, public proofs)."""
    return Depends(Permit(None))


def permit_of(route: BaseRoute) -> Permit | None:
    """What a route declares, or None when it declares nothing (a fault)."""
    dependencies = route.dependant.dependencies if isinstance(route, APIRoute) else []
    return next((item.call for item in dependencies if isinstance(item.call, Permit)), None)


def permission_of(route: BaseRoute) -> str | None:
    """The permission a route declares: a name, `public`, or None when it declares none (a fault)."""
    declared = permit_of(route)
    return None if declared is None else declared.permission or "public"


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
    where = [f"{'.'.join(map(_place, item['loc']))} {_wrong(item)}" for item in error.errors()[:10]]
    return problem(422, f"the request breaks its form: {'; '.join(where)[:600]}", "invalid-request", "caller")


def _wrong(item: Mapping[str, Any]) -> str:
    """What is wrong with a field and what it may be; what was sent is never repeated."""
    form = _WRONG.get(item["type"])
    return form.format_map(item.get("ctx", {})) if form else f"is wrong ({item['type']})"


def _place(part: int | str) -> str:
    """A step to a field. A key the caller made up may hold anything, so only names like ours are repeated."""
    return str(part) if isinstance(part, int) or _FIELD.fullmatch(part) else "?"


_REFUSED_BY_FRAMEWORK: Final = {
    404: "there is no such address: see /docs for what there is",
    405: "this address takes another method: see /docs for which",
}


async def _on_http_error(_request: Request, error: Exception) -> Response:
    """What the framework itself refuses: no such route, another method, a body it cannot read."""
    assert isinstance(error, HTTPException)
    code = {404: "no-such-route", 405: "other-method", 413: "too-large"}.get(error.status_code, "invalid-request")
    told = _REFUSED_BY_FRAMEWORK.get(error.status_code, str(error.detail))
    return problem(error.status_code, told, code, "caller")


async def _on_unstorable(_request: Request, _error: Exception) -> Response:
    """Every text may come from a caller; PostgreSQL is the one place that all of them pass."""
    return problem(422, "a text holds a NUL character: send it without", "invalid-request", "caller")


async def _on_transient(_request: Request, error: Exception) -> Response:
    end_if_out_of_memory(error)
    log.warning("unavailable", error=describe(error))
    return problem(
        503,
        "the database does not answer now: send the same request again, what was done already is not done twice",
        "unavailable",
        "operations",
        2,
    )


async def _on_fault(_request: Request, error: Exception) -> Response:
    end_if_out_of_memory(error)
    log.error("fault", error=describe(error), exc_info=error)
    return problem(500, "a fault on our side; nothing was changed", "internal", "operations")


async def _measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    started = time.perf_counter()
    response = await call_next(request)
    if response.status_code == 413 and "json" not in response.headers.get("content-type", ""):
        response = problem(413, f"the body is over {MAX_BODY_SIZE} bytes", "too-large", "caller")
    route = request.scope.get("route")
    path = route.path if isinstance(route, APIRoute) else "unmatched"
    REQUEST_SECONDS.labels(path, request.method, str(response.status_code)).observe(time.perf_counter() - started)
    return response


def include(app: FastAPI, *routers: APIRouter) -> None:
    """Add routers under our limit for bodies, stated or chunked."""
    for router in routers:
        app.include_router(router, max_body_size=MAX_BODY_SIZE)


def routes_of(app: FastAPI) -> list[BaseRoute]:
    """Every route of an application, those of included routers too."""
    found: list[BaseRoute] = []
    todo: list[BaseRoute] = list(app.routes)
    while todo:
        route = todo.pop(0)
        inner = getattr(route, "original_router", None)
        if isinstance(inner, APIRouter):
            todo = [*inner.routes, *todo]
        else:
            found.append(route)
    return found


def make_app(title: str, description: str, verifier: Verifier, rights: Rights | None = None) -> FastAPI:
    """A FastAPI application with our errors and limits; routers are added by `include`. No `rights`: tokens alone."""
    # FastAPI's own document routes declare no permission: ours stand in `routes.document_routes`.
    app = FastAPI(title=title, description=description, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.verifier = verifier
    app.state.rights = rights
    app.middleware("http")(_measure)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(SalurError, _on_salur_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    for unstorable in (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError):
        app.add_exception_handler(unstorable, _on_unstorable)
    for transient in TRANSIENT:
        app.add_exception_handler(transient, _on_transient)
    app.add_exception_handler(Exception, _on_fault)
    return app


__all__ = [
    "Caller",
    "Permit",
    "include",
    "make_app",
    "permission_of",
    "permit",
    "permit_of",
    "problem",
    "public",
    "routes_of",
]

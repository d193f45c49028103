"""A service's OpenAPI document: FastAPI's, with permissions, tokens and problem documents (RFC 9457)."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from salur.common.http import Permit, permit_of, routes_of

PROBLEM: Final = {
    "type": "object",
    "description": "Why a request was refused, and who can mend it (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code", "who_must_act"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable: programs decide by it."},
        "who_must_act": {"type": "string"},
    },
}
REFUSED: Final = {
    "description": "Refused; nothing was changed",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
TOKEN: Final = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
UNUSED: Final = ("HTTPValidationError", "ValidationError")
"""What FastAPI describes and our handlers never answer."""


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The document; every operation names its permission (`x-permission`) and answers refusals as problems."""
    document = app.openapi()
    components = document.setdefault("components", {})
    schemas = {name: schema for name, schema in components.get("schemas", {}).items() if name not in UNUSED}
    components["schemas"] = {**schemas, "Problem": PROBLEM}
    components["securitySchemes"] = {"token": TOKEN}
    for route in routes_of(app):
        if isinstance(route, APIRoute) and route.include_in_schema and (permit := permit_of(route)):
            for method in route.methods or ():
                _complete(document["paths"][route.path_format][method.lower()], permit)
    return document


def _complete(operation: dict[str, Any], permit: Permit) -> None:
    operation["security"] = [{"token": []}] if permit.permission else []
    operation["x-permission"] = permit.permission or "public"
    if permit.permission:
        needed = f"Permission: `{permit.permission}`" + (", central only." if permit.central else ".")
        told = operation.get("description", "")
        if needed not in told:
            operation["description"] = f"{told}\n\n{needed}"
    responses = operation["responses"]
    responses.pop("422", None)
    responses["default"] = REFUSED

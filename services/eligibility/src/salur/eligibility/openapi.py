"""What the OpenAPI document says of bodies that are read as text."""

from typing import Any


def text_body(media_type: str, **schema: str | int) -> dict[str, Any]:
    """For `openapi_extra` of a route: a body of that type, which the schema says more of."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": {"type": "string", **schema}}}}}

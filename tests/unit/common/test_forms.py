"""A request that breaks its form is told which field, and what may stand there; never what stood there."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import httpx
import pytest
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from salur.common.auth import Caller, Verifier, local_issuer
from salur.common.http import include, make_app, public


class Colour(StrEnum):
    RED = "red"


class Form(BaseModel):
    """One field per rule a form may have."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, StringConstraints(min_length=2, max_length=4)] = "good"
    code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "IDR"
    number: int = Field(default=5, ge=1, le=9)
    inside: float = Field(default=0.5, gt=0, lt=1)
    flag: bool = True
    things: list[int] = Field(default=[1], min_length=1, max_length=2)
    names: dict[str, int] = {}
    kind: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    whole: Annotated[int, Field(strict=True)] = 1
    said: Annotated[str, Field(strict=True)] = "x"


FORMS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"text": "x"}, "body.text must have 2 characters at least"),
    ({"text": "secret"}, "body.text must have 4 characters at most"),
    ({"said": 5}, "body.said must be a text"),
    ({"code": "secret"}, "body.code must match ^[A-Z]{3}$"),
    ({"number": 0}, "body.number must be 1 or more"),
    ({"number": 10}, "body.number must be 9 or less"),
    ({"number": "secret"}, "body.number must be a whole number"),
    ({"number": 1.5}, "body.number must be a whole number"),
    ({"whole": "1"}, "body.whole must be a whole number"),
    ({"inside": 0}, "body.inside must be more than 0.0"),
    ({"inside": 1}, "body.inside must be less than 1.0"),
    ({"flag": "secret"}, "body.flag must be true or false"),
    ({"flag": []}, "body.flag must be true or false"),
    ({"things": []}, "body.things must have 1 items at least"),
    ({"things": [1, 2, 3]}, "body.things must have 2 items at most"),
    ({"things": "secret"}, "body.things must be a list"),
    ({"names": "secret"}, "body.names must be an object"),
    ({"kind": "secret"}, "body.kind must be 'a' or 'b'"),
    ({"colour": "secret"}, "body.colour must be 'red'"),
    ({"secret": 1}, "body.secret is not known here"),
)


@pytest.mark.parametrize(("body", "told"), FORMS, ids=[told for _, told in FORMS])
async def test_what_is_wrong_is_told_with_its_limit(tmp_path: Any, body: dict[str, Any], told: str) -> None:
    router = APIRouter()

    @router.post("/forms")
    async def take(form: Form, _caller: Annotated[Caller, public()]) -> None: ...

    app = make_app("forms", "", Verifier(local_issuer(tmp_path)))
    include(app, router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://forms") as client:
        answer = await client.post("/forms", json=body)
        nothing = await client.post("/forms")
        broken = await client.post("/forms", content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["detail"].split(": ", 1)[1].lower()) == (422, told.lower())
    assert "secret" not in answer.text.replace("body.secret", "")
    assert nothing.json()["detail"].endswith("body is missing")
    assert broken.json()["detail"].endswith("is no JSON")

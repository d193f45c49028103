"""Changes of contracts are additive: nothing is removed, renamed or retyped, and what is new is optional."""

from typing import Literal

import pytest
from pydantic import BaseModel

from salur.common.contracts.base import Fact, strict_model
from support.shapes import ALL_CONTRACTS, read_shapes, shape_of, taken_away

KNOWN = read_shapes()
WRITE = "write it: cd tests && ../.venv/bin/python -m support.shapes"


def test_every_contract_has_a_committed_shape_and_every_shape_a_contract() -> None:
    assert KNOWN.keys() == ALL_CONTRACTS.keys(), WRITE


@pytest.mark.parametrize("event_type", sorted(ALL_CONTRACTS))
def test_a_contract_keeps_what_it_promised(event_type: str) -> None:
    shape = shape_of(ALL_CONTRACTS[event_type])
    assert taken_away(KNOWN[event_type], shape) == []
    assert KNOWN[event_type] == shape, f"the contract has grown: {WRITE}"


class Part(BaseModel):
    model_config = strict_model()
    code: str


class Before(Fact):
    """Key: part_id."""

    part_id: str
    amount_minor: int
    state: Literal["open", "closed"]
    parts: list[Part]
    note: str | None = None


class Grown(Before):
    """Key: part_id."""

    reason: str | None = None


class Renamed(Fact):
    """Key: part_id."""

    part_id: str
    amount: int
    state: Literal["open", "closed"]
    parts: list[Part]
    note: str | None = None


class Retyped(Before):
    """Key: part_id."""

    amount_minor: float  # type: ignore[assignment]


class NewRequired(Before):
    """Key: part_id."""

    reason: str


class NowOptional(Before):
    """Key: part_id."""

    amount_minor: int = 0


class OtherStates(Before):
    """Key: part_id."""

    state: Literal["open", "closed", "lost"]  # type: ignore[assignment]


class OtherPart(BaseModel):
    model_config = strict_model()
    name: str


class OtherParts(Before):
    """Key: part_id."""

    parts: list[OtherPart]  # type: ignore[assignment]


class OtherKey(Before):
    """Key: amount_minor."""


@pytest.mark.parametrize(
    ("after", "broken"),
    [
        (Grown, []),
        (Renamed, ["data.amount_minor is gone", "data.amount is new and not optional"]),
        (Retyped, ["data.amount_minor (type) is of another type: integer before, number now"]),
        (NewRequired, ["data.reason is new and not optional"]),
        (NowOptional, ["data.amount_minor (default)", "data.amount_minor may be absent now"]),
        (OtherStates, ["data.state (enum) is of another type"]),
        (OtherParts, ["data.parts (items).code is gone", "data.parts (items).name is new and not optional"]),
        (OtherKey, ["key is another"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_rule_sees_what_takes_away(after: type[Fact], broken: list[str]) -> None:
    found = taken_away(shape_of(Before), shape_of(after))
    assert len(found) == len(broken)
    assert all(seen.startswith(expected) for seen, expected in zip(found, broken, strict=True))


def test_the_rule_sees_other_topics_and_other_personal_fields() -> None:
    shape = shape_of(ALL_CONTRACTS["salur.payee.registered.v1"])
    assert taken_away(shape, shape | {"topics": []}) == ["topic registry.payees is gone"]
    assert taken_away(shape, shape | {"personal": ["account_number"]}) == ["personal is another"]

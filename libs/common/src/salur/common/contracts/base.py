"""What every event contract is made of.

A contract is a frozen pydantic model declared with `@contract(type, *topics)`. Changes are additive only: a new
field is optional, an old one stays. Unknown fields of a newer writer are kept (`extra="allow"`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from salur.common.contracts.topics import TOPICS, is_bank_topic
from salur.common.values.money import CURRENCY_PATTERN, MAX_AMOUNT_MINOR

Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{30,32}$")]
"""A new or derived id: 30 to 32 lower-case hex digits."""
InstructionId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{30}-[0-9]{3}$")]
BankCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,19}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,59}$")]
AmountMinor = Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR)]
Currency = Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Scalar = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class PersonalMark:
    """Marks a field whose value never stands in an event's body (see `salur.common.events.personal`)."""


_T = TypeVar("_T")
Personal = Annotated[_T, PersonalMark()]
"""A field that travels as a commitment. A dict is committed key by key, anything else as a whole."""


class Fact(BaseModel):
    """The `data` of an event."""

    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="null", allow_inf_nan=False)

    event_type: ClassVar[str] = ""
    topics: ClassVar[tuple[str, ...]] = ()
    personal_fields: ClassVar[frozenset[str]] = frozenset()


CONTRACTS: dict[str, type[Fact]] = {}
"""Every declared contract by event type."""

_F = TypeVar("_F", bound=Fact)


def contract(event_type: str, *topics: str) -> Callable[[type[_F]], type[_F]]:
    """Declare a model as the data of `event_type`, published on one of `topics`.

    A topic that ends in `*` stands for one topic per bank. Personal fields are allowed on restricted topics only.
    Raises ValueError at import when the declaration breaks one of these rules.
    """

    def declare(model: type[_F]) -> type[_F]:
        if event_type in CONTRACTS:
            raise ValueError(f"event type {event_type} is declared twice")
        personal = frozenset(
            name
            for name, field in model.model_fields.items()
            if any(isinstance(mark, PersonalMark) for mark in field.metadata)
        )
        for topic in topics:
            restricted = is_bank_topic(topic) or TOPICS[topic].restricted
            if personal and not restricted:
                raise ValueError(f"{event_type} has personal fields but {topic} is not restricted")
        model.event_type = event_type
        model.topics = topics
        model.personal_fields = personal
        CONTRACTS[event_type] = model
        return model

    return declare


def strict_model() -> ConfigDict:
    """Settings of the value objects inside facts: frozen, additive."""
    return ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

"""What an auditor asks of the trail, and the terms it stands for."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from salur.common.auth import Caller
from salur.common.errors import Forbidden, Invalid
from salur.common.values.region import RegionCode

Value = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:/-]{1,200}$")]
_IDENTITY_NUMBER = re.compile(r"\d{8,}")
"""Ids of ours are hexadecimal; digits alone are what people write by mistake: a NIK, an account."""
TIMES = ("since", "until")
END = 2**62
"""Behind every entry."""


class Question(BaseModel):
    """Entries that have everything asked for. `subject` is the key of the event; `until` is left out itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: Value | None = Field(None, description="id of an event, or topic/partition/offset of a bank's record")
    subject: Value | None = None
    household: Value | None = None
    payment: Value | None = None
    entitlement: Value | None = None
    decision: Value | None = None
    list: Value | None = None
    fund: Value | None = None
    programme: Value | None = None
    cycle: Value | None = None
    case: Value | None = None
    proposal: Value | None = None
    bank: Value | None = None
    account: Value | None = Field(None, description="an account token: equal for a shared account")
    identity: Value | None = Field(None, description="an identity token: equal for one person registered twice")
    actor: Value | None = None
    cause: Value | None = Field(None, description="id of the event or request that led to it")
    type: Value | None = Field(None, description="for example salur.payment.settled.v1")
    topic: Value | None = None
    region: RegionCode | None = Field(None, description="itself and all below it")
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _no_identity(self) -> Self:
        for name, value in self.asked().items():
            if name not in (*TIMES, "region") and _IDENTITY_NUMBER.fullmatch(value):
                raise Invalid(
                    f"{name} is a number that could be a person's: the trail knows people by id alone",
                    code="looks-personal",
                    who="caller",
                )
        return self

    def asked(self) -> dict[str, str]:
        """What was filled in, as text."""
        return self.model_dump(mode="json", exclude_none=True, include=set(Question.model_fields))

    def terms(self) -> Sequence[str]:
        """The terms every entry must have. An event is found by its id, not by a term."""
        return [f"{name}={value}" for name, value in self.asked().items() if name not in (*TIMES, "event")]


def scope_of(caller: Caller) -> Sequence[str] | None:
    """The region terms of which an entry must have one; None = central, sees everything."""
    return [f"region={region}" for region in caller.regions] or None


def refuse_other_region(caller: Caller, question: Question) -> None:
    """Raises Forbidden when a region is asked for that the caller does not act for."""
    if question.region is not None and not caller.sees(question.region):
        raise Forbidden(
            f"you act for {', '.join(caller.regions)[:100]}, not for {question.region}: ask the central office",
            code="other-region",
            who="central office",
        )


def position(row: Any) -> dict[str, Any]:
    """Where an entry stands in the log and on Kafka."""
    names = ("leaf_index", "topic", "partition", "kafka_offset", "stream", "sequence")
    return {name: row[name] for name in names}

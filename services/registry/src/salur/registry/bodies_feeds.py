"""What callers send of lists from outside."""

from datetime import date
from typing import Annotated

from pydantic import Field, StringConstraints

from salur.common.contracts.base import AmountMinor, Code, Currency
from salur.common.contracts.feeds import FeedKind, MatchOutcome
from salur.registry.bodies import WITHOUT_NUL, Body, Text
from salur.registry.usecases.feeds import Record

RECORDS_MAX = 5_000
Short = Annotated[str, StringConstraints(max_length=200, pattern=WITHOUT_NUL)]


class FeedBody(Body):
    """A list: what it is of, who made it, its edition, and the day it speaks of."""

    kind: FeedKind
    source: Text
    name: Text
    as_of: date


class RecordBody(Body):
    """One line: whom it speaks of, and what it says."""

    scheme: Code = "nik"
    value: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=WITHOUT_NUL)]
    on_date: date | None = None
    code: Code | None = None
    amount_minor: AmountMinor | None = None
    currency: Currency | None = None
    note: Short | None = None

    def to_domain(self) -> Record:
        says = self.model_dump(mode="json", exclude={"scheme", "value"}, exclude_none=True)
        return Record(self.scheme, self.value, says)


class RecordsBody(Body):
    """Lines of a list."""

    records: list[RecordBody] = Field(min_length=1, max_length=RECORDS_MAX)


class WhyBody(Body):
    """Why it is read, in one word: it stands in an event."""

    reason: Code = Field(examples=["deciding"])


class MatchDecisionBody(Body):
    """What a person decided on the evidence, and why."""

    outcome: MatchOutcome
    reason: Code = Field(examples=["certificate-seen", "another-person"])

"""What the audit writes about those who read the trail, and about what it found in it."""

from typing import Literal

from pydantic import Field

from salur.common.contracts.base import Code, Fact, Id, Name, Sha256, contract


@contract("salur.trail.asked.v1", "audit.activity")
class TrailAsked(Fact):
    """Somebody asked the trail. Key: query_id. The actor is who asked; `question` holds ids and times alone.

    `file_sha256` is the hash of an exported file: a receipt of this event proves that file.
    """

    query_id: Id
    kind: Code
    question: dict[str, str]
    found: int = Field(ge=0)
    file_sha256: Sha256 | None = None


@contract("salur.flag.raised.v1", "audit.activity")
class FlagRaised(Fact):
    """A rule found something that a person must look at. Key: flag_id. `evidence` are entries of the log."""

    flag_id: Id
    rule: Code
    severity: Literal["low", "medium", "high"]
    subject: Name
    evidence: list[int]


@contract("salur.flag.changed.v1", "audit.activity")
class FlagChanged(Fact):
    """Somebody took a flag, or closed it with an outcome and a reason. Key: flag_id. The actor is who did."""

    flag_id: Id
    rule: Code
    state: Literal["taken", "closed"]
    owner: Name
    outcome: Literal["confirmed", "explained", "mistaken"] | None = None
    reason: Name | None = None

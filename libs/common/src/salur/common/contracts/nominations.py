"""Who is proposed for registration (usul), and what the community's meeting (musyawarah) said of it."""

from datetime import date
from typing import Literal

from pydantic import Field

from salur.common.contracts.base import Code, Fact, Id, contract
from salur.common.values.region import RegionCode

NominatedBy = Literal["self", "other", "organisation"]
NominationState = Literal["proposed", "supported", "not-supported", "registered", "refused"]


@contract("salur.nomination.changed.v1", "registry.cases")
class NominationChanged(Fact):
    """Where a proposal to register a family stands. Key: nomination_id. What was written never stands here."""

    nomination_id: Id
    version: int = Field(ge=1)
    nominated_by: NominatedBy
    region: RegionCode
    state: NominationState
    meeting_id: Id | None = None
    household_id: Id | None = None
    reason: Code | None = None


@contract("salur.meeting.recorded.v1", "registry.cases")
class MeetingRecorded(Fact):
    """A community's meeting looked at proposals: who took part by role, and what came of it. Key: meeting_id."""

    meeting_id: Id
    region: RegionCode
    held_on: date
    participants: dict[Code, int] = Field(description="number by role")
    supported: int = Field(ge=0)
    not_supported: int = Field(ge=0)

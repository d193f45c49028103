"""Complaints as the registry handles them. What people wrote never stands here."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from salur.common.contracts.base import Code, Fact, Id, contract
from salur.common.contracts.principals import PrincipalId
from salur.common.values.region import RegionCode

Category = Literal["data", "service", "payment", "misconduct", "exclusion"]
Priority = Literal["low", "normal", "high", "urgent"]
CaseState = Literal["open", "in-progress", "resolved", "closed"]
CaseOutcome = Literal["upheld", "partly-upheld", "not-upheld", "withdrawn", "referred"]


@contract("salur.case.changed.v1", "registry.cases")
class CaseChanged(Fact):
    """Where a complaint stands after a change, and what changed it. Key: case_id.

    Of a sensitive case the event tells neither the family nor a place below the province.
    """

    case_id: Id
    version: int = Field(ge=1)
    change: Code
    category: Category
    priority: Priority
    sensitive: bool
    region: RegionCode
    household_id: Id | None = None
    state: CaseState
    owner: PrincipalId | None = None
    outcome: CaseOutcome | None = None
    due_at: datetime
    overdue: bool = False

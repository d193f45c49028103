"""Erasure: what the registry says when personal values of a family, a person or a group are destroyed for good."""

from typing import Literal

from pydantic import Field

from salur.common.contracts.base import Code, Fact, Id, Name, contract


@contract("salur.erasure.requested.v1", "registry.activity")
class ErasureRequested(Fact):
    """Somebody asks that a family, one of its people or a group is erased, on which legal basis. Key: erasure_id."""

    erasure_id: Id
    household_id: Id = Field(description="the family's id, or the group's")
    basis: Code
    member_id: Id | None = Field(None, description="the person of the family; absent = all of it")


@contract("salur.erasure.decided.v1", "registry.activity")
class ErasureDecided(Fact):
    """Another person accepted or refused it. Key: erasure_id."""

    erasure_id: Id
    household_id: Id
    basis: Code
    outcome: Literal["accepted", "refused"]
    reason: Code
    requested_by: Name
    member_id: Id | None = Field(None, description="the person of the family; absent = all of it")


@contract("salur.subject.erased.v1", "registry.households", "registry.payees")
class SubjectErased(Fact):
    """The key and the rows of a family's personal values are destroyed; what others keep of it they must destroy too.

    Key: household_id, behind everything else that was ever said of it on both topics. `version`: the household's last.
    A group is told of the same way.
    """

    erasure_id: Id
    household_id: Id = Field(description="the family's id, or the group's")
    version: int = Field(ge=1)
    basis: Code


@contract("salur.person.erased.v1", "registry.households")
class PersonErased(Fact):
    """What was said of one person of a family is destroyed; what others keep of them they must destroy too.

    The family's snapshot without them follows as a change. `version`: that snapshot's; all before it spoke of them, or
    may have. Key: household_id.
    """

    erasure_id: Id
    household_id: Id
    member_id: Id
    version: int = Field(ge=1)
    basis: Code

"""Erasure: what the registry says when the personal values of a family are destroyed for good."""

from typing import Literal

from pydantic import Field

from salur.common.contracts.base import Code, Fact, Id, Name, contract


@contract("salur.erasure.requested.v1", "registry.activity")
class ErasureRequested(Fact):
    """Somebody asks that a family is erased, and on which legal basis. Key: erasure_id."""

    erasure_id: Id
    household_id: Id
    basis: Code


@contract("salur.erasure.decided.v1", "registry.activity")
class ErasureDecided(Fact):
    """Another person accepted or refused it. Key: erasure_id."""

    erasure_id: Id
    household_id: Id
    basis: Code
    outcome: Literal["accepted", "refused"]
    reason: Code
    requested_by: Name


@contract("salur.subject.erased.v1", "registry.households", "registry.payees")
class SubjectErased(Fact):
    """The key and the rows of a family's personal values are destroyed; what others keep of it they must destroy too.

    Key: household_id, behind everything else that was ever said of it on both topics. `version`: the household's last.
    """

    erasure_id: Id
    household_id: Id
    version: int = Field(ge=1)
    basis: Code

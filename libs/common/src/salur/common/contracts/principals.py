"""What the registry says of those who work here. Ids are pseudonyms of the identity provider, never names."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from salur.common.contracts.base import Code, Fact, Id, contract, strict_model
from salur.common.values.region import RegionCode

PRINCIPAL_PATTERN = r"^(person|service):[a-z0-9][a-z0-9-]{0,62}$"
PrincipalId = Annotated[str, StringConstraints(pattern=PRINCIPAL_PATTERN)]
"""The subject of the principal's tokens, for example `person:ani` or `service:importer`."""


class Grant(BaseModel):
    """A right that is held: a role for some regions (none named: every region), perhaps for a time or by delegation."""

    model_config = strict_model()

    grant_id: Id
    role: Code
    regions: list[RegionCode]
    expires_at: datetime | None = None
    delegated_by: PrincipalId | None = None


@contract("salur.principal.changed.v1", "registry.principals")
class PrincipalChanged(Fact):
    """All that a principal may do from now on, and what changed it. Key: principal_id.

    A principal that is `device_bound` is let in with a token that names one of `devices` only.
    """

    principal_id: PrincipalId
    version: int = Field(ge=1)
    status: Literal["active", "suspended"]
    grants: list[Grant]
    device_bound: bool
    devices: list[Id]
    change: Code
    concerns: Id | None = Field(default=None, description="the grant or device that changed")
    proposed_by: PrincipalId | None = Field(default=None, description="who asked for a grant; the actor accepted it")
    reason: Code | None = None

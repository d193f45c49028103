"""What every service writes about itself on `<service>.activity`."""

from pydantic import BaseModel, Field

from salur.common.contracts.base import Code, Fact, Id, Name, Sha256, contract, strict_model

ACTIVITY_TOPICS = ("registry.activity", "eligibility.activity", "payments.activity", "audit.activity")


class StreamSeal(BaseModel):
    """One stream's head. `range_hash` = SHA-256 over the leaf hashes (RFC 6962) of `first`..`head`, in order."""

    model_config = strict_model()

    stream: Name
    first: int = Field(ge=1)
    head: int = Field(ge=1)
    count: int = Field(ge=1)
    range_hash: Sha256


@contract("salur.service.sealed.v1", *ACTIVITY_TOPICS)
class ServiceSealed(Fact):
    """The service states how far its streams have grown, so that a withheld tail shows. Key: the service."""

    seals: list[StreamSeal]


@contract("salur.dead-letter.raised.v1", *ACTIVITY_TOPICS)
class DeadLetterRaised(Fact):
    """An event could not be handled; later events of its key wait behind it. Key: dead_letter_id."""

    dead_letter_id: Id
    consumer: Name
    topic: str
    partition: int
    offset: int
    stream: str
    sequence: int
    reason: Name


@contract("salur.dead-letter.replayed.v1", *ACTIVITY_TOPICS)
class DeadLetterReplayed(Fact):
    """A blocked key went through again, whole and in order. Key: dead_letter_id of its first event."""

    dead_letter_id: Id
    consumer: Name
    events: int
    reason: Name


@contract("salur.personal-value.read.v1", *ACTIVITY_TOPICS)
class PersonalRead(Fact):
    """Somebody read personal values in clear, and why. Key: the subject, whose id it is. The actor is who read.

    Of an event that was opened: its place, the field, the purpose, and the case it was opened for. Never the value.
    """

    subject: Id
    kind: Code
    reason: Code
    purpose: Code | None = None
    case_id: Id | None = None
    stream: Name | None = None
    sequence: int | None = Field(default=None, ge=1)
    field: Name | None = None


@contract("salur.retention.applied.v1", *ACTIVITY_TOPICS)
class RetentionApplied(Fact):
    """Records of a class had been kept as long as they may be: erased, or proposed for erasure. Key: the class."""

    retention_class: Code
    ended: int = Field(ge=1)
    keep_days: int = Field(ge=1)
    act: Name
    basis: Name


@contract("salur.action.refused.v1", *ACTIVITY_TOPICS)
class ActionRefused(Fact):
    """Somebody asked for what their role or the rules do not allow. Key: the action's name."""

    action: Code
    reason: Name

"""Exactly-once effects and provable completeness by one mechanism: dense streams, relay, marks that refuse holes."""

from salur.common.contracts.topics import PARTITIONS
from salur.common.events.consumer import (
    Consumer,
    Handler,
    OutsideConsumer,
    OutsideRecord,
    RawConsumer,
    RawEvent,
    blocked_keys,
)
from salur.common.events.envelope import Draft, EventTooLarge, Received, partition_for
from salur.common.events.forget import forget_values, person_subjects
from salur.common.events.personal import PREFIX, SEED_SIZE, commitment
from salur.common.events.stream import AnyDraft, EventStore, PreparedEvent, erase_subjects, stream_name

__all__ = [
    "PARTITIONS",
    "PREFIX",
    "SEED_SIZE",
    "AnyDraft",
    "Consumer",
    "Draft",
    "EventStore",
    "EventTooLarge",
    "Handler",
    "OutsideConsumer",
    "OutsideRecord",
    "PreparedEvent",
    "RawConsumer",
    "RawEvent",
    "Received",
    "blocked_keys",
    "commitment",
    "erase_subjects",
    "forget_values",
    "partition_for",
    "person_subjects",
    "stream_name",
]

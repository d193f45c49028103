"""Small valid facts and records for tests of the event mechanism."""

from dataclasses import dataclass, field

from salur.common.contracts.registry import HouseholdRegistered
from salur.common.events.envelope import Draft
from salur.common.values import derived_id


def household(name: str, *, version: int = 1, poverty_index: float = 600.5) -> Draft:
    """A draft of a household's registration, keyed by an id derived from `name`."""
    household_id = derived_id(name)
    fact = HouseholdRegistered(
        household_id=household_id,
        version=version,
        region="31.71",
        member_count=1,
        attributes={"poverty_index": poverty_index, "head_sex": None},
        members=[{"member_id": derived_id(name, "member"), "attributes": {"age": 9}}],
    )
    return Draft(fact, household_id, "person:test", "request-1")


@dataclass
class Record:
    """What Kafka would hand a consumer."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    key: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    timestamp: int = 0

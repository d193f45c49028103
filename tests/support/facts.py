"""Small valid facts and records for tests of the event mechanism."""

from dataclasses import dataclass, field

from salur.common.contracts.registry import HouseholdRegistered
from salur.common.database import Database
from salur.common.events.envelope import Draft
from salur.common.secrets import Secrets, open_with
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


async def committed_records(db: Database, keys: Secrets) -> list[Record]:
    """The committed registrations as Kafka would hand them over."""
    async with db.connection() as conn:
        rows = await conn.fetch(
            "SELECT e.*, p.sealed, k.sealed AS subject_key FROM event e JOIN event_personal p USING (stream, sequence)"
            " JOIN subject_key k USING (subject) WHERE e.stream LIKE 'registry.households/%' ORDER BY stream, sequence"
        )
    records = []
    for row in rows:
        topic, _, partition = row["stream"].rpartition("/")
        subject_key = keys.open(row["subject_key"], row["key"].encode())
        header = open_with(subject_key, row["sealed"], row["stream"].encode())
        records.append(Record(topic, int(partition), row["sequence"] - 1, row["body"], headers=[("personal", header)]))
    return records

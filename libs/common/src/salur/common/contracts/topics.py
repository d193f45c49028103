"""The topics: one writer each, a partition count fixed for life, a stated retention.

The partition count is the same everywhere, so that one key has one partition number in every topic.
"""

from dataclasses import dataclass

PARTITIONS = 8
UNLIMITED_MS = -1
RESTRICTED_RETENTION_MS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """A Kafka topic. `writer` is a service name or `bank:<code>`; any other source is misaddressed."""

    name: str
    writer: str
    restricted: bool = False
    partitions: int = PARTITIONS

    @property
    def retention_ms(self) -> int:
        """Milliseconds Kafka keeps records; history beyond it is published again from the event table."""
        return RESTRICTED_RETENTION_MS if self.restricted else UNLIMITED_MS


SERVICES = ("registry", "eligibility", "payments", "audit")

ALL_TOPICS: tuple[Topic, ...] = (
    Topic("registry.households", "registry", restricted=True),
    Topic("registry.payees", "registry", restricted=True),
    Topic("registry.cases", "registry"),
    Topic("registry.principals", "registry"),
    Topic("registry.notices", "registry"),
    Topic("registry.activity", "registry"),
    Topic("eligibility.programmes", "eligibility"),
    Topic("eligibility.decisions", "eligibility", restricted=True),
    Topic("eligibility.cycles", "eligibility"),
    Topic("eligibility.entitlements", "eligibility"),
    Topic("eligibility.activity", "eligibility"),
    Topic("payments.funds", "payments"),
    Topic("payments.lists", "payments"),
    Topic("payments.payments", "payments"),
    Topic("payments.account-checks", "payments", restricted=True),
    Topic("payments.activity", "payments"),
    Topic("audit.activity", "audit"),
)
"""Topics of §4 streams, without the ones per bank and without `audit.checkpoints`."""

CHECKPOINTS_TOPIC = Topic("audit.checkpoints", "audit", partitions=1)
"""Signed tree heads: notes outside the stream mechanism, never leaves of the log they sign."""

TOPICS: dict[str, Topic] = {topic.name: topic for topic in ALL_TOPICS}

INSTRUCTIONS_PREFIX = "payments.instructions."
RESULTS_PREFIX = "banks.results."


def instructions_topic(bank: str) -> Topic:
    """What one bank is asked to do; only that bank may read it."""
    return Topic(f"{INSTRUCTIONS_PREFIX}{bank}", "payments", restricted=True)


def results_topic(bank: str) -> Topic:
    """What one bank answers: an outside topic, untrusted, without sequences."""
    return Topic(f"{RESULTS_PREFIX}{bank}", f"bank:{bank}", restricted=True)


def bank_topics(bank: str) -> tuple[Topic, Topic]:
    """The two topics of a bank: instructions and results."""
    return instructions_topic(bank), results_topic(bank)


def is_bank_topic(name: str) -> bool:
    return name.startswith((INSTRUCTIONS_PREFIX, RESULTS_PREFIX))


def topic_named(name: str) -> Topic:
    """The declared topic of that name. Raises KeyError for a name nobody declared."""
    if name.startswith(INSTRUCTIONS_PREFIX):
        return instructions_topic(name.removeprefix(INSTRUCTIONS_PREFIX))
    if name.startswith(RESULTS_PREFIX):
        return results_topic(name.removeprefix(RESULTS_PREFIX))
    return TOPICS[name]


def topics_written_by(service: str, banks: tuple[str, ...] = ()) -> tuple[Topic, ...]:
    """The stream topics one service writes."""
    own = tuple(topic for topic in ALL_TOPICS if topic.writer == service)
    return own + (tuple(instructions_topic(bank) for bank in banks) if service == "payments" else ())

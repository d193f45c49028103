"""Fill a log of the search bench inside PostgreSQL: the same rows, partitions and indexes, without an event to read.

For logs too long to be made in Python and indexed entry by entry. What the database makes is what `entry` and the
indexer make: a test compares them. Only `search_implies` knows no more than what cycles belong to: questions never read
it, and the indexer asks it about what comes behind the filled part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

STATEMENT = Path(__file__).with_suffix(".sql")
WIDTH = 512
"""Entries a block has; a chunk and all that is filled are whole blocks and whole households of five entries."""
UNIT = WIDTH * 5
CHUNK = UNIT * 20
FUNCTION = """
CREATE OR REPLACE FUNCTION bench_id(what text, number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT left(encode(sha256(convert_to(what || E'\\x1f' || number, 'UTF8')), 'hex'), 32)
$$
"""
IMPLIES = """
INSERT INTO search_implies (term, implied)
SELECT 'cycle=' || bench_id('cycle', c), implied
FROM generate_series(0, %(cycles)s - 1) AS c
CROSS JOIN LATERAL unnest(ARRAY['programme=programme-' || c %% %(programmes)s, 'fund=central']) AS implied
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the entries speak of; see search_bench. `kinds`: (topic, type) by step."""

    kinds: Sequence[tuple[str, str]]
    cycles: int
    programmes: int
    banks: int
    read: str
    read_every: int
    readers: int


def fill(url: str, entries: int, shape: Shape, partition_blocks: int) -> int:
    """Fill at most so many entries of an empty log; returns how many: a whole number of blocks and households."""
    whole = entries // UNIT * UNIT
    parameters = {
        "topics": [topic for topic, _ in shape.kinds], "types": [kind for _, kind in shape.kinds],
        "cycles": shape.cycles, "programmes": shape.programmes, "banks": shape.banks, "read": shape.read,
        "read_every": shape.read_every, "readers": shape.readers,
    }  # fmt: skip
    statement = STATEMENT.read_text(encoding="utf-8")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SET work_mem = '256MB'")
        conn.execute("SET maintenance_work_mem = '512MB'")
        conn.execute(FUNCTION)
        conn.execute(IMPLIES, parameters)
        (indexed,) = _row(conn, "SELECT indexdef FROM pg_indexes WHERE indexname = 'entry_event'")
        conn.execute("DROP INDEX entry_event")
        for first in range(0, whole, partition_blocks * WIDTH):
            end = min(whole, first + partition_blocks * WIDTH)
            _partition(conn, first // WIDTH, partition_blocks, statement, parameters, first, end)
        conn.execute(indexed)
        conn.execute("UPDATE log_state SET size = %s", (whole,))
        conn.execute("UPDATE search_state SET indexed = %s", (whole,))
        conn.execute("VACUUM ANALYZE entry, search_block, search_posting")
    return whole


def _partition(
    conn: psycopg.Connection,
    block: int,
    blocks: int,
    statement: str,
    parameters: dict[str, object],
    first: int,
    end: int,
) -> None:
    """One partition of the postings, its key built when its rows are there."""
    conn.execute("SELECT search_partition(%s, %s)", (block, blocks))
    number = block // blocks
    name, key = sql.Identifier(f"search_posting_{number}"), sql.Identifier(f"search_posting_{number}_pkey")
    bounds = {"name": name, "key": key, "low": sql.Literal(block), "high": sql.Literal(block + blocks)}
    conn.execute(sql.SQL("ALTER TABLE search_posting DETACH PARTITION {name}").format(**bounds))
    conn.execute(sql.SQL("ALTER TABLE {name} DROP CONSTRAINT {key}").format(**bounds))
    into = statement.replace("INTO search_posting ", f"INTO search_posting_{number} ")
    for start in range(first, end, CHUNK):
        conn.execute(into, {**parameters, "first": start, "end": min(end, start + CHUNK)})
    conn.execute(sql.SQL("ALTER TABLE {name} ADD CONSTRAINT {key} PRIMARY KEY (term, block)").format(**bounds))
    conn.execute(
        sql.SQL("ALTER TABLE search_posting ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})").format(
            **bounds
        )
    )


def _row(conn: psycopg.Connection, query: str) -> tuple[str]:
    row = conn.execute(query).fetchone()
    assert row is not None
    return (str(row[0]),)

"""Rotate the sealing key: every sealed value is opened under the key it names and sealed under the newest.

The same two statements serve every table, so they stand here and not in .sql files. A test holds the places to
the tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from salur.common.database import Database
from salur.common.secrets import KEY_ID_SIZE, Secrets

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where sealed values rest: `context` is the column, or SQL over columns, each is bound to; without, `fixed` is."""

    table: str
    context: str
    column: str = "sealed"
    fixed: str = ""

    @property
    def stale(self) -> str:
        """Rows sealed under another key than $1, at most $2, locked: so their places stay theirs."""
        bound = self.context or "''"
        return (
            f"SELECT ctid::text AS place, {bound} AS context, {self.column} AS sealed FROM {self.table} "
            f"WHERE {self.column} <> '' AND substring({self.column} FROM 1 FOR {KEY_ID_SIZE}) <> $1 "
            "LIMIT $2 FOR UPDATE"
        )

    @property
    def write(self) -> str:
        return (
            f"UPDATE {self.table} t SET {self.column} = g.sealed "
            "FROM unnest($1::text[], $2::bytea[]) AS g (place, sealed) WHERE t.ctid = g.place::tid"
        )


EVENT_PLACES = (Place("subject_key", "subject"), Place("dead_letter", "", fixed="dead-letter"))


async def reseal(db: Database, secrets: Secrets, places: Sequence[Place]) -> dict[str, int]:
    """Seal everything under the newest key, a batch a transaction; returns how many values of each table. `places`:
    the service's own; those of the event mechanism are always among them.

    It may be stopped and run again. Until it has ended no key may be taken out of the key file.
    """
    done: dict[str, int] = {}
    for place in (*EVENT_PLACES, *places):
        done[place.table] = 0
        while count := await _batch(db, place, secrets):
            done[place.table] += count
    return done


async def _batch(db: Database, place: Place, secrets: Secrets) -> int:
    async with db.transaction() as conn:
        rows = await conn.fetch(place.stale, secrets.key_id, BATCH)
        sealed = [_again(row, place, secrets) for row in rows]
        await conn.execute(place.write, [row["place"] for row in rows], sealed)
    return len(rows)


def _again(row: Any, place: Place, secrets: Secrets) -> bytes:
    context = (place.fixed or str(row["context"])).encode()
    return secrets.seal(secrets.open(row["sealed"], context), context)

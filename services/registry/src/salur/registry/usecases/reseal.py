"""Rotate the sealing key: every sealed value is opened under the key it names and sealed under the newest.

The same two statements serve every table, so they stand here and not in sql/. A test holds `PLACES` to the tables.
"""

from dataclasses import dataclass
from typing import Any

from salur.common.database import Database
from salur.common.secrets import KEY_ID_SIZE, Secrets

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where sealed values rest: `context` is the column each value is bound to; without one, `fixed` is."""

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


PLACES = (
    Place("subject_key", "subject"),
    Place("dead_letter", "", fixed="dead-letter"),
    Place("identifier", "token"),
    Place("deceased_identifier", "token"),
    Place("household", "household_id", "identity"),
    Place("household_version", "household_id", "identity"),
    Place("payee", "household_id"),
    Place("payee_version", "household_id"),
    Place("group_version", "group_id"),
    Place("change_request", "change_id"),
    Place("feed_match", "match_id"),
    Place("case_text", "text_id"),
    Place("notice", "notice_id"),
    Place("nomination", "nomination_id"),
    Place("meeting", "meeting_id"),
)


async def reseal(db: Database, secrets: Secrets) -> dict[str, int]:
    """Seal everything under the newest key, a batch a transaction; returns how many values of each table.

    It may be stopped and run again. Until it has ended no key may be taken out of the key file.
    """
    done: dict[str, int] = {}
    for place in PLACES:
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

"""Make old decisions again from stored rules and inputs, and compare."""

from collections.abc import Mapping
from typing import Any

import orjson

from salur.common.database import Connection
from salur.eligibility import errors
from salur.eligibility.domain.decide import Decision, decide
from salur.eligibility.store import queries
from salur.eligibility.usecases.decide import facts_of
from salur.eligibility.usecases.programmes import Rules

COMPARED = ("unmet", "criteria", "components", "not_due", "amount_minor", "input_hash", "enrolled_members")


def agrees(again: Decision, row: Mapping[str, Any]) -> bool:
    """Whether a decision made again is the stored one, criterion by criterion and line by line."""
    made = orjson.loads(orjson.dumps(again))
    return all(_without_absent(made[name]) == _without_absent(row[name]) for name in COMPARED if name in row)


def _without_absent(value: Any) -> Any:
    """Fields younger than a stored decision are absent there and empty here."""
    if isinstance(value, list):
        return [_without_absent(item) for item in value]
    if isinstance(value, dict) and "code" in value:
        return {name: item for name, item in value.items() if name != "member_id" or item is not None}
    return value


async def replay_page(
    conn: Connection, rules: Rules, programme_id: str | None, after: tuple[int, str, int, str], most: int
) -> dict[str, Any]:
    """Re-run the next `most` decisions ever made, of one programme or of all: how many agree, and which do not.

    `after` and `next` are the place in the order of (programme number, household, version, occasion).
    """
    rows = await queries.replay_page(
        conn, programme_id=programme_id, after_programme=after[0], after_id=after[1], after_version=after[2],
        after_occasion=after[3], most=most,
    )  # fmt: skip
    different = []
    for row in rows:
        compiled = (await rules.numbered(conn, row["programme"])).compiled
        if not agrees(decide(compiled, facts_of(row)), row):
            different.append(row["decision_id"])
    last = rows[-1] if len(rows) == most else None
    return {
        "replayed": len(rows), "agreed": len(rows) - len(different), "different": different,
        "next": f"{last['programme']}/{last['household_id']}/{last['version']}/{last['occasion']}" if last else None,
    }  # fmt: skip


def place(text: str) -> tuple[int, str, int, str]:
    """The place a caller gives back. Raises Invalid."""
    if not text:
        return (0, "", 0, "")
    parts = text.split("/")
    if len(parts) != 4 or not parts[0].isdecimal() or not parts[2].isdecimal() or max(map(len, parts)) > 32:
        raise errors.place_invalid()
    return (int(parts[0]) % 2**31, parts[1], int(parts[2]) % 2**31, parts[3])

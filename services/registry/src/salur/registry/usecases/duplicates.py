"""What a person does with two records that may be one: dismiss them, or propose that they are merged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from salur.common.contracts.registry import DuplicateDismissed
from salur.common.database import Connection
from salur.common.errors import Conflict, NotFound
from salur.common.events import Draft
from salur.common.values import in_scope
from salur.registry.store import queries
from salur.registry.usecases.states import By

SURE = 0.5
"""Score from which further pairs of the same two families are taken along in a proposal."""


@dataclass(frozen=True, slots=True)
class Both:
    """Two families in which the same people stand. `whole`: nobody else is left in the one that would be absorbed."""

    absorbed_id: str
    survivor_id: str
    same: Mapping[str, str]
    whole: bool


async def dismiss(conn: Connection, pair_id: str, reason: str, by: By) -> list[Draft]:
    """Two people after all: the pair is not shown again. Raises NotFound, Conflict."""
    pair = await _open_pair(conn, pair_id, by)
    await queries.decide_pair(conn, pair_id=pair_id, state="dismissed", actor=by.actor, reason=reason)
    fact = DuplicateDismissed(pair_id=pair_id, first_id=pair["first_id"], second_id=pair["second_id"])
    return [Draft(fact, pair_id, by.actor, by.cause)]


async def both_families(conn: Connection, pair_id: str, keep: Literal["first", "second"], by: By) -> Both:
    """What merging a pair comes to, with every other open pair of its two families. Raises NotFound, Conflict."""
    pair = await _open_pair(conn, pair_id, by)
    gone = "second" if keep == "first" else "first"
    absorbed, survivor = pair[f"{gone}_household_id"], pair[f"{keep}_household_id"]
    same = {pair[f"{gone}_id"]: pair[f"{keep}_id"]}
    for row in await queries.pairs_between(conn, one=absorbed, other=survivor, least=SURE):
        one, other = row["first_id"], row["second_id"]
        if row["first_household_id"] != absorbed:
            one, other = other, one
        if one not in same and other not in same.values():
            same[one] = other
    members = {m["member_id"] for m in (await queries.household(conn, id=absorbed))["members"]}
    return Both(absorbed, survivor, same, members <= same.keys())


async def _open_pair(conn: Connection, pair_id: str, by: By) -> Any:
    pair = await queries.lock_pair(conn, pair_id=pair_id)
    regions = (pair["first_region"], pair["second_region"]) if pair else ()
    if not all(region is None or in_scope(region, by.regions) for region in regions) or not regions:
        raise NotFound("no such pair in your regions: check the id", code="pair-unknown", who="registrar")
    if pair["state"] != "open":
        raise Conflict(f"the pair was {pair['state']} already", code="pair-decided", who="registrar")
    if None in regions:
        raise Conflict("one of both records stands in no family any more", code="pair-gone", who="registrar")
    return pair

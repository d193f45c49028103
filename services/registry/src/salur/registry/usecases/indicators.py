"""Count who is registered, by place and by what sets people apart, and hold it against how many there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from salur.common.contracts.registry import IndicatorsCounted
from salur.common.database import Connection
from salur.common.errors import Conflict, NotFound
from salur.common.events import Draft
from salur.common.values import derived_id
from salur.registry.store import queries

PAGE = 2_000
"""Households a step counts."""
DIGITS = {"province": 2, "regency": 5, "district": 8}
"""Characters of a region code of each level."""


@dataclass(frozen=True, slots=True)
class Reference:
    """How many persons another source knows of a band in a region."""

    dimension: str
    region: str
    band: str
    persons: int


async def begin(conn: Connection, name: str, level: str, actor: str) -> tuple[dict[str, Any], bool]:
    """Begin a count; the same name and level is the same count. Returns (answer, whether new)."""
    run_id = derived_id("indicators", name)
    new = await queries.insert_indicator_run(conn, run_id=run_id, name=name, level=level, by=actor) is not None
    row = await queries.indicator_run(conn, run_id=run_id)
    if row["level"] != level:
        raise Conflict(
            "a count of this name was made for another level: choose a new name", code="name-taken", who="caller"
        )
    return {"run_id": run_id, "state": row["state"]}, new


async def count_step(conn: Connection) -> tuple[bool, list[Draft]]:
    """Add one page to the oldest unfinished count. Returns (whether more may wait, events)."""
    run = await queries.counting_run(conn)
    if run is None:
        return False, []
    run_id = run["run_id"]
    page = await queries.count_page(
        conn, run_id=run_id, after=run["after"], digits=DIGITS[run["level"]], most=PAGE
    )  # fmt: skip
    if page["last"] is not None:
        await queries.advance_run(conn, run_id=run_id, after=page["last"])
        return True, []
    done = await queries.finish_run(conn, run_id=run_id)
    fact = IndicatorsCounted(run_id=run_id, name=run["name"], level=run["level"], persons=done["persons"])
    return True, [Draft(fact, run_id, run["made_by"], run_id)]


async def save_references(conn: Connection, references: Sequence[Reference], source: str) -> None:
    """Keep what another source says; the newest word on a band holds."""
    newest = {(each.dimension, each.region, each.band): each.persons for each in references}
    dimensions, regions, bands = zip(*sorted(newest), strict=True)
    persons = [newest[key] for key in sorted(newest)]
    await queries.save_references(
        conn, dimensions=dimensions, regions=regions, bands=bands, persons=persons, source=source
    )


async def report(
    conn: Connection, run_id: str, dimension: str, before: str | None, scope: Mapping[str, Any], most: int
) -> dict[str, Any]:
    """Counts, coverage and gaps of one dimension, and the change since another count of the same level."""
    run = await _done(conn, run_id)
    if before is not None and (await _done(conn, before))["level"] != run["level"]:
        raise Conflict("the two counts are of different levels: they cannot be compared", code="levels-differ",
                       who="caller")  # fmt: skip
    rows = await queries.indicators(
        conn, run_id=run_id, dimension=dimension, before=before, digits=DIGITS[run["level"]], most=most, **scope
    )
    return {"run_id": run_id, "name": run["name"], "level": run["level"], "rows": [_row(row) for row in rows]}


async def _done(conn: Connection, run_id: str) -> Any:
    run = await queries.indicator_run(conn, run_id=run_id)
    if run is None:
        raise NotFound("no count of that id: check it", code="count-unknown", who="caller")
    if run["state"] != "done":
        raise Conflict("the count is not finished: ask again", code="count-unfinished", who="caller", retry_after_s=2)
    return run


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """`coverage`: registered of those there are. Gaps are persons: not registered, without NIK, not payable."""
    reference = row["reference"]
    gaps = {
        "not_registered": None if reference is None else max(0, reference - row["persons"]),
        "without_number": row["persons"] - row["with_number"],
        "without_account": row["persons"] - row["with_account"],
    }
    coverage = round(row["persons"] / reference, 4) if reference else None
    names = ("region", "band", "persons", "reference", "source", "change")
    return {name: row[name] for name in names} | {"coverage": coverage, "gaps": gaps}

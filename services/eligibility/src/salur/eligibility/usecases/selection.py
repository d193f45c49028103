"""Choose among those who qualify: conditions, exclusions, renewal, places; and tell each who has none why."""

from collections.abc import Mapping
from typing import Any

from salur.common.contracts.eligibility import EnrolmentChanged
from salur.common.database import Connection
from salur.common.events import Draft
from salur.eligibility.domain.programme import Programme
from salur.eligibility.store import queries

ACTOR = "service:eligibility"
AREA_LENGTH = {"country": 0, "province": 2, "regency": 5}
NEVER_MONTHS = 12 * 1_000


async def select(conn: Connection, cycle: Mapping[str, Any], document: Programme) -> int:
    """Write everyone's place in the cycle; returns how many have one. One statement each, whatever the size."""
    quota = document.quota
    conditions = document.conditions
    await queries.select_places(
        conn,
        cycle_id=cycle["cycle_id"], cut_id=cycle["cut_id"], programme=cycle["programme"],
        programme_id=cycle["programme_id"],
        codes=[item.code for item in conditions], at_least=[item.at_least for item in conditions],
        suspend_after=[item.suspend_after for item in conditions],
        exit_after=[item.exit_after for item in conditions],
        exclusions=[item.programme for item in document.exclusions], once=document.once,
        recertify_months=document.recertify_months or NEVER_MONTHS,
        area_length=AREA_LENGTH[quota.level if quota else "country"],
        areas=list(quota.places) if quota else [], area_places=list(quota.places.values()) if quota else [],
        others_places=quota.others if quota else None, accredited=document.accredited,
    )  # fmt: skip
    place = {name: cycle[name] for name in ("cycle_id", "cut_id", "programme", "programme_id")}
    graduation = document.graduation.criteria if document.graduation else []
    await queries.place_leavers(conn, **place, graduation=graduation)
    await queries.settle_enrolments(conn, cycle_id=cycle["cycle_id"], programme_id=cycle["programme_id"])
    return int(await queries.count_selected(conn, cycle_id=cycle["cycle_id"]))


async def announce(conn: Connection, cycle: Mapping[str, Any], after: str, most: int) -> tuple[str | None, list[Draft]]:
    """Tell the next `most` who have no place: (where to go on, events); None when all are told."""
    rows = await queries.announce_page(conn, cycle_id=cycle["cycle_id"], after=after, most=most)
    drafts = [
        Draft(
            EnrolmentChanged(
                programme_id=cycle["programme_id"], cycle_id=cycle["cycle_id"], beneficiary_id=row["beneficiary_id"],
                household_id=row["household_id"], state=row["outcome"], decision_id=row["decision_id"] or None,
                rank=row["rank"], candidates=row["candidates"], places=row["places"],
            ),
            row["beneficiary_id"], ACTOR, cycle["cause"],
        )
        for row in rows
    ]  # fmt: skip
    return (rows[-1]["beneficiary_id"] if rows else None), drafts

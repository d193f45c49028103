"""Open a cycle on a cut, grant its entitlements, and mark every partition when all are granted."""

from typing import Any

from salur.common.contracts.eligibility import (
    Component,
    CycleGranted,
    CycleOpened,
    EntitlementGranted,
    EntitlementNotDue,
    NotDue,
)
from salur.common.errors import Conflict, NotFound
from salur.common.events import PARTITIONS, Draft
from salur.common.values import derived_id
from salur.eligibility.domain.programme import compile_programme
from salur.eligibility.store import queries

ENTITLEMENTS_PER_BATCH = 1_000
RETRY_AFTER_S = 1.0
ENTITLEMENTS_TOPIC = "eligibility.entitlements"


async def open_cycle(
    conn: Any, programme_id: str, name: str, cut_id: str, *, blocked: bool, actor: str, cause: str
) -> tuple[dict[str, Any], list[Draft]]:
    """Open the cycle once everyone before the cut is decided. Raises Conflict, NotFound; nothing is half done."""
    programme = await queries.programme(conn, programme_id=programme_id)
    if programme is None:
        raise NotFound("no such programme is published", code="programme-unknown", who="programme officer")
    counts = await _ready(conn, programme, cut_id, blocked)
    cycle_id = derived_id("cycle", programme_id, name)
    currency = compile_programme(programme["rules"]).document.currency
    row = await queries.insert_cycle(
        conn, cycle_id=cycle_id, programme_id=programme_id, version=programme["version"], name=name, cut_id=cut_id,
        currency=currency, decided=counts["decided"], enrolled=counts["enrolled"], actor=actor,
    )  # fmt: skip
    if row is None:
        raise Conflict("a cycle of that name is open already", code="cycle-exists", who="programme officer")
    await queries.freeze_entitlements(conn, cycle_id=cycle_id, programme_id=programme_id, cut_id=cut_id)
    fact = CycleOpened(
        cycle_id=cycle_id, programme_id=programme_id, programme_version=programme["version"], name=name, cut_id=cut_id,
        decided=counts["decided"], enrolled=counts["enrolled"],
    )  # fmt: skip
    answer = {"cycle_id": cycle_id, "programme_id": programme_id, "name": name, "cut_id": cut_id, **counts}
    return answer, [Draft(fact, cycle_id, actor, cause)]


async def _ready(conn: Any, programme: Any, cut_id: str, blocked: bool) -> dict[str, int]:
    passed = await queries.cut_passed(conn, cut_id=cut_id)
    if passed["partitions"] < PARTITIONS:
        raise Conflict(
            f"the cut has passed {passed['partitions']} of {PARTITIONS} partitions: try again",
            code="cut-not-passed", who="caller", retry_after_s=RETRY_AFTER_S,
        )  # fmt: skip
    if blocked:
        raise Conflict(
            "households wait behind a dead letter: operations must replay it first",
            code="input-blocked",
            who="operations",
        )
    counts = await queries.before_cut(
        conn, cut_id=cut_id, programme_id=programme["programme_id"], version=programme["version"]
    )
    if counts["known"] < passed["households"] or counts["decided"] < counts["known"]:
        raise Conflict(
            f"{counts['decided']} of {passed['households']} households are decided: try again",
            code="decisions-pending", who="caller", retry_after_s=RETRY_AFTER_S,
        )  # fmt: skip
    return {"decided": counts["decided"], "enrolled": counts["enrolled"]}


async def grant_batch(conn: Any) -> tuple[bool, list[Draft]]:
    """Announce one batch of the oldest open cycle; when none is left, mark every partition. (more to do, events)"""
    cycle = await queries.lock_open_cycle(conn)
    if cycle is None:
        return False, []
    rows = await queries.unannounced(conn, cycle_id=cycle["cycle_id"], most=ENTITLEMENTS_PER_BATCH)
    if rows:
        await queries.mark_announced(conn, ids=[row["entitlement_id"] for row in rows])
        return True, [_announce(cycle, row) for row in rows]
    totals = await queries.cycle_totals(conn, cycle_id=cycle["cycle_id"])
    await queries.close_granting(conn, cycle_id=cycle["cycle_id"])
    return True, [
        Draft(
            CycleGranted(
                cycle_id=cycle["cycle_id"], programme_id=cycle["programme_id"], cut_id=cycle["cut_id"],
                partition=partition, entitlements=totals["entitlements"], amount_minor=totals["amount_minor"],
                currency=cycle["currency"],
            ),
            cycle["cycle_id"], "service:eligibility", cycle["cycle_id"], topic=ENTITLEMENTS_TOPIC, partition=partition,
        )
        for partition in range(PARTITIONS)
    ]  # fmt: skip


def _announce(cycle: Any, row: Any) -> Draft:
    place = {
        "programme_id": cycle["programme_id"], "cycle_id": cycle["cycle_id"], "beneficiary_id": row["beneficiary_id"],
        "decision_id": row["decision_id"],
    }  # fmt: skip
    not_due = [NotDue(**item) for item in row["benefit"]["not_due"]]
    if row["amount_minor"] == 0:
        fact: EntitlementGranted | EntitlementNotDue = EntitlementNotDue(**place, not_due=not_due)
    else:
        fact = EntitlementGranted(
            **place, entitlement_id=row["entitlement_id"], kind=row["kind"], amount_minor=row["amount_minor"],
            currency=cycle["currency"], components=[Component(**item) for item in row["benefit"]["components"]],
            not_due=not_due, region=row["region"],
        )  # fmt: skip
    return Draft(fact, row["beneficiary_id"], "service:eligibility", row["decision_id"])

"""Grant apart from a cycle, in one of its own: back-pay, and what goes to another family than it was granted to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from salur.common.contracts.eligibility import Component, CycleGranted, CycleOpened, EntitlementGranted
from salur.common.contracts.topics import PARTITIONS
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.values import derived_id
from salur.eligibility.store import EntitlementRow, copy_entitlements, queries
from salur.eligibility.usecases.grant import ENTITLEMENTS_TOPIC

ACTOR = "service:eligibility"


@dataclass(frozen=True, slots=True)
class Due:
    """What one beneficiary is granted: lines of (code, minor units), by which decision, paid by whose account."""

    beneficiary_id: str
    lines: Sequence[tuple[str, int]]
    decision_id: str
    region: str
    payee_id: str | None = None

    @property
    def amount_minor(self) -> int:
        return sum(amount_minor for _, amount_minor in self.lines)


@dataclass(frozen=True, slots=True)
class Apart:
    """The cycle that carries it. `beside`: the programme, version, cut and currency it takes over."""

    cycle_id: str
    name: str
    kind: str
    beside: Mapping[str, Any]
    actor: str
    cause: str
    appeal_id: str | None = None
    supplements: str | None = None


async def grant_apart(conn: Connection, cycle: Apart, dues: Sequence[Due]) -> list[Draft]:
    """Open the cycle, grant everything and mark every partition, so that it is listed and approved like any other."""
    beside, total = cycle.beside, sum(due.amount_minor for due in dues)
    programme_id, currency, cut_id = beside["programme_id"], beside["currency"], beside["cut_id"]
    await queries.insert_cycle_apart(
        conn, cycle_id=cycle.cycle_id, programme_id=programme_id, programme=beside["programme"], name=cycle.name,
        cut_id=cut_id, currency=currency, entitlements=len(dues), amount_minor=total, appeal_id=cycle.appeal_id,
        supplements=cycle.supplements, actor=cycle.actor, cause=cycle.cause,
    )  # fmt: skip
    opened = CycleOpened(
        cycle_id=cycle.cycle_id, programme_id=programme_id, programme_version=beside["programme_version"],
        name=cycle.name, cut_id=cut_id, decided=len(dues), enrolled=len(dues),
    )  # fmt: skip
    rows, drafts = [], [Draft(opened, cycle.cycle_id, cycle.actor, cycle.cause)]
    for due in dues:
        fact = EntitlementGranted(
            entitlement_id=derived_id(programme_id, cycle.cycle_id, due.beneficiary_id, cycle.kind),
            programme_id=programme_id, cycle_id=cycle.cycle_id, beneficiary_id=due.beneficiary_id, kind=cycle.kind,
            amount_minor=due.amount_minor, currency=currency, not_due=[], decision_id=due.decision_id,
            components=[Component(code=code, quantity=1, unit_minor=n, amount_minor=n) for code, n in due.lines],
            region=due.region, payee_id=due.payee_id,
        )  # fmt: skip
        rows.append(
            EntitlementRow(
                programme_id, cycle.cycle_id, due.beneficiary_id, cycle.kind, fact.entitlement_id, due.decision_id,
                due.amount_minor,
            )
        )  # fmt: skip
        drafts.append(Draft(fact, due.beneficiary_id, ACTOR, cycle.cause))
    await copy_entitlements(conn, rows)
    for partition in range(PARTITIONS):
        mark = CycleGranted(
            cycle_id=cycle.cycle_id, programme_id=programme_id, cut_id=cut_id, partition=partition,
            entitlements=len(dues), amount_minor=total, currency=currency,
        )  # fmt: skip
        drafts.append(Draft(mark, cycle.cycle_id, ACTOR, cycle.cause, topic=ENTITLEMENTS_TOPIC, partition=partition))
    return drafts

"""Take what is reported of conditions between cycles: all of a request or nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from salur.common.auth import Caller
from salur.common.contracts.eligibility import ConditionReported
from salur.common.database import Connection
from salur.common.events import Draft
from salur.eligibility import errors
from salur.eligibility.domain.programme import Condition
from salur.eligibility.store import queries
from salur.eligibility.usecases.programmes import Rules


@dataclass(frozen=True, slots=True)
class Report:
    """One value of one condition, of a household or of one of its members."""

    household_id: str
    code: str
    value: int
    member_id: str | None = None

    @property
    def subject_id(self) -> str:
        return self.member_id or self.household_id


async def report_conditions(
    conn: Connection, rules: Rules, caller: Caller, programme_id: str, period: str, reports: Sequence[Report]
) -> tuple[int, list[Draft]]:
    """Keep the reports of a period: (how many are new, events). The same again changes nothing.

    Raises NotFound, Invalid for what the programme or the caller's regions do not know, Conflict for another value.
    """
    programme = await queries.programme(conn, programme_id=programme_id)
    if programme is None:
        raise errors.programme_unknown(programme_id)
    document = (await rules.numbered(conn, programme["number"])).compiled.document
    conditions = {item.code: item for item in document.conditions}
    households = sorted({report.household_id for report in reports})
    known = {row["household_id"]: row for row in await queries.households_regions(conn, ids=households)}
    for place, report in enumerate(reports):
        if report.code not in conditions:
            raise errors.condition_unknown(report.code)
        row = known.get(report.household_id)
        members = {member["member_id"] for member in row["members"]} if row else set()
        if row is None or not caller.sees(row["region"]) or not _fits(report, conditions[report.code], members):
            raise errors.subject_unknown(place)
    kept = await queries.insert_reports(
        conn, programme_id=programme_id, period=period, actor=caller.actor,
        codes=[report.code for report in reports], subjects=[report.subject_id for report in reports],
        households=[report.household_id for report in reports], values=[report.value for report in reports],
    )  # fmt: skip
    for place, (report, row) in enumerate(zip(reports, kept, strict=True)):
        if not row["agrees"]:
            raise errors.reported_otherwise(place)
        assert (row["code"], row["subject_id"]) == (report.code, report.subject_id)
    drafts = [
        Draft(
            ConditionReported(
                programme_id=programme_id, household_id=report.household_id, member_id=report.member_id,
                period=period, code=report.code, value=report.value,
            ),
            report.household_id, caller.actor, caller.request_id,
        )
        for report, row in zip(reports, kept, strict=True) if row["added"]
    ]  # fmt: skip
    return len(drafts), drafts


def _fits(report: Report, condition: Condition, members: Collection[str]) -> bool:
    """Whether the report speaks of whom the condition is asked."""
    return (report.member_id in members) if condition.per == "member" else report.member_id is None

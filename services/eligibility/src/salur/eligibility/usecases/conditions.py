"""Take what is reported of conditions between cycles: all of a request or nothing; of a file what fits."""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from salur.common.auth import Caller
from salur.common.contracts.eligibility import ConditionReported
from salur.common.database import Connection
from salur.common.errors import SalurError
from salur.common.events import Draft
from salur.eligibility import errors
from salur.eligibility.domain.programme import Condition
from salur.eligibility.domain.reports import FileInvalid, Report, RowError, read_reports
from salur.eligibility.store import queries
from salur.eligibility.usecases.programmes import Rules

ROWS_MAX = 10_000


async def report_conditions(
    conn: Connection, rules: Rules, caller: Caller, programme_id: str, period: str, reports: Sequence[Report]
) -> tuple[int, list[Draft]]:
    """Keep the reports of a period: (how many are new, events). The same again changes nothing.

    Raises NotFound, Invalid for what the programme or the caller's regions do not know, Conflict for another value.
    """
    refusals, kept, drafts = await _take(conn, rules, caller, programme_id, period, reports)
    for place, refusal in enumerate(refusals):
        if refusal is not None:
            raise refusal(place, reports[place])
    return kept, drafts


async def take_report_file(
    conn: Connection, rules: Rules, caller: Caller, programme_id: str, period: str, text: str
) -> tuple[dict[str, Any], list[Draft]]:
    """Keep the reports of a file; a row that cannot be taken is told by its line and the others stand.

    The same file again changes nothing. Raises NotFound, Invalid for a file that is no table of reports.
    """
    try:
        rows = list(itertools.islice(read_reports(text), ROWS_MAX + 1))
    except FileInvalid as error:
        raise errors.report_file_invalid(str(error)) from None
    if len(rows) > ROWS_MAX:
        raise errors.report_file_invalid(f"more than {ROWS_MAX} rows: split the file")
    wrong = [row for _, row in rows if isinstance(row, RowError)]
    lines, reports = [line for line, row in rows if isinstance(row, Report)], [
        row for _, row in rows if isinstance(row, Report)
    ]  # fmt: skip
    refusals, added, drafts = await _take(conn, rules, caller, programme_id, period, reports)
    for line, report, refusal in zip(lines, reports, refusals, strict=True):
        if refusal is not None:
            said = refusal(line, report)
            wrong.append(RowError(line, said.code, str(said)))
    wrong.sort(key=lambda row: row.line)
    told = [{"line": row.line, "code": row.code, "message": row.message} for row in wrong]
    return {"rows": len(rows), "reported": len(rows) - len(wrong), "added": added, "errors": told}, drafts


Refusal = Callable[[int, Report], SalurError]


async def _take(
    conn: Connection, rules: Rules, caller: Caller, programme_id: str, period: str, reports: Sequence[Report]
) -> tuple[list[Refusal | None], int, list[Draft]]:
    """Write what fits: (why each does not, or None; how many are new; events). Raises NotFound."""
    programme = await queries.programme(conn, programme_id=programme_id)
    if programme is None:
        raise errors.programme_unknown(programme_id)
    document = (await rules.numbered(conn, programme["number"])).compiled.document
    conditions = {item.code: item for item in document.conditions}
    households = sorted({report.household_id for report in reports})
    known = {row["household_id"]: row for row in await queries.households_regions(conn, ids=households)}
    refusals = [_refusal(report, conditions, known, caller) for report in reports]
    fitting = [(place, report) for place, report in enumerate(reports) if refusals[place] is None]
    if not fitting:
        return refusals, 0, []
    kept = await queries.insert_reports(
        conn, programme_id=programme_id, period=period, actor=caller.actor,
        codes=[report.code for _, report in fitting], subjects=[report.subject_id for _, report in fitting],
        households=[report.household_id for _, report in fitting], values=[report.value for _, report in fitting],
    )  # fmt: skip
    drafts = []
    for (place, report), row in zip(fitting, kept, strict=True):
        assert (row["code"], row["subject_id"]) == (report.code, report.subject_id)
        if not row["agrees"]:
            refusals[place] = lambda place, _: errors.reported_otherwise(place)
        elif row["added"]:
            drafts.append(_told(report, programme_id, period, caller))
    return refusals, len(drafts), drafts


def _told(report: Report, programme_id: str, period: str, caller: Caller) -> Draft:
    fact = ConditionReported(
        programme_id=programme_id, household_id=report.household_id, member_id=report.member_id, period=period,
        code=report.code, value=report.value,
    )  # fmt: skip
    return Draft(fact, report.household_id, caller.actor, caller.request_id)


def _refusal(
    report: Report, conditions: Mapping[str, Condition], known: Mapping[str, Any], caller: Caller
) -> Refusal | None:
    if report.code not in conditions:
        return lambda _, report: errors.condition_unknown(report.code)
    row = known.get(report.household_id)
    members = {member["member_id"] for member in row["members"]} if row else set()
    if row is None or not caller.sees(row["region"]) or not _fits(report, conditions[report.code], members):
        return lambda place, _: errors.subject_unknown(place)
    return None


def _fits(report: Report, condition: Condition, members: Collection[str]) -> bool:
    """Whether the report speaks of whom the condition is asked."""
    return (report.member_id in members) if condition.per == "member" else report.member_id is None

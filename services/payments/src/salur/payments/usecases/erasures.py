"""What the registry has erased: pay no more to it at once, destroy its accounts when the law lets them be destroyed."""

from collections.abc import Sequence
from datetime import datetime

from salur.common.contracts.erasures import SubjectErased
from salur.common.database import Connection
from salur.common.events import Draft, erase_subjects
from salur.payments.store import queries
from salur.payments.usecases.late import payees_changed


async def take_erasures(conn: Connection, erased: Sequence[SubjectErased]) -> None:
    """Close the payees: lists hold what they pin to them, banks are asked to cancel what is under way."""
    beneficiaries = [fact.household_id for fact in erased]
    await queries.close_erased(conn, beneficiary_ids=beneficiaries, erasure_ids=[fact.erasure_id for fact in erased])
    await queries.ask_no_more(conn, beneficiary_ids=beneficiaries)
    await payees_changed(conn, beneficiaries)


async def accounts_due(conn: Connection, before: datetime) -> int:
    """How many erased beneficiaries have no payment under way and none since `before`."""
    return int(await queries.due_payment_accounts(conn, before=before))


async def end_accounts(conn: Connection, before: datetime, most: int) -> tuple[int, list[Draft]]:
    """`erase_due` as a class of retention."""
    return await erase_due(conn, before, most), []


async def erase_due(conn: Connection, before: datetime, most: int) -> int:
    """Destroy the accounts of erased beneficiaries whose last payment is older than `before`. Returns how many."""
    due = await queries.erasures_due(conn, before=before, most=most)
    if not due:
        return 0
    erasures = {row["beneficiary_id"]: row["erasure_id"] for row in due}
    beneficiaries = list(erasures)
    subjects = await queries.subjects_of(conn, beneficiary_ids=beneficiaries)
    await erase_subjects(conn, [(row["subject"], erasures[row["beneficiary_id"]]) for row in subjects])
    await queries.empty_checks(conn, beneficiary_ids=beneficiaries)
    await queries.empty_payees(conn, beneficiary_ids=beneficiaries)
    await queries.erasures_done(conn, beneficiary_ids=beneficiaries)
    return len(due)

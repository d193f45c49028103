"""Take what registry and eligibility say: payees with their cuts, entitlements with their cycles."""

from collections.abc import Sequence
from datetime import datetime

from salur.common.contracts.eligibility import (
    CycleGranted,
    EntitlementAmended,
    EntitlementCancelled,
    EntitlementGranted,
)
from salur.common.contracts.erasures import SubjectErased
from salur.common.contracts.registry import PayeeChecked, PayeeRegistered, RegistryCut
from salur.common.database import Connection
from salur.common.errors import Refused
from salur.common.events import Draft, Received
from salur.common.secrets import Secrets
from salur.payments import store
from salur.payments.store import PayeeRow
from salur.payments.usecases.account_checks import await_checks, take_recorded
from salur.payments.usecases.accounts import seal_account
from salur.payments.usecases.erasures import take_erasures
from salur.payments.usecases.late import Change, payees_changed, take_changes

PAYEES_CONSUMER = "payments.payees"
ENTITLEMENTS_CONSUMER = "payments.entitlements"


async def take_payees(
    conn: Connection, batch: Sequence[Received], secrets: Secrets, checked_banks: frozenset[str] = frozenset()
) -> Sequence[Draft]:
    """Keep payee versions, what was found about them, and the partitions that passed a cut.

    New versions at `checked_banks` wait to be asked about. Raises Refused when a version changes its content.
    """
    payees = [(event.data, event.time) for event in batch if isinstance(event.data, PayeeRegistered)]
    cuts = [(event.data.cut_id, event.partition) for event in batch if isinstance(event.data, RegistryCut)]
    changed = [payee.beneficiary_id for payee, _ in payees if payee.version > 1]
    if changed:
        await store.queries.begin_change(conn)
    if payees:
        rows = [_payee_row(payee, since, secrets) for payee, since in payees]
        if differing := await store.insert_payees(conn, rows):
            raise Refused(f"payee of {differing[0]} came again under the same version with other content: registry")
        if changed:
            await payees_changed(conn, changed)
        await await_checks(conn, [payee for payee, _ in payees], checked_banks)
    await take_recorded(conn, [(event.data, event.time) for event in batch if isinstance(event.data, PayeeChecked)])
    if erased := [event.data for event in batch if isinstance(event.data, SubjectErased)]:
        await take_erasures(conn, erased)
    if cuts:
        ids, partitions = store.columns(cuts, 2)
        await store.queries.insert_passed_cuts(conn, cut_ids=ids, partitions=partitions)
    return ()


def _payee_row(payee: PayeeRegistered, since: datetime, secrets: Secrets) -> PayeeRow:
    sealed = seal_account(secrets, payee.beneficiary_id, payee.account_number, payee.account_holder)
    return PayeeRow(
        payee.beneficiary_id, payee.version, payee.status, payee.bank, payee.account_token, sealed, since,
        payee.identity_token, payee.living, payee.method,
    )  # fmt: skip


async def take_entitlements(conn: Connection, batch: Sequence[Received]) -> Sequence[Draft]:
    """Keep entitlements, their later changes and grant marks. Raises Refused when a known id has other content."""
    granted = [event.data for event in batch if isinstance(event.data, EntitlementGranted)]
    marks = [(event.partition, event.data) for event in batch if isinstance(event.data, CycleGranted)]
    if granted and (differing := await store.insert_entitlements(conn, granted)):
        raise Refused(f"entitlement {differing[0]} came again with other content: eligibility must act")
    if marks and (differing := await store.insert_granted(conn, marks)):
        raise Refused(f"cycle {differing[0]} came again with other totals: eligibility must act")
    changes = [
        _change(event.data) for event in batch if isinstance(event.data, (EntitlementAmended, EntitlementCancelled))
    ]
    return await take_changes(conn, changes) if changes else ()


def _change(fact: EntitlementAmended | EntitlementCancelled) -> Change:
    due, payee_id = (fact.amount_minor, fact.payee_id) if isinstance(fact, EntitlementAmended) else (0, None)
    return Change(fact.change_id, fact.entitlement_id, due, fact.reason, fact.retroactive, payee_id)

"""What payments consumes, as consumers of the event mechanism."""

from collections.abc import Sequence

from salur.common.contracts.topics import results_topic
from salur.common.database import Connection
from salur.common.events import Consumer, Draft, OutsideConsumer, OutsideRecord, Received
from salur.common.service import Runtime
from salur.payments.settings import PaymentsSettings
from salur.payments.usecases import bank_keys, inputs, settle

INPUTS_MAX_RECORDS = 1_000
RESULTS_MAX_RECORDS = 1_000


def consumers(runtime: Runtime) -> list[Consumer | OutsideConsumer]:
    """Payees, entitlements, and the answers of every connected bank."""
    secrets, settings = runtime.secrets, runtime.settings
    assert isinstance(settings, PaymentsSettings)
    checked = frozenset(settings.checked_banks)

    async def payees(conn: Connection, batch: Sequence[Received]) -> Sequence[Draft]:
        return await inputs.take_payees(conn, batch, secrets, checked)

    async def results(conn: Connection, records: Sequence[OutsideRecord]) -> Sequence[Draft]:
        signatures = await bank_keys.signatures(conn, settings.signed_banks, settings.signature_window_s)
        return await settle.take_results(conn, records, secrets, signatures)

    declared: list[Consumer | OutsideConsumer] = [
        Consumer(inputs.PAYEES_CONSUMER, ["registry.payees"], payees, INPUTS_MAX_RECORDS),
        Consumer(
            inputs.ENTITLEMENTS_CONSUMER, ["eligibility.entitlements"], inputs.take_entitlements, INPUTS_MAX_RECORDS
        ),
    ]
    if banks := runtime.settings.banks:
        topics = [results_topic(bank).name for bank in banks]
        declared.append(OutsideConsumer(settle.RESULTS_CONSUMER, topics, results, RESULTS_MAX_RECORDS))
    return declared

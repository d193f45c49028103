"""Every act that two people do together, by the kind of its proposal."""

from collections.abc import Mapping
from typing import Any

from salur.common.database import Connection
from salur.common.events import Draft
from salur.payments import errors
from salur.payments.usecases import (
    bank_keys,
    claims,
    endings,
    funds,
    gate,
    money_cases,
    recalls,
    reconcile,
    reissue,
    stop,
    withdraw,
)
from salur.payments.usecases.proposals import Execute, Person, Proposal


def central(execute: Execute) -> Execute:
    """An act that no region bounds: whoever accepts it has the whole country as scope, as who proposes it."""

    async def guarded(
        conn: Connection, proposal_id: str, proposal: Proposal, person: Person
    ) -> tuple[dict[str, Any], list[Draft]]:
        if person.regions:
            raise errors.central_act(proposal.kind)
        return await execute(conn, proposal_id, proposal, person)

    return guarded


ACTS: Mapping[str, Execute] = {
    funds.TOP_UP: funds.top_up,
    funds.CLOSE: funds.close,
    gate.SET_RULE: central(gate.set_rule),
    gate.CLOSE_REGION: central(gate.close_region),
    gate.REOPEN_REGION: central(gate.reopen_region),
    gate.SET_BAND: central(gate.set_band),
    gate.SET_PAYEE: central(gate.set_payee),
    endings.TO_TREASURY: endings.to_treasury,
    endings.CANCEL_FAILED: endings.cancel_failed,
    endings.END_CYCLE: central(endings.end_cycle),
    recalls.RECALL_UNCLAIMED: central(recalls.recall_unclaimed),
    recalls.RECALL_PAYMENT: recalls.recall_payment,
    withdraw.WITHDRAW: withdraw.withdraw,
    withdraw.REROUTE: withdraw.reroute,
    stop.STOP: central(stop.stop_list),
    claims.REDUCE: claims.reduce,
    money_cases.CASE_RESOLVE: money_cases.resolve_case,
    reissue.SET_ORDER: central(reissue.set_order),
    bank_keys.ADD: central(bank_keys.add_key),
    bank_keys.END: central(bank_keys.end_key),
    reconcile.BREAK_RESOLVE: central(reconcile.resolve_break),
    reconcile.BREAKS_RESOLVE: central(reconcile.resolve_breaks),
}

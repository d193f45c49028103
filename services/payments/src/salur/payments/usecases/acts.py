"""Every act that two people do together, by the kind of its proposal."""

from collections.abc import Mapping

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
from salur.payments.usecases.proposals import Execute

ACTS: Mapping[str, Execute] = {
    funds.TOP_UP: funds.top_up,
    funds.CLOSE: funds.close,
    gate.SET_RULE: gate.set_rule,
    gate.CLOSE_REGION: gate.close_region,
    gate.REOPEN_REGION: gate.reopen_region,
    gate.SET_BAND: gate.set_band,
    gate.SET_PAYEE: gate.set_payee,
    endings.TO_TREASURY: endings.to_treasury,
    endings.CANCEL_FAILED: endings.cancel_failed,
    endings.END_CYCLE: endings.end_cycle,
    recalls.RECALL_UNCLAIMED: recalls.recall_unclaimed,
    recalls.RECALL_PAYMENT: recalls.recall_payment,
    withdraw.WITHDRAW: withdraw.withdraw,
    withdraw.REROUTE: withdraw.reroute,
    stop.STOP: stop.stop_list,
    claims.REDUCE: claims.reduce,
    money_cases.CASE_RESOLVE: money_cases.resolve_case,
    reissue.SET_ORDER: reissue.set_order,
    bank_keys.ADD: bank_keys.add_key,
    bank_keys.END: bank_keys.end_key,
    reconcile.BREAK_RESOLVE: reconcile.resolve_break,
    reconcile.BREAKS_RESOLVE: reconcile.resolve_breaks,
}

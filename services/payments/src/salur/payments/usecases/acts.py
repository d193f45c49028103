"""Every act that two people do together, by the kind of its proposal."""

from collections.abc import Mapping

from salur.payments.usecases import funds, gate
from salur.payments.usecases.proposals import Execute

ACTS: Mapping[str, Execute] = {
    funds.TOP_UP: funds.top_up,
    funds.CLOSE: funds.close,
    gate.SET_RULE: gate.set_rule,
    gate.CLOSE_REGION: gate.close_region,
    gate.REOPEN_REGION: gate.reopen_region,
    gate.SET_BAND: gate.set_band,
}

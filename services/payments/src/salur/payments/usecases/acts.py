"""Every act that two people do together, by the kind of its proposal."""

from collections.abc import Mapping

from salur.payments.usecases import funds
from salur.payments.usecases.proposals import Execute

ACTS: Mapping[str, Execute] = {
    funds.TOP_UP: funds.top_up,
    funds.CLOSE: funds.close,
}

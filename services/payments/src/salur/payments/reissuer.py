"""The worker that issues failed payments again, cycle after cycle."""

from salur.common.errors import Conflict
from salur.common.logs import get_logger
from salur.common.service import Runtime
from salur.payments.settings import PaymentsSettings
from salur.payments.usecases.reissue import next_order, reissue

log = get_logger("payments.reissue")


class Reissuer:
    """Goes through the cycles that have a standing order; one cycle is one transaction."""

    def __init__(self, runtime: Runtime, settings: PaymentsSettings) -> None:
        self._runtime = runtime
        self._banks = settings.partner_banks
        self._approve_within_s = settings.approve_within_s
        self._after = ""

    async def step(self) -> bool:
        """Look at the next cycle. What its funds or the gate refuse now is looked at again in the next round."""
        async with self._runtime.db.connection() as conn:
            order = await next_order(conn, self._after)
        if order is None:
            self._after = ""
            return False
        self._after = order["cycle_id"]
        try:
            async with self._runtime.unit_of_work() as unit:
                built, drafts = await reissue(unit.conn, order, self._banks, self._approve_within_s)
                unit.emit(*drafts)
        except Conflict as refusal:
            log.info("not issued again", cycle_id=order["cycle_id"], code=refusal.code, who=refusal.who)
        else:
            if built is not None:
                log.info("issued again", cycle_id=order["cycle_id"], list_id=built["list_id"], items=built["items"])
        return True

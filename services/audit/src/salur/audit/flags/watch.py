"""Run every rule over what search has learnt since."""

from collections.abc import Sequence

from salur.audit import store
from salur.audit.flags.rules import Rule
from salur.audit.usecases.flags import check_rules
from salur.common.logs import get_logger
from salur.common.service import Runtime

log = get_logger("flags")


class Watch:
    """Steps of the rules: one question when nothing is new, else one transaction for all that are behind alike."""

    def __init__(self, runtime: Runtime, rules: Sequence[Rule]) -> None:
        self._runtime = runtime
        self._rules = rules
        self._names = [rule.rule for rule in rules]
        self._declared = False

    async def step(self) -> bool:
        """Read on. True = there may be more."""
        async with self._runtime.db.connection() as conn:
            if not self._declared:
                await store.queries.declare_rules(conn, rules=self._names)
                self._declared = True
            if not await store.queries.are_rules_behind(conn, rules=self._names):
                return False
        async with self._runtime.unit_of_work() as unit:
            more, drafts = await check_rules(unit.conn, self._rules)
            unit.emit(*drafts)
        for draft in drafts:
            log.warning(
                "flag-raised", rule=draft.data.model_dump()["rule"], flag=draft.key, remedy="auditors must look"
            )
        return more

"""Run every rule over what search has learnt since."""

from collections.abc import Sequence

from salur.audit import store
from salur.audit.flags.rules import Rule
from salur.audit.usecases.flags import ENTRIES_PER_STEP, check_rule
from salur.common.logs import get_logger
from salur.common.service import Runtime

log = get_logger("flags")


class Watch:
    """Steps of the rules: one question when nothing is new, else a transaction per rule that is behind."""

    def __init__(self, runtime: Runtime, rules: Sequence[Rule]) -> None:
        self._runtime = runtime
        self._rules = {rule.rule: rule for rule in rules}
        self._declared = False

    async def step(self) -> bool:
        """Read on with every rule. True = there is more."""
        names = list(self._rules)
        async with self._runtime.db.connection() as conn:
            if not self._declared:
                await store.queries.declare_rules(conn, rules=names)
                self._declared = True
            behind = await store.queries.rules_behind(conn, rules=names)
        return any([await self._check(self._rules[row["rule"]]) for row in behind])

    async def _check(self, rule: Rule) -> bool:
        async with self._runtime.unit_of_work() as unit:
            read, drafts = await check_rule(unit.conn, rule)
            unit.emit(*drafts)
        for draft in drafts:
            log.warning("flag-raised", rule=rule.rule, flag=draft.key, remedy="auditors must look")
        return read == ENTRIES_PER_STEP

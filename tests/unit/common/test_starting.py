"""A service that has not yet compared itself with Kafka answers 503: it neither writes nor fails."""

from typing import Any

import pytest

from salur.common.contracts.payments import FundOpened
from salur.common.database import Database
from salur.common.errors import Unavailable
from salur.common.events import Draft, EventStore
from salur.common.secrets import Secrets

FUND: dict[str, Any] = {"fund_id": "central", "name": "Central", "currency": "IDR", "budget_minor": 1}


async def test_nothing_is_appended_before_the_partitions_are_known() -> None:
    store = EventStore("payments", Secrets(bytes(32)))
    fact = FundOpened.model_validate(FUND)
    nowhere: Any = None
    with pytest.raises(Unavailable) as refusal:
        await store.append(nowhere, [Draft(fact, "central", "person:ani", "request", topic="payments.funds")])
    assert (refusal.value.code, refusal.value.status) == ("starting", 503)


async def test_a_database_that_is_not_open_is_an_outage() -> None:
    with pytest.raises(Unavailable):
        async with Database("postgresql://nowhere", pool_size=1, statement_timeout_s=1).connection():
            pass

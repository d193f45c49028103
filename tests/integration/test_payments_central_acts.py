"""What no region bounds is accepted by somebody whose scope is the whole country, as it was proposed by one."""

import pytest

from salur.common.database import Database
from salur.common.errors import Forbidden
from salur.common.secrets import Secrets
from salur.payments.usecases import acts, bank_keys, endings, gate, proposals, recalls, reconcile, reissue, stop
from salur.payments.usecases.proposals import Person
from support.payments import CHECKER, House

pytestmark = pytest.mark.integration
REGIONAL = Person(CHECKER, "request-c", ("32.04",))
KINDS = (
    gate.SET_RULE, gate.SET_PAYEE, gate.SET_BAND, gate.CLOSE_REGION, gate.REOPEN_REGION, stop.STOP, bank_keys.ADD,
    bank_keys.END, reconcile.BREAK_RESOLVE, reconcile.BREAKS_RESOLVE, reissue.SET_ORDER, endings.END_CYCLE,
    recalls.RECALL_UNCLAIMED,
)  # fmt: skip


async def test_a_regional_person_cannot_accept_what_concerns_every_region(
    db: Database, database_url: str, keys: Secrets
) -> None:
    house = await House.build(db, database_url, keys)
    for kind in KINDS:
        proposal_id = await house.propose(kind, "whatever")
        with pytest.raises(Forbidden) as refused:
            async with db.transaction() as conn:
                await proposals.decide(conn, proposal_id, REGIONAL, acts.ACTS, accept=True)
        assert refused.value.code == "central-act", kind
    assert {row["state"] for row in await house.fetch("SELECT state FROM proposal")} == {"open"}

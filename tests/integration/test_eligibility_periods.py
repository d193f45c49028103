"""A programme's cycles pay for months that do not overlap, and not before they begin unless somebody says why."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from salur.common.database import Database
from salur.common.errors import Conflict
from salur.common.secrets import Secrets
from salur.eligibility.domain.periods import Period
from support.eligibility import Office, household

pytestmark = pytest.mark.integration
WHY = {"early_reason": "Lebaran: paid before the holiday"}
TODAY = datetime.now(UTC).date()


@pytest.fixture
async def office(db: Database, database_url: str, keys: Secrets) -> Office:
    office = await Office.build(db, database_url, keys)
    await office.publish()
    await office.take(household("a"))
    return office


async def opened(office: Office, name: str, **period: Any) -> dict[str, Any]:
    """A cycle on a cut of its own."""
    return await office.open(await office.cut(name, 1), name, starts_on=period.pop("starts_on", None), **period)


async def refused(office: Office, name: str, **period: Any) -> tuple[str, str]:
    with pytest.raises(Conflict) as error:
        await opened(office, name, **period)
    return error.value.code, str(error.value)


async def test_the_next_cycle_begins_where_the_one_before_ends(office: Office) -> None:
    """Of two months each (the example's): today's, one the same day, the next two said to be early."""
    first = await opened(office, "1")
    assert (first["starts_on"], first["ends_on"]) == Period.of(TODAY, 2)
    assert first["early_reason"] is None
    code, said = await refused(office, "2")
    assert code == "cycle-overlaps"
    assert "'1'" in said and str(first["ends_on"]) in said and "early_reason" in said
    code, said = await refused(office, "2", starts_on=first["ends_on"])
    assert (code, str(first["ends_on"]) in said) == ("cycle-early", True)
    second = await opened(office, "2", starts_on=first["ends_on"], **WHY)
    assert (second["starts_on"], second["early_reason"]) == (first["ends_on"], WHY["early_reason"])
    third = await opened(office, "3", **WHY)
    assert third["starts_on"] == second["ends_on"], "the first day not covered"
    told = [event["data"] for event in await office.events("salur.cycle.opened.v1")]
    assert sorted((fact["name"], fact["starts_on"], fact["early_reason"]) for fact in told) == [
        ("1", str(TODAY), None), ("2", str(first["ends_on"]), WHY["early_reason"]),
        ("3", str(second["ends_on"]), WHY["early_reason"]),
    ]  # fmt: skip


async def test_a_reason_lets_no_months_be_paid_twice_and_a_gap_may_be_filled_late(office: Office) -> None:
    await opened(office, "now")
    long_ago = date(TODAY.year - 3, 1, 1)
    late = await opened(office, "arrears", starts_on=long_ago, **WHY)
    assert late["early_reason"] is None, "its months have begun: nothing is early"
    for day in (long_ago, date(TODAY.year - 3, 2, 28), date(TODAY.year - 4, 12, 31), TODAY):
        assert (await refused(office, "twice", starts_on=day, **WHY))[0] == "cycle-overlaps"
    assert len(await office.rows("SELECT 1 FROM cycle")) == 2

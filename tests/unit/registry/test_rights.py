"""Rights: what may be given, and what a registered principal may do with a token that says otherwise."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from salur.common.auth import PERMISSIONS, Caller
from salur.common.contracts.principals import Grant
from salur.common.errors import Forbidden
from salur.common.rights import Standing, held
from salur.common.values import derived_id
from salur.registry.domain.rights import RightRefused, check_delegation, check_roles, covers

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TOKEN = Caller("person:ani", frozenset({"administrator", "approver"}), ("32",), "request-1", device="d" * 32)


def grant(role: str, *regions: str, **more: Any) -> Grant:
    return Grant(grant_id=derived_id(role, *regions), role=role, regions=list(regions), **more)


def standing(*grants: Grant, **more: Any) -> Standing:
    given: dict[str, Any] = {"suspended": False, "grants": grants, "device_bound": False, "devices": frozenset()}
    return Standing(**given | more)


def test_a_registered_principal_has_the_registrys_rights_and_none_of_the_tokens() -> None:
    caller = held(standing(grant("registrar", "31.71")), TOKEN, "household:read", NOW)
    assert (caller.roles, caller.regions, caller.actor) == (frozenset({"registrar"}), ("31.71",), "person:ani")
    assert not caller.may("list:approve")
    assert held(standing(), TOKEN, "household:read", NOW).roles == frozenset()


def test_the_regions_are_those_of_the_rights_that_allow_the_act() -> None:
    both = standing(grant("registrar", "31.71"), grant("registrar", "33"), grant("programme-officer"))
    assert held(both, TOKEN, "household:change", NOW).regions == ("31.71", "33")
    assert held(both, TOKEN, "cycle:open", NOW).regions == ()


def test_a_right_ends_at_its_time_and_not_before() -> None:
    until = standing(grant("registrar", expires_at=NOW))
    assert held(until, TOKEN, "household:read", NOW - timedelta(seconds=1)).may("household:read")
    assert not held(until, TOKEN, "household:read", NOW).may("household:read")


def test_who_uses_a_lent_right_stands_for_the_lender_too() -> None:
    lent = grant("approver", expires_at=NOW + timedelta(days=1), delegated_by="person:budi")
    assert held(standing(lent), TOKEN, "list:approve", NOW).delegators == {"person:budi"}
    own = standing(lent, grant("approver"))
    assert held(own, TOKEN, "list:approve", NOW).delegators == frozenset()


@pytest.mark.parametrize("lent_regions", [(), ("31", "32.01")])
def test_a_small_right_of_ones_own_does_not_hide_whose_the_larger_one_is(lent_regions: tuple[str, ...]) -> None:
    lent = grant("approver", *lent_regions, expires_at=NOW + timedelta(days=1), delegated_by="person:budi")
    mixed = held(standing(grant("approver", "32.01"), lent), TOKEN, "list:approve", NOW)
    assert mixed.delegators == {"person:budi"}
    wide = held(standing(grant("approver", "31", "32"), lent), TOKEN, "list:approve", NOW)
    assert wide.delegators == (frozenset() if lent_regions else {"person:budi"})


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"suspended": True}, "suspended"),
        ({"device_bound": True}, "other-device"),
        ({"device_bound": True, "devices": frozenset({"e" * 32})}, "other-device"),
    ],
)
def test_suspended_people_and_unknown_devices_stay_outside(told: dict[str, Any], code: str) -> None:
    with pytest.raises(Forbidden) as refused:
        held(standing(grant("registrar"), **told), TOKEN, "household:read", NOW)
    assert refused.value.code == code
    known = standing(grant("registrar"), device_bound=True, devices=frozenset({TOKEN.device}))
    assert held(known, TOKEN, "household:read", NOW).may("household:read")


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ("approver", {"payment-operator"}),
        ("auditor", {"registrar"}),
        ("registrar", {"auditor"}),
        ("investigator", {"registrar"}),
        ("king", set()),
    ],
)
def test_what_one_person_may_not_hold_together_is_refused(asked: str, holds: set[str]) -> None:
    with pytest.raises(RightRefused):
        check_roles(asked, holds, PERMISSIONS)
    check_roles("registrar", {"registrar", "programme-officer"}, PERMISSIONS)
    check_roles("investigator", {"auditor"}, PERMISSIONS)


@pytest.mark.parametrize(
    ("scope", "regions", "covered"),
    [((), (), True), ((), ("31",), True), (("31",), ("31.71",), True), (("31",), (), False),
     (("31",), ("31.71", "32"), False), (("3",), ("31",), False), (("31.71",), ("31",), False)],
)  # fmt: skip
def test_nobody_gives_more_than_their_own_regions(
    scope: tuple[str, ...], regions: tuple[str, ...], covered: bool
) -> None:
    assert covers(scope, regions) is covered


def test_a_delegation_is_for_a_month_at_most_and_never_longer_than_the_right_it_lends() -> None:
    check_delegation(NOW + timedelta(days=30), None, NOW)
    for expires_at, source in ((31, None), (2, 1), (0, None)):
        ends = None if source is None else NOW + timedelta(days=source)
        with pytest.raises(RightRefused):
            check_delegation(NOW + timedelta(days=expires_at), ends, NOW)

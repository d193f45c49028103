"""What may be registered, what a mapping may say, what made-up accounts look like."""

from typing import Any

import pytest

from salur.common.secrets import Secrets
from salur.registry.domain.household import (
    MAX_ATTRIBUTES,
    MAX_HOUSEHOLD_SIZE,
    MAX_MEMBERS,
    MAX_TEXT_LENGTH,
    Household,
    HouseholdInvalid,
    Identifier,
    Member,
    Payee,
    check_household,
)
from salur.registry.domain.mapping import MappingInvalid, parse_mapping, synthetic_account
from salur.registry.http_imports import cell
from salur.registry.usecases.prepare import open_payee, prepare

KK = Identifier("kk", "3171234567890001")
NIK = Identifier("nik", "3171014107850001")
PAYEE = Payee("bank-a", "1234567890", "Holder")


def household(**given: Any) -> Household:
    fields: dict[str, Any] = {"identifiers": (KK,), "region": "31.71", "attributes": {"poverty_index": 600.5}}
    return Household(**(fields | given))


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"identifiers": ()}, "identifiers"),
        ({"identifiers": (KK, KK)}, "identifiers"),
        ({"members": (Member({}, (KK,)),)}, "identifiers"),
        ({"members": (Member({}),) * (MAX_MEMBERS + 1)}, "members"),
        ({"attributes": {f"a{n}": 1 for n in range(MAX_ATTRIBUTES + 1)}}, "attributes"),
        ({"attributes": {"a": float("nan")}}, "attributes.a"),
        ({"attributes": {"a": float("inf")}}, "attributes.a"),
        ({"attributes": {"a": 2**53}}, "attributes.a"),
        ({"attributes": {"a": "x" * (MAX_TEXT_LENGTH + 1)}}, "attributes.a"),
        ({"attributes": {"a": "x\x00"}}, "attributes.a"),
        ({"attributes": {"a": "\ud800"}}, "attributes.a"),
        ({"members": (Member({"a": "\x00"}),)}, "members.a"),
        ({"attributes": {f"a{n}": "x" * 999 for n in range(MAX_HOUSEHOLD_SIZE // 1_000 + 1)}}, "household"),
        ({"identifiers": (Identifier("kk", "31712345678900"),)}, "identifiers.kk"),
        ({"members": (Member({}, (Identifier("nik", "3171013213850001"),)),)}, "identifiers.nik"),
        ({"members": (Member({"relation": "head"}), Member({"relation": "head"}))}, "members"),
        ({"payee": Payee("Bank A", "1234567890", "Holder")}, "payee.bank"),
        ({"payee": Payee("bank-z", "1234567890", "Holder")}, "payee.bank"),
        ({"payee": Payee("bank-a", "12-34", "Holder")}, "payee.number"),
        ({"payee": Payee("bank-a", "1234567890", "")}, "payee.holder"),
    ],
)
def test_what_must_not_enter_is_refused_by_place_and_without_its_value(given: dict[str, Any], place: str) -> None:
    with pytest.raises(HouseholdInvalid) as refused:
        check_household(household(**given), banks=("bank-a",))
    assert refused.value.place == place
    assert KK.value not in str(refused.value)


def test_a_sound_household_may_enter() -> None:
    check_household(household(members=(Member({"age": 9}, (NIK,)),), payee=PAYEE), ("bank-a",))


def test_ids_come_from_identifiers_and_tell_nothing_without_the_key() -> None:
    one, other = Secrets(b"1" * 32), Secrets(b"2" * 32)
    member = Member({"age": 9}, (NIK,))
    first = prepare(household(members=(member,)), one, actor="a", cause="c")
    again = prepare(household(members=(member,), region="32"), one, actor="b", cause="d")
    elsewhere = prepare(household(members=(member,)), other, actor="a", cause="c")
    assert first.household_id == again.household_id != elsewhere.household_id
    assert first.identifiers[1].member_id == again.identifiers[1].member_id != elsewhere.identifiers[1].member_id
    assert first.content_token != again.content_token


def test_stored_rows_hold_no_identity_in_clear() -> None:
    item = prepare(household(payee=PAYEE), Secrets(b"1" * 32), actor="a", cause="c")
    stored = repr((item.household, item.identifiers, item.payee))
    assert KK.value not in stored
    assert PAYEE.number not in stored
    assert item.payee is not None
    assert open_payee(item.payee.sealed, item.household_id, Secrets(b"1" * 32)) == PAYEE


MAPPING: dict[str, Any] = {"name": "t", "household": {"scheme": "s", "column": "c"}, "region": "r"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"household": {"scheme": "s"}}, "household.column"),
        ({"colour": "red"}, "colour"),
        ({"attributes": {"a": {"column": "x", "type": "date"}}}, "attributes.a.type"),
        ({"attributes": {"Not A Name": {"column": "x", "type": "int"}}}, "attributes"),
        ({"payee": {}}, "payee"),
        ({"payee": {"synthetic": {"banks": ["bank-z"]}}}, "bank-z"),
    ],
)
def test_a_wrong_mapping_names_the_place(change: dict[str, Any], says: str) -> None:
    with pytest.raises(MappingInvalid, match=says):
        parse_mapping(MAPPING | change, banks=("bank-a",))


def test_made_up_accounts_are_the_same_for_the_same_household_and_differ_between_two() -> None:
    banks = ["bank-a", "bank-b", "bank-c"]
    accounts = [synthetic_account(f"s/{n}", banks) for n in range(20_000)]
    assert synthetic_account("s/7", banks) == accounts[7]
    assert len({number for _, number, _ in accounts}) == 20_000
    assert {bank for bank, _, _ in accounts} == set(banks)
    assert all(holder.startswith("Synthetic holder ") for _, _, holder in accounts)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_no_cell_of_a_report_is_taken_for_a_formula(text: str) -> None:
    assert cell(text)[1] == "'"
    assert cell('a"b') == '"a""b"'

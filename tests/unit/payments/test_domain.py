"""The pure rules of payments: machine, lists, decisions."""

import itertools
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salur.payments import main as payments_main
from salur.payments.domain.lists import WHO_MUST_ACT, Banks, Candidate, ListBuilder, Source, choose_source
from salur.payments.domain.machine import MOVES, MoveRefused, moved
from salur.payments.domain.methods import code_commitment, code_of
from salur.payments.domain.results import BankResult, Decision, Standing, Unusable, decide, read_result

MIGRATION = Path(payments_main.__file__).parent / "migrations" / "0013.after-settlement.sql"


def test_only_declared_moves_are_possible() -> None:
    for before, after in itertools.product(MOVES, MOVES):
        if after in MOVES[before]:
            assert moved(before, after) == after
        else:
            with pytest.raises(MoveRefused):
                moved(before, after)


def test_the_database_guards_the_same_machine() -> None:
    """Every move of the domain but the first, which is the row's insertion, stands in the trigger, and no other."""
    trigger = MIGRATION.read_text().split("CREATE TRIGGER payment_state_machine")[1].split("EXECUTE")[0]
    declared = set(re.findall(r"\('(\w+)', '(\w+)'\)", trigger))
    expected = {(before, after) for before, targets in MOVES.items() for after in targets if before != "approved"}
    assert declared == expected


@given(st.binary(max_size=300) | st.none())
def test_any_bytes_are_read_or_unusable(value: bytes | None) -> None:
    with pytest.raises(Unusable):
        read_result(value, "bank-a")


STATES = ["instructed", "unknown", "settled", "rejected", "returned"]
ACCOUNT, OTHER_ACCOUNT = "sha256:" + "0" * 64, "sha256:" + "1" * 64


def _result(status: Any, account: str | None, reference: str = "R-1") -> BankResult:
    return BankResult("m", "i", status, "AC04", 5, "MXN", reference, None, account, None, b"")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("status", "named", "reason"),
    [
        ("ACCC", OTHER_ACCOUNT, "other-account"),
        ("ACCC", None, "account-unnamed"),
        ("RJCT", OTHER_ACCOUNT, "other-account"),
        ("RTRN", OTHER_ACCOUNT, "other-account"),
        ("ACSP", OTHER_ACCOUNT, "other-account"),
    ],
)
def test_an_answer_about_another_account_moves_nothing(state: str, status: str, named: str | None, reason: str) -> None:
    standing = Standing(state, "bank-a", 5, "MXN", ACCOUNT, "AC04", "R-1", "R-2")
    assert decide(standing, "bank-a", _result(status, named)) == Decision("suspend", reason)


def test_a_refusal_need_not_name_an_account() -> None:
    standing = Standing("instructed", "bank-a", 5, "MXN", ACCOUNT, None, None, None)
    assert decide(standing, "bank-a", _result("RJCT", None)) == Decision("rejected")


@given(st.sampled_from(STATES), st.sampled_from(["ACCC", "ACSP", "PDNG", "RJCT", "RTRN"]), st.booleans())
def test_a_decision_moves_only_along_the_machine(state: str, status: str, same: bool) -> None:
    standing = Standing(state, "bank-a", 5, "MXN", ACCOUNT, "AC04", "R-1", "R-2")
    result = _result(status, ACCOUNT, "R-1" if same else "R-9")
    decision = decide(standing, "bank-a", result)
    if decision.act in STATES:
        assert decision.act in MOVES[state]  # type: ignore[index]
    if decision.act == "suspend":
        assert decision.reason


def _candidate(number: int, **changes: object) -> Candidate:
    values: dict[str, object] = {
        "entitlement_id": f"{number:032x}", "beneficiary_id": f"{number:031x}0", "amount_minor": 100, "currency": "MXN",
        "region": "31", "payee_version": 1, "payee_status": "active", "bank": "bank-a", "account_token": "0" * 64,
        "payee_id": f"{number:031x}0", "method": "account",
    }  # fmt: skip
    return Candidate(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"amount_minor": 101},
        {"payee_version": 2},
        {"account_token": "1" * 64},
        {"bank": "bank-b"},
        {"currency": "IDR"},
        {"payee_id": "f" * 32},
        {"method": "card"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_content_hash_covers_what_is_paid_to_whom(change: dict[str, object]) -> None:
    hashes = set()
    for changes, fund_id in (({}, "one"), (change, "one"), ({}, "two")):
        builder = ListBuilder(Banks(frozenset({"bank-a", "bank-b"})), [Source(fund_id, "", 1)])
        builder.add(_candidate(1), blocked=False)
        builder.add(_candidate(2, **changes), blocked=False)
        hashes.add(builder.content_hash)
    assert len(hashes) == 3


def test_ranks_are_dense_over_payable_items_and_every_hold_names_who_must_act() -> None:
    builder = ListBuilder(Banks(frozenset({"bank-a"}), cash=frozenset({"bank-b"})), [Source("one", "", 1)])
    items = [
        builder.add(_candidate(1), blocked=False),
        builder.add(_candidate(2), blocked=True),
        builder.add(_candidate(3, payee_status="closed"), blocked=False),
        builder.add(_candidate(4, bank="bank-z"), blocked=False),
        builder.add(_candidate(5, amount_minor=0), blocked=False),
        builder.add(_candidate(6), blocked=False),
        builder.add(_candidate(7, method="cash"), blocked=False),
    ]
    assert [item.rank for item in items] == [1, None, None, None, None, 2, None]
    assert set(builder.held) == {"input-blocked", "no-account", "bank-unknown", "nothing-due", "method-not-offered"}
    assert set(builder.held) <= set(WHO_MUST_ACT)
    assert (builder.items, builder.amount_minor) == (2, 200)


def test_shares_are_met_as_closely_as_whole_payments_allow() -> None:
    """After every item each fund is within one payment of its share, whatever the amounts."""
    sources = [Source("central", "", 7), Source("province", "31", 3)]
    total = 0
    for number in range(1, 200):
        amount = 50 + number * 37 % 100
        chosen = choose_source(sources, "31.71", amount)
        assert chosen is not None
        chosen.amount_minor += amount
        total += amount
        assert abs(sources[0].amount_minor - Fraction(7, 10) * total) <= 150


def test_a_fund_of_another_region_is_never_chosen() -> None:
    sources = [Source("district", "31.71", 1), Source("far", "32", 100)]
    assert choose_source(sources, "31.71.01", 5) is sources[0]
    assert choose_source(sources, "31.7", 5) is None


@given(st.binary(min_size=32, max_size=32))
def test_a_collection_code_can_be_read_aloud_and_is_proven_without_telling_it(seed: bytes) -> None:
    code = code_of(seed.hex())
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{12}", code), "no I, L, O, U: they look like others"
    commitment = code_commitment("a" * 30 + "-001", code)
    assert commitment == code_commitment("a" * 30 + "-001", code)
    assert commitment != code_commitment("a" * 30 + "-002", code), "a code is of one instruction"
    assert code not in commitment

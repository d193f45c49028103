"""The ledger made again from events: what each moves, and that a changed or missing event shows on its account."""

from typing import Any

import orjson
import pytest

from salur.audit.domain.ledger import Ledger, Unreadable, differences

FUND = {"fund_id": "central", "currency": "IDR"}


def paid(instruction: str, amount: int = 300) -> dict[str, Any]:
    return FUND | {"instruction_id": instruction, "bank": "bank-a", "amount_minor": amount}


STORY: list[tuple[str, dict[str, Any]]] = [
    ("salur.fund.opened.v1", FUND | {"budget_minor": 5_000}),
    ("salur.fund.topped-up.v1", FUND | {"proposal_id": "p1", "amount_minor": 1_000, "budget_minor": 6_000}),
    ("salur.payment.settled.v1", paid("i1")),
    ("salur.payment.settled.v1", paid("i2", 200)),
    ("salur.payment.rejected.v1", paid("i3")),
    ("salur.payment.returned.v1", paid("i2", 200)),
    ("salur.payment.sent-to-treasury.v1", paid("i2", 200)),
    ("salur.payment.settled.v1", paid("i4", 50)),
    ("salur.payment.disputed.v1", paid("i4", 50)),
]


def ledger(story: list[tuple[str, dict[str, Any]]]) -> Ledger:
    return Ledger.of(orjson.dumps({"type": type_, "data": data}) for type_, data in story)


def test_balances_add_up_to_what_happened_and_sum_to_zero() -> None:
    balances = ledger(STORY).balances()
    assert balances == {
        "treasury:IDR": -5_800, "fund:central": 5_450, "clearing:bank-a:IDR": 0, "beneficiaries:central": 300,
        "disputed:bank-a:IDR": 50,
    }  # fmt: skip
    assert sum(balances.values()) == 0


@pytest.mark.parametrize(
    ("end", "people", "fund"),
    [("salur.payment.settled.v1", 350, 5_450), ("salur.payment.returned.v1", 300, 5_500)],
)
def test_a_dispute_ends_as_settled_or_back_in_the_fund(end: str, people: int, fund: int) -> None:
    balances = ledger([*STORY, (end, paid("i4", 50))]).balances()
    assert (balances["disputed:bank-a:IDR"], balances["beneficiaries:central"]) == (0, people)
    assert balances["fund:central"] == fund


LISTED: list[tuple[str, dict[str, Any]]] = [
    ("salur.payment-list.submitted.v1", {"list_id": "l1", "currency": "IDR", "funded_minor": 1_000}),
    ("salur.payment-list.submitted.v1", {"list_id": "l2", "currency": "IDR", "funded_minor": 70}),
    ("salur.payment.held.v1", {"list_id": "l1", "payment_id": "p9", "amount_minor": 30, "freed": False}),
    ("salur.payment.held.v1", {"list_id": "l1", "payment_id": "p8", "amount_minor": 20, "freed": True}),
    ("salur.payment.cancelled.v1", {"list_id": "l1", "payment_id": "p7", "amount_minor": 50, "freed": True}),
    ("salur.payment.instructed.v1", paid("i1")),
    ("salur.payment.instructed.v1", paid("i2", 200)),
    ("salur.payment.settled.v1", paid("i1")),
]


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "as streams may interleave"])
def test_reserves_are_what_lists_set_aside_without_what_ended_or_was_given_back(backwards: bool) -> None:
    """1,000 + 70 set aside, 70 given back of single items, 300 paid: 700 stay, 200 of them in flight. The order of
    streams in the log changes nothing. A refused or expired list keeps nothing, whatever was given back before."""
    story = LISTED[::-1] if backwards else LISTED
    made = ledger(story)
    assert (made.reserved(), made.in_flight()) == ({"IDR": 700}, {"IDR": 200})
    refused = ledger([*story, ("salur.payment-list.refused.v1", {"list_id": "l2"})])
    assert refused.reserved() == {"IDR": 630}
    given_up: list[tuple[str, dict[str, Any]]] = [
        ("salur.payment-list.submitted.v1", {"list_id": "l3", "currency": "IDR", "funded_minor": 90}),
        ("salur.payment.held.v1", {"list_id": "l3", "payment_id": "p1", "amount_minor": 40, "freed": True}),
        ("salur.payment-list.expired.v1", {"list_id": "l3"}),
    ]
    assert ledger([*story, *given_up]).reserved() == {"IDR": 700}
    assert ledger([event for event in story if "held" not in event[0]]).reserved() == {"IDR": 720}


def test_claims_and_losses_stand_beside_what_was_paid() -> None:
    case = FUND | {"case_id": "c1", "amount_minor": 100, "kind": "overpayment"}
    loss = case | {"case_id": "c2", "amount_minor": 40, "resolution": "written-off"}
    story = [
        *STORY,
        ("salur.money-case.ended.v1", case | {"resolution": "recovery"}),
        ("salur.money-case.ended.v1", loss),
        ("salur.money-case.ended.v1", {"case_id": "c3", "kind": "supplement", "resolution": "paid"}),
        ("salur.claim.reduced.v1", case | {"how": "recovered", "number": 1, "amount_minor": 60}),
        ("salur.claim.reduced.v1", case | {"how": "set-off", "number": 2, "amount_minor": 30}),
        ("salur.claim.reduced.v1", case | {"how": "written-off", "number": 3, "amount_minor": 10}),
        ("salur.claim.reduced.v1", loss | {"how": "written-off-returned", "number": 1, "amount_minor": 40}),
    ]
    before, after = ledger(STORY).balances(), ledger(story).balances()
    assert {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)} == {
        "fund:central": 60, "overpaid:central": -70, "written-off:central": 10,
    }  # fmt: skip
    with pytest.raises(Unreadable):
        ledger([("salur.claim.reduced.v1", case | {"how": "forgotten", "number": 1})])


def test_an_event_told_twice_moves_once() -> None:
    assert ledger([STORY[0], STORY[0]]).hash() == ledger([STORY[0]]).hash()


def test_an_event_left_out_or_altered_differs_and_names_the_account() -> None:
    true = ledger(STORY)
    left_out = ledger([event for event in STORY if event[1].get("instruction_id") != "i1"])
    assert left_out.hash() != true.hash()
    assert differences(left_out.balances(), true.balances()) == {
        "beneficiaries:central": (0, 300), "fund:central": (5_750, 5_450),
    }  # fmt: skip
    altered = ledger([*STORY[:2], ("salur.payment.settled.v1", paid("i1", 301)), *STORY[3:]])
    assert differences(altered.balances(), true.balances())["beneficiaries:central"] == (301, 300)
    assert altered.hash() != true.hash()


def test_equal_balances_of_other_movements_have_another_hash() -> None:
    renamed = ledger([*STORY[:2], ("salur.payment.settled.v1", paid("i9")), *STORY[3:]])
    assert differences(renamed.balances(), ledger(STORY).balances()) == {}
    assert renamed.hash() != ledger(STORY).hash()


@pytest.mark.parametrize(
    "broken", [{"amount_minor": -1}, {"amount_minor": 1.5}, {"fund_id": None}, {"amount_minor": "7"}]
)
def test_an_event_that_does_not_say_what_it_moved_is_named_not_guessed(broken: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match=r"settled\.v1"):
        ledger([("salur.payment.settled.v1", paid("i1") | broken)])

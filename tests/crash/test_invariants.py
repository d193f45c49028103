"""Each checker passes a true world and reports a planted break: one that cannot fail is worth nothing."""

from dataclasses import replace

import pytest

from crash.world import AMOUNT_MINOR, DEBITED_MINOR, FUND, World, clean, event
from salur.audit.log.note import Checkpoint
from salur.audit.log.tree import consistency_proof, leaf_hash, node_hash, range_root
from salur.audit.log.verify import VerifyReport
from salur.local.crash import invariants
from salur.local.crash.households import Expected
from salur.local.crash.invariants import Finding, Fund, Payment, Record


@pytest.fixture
def world() -> World:
    return clean()


def money(world: World) -> Finding:
    return invariants.money({"MXN": 0}, [], world.funds, world.payments, world.kept_minor)


def trail(world: World, told: World | None = None) -> Finding:
    """The log of `world` against the event tables of `told`."""
    truth = told or world
    return invariants.trail(truth.appended, truth.heads, world.leaves, 7, 7, len(world.leaves) + 7)


def order(world: World, records: dict[str, list[Record]] | None = None) -> Finding:
    return invariants.order(records or world.records, clean().heads, world.leaves, world.book_states)


def lost(world: World) -> Finding:
    return invariants.lost(world.book_states, world.payments, world.entitled, [])


def test_a_true_world_keeps_every_promise(world: World) -> None:
    findings = [
        money(world),
        invariants.finality(world.approved, world.payments),
        invariants.single_payment([world.book]),
        trail(world),
        invariants.moves(world.leaves, world.payments),
        order(world),
        invariants.replayed(world.leaves, world.ledger),
        lost(world),
    ]
    assert [finding.problems for finding in findings] == [[]] * len(findings)
    assert all(finding.kept and finding.checked >= 2 for finding in findings)


def test_a_check_that_looked_at_nothing_is_broken() -> None:
    assert not invariants.finality([], []).kept
    assert not invariants.single_payment([]).kept


def test_money_that_does_not_add_up_is_reported(world: World) -> None:
    assert not invariants.money({"MXN": 1}, [], world.funds, world.payments, world.kept_minor).kept
    assert not invariants.money({"MXN": 0}, ["fund:x"], world.funds, world.payments, world.kept_minor).kept
    assert not invariants.money({"MXN": 0}, [], world.funds, world.payments, world.kept_minor - AMOUNT_MINOR).kept
    world.funds[0] = Fund(FUND, DEBITED_MINOR + AMOUNT_MINOR, 0)
    assert "debited 620000" in money(world).problems[0]
    world.funds[0] = Fund(FUND, DEBITED_MINOR, AMOUNT_MINOR)
    assert not money(world).kept


def test_a_log_that_leads_to_another_ledger_is_reported(world: World) -> None:
    stated = world.ledger
    left_out = next(leaf for leaf in world.leaves if leaf.type == "salur.payment.returned.v1")
    assert not invariants.replayed([leaf for leaf in world.leaves if leaf is not left_out], stated).kept
    stated["accounts"][0]["reserved_minor"] = AMOUNT_MINOR
    assert f"0 set aside by the log, {AMOUNT_MINOR} reserved" in invariants.replayed(world.leaves, stated).problems[0]
    rejected = [leaf for leaf in world.leaves if leaf.type != "salur.payment.rejected.v1"]
    assert not invariants.replayed(rejected, world.ledger).kept


def test_a_reserve_without_a_payment_in_flight_is_reported(world: World) -> None:
    world.funds[0] = Fund(FUND, DEBITED_MINOR - AMOUNT_MINOR, AMOUNT_MINOR)
    assert not money(world).kept


def test_a_payment_without_end_is_reported(world: World) -> None:
    world.payments[1] = replace(world.payments[1], state="unknown")
    assert invariants.finality(world.approved, world.payments).problems == ["payment-1-001 is unknown"]
    never = [*world.approved, "payment-99-001"]
    assert "payment-99-001 is approved" in invariants.finality(never, world.payments).problems


def test_a_double_payment_in_the_book_is_reported(world: World) -> None:
    first = world.book[0]
    twice = invariants.single_payment([[*world.book, (99.0, 999, *first[2:])]])
    assert twice.problems == [
        "payment-0-001 was credited 2 times",
        "entitlement entitlement-0 part 1 held 2 payments at once",
    ]
    # Another attempt at another bank, while the first one stands: only both books together show it.
    other = (99.0, 1, "payment-0-002", *first[3:])
    assert invariants.single_payment([world.book, [other]]).breaks == 1


def test_a_second_attempt_after_a_return_is_no_double_payment(world: World) -> None:
    again = (99.0, 1, "payment-3-002", "entitlement-3", 1, "credit", AMOUNT_MINOR)
    assert invariants.single_payment([world.book, [again]]).kept
    before = (2.5, 1, "payment-3-002", "entitlement-3", 1, "credit", AMOUNT_MINOR)
    assert not invariants.single_payment([world.book, [before]]).kept


def test_lost_payments_are_reported_in_both_directions(world: World) -> None:
    missing = [payment for payment in world.payments if payment.instruction_id != "payment-0-001"]
    found = invariants.lost(world.book_states, missing, world.entitled, [])
    assert found.problems == [
        "payment-0-001: the bank's book says accepted, payments unheard of",
        "entitlement entitlement-0 has no final payment",
    ]
    del world.book_states["payment-1-001"]
    assert lost(world).problems == ["payment-1-001 is settled here, no bank's book knows it"]


def test_a_payment_settled_here_and_refused_at_the_bank_is_reported(world: World) -> None:
    world.book_states["payment-0-001"] = "rejected"
    assert lost(world).breaks == 1
    world.book_states["payment-0-001"] = "returned"
    assert lost(world).breaks == 1


def test_a_gap_a_repeat_and_a_swap_in_the_log_are_reported(world: World) -> None:
    stream, events = max(world.appended.items(), key=lambda item: len(item[1]))
    assert len(events) >= 3
    at = [number for number, leaf in enumerate(world.leaves) if leaf.stream == stream]
    gap = World(leaves=[leaf for number, leaf in enumerate(world.leaves) if number != at[1]])
    assert trail(gap, world).breaks == 1
    assert f"{stream}: the log goes on with 3 where 2 stands next" in trail(gap, world).problems
    tail = World(leaves=[leaf for number, leaf in enumerate(world.leaves) if number != at[-1]])
    assert f"{stream}: the log ends at {len(events) - 1} of {len(events)}" in trail(tail, world).problems
    twice = World(leaves=[*world.leaves, world.leaves[at[0]]])
    assert not trail(twice, world).kept
    swapped = World(leaves=list(world.leaves))
    swapped.leaves[at[0]], swapped.leaves[at[1]] = swapped.leaves[at[1]], swapped.leaves[at[0]]
    assert not trail(swapped, world).kept


def test_a_leaf_with_other_bytes_and_a_stream_nobody_has_are_reported(world: World) -> None:
    altered = World(leaves=[replace(world.leaves[0], body=b"{}"), *world.leaves[1:]])
    assert trail(altered, world).breaks == 1
    foreign = World(leaves=[*world.leaves, event("payments.funds/0", 1, "salur.fund.opened.v1", "x")])
    assert not trail(foreign, world).kept


def test_a_table_that_lost_its_tail_and_a_wrong_size_are_reported(world: World) -> None:
    stream = next(iter(world.heads))
    heads = {**world.heads, stream: world.heads[stream] + 1}
    assert invariants.trail(world.appended, heads, world.leaves, 0, 0, len(world.leaves)).breaks == 2
    assert invariants.trail(world.appended, world.heads, world.leaves, 3, 4, len(world.leaves) + 3).breaks == 1
    assert invariants.trail(world.appended, world.heads, world.leaves, 0, 0, len(world.leaves) + 1).breaks == 1


@pytest.mark.parametrize(
    ("number", "kind", "problem"),
    [
        (0, "rejected", "payment-0-001 went from settled to rejected"),
        (2, "returned", "payment-2-001 went from rejected to returned"),
        (0, "settled", "payment-0-001 went from settled to settled"),
    ],
)
def test_a_move_off_the_machine_is_reported(world: World, number: int, kind: str, problem: str) -> None:
    move = event("payments.payments/0", 99, f"salur.payment.{kind}.v1", "x", instruction_id=f"payment-{number}-001")
    assert problem in invariants.moves([*world.leaves, move], world.payments).problems


def test_an_instruction_sent_twice_and_a_state_without_history_are_reported(world: World) -> None:
    first = world.leaves[0]
    assert invariants.moves([*world.leaves, first], world.payments).problems == ["payment-0-001 was instructed 2 times"]
    world.payments[0] = replace(world.payments[0], state="returned")
    assert "its history ends with settled" in invariants.moves(world.leaves, world.payments).problems[0]
    stranger = Payment("payment-99-001", "entitlement-99", 1, "settled", 1, FUND)
    assert invariants.moves(world.leaves, [*world.payments, stranger]).breaks >= 1


def test_swapped_records_that_are_never_sent_again_are_reported(world: World) -> None:
    stream, records = max(world.records.items(), key=lambda item: len(item[1]))
    swapped = [records[1], records[0], *records[2:]]
    found = order(world, {**world.records, stream: swapped})
    assert found.problems == [f"{stream}: a consumer gets to 1 of {len(records)}"]
    # The relay's re-send fills the hole: nothing is lost, nothing is reported.
    assert order(world, {**world.records, stream: [*swapped, *records[1:]]}).kept


def test_swapped_leaves_break_the_order_of_their_key(world: World) -> None:
    mine = [number for number, leaf in enumerate(world.leaves) if leaf.key == "payment-1"][1:]
    first, second = mine
    world.leaves[first], world.leaves[second] = world.leaves[second], world.leaves[first]
    assert not invariants.order(clean().records, clean().heads, world.leaves, world.book_states).kept


def test_a_key_in_another_partition_and_a_sequence_for_two_events_are_reported(world: World) -> None:
    records = world.records
    stream, items = next(iter(records.items()))
    topic, _, number = stream.rpartition("/")
    moved = f"{topic}/{(int(number) + 1) % 8}"
    stray = event(moved, 1, "salur.payment.settled.v1", items[0].key)
    heads = {**world.heads, moved: 1}
    given = {**records, moved: [Record(0, stray.key, stray)]}
    assert not invariants.order(given, heads, world.leaves, {}).kept
    assert items[0].event is not None
    other = replace(items[0].event, body=b"other")
    double = {**records, stream: [*items, Record(99, other.key, other)]}
    assert f"{stream}: 1 stands for two events" in order(world, double).problems
    rubbish = {**records, stream: [*items, Record(99, "", None)]}
    assert not order(world, rubbish).kept


def test_an_inquiry_that_came_before_its_instruction_is_reported(world: World) -> None:
    world.book_states["payment-2-001"] = "closed"
    assert order(world).problems == ["payment-2-001: its bank was asked about it before it was instructed"]


def test_heads_that_do_not_lead_to_each_other_are_reported() -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(8)]

    def read(level: int, number: int) -> bytes:
        return leaves[number] if level == 0 else node_hash(read(level - 1, 2 * number), read(level - 1, 2 * number + 1))

    def head(size: int) -> Checkpoint:
        return Checkpoint("log", size, range_root(0, size, read))

    seen = [head(3), head(5), head(8)]
    proofs = {(a, b): consistency_proof(a, b, read) for a, b in ((3, 5), (5, 8))}
    verified = VerifyReport(size=8, proofs_checked=8)
    assert invariants.signed_heads(seen, proofs, verified).kept
    forked = [seen[0], replace(seen[1], root=b"\1" * 32), seen[2]]
    assert invariants.signed_heads(forked, proofs, verified).breaks == 2
    assert not invariants.signed_heads([seen[1], seen[0], seen[2]], proofs, verified).kept, "a head went back"
    assert not invariants.signed_heads([seen[0], replace(seen[0], root=b"\1" * 32), *seen[1:]], proofs, verified).kept
    assert not invariants.signed_heads(seen[:2], proofs, verified).kept, "the newest head was never seen"
    assert not invariants.signed_heads(seen, proofs, VerifyReport(size=8, proofs_checked=8, proofs_failed=1)).kept
    assert not invariants.signed_heads(seen, proofs, VerifyReport(size=8, proofs_checked=8, problems=["x"])).kept


def test_what_still_waits_or_came_late_is_reported() -> None:
    assert invariants.lag(1.0, 60.0, {"events not taken": 0}).kept
    assert not invariants.lag(61.0, 60.0, {"events not taken": 0}).kept
    assert not invariants.lag(None, 60.0, {"events not taken": 0}).kept
    assert not invariants.lag(1.0, 60.0, {"events not taken": 1}).kept


def test_a_household_that_was_forgotten_or_paid_another_amount_is_reported() -> None:
    wanted = Expected(("1", "2"), 1, {"1": 34_000})
    ids = {"1": "a", "2": "b"}
    leaves = [
        event("d/0", 1, "salur.decision.made.v1", "a", household_id="a", outcome="enrolled"),
        event("d/0", 2, "salur.decision.made.v1", "b", household_id="b", outcome="not-enrolled"),
        event("e/0", 1, "salur.entitlement.granted.v1", "a", beneficiary_id="a", amount_minor=34_000),
    ]

    def check(
        ids: dict[str, str | None], leaves: list[invariants.Event], eligible: int = 1, rounds: int = 1
    ) -> Finding:
        return invariants.nobody_forgotten(wanted, ids, leaves, eligible, rounds)

    assert check(dict(ids), leaves).kept
    assert check({"1": "a", "2": None}, leaves).breaks >= 1, "not registered"
    assert check(dict(ids), leaves[:1] + leaves[2:]).breaks == 1, "not decided"
    assert check(dict(ids), leaves[:2]).breaks == 1, "not entitled"
    assert check(dict(ids), [*leaves, leaves[2]]).breaks == 1, "entitled twice"
    assert check(dict(ids), leaves, rounds=2).breaks == 1, "forgotten in the second round"
    assert check(dict(ids), leaves, eligible=2).breaks == 1
    other = replace(leaves[2], data={"beneficiary_id": "a", "amount_minor": 20_000})
    assert check(dict(ids), [*leaves[:2], other]).breaks == 1, "another amount"
    stranger = event("d/0", 3, "salur.decision.made.v1", "c", household_id="c", outcome="enrolled")
    assert check(dict(ids), [*leaves, stranger]).breaks == 1

"""What entries are found by, and what follows from what was said elsewhere."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from salur.audit.search.postings import Postings
from salur.audit.search.terms import Implied, Read, learnt, terms_of, with_implied


def read(data: object, topic: str = "payments.payments", **envelope: object) -> Read:
    return Read(orjson.dumps({"data": data, **envelope}), topic, 3, 17, f"{topic}/3", "t", "s")


def said(entry: Read) -> set[str]:
    return set(terms_of(entry)) - {f"topic={entry.topic}", "type=t", "subject=s"}


def test_an_event_is_found_by_its_envelope_and_by_the_ids_in_its_data() -> None:
    entry = read({"beneficiary_id": "h", "region": "31.71.01", "bank": "b"}, actor="person:budi", cause="c")
    regions = {"region=31", "region=31.71", "region=31.71.01"}
    assert said(entry) == {"household=h", "bank=b", "actor=person:budi", "cause=c", *regions}
    assert "bank=bank-a" in said(read({}, topic="payments.instructions.bank-a"))


def test_a_record_of_an_outside_topic_is_found_by_its_position_alone() -> None:
    record = Read(b'{"cause":"x"}', "banks.results.bank-a", 3, 17, None, None, None)
    assert set(terms_of(record)) == {"topic=banks.results.bank-a", "event=banks.results.bank-a/3/17", "bank=bank-a"}


@given(st.binary() | st.recursive(st.none() | st.text() | st.integers(0, 9), st.lists).map(orjson.dumps))
def test_whatever_bytes_stand_in_the_log_their_terms_can_be_kept(leaf: bytes) -> None:
    for term in terms_of(Read(leaf, "payments.payments", 0, 0, "payments.payments/0", "t\x00", None)):
        assert "\x00" not in term and len(term.encode()) < 1_000


def test_values_no_index_can_hold_are_left_out() -> None:
    assert said(read({"payment_id": "x" * 201, "cycle_id": {"deep": 1}, "fund_id": "", "list_id": "a\x00b"})) == set()


def test_what_follows_follows_through_every_step_but_a_region_of_its_own_stays() -> None:
    implied = Implied()
    implied.add([("payment=p", "entitlement=e"), ("entitlement=e", "household=h"), ("household=h", "region=31.71")])
    chain = {"payment=p", "entitlement=e", "household=h"}
    assert with_implied(["payment=p"], implied) == {*chain, "region=31.71", "region=31"}
    assert with_implied(["payment=p", "region=32"], implied) == {*chain, "region=32"}


def test_a_pair_that_follows_from_others_is_needless() -> None:
    terms = ["payment=p", "entitlement=e", "household=h", "region=31", "region=31.71"]
    implied = Implied()
    implied.add(learnt(terms))
    needed = {pair for pair in learnt(terms) if not implied.is_needless(*pair)}
    assert needed == {
        ("payment=p", "entitlement=e"), ("entitlement=e", "household=h"), ("household=h", "region=31.71"),
    }  # fmt: skip


def test_postings_list_places_per_term_and_block_in_order_once() -> None:
    postings = Postings(4)
    for leaf_index in (3, 4, 6):
        postings.add(leaf_index, ["b=1", "a=1"])
    postings.add_places("a=1", 0, [3, 2])
    assert list(postings.from_block(1)) == [("a=1", 1, [0, 2]), ("b=1", 1, [0, 2])]
    assert postings.before_block(1) == [("a=1", 0, [2, 3]), ("b=1", 0, [3])]

"""Marks: whatever a log repeats, leaves out and sends again, each event is taken once and in order."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from salur.common.events.marks import Mark, sort_batch, sort_outside


@dataclass(frozen=True)
class Positioned:
    stream: str
    sequence: int
    offset: int


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[int], int]:
    """A Kafka log of one stream with repeats and holes, that in the end holds 1..n in order somewhere."""
    n = draw(st.integers(1, 12))
    noise = draw(st.lists(st.integers(1, n), max_size=20))
    log: list[int] = []
    for sequence in range(1, n + 1):
        log += [noise.pop() for _ in range(min(len(noise), draw(st.integers(0, 2))))]
        log.append(sequence)
    return log, n


@given(logs(), st.lists(st.integers(1, 5), max_size=40))
def test_a_log_that_holds_every_event_in_order_is_taken_whole_and_once(
    log: tuple[list[int], int], cuts: list[int]
) -> None:
    sequences, n = log
    records = [Positioned("s/0", sequence, offset) for offset, sequence in enumerate(sequences)]
    marks = {"s/0": Mark(0, -1)}
    taken: list[int] = []
    while records:
        size = cuts.pop() if cuts else 3
        batch, records = records[:size], records[size:]
        result = sort_batch(batch, marks)
        taken += [record.sequence for record in result.taken]
        marks = result.marks
    assert taken == list(range(1, n + 1))


@given(st.lists(st.integers(1, 8), max_size=30), st.integers(0, 30))
def test_a_restart_at_the_mark_loses_nothing(sequences: list[int], crash_at: int) -> None:
    """Read to `crash_at`, restart at the mark's offset + 1: the outcome equals reading without a restart."""
    records = [Positioned("s/0", sequence, offset) for offset, sequence in enumerate(sequences)]
    whole = sort_batch(records, {"s/0": Mark(0, -1)})
    before = sort_batch(records[:crash_at], {"s/0": Mark(0, -1)})
    resume = before.marks["s/0"].offset + 1
    after = sort_batch(records[resume:], before.marks)
    assert [r.sequence for r in whole.taken] == [r.sequence for r in (*before.taken, *after.taken)]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=20))
def test_nothing_is_taken_behind_a_hole(sequences: list[int]) -> None:
    records = [Positioned("s/0", sequence, offset) for offset, sequence in enumerate(sequences)]
    result = sort_batch(records, {"s/0": Mark(0, -1)})
    taken = [record.sequence for record in result.taken]
    assert taken == list(range(1, len(taken) + 1))
    assert result.marks["s/0"].sequence == len(taken)


@given(st.lists(st.integers(0, 20), max_size=40))
def test_outside_records_are_taken_once_by_offset(offsets: list[int]) -> None:
    records = [Positioned("b/0", 0, offset) for offset in offsets]
    taken = [record.offset for record in sort_outside(records, {"b/0": Mark(0, -1)}).taken]
    assert taken == sorted(set(taken))
    assert not offsets or max(offsets) in taken

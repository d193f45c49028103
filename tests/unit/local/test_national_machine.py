"""A promise of speed: by the clock on a quiet machine, by the CPU used on one that others use too."""

import pytest

from salur.local.national.machine import Taken


@pytest.mark.parametrize(
    ("taken", "processes", "judged_s"),
    [
        (Taken(seconds=20.0, cpu_seconds=12.0, others=0.05), 1, 10.0),
        (Taken(seconds=20.0, cpu_seconds=12.0, others=0.6), 1, 6.0),
        (Taken(seconds=20.0, cpu_seconds=12.0, others=0.6), 2, 3.0),
        (Taken(seconds=20.0, cpu_seconds=30.0, others=0.6), 1, 10.0),
        (Taken(), 1, 10.0),
    ],
    ids=["quiet", "shared", "shared, two at once", "never longer than by the clock", "nothing measured"],
)
def test_ten_seconds_of_a_stage_are_judged_by_what_others_left(taken: Taken, processes: int, judged_s: float) -> None:
    assert taken.judged_s(10.0, processes) == pytest.approx(judged_s)

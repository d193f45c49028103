"""Work that can wait rests while the machine is busy, and only then."""

from pathlib import Path

from salur.common.busy import REST_MAX_S, RESTS, Busy


def _ticks(stat: Path, used: int, idle: int) -> Path:
    stat.write_text(f"cpu  {used} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 1 1 1\n")
    return stat


def test_it_rests_while_nearly_all_cpu_is_used(tmp_path: Path) -> None:
    busy = Busy(_ticks(tmp_path / "stat", 100, 100))
    _ticks(tmp_path / "stat", 195, 105)
    assert busy.rest_s(0.1) == 0.1 * RESTS
    _ticks(tmp_path / "stat", 290, 110)
    assert busy.rest_s(60.0) == REST_MAX_S
    _ticks(tmp_path / "stat", 340, 160)
    assert busy.rest_s(0.1) == 0.0


def test_where_the_kernel_does_not_tell_it_goes_on(tmp_path: Path) -> None:
    assert Busy(tmp_path / "missing").rest_s(0.1) == 0.0

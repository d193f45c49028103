"""Plans: the same for the same seed, complete in every run, and the input counted from the rows alone."""

import sys
from pathlib import Path

import pytest

from salur.local.crash.__main__ import main
from salur.local.crash.households import expected, sample, write_waves
from salur.local.crash.plan import DEMANDED, SERVICES, ZOMBIE_S, Fault, make_plan, phase_name, phase_number

BANKS = ("bank-a", "bank-b", "bank-c")
EXAMPLE = Path(__file__).parents[2] / "examples" / "progresa"
FILE = EXAMPLE / "households-1998.csv"
SEEDS = range(1, 21)
EVERYWHERE = {*SERVICES, *(f"{service}-relay" for service in SERVICES), "bank", "postgres", "kafka"}


@pytest.mark.parametrize("seeds", ["", "  ", "abc", "1 x", "-1", "1.5"])
def test_a_run_of_no_seeds_is_refused(monkeypatch: pytest.MonkeyPatch, seeds: str) -> None:
    monkeypatch.setattr(sys, "argv", ["crash", "--seeds", seeds])
    with pytest.raises(SystemExit) as refused:
        main()
    assert refused.value.code == 2


def plan(seed: int) -> list[Fault]:
    return make_plan(seed, banks=BANKS, rounds=2, away_s=60.0)


def process(fault: Fault) -> str:
    return "bank" if fault.target in BANKS else fault.target


@pytest.mark.parametrize("seed", SEEDS)
def test_every_run_strikes_every_process_and_holds_the_demanded_faults(seed: int) -> None:
    faults = plan(seed)
    assert faults == plan(seed)
    assert {process(fault) for fault in faults} == EVERYWHERE
    by_kind = {fault.kind: fault for fault in faults if fault.demanded}
    assert by_kind.keys() == DEMANDED
    assert (by_kind["away"].target, by_kind["away"].duration_s) == ("kafka", 60.0)
    assert by_kind["immediate"].target == "postgres"
    assert by_kind["out-of-memory"].target in SERVICES
    assert [fault.moment for fault in faults] == sorted(fault.moment for fault in faults)
    zombies = [fault for fault in faults if fault.stand_in]
    assert len(zombies) == 2
    assert all(fault.kind == "pause" and fault.duration_s >= ZOMBIE_S[0] for fault in zombies)


def test_twenty_seeds_kill_and_pause_every_kind_of_process_and_starve_every_service() -> None:
    faults = [fault for seed in SEEDS for fault in plan(seed)]
    strikes = {(process(fault), fault.kind) for fault in faults}
    assert {(target, kind) for target in EVERYWHERE for kind in ("kill", "pause")} <= strikes
    assert {(service, "out-of-memory") for service in SERVICES} <= strikes
    assert len({tuple(plan(seed)) for seed in SEEDS}) == len(SEEDS)
    assert any(fault.overlaps for fault in faults)
    assert not all(fault.overlaps for fault in faults)


def test_phases_count_from_registration_through_the_rounds() -> None:
    assert [phase_name(number) for number in range(5)] == ["register", "entitle-1", "settle-1", "entitle-2", "settle-2"]
    assert [phase_number(kind, 2) for kind in ("register", "entitle", "settle")] == [0, 3, 4]


def test_the_whole_file_comes_to_its_published_figures() -> None:
    _, families = sample(FILE, 8_325, seed=1)
    wanted = expected(families, EXAMPLE / "programme.yaml")
    assert (len(wanted.households), wanted.eligible, len(wanted.due_minor)) == (8_325, 5_445, 3_420)
    assert sum(wanted.due_minor.values()) == 108_972_000


def test_waves_hold_each_household_once_and_a_seed_draws_the_same_ones(tmp_path: Path) -> None:
    columns, families = sample(FILE, 50, seed=3)
    files = write_waves(tmp_path, columns, families, 7)
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(files) == 7
    assert len(lines) == sum(len(family) for family in families)
    assert len({line.split(",")[0] for line in lines}) == 50
    assert sample(FILE, 50, seed=3)[1] == families
    assert sample(FILE, 50, seed=4)[1] != families


def test_a_file_with_too_few_households_is_refused() -> None:
    with pytest.raises(ValueError, match="9000 are wanted"):
        sample(FILE, 9_000, seed=1)

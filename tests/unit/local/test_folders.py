"""A state folder that cannot be used is told in a sentence, before anything starts."""

from pathlib import Path

import pytest

from salur.local.kafka import classpath
from salur.local.platform import Platform
from salur.local.postgres import Postgres


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    platform = Platform(tmp_path / "file" / "run", tmp_path / "cache")
    with pytest.raises(RuntimeError, match=r"run\.lock is a file, or lies below one: choose a folder by --state-dir"):
        platform.start()


def test_a_cache_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"/proc/salur cannot be written \(.*\): .* choose another by --cache-dir"):
        classpath(Path("/proc/salur"))


def test_an_earlier_run_that_cannot_be_removed_stops_the_next(tmp_path: Path) -> None:
    state = tmp_path / "run"
    state.write_text("no folder", encoding="utf-8")
    platform = Platform(state, tmp_path / "cache")
    with pytest.raises(RuntimeError, match=r"cannot be removed .*choose another --state-dir"):
        platform.fresh()
    assert state.read_text(encoding="utf-8") == "no folder"


def test_remembered_ports_that_cannot_be_read_are_chosen_again(tmp_path: Path) -> None:
    state = tmp_path / "run"
    state.mkdir()
    (state / "ports.json").write_text("{half", encoding="utf-8")
    assert Platform(state, tmp_path / "cache").url("registry").startswith("http://127.0.0.1:")


def test_a_benchmarks_settings_never_open_a_cluster_that_exists(tmp_path: Path) -> None:
    """`fsync=off` is for a cluster of the run's own, never for one that holds data."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("18", encoding="utf-8")
    Postgres(data, tmp_path / "log", 1).initialise()
    with pytest.raises(RuntimeError, match="holds data: a benchmark's settings are for a new cluster alone"):
        Postgres(data, tmp_path / "log", 1, measured={"fsync": "off"}).initialise()

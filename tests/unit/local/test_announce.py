"""What cannot be sent is told in a sentence that names the file and what to do."""

import hashlib
from pathlib import Path

import pytest

from salur.local.announce import FileUnusable, announcement, read_mapping

ROWS = b"hh,region\n1,31\n"


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.yaml"
    path.write_text("name: list\nregion: region\n", encoding="utf-8")
    return path


def test_an_announcement_holds_what_the_registry_asks_for(tmp_path: Path, mapping: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(ROWS)
    assert announcement(file, mapping) == {
        "name": "rows.csv",
        "sha256": hashlib.sha256(ROWS).hexdigest(),
        "size": len(ROWS),
        "mapping": {"name": "list", "region": "region"},
    }


def test_an_empty_or_absent_file_is_named(tmp_path: Path, mapping: Path) -> None:
    (tmp_path / "rows.csv").touch()
    with pytest.raises(FileUnusable, match=r"rows\.csv is empty: give a CSV file"):
        announcement(tmp_path / "rows.csv", mapping)
    with pytest.raises(FileUnusable, match=r"none\.csv cannot be read"):
        announcement(tmp_path / "none.csv", mapping)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"name: [", "line 1: this is not YAML"),
        (b"name: a\nname: b\n", "line 2: 'name' stands twice"),
        (b"a: &x [1]\nb: *x\n", "aliases"),
        (b"\xff\xfe", "not UTF-8"),
        (b"- name\n", "no names with values"),
        (b"", "empty"),
        (b"name: 100000000000000000000\n", "over 64 bits"),
    ],
)
def test_a_mapping_that_cannot_be_read_says_why(tmp_path: Path, text: bytes, says: str) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_bytes(text)
    with pytest.raises(FileUnusable, match=says) as refused:
        read_mapping(file)
    assert "mapping.yaml" in str(refused.value)


def test_dates_of_yaml_become_text(tmp_path: Path) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_text("name: 2026-01-31\n", encoding="utf-8")
    assert read_mapping(file) == {"name": "2026-01-31"}

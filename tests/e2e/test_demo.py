"""The whole main job on a slice of the real file: the report's figures against figures counted here from the file."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from partner_bank.book import book_path, book_summary
from salur.audit.log.verify import verify_log
from support.progresa import slice_of

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples" / "progresa" / "households-1998.csv"
CACHE = ROOT / "var" / "cache" / "kafka"
HOUSEHOLDS = 400
RUN_TIMEOUT_S = 240
REQUIRED_KEYS = {
    "registered", "decided", "eligible", "agreement", "enrolled", "entitlements", "instructed", "settled", "rejected",
    "returned", "unknown", "entitled_minor", "settled_minor", "rejected_minor", "returned_minor", "ledger_sum_minor",
    "ledger_hash_equal",
    "double_payments", "events", "audit_size", "audit_gaps", "proofs_checked", "proofs_failed",
    "seconds_platform_start", "seconds_pipeline", "households_per_second",
}  # fmt: skip


def salur(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from salur.local.cli import app; app()", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[dict[str, str]]]]:
    target = tmp_path_factory.mktemp("data") / "slice.csv"
    return target, slice_of(FILE, target, HOUSEHOLDS)


@pytest.fixture(scope="module")
def demo(
    families: tuple[Path, list[list[dict[str, str]]]],
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """One run of the demo on the slice: (its folder, its report)."""
    # Not below pytest's own folder: every pytest closes it to other users, and PostgreSQL never runs as root.
    state = Path(tempfile.mkdtemp(prefix="salur-test-")) / "run"
    done = salur("demo", "--data", str(families[0]), "--state-dir", str(state), "--cache-dir", str(CACHE), "--json")
    assert done.returncode == 0, done.stderr[-4000:]
    report: dict[str, Any] = json.loads(done.stdout)
    assert json.loads((state / "report.json").read_text(encoding="utf-8")) == report
    yield state, report
    shutil.rmtree(state.parent, ignore_errors=True)


def test_the_figures_are_those_of_the_file(
    families: tuple[Path, list[list[dict[str, str]]]], demo: tuple[Path, dict[str, Any]]
) -> None:
    report = demo[1]
    heads = [family[0] for family in families[1]]
    poor = [row for row in heads if row["published_eligible"] == "1"]
    enrolled = [row for row in poor if row["village_treated"] == "1"]
    assert report.keys() >= REQUIRED_KEYS
    assert (report["registered"], report["decided"], report["agreement"]) == (HOUSEHOLDS, HOUSEHOLDS, 1.0)
    assert (report["eligible"], report["enrolled"]) == (len(poor), len(enrolled))
    assert report["entitlements"] == report["instructed"] == len(enrolled)
    contradictions = sum(
        1 for family in families[1] for row in family[1:] if row["indigenous"] != family[0]["indigenous"]
    )
    assert report["refused_rows"] == 0
    assert report["warnings"] >= contradictions


def test_every_cent_is_accounted_for(demo: tuple[Path, dict[str, Any]]) -> None:
    state, report = demo
    assert report["settled"] + report["rejected"] + report["returned"] == report["instructed"]
    # Which instructions a bank refuses hangs on their ids, and those are new in each run: its book says how many.
    books = [book_summary(book_path(folder)) for folder in sorted((state / "banks").iterdir())]
    assert len(books) == 3
    assert report["settled"] == sum(book["accepted"] - book["returned"] for book in books)
    assert report["rejected"] == sum(book["rejected"] + book["closed"] for book in books)
    assert report["returned"] == sum(book["returned"] for book in books)
    assert report["unknown"] == report["held"] == 0
    amounts = report["settled_minor"] + report["rejected_minor"] + report["returned_minor"]
    assert report["entitled_minor"] == amounts
    assert (report["ledger_sum_minor"], report["double_payments"], report["dead_letters"]) == (0, 0, 0)


def test_the_log_holds_everything_and_verifies_from_its_files_alone(demo: tuple[Path, dict[str, Any]]) -> None:
    state, report = demo
    assert report["audit_size"] == report["events"] == report["proofs_checked"]
    assert (report["audit_gaps"], report["proofs_failed"]) == (0, 0)
    again = verify_log(state / "audit-log")
    assert (again.ok, again.size, again.root) == (True, report["audit_size"], report["log_root"])


def test_no_account_or_survey_number_stands_in_log_lines_or_leaves(
    families: tuple[Path, list[list[dict[str, str]]]], demo: tuple[Path, dict[str, Any]]
) -> None:
    state = demo[0]
    number = families[1][0][0]["household_id"]
    texts = [path.read_bytes() for path in (state / "logs").glob("*.log")]
    texts += [
        path.read_bytes() for path in (state / "audit-log").rglob("*") if path.is_file() and "entries" in str(path)
    ]
    assert len(texts) > 5
    for text in texts:
        assert b'"account_number":"0' not in text
        assert f'"{number}"'.encode() not in text


def test_nothing_of_a_run_is_left_running(demo: tuple[Path, dict[str, Any]]) -> None:
    folder = str(demo[0]).encode()
    commands = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(process.read_bytes())
        except OSError:
            continue
    assert not [command for command in commands if folder in command]


def test_a_file_that_owes_nobody_anything_ends_in_a_sentence(tmp_path: Path) -> None:
    """A header, a row that cannot be read, and a family too rich: registered, reported, and nothing to pay."""
    with FILE.open(encoding="utf-8") as rows:
        header, first = next(rows), next(rows)
    fields = first.split(",")
    fields[header.split(",").index("poverty_index")] = "9999"
    file, state = tmp_path / "rich.csv", Path(tempfile.mkdtemp(prefix="salur-test-")) / "run"
    file.write_bytes(header.encode() + ",".join(fields).encode() + b"\xff\n")
    try:
        done = salur("demo", "--data", str(file), "--state-dir", str(state), "--cache-dir", str(CACHE))
        assert done.returncode == 1
        said = " ".join(done.stderr.split())
        assert "gives 1 households" in said
        assert "owes none of them anything" in said
        assert "1 rows were refused" in said
        assert "Traceback" not in done.stderr
        assert "not UTF-8" in (state / "import-report.csv").read_text(encoding="utf-8")
    finally:
        shutil.rmtree(state.parent, ignore_errors=True)


def test_a_folder_with_other_files_is_never_emptied(tmp_path: Path, families: tuple[Path, Any]) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work", encoding="utf-8")
    done = salur("demo", "--data", str(families[0]), "--state-dir", str(tmp_path), "--cache-dir", str(CACHE))
    assert done.returncode == 1
    assert "other files" in done.stderr
    assert precious.read_text(encoding="utf-8") == "years of work"

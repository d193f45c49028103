"""`salur population` and `salur dedup-bench` as a person calls them."""

from pathlib import Path

import orjson
from typer.testing import CliRunner

from salur.local.cli import app

RUNNER = CliRunner()


def test_the_command_writes_three_files_and_says_what_is_in_them(tmp_path: Path) -> None:
    arguments = [
        "population",
        "--families",
        "300",
        "--seed",
        "4",
        "--out",
        str(tmp_path),
        "--banks",
        "bni,bri",
        "--json",
    ]
    answer = RUNNER.invoke(app, arguments)
    assert answer.exit_code == 0, answer.output
    figures = orjson.loads(answer.stdout)
    lines = (tmp_path / "population.csv").read_text(encoding="utf-8").splitlines()
    assert figures["families"] == 300
    assert figures["persons"] == len(lines) - 1
    assert sum(figures["planted"].values()) == len((tmp_path / "truth.csv").read_text().splitlines()) - 1
    bank = lines[0].split(",").index("bank")
    assert {line.split(",")[bank] for line in lines[1:]} == {"bni", "bri"}
    assert (tmp_path / "mapping.yaml").exists()


def test_a_bench_below_what_is_asked_ends_with_1() -> None:
    reached = RUNNER.invoke(app, ["dedup-bench", "--families", "2000", "--json", "--least", "0.8"])
    assert reached.exit_code == 0, reached.output
    figures = orjson.loads(reached.stdout)
    assert figures["dedup_precision"] >= 0.8 and figures["dedup_recall"] >= 0.8
    assert RUNNER.invoke(app, ["dedup-bench", "--families", "2000", "--least", "1.0"]).exit_code == 1

"""Logs tell what failed and where, and never a personal value: in a real process, by every way an error can take."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salur.common.errors import Conflict
from salur.common.traces import describe, frames_of, trace_of, withhold

ROOT = Path(__file__).parents[3]
SECRET = "31710102Sari5551"


def run_leaky(log_format: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "default", "-m", "support.leaky", log_format, SECRET],
        cwd=ROOT / "tests", capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": "."},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    text = run_leaky("json")
    return [json.loads(line) for line in text.splitlines()]


def errors_of(line: dict[str, Any]) -> list[str]:
    return [item["error"] for item in line["trace"]]


def test_no_way_of_failing_writes_the_value(lines: list[dict[str, Any]]) -> None:
    assert len(lines) > 60
    assert [line for line in lines if SECRET in json.dumps(line)] == []


def test_the_same_holds_on_a_terminal() -> None:
    text = run_leaky("console")
    assert "uncaught" in text
    assert SECRET not in text


def test_every_line_is_ours_and_complete(lines: list[dict[str, Any]]) -> None:
    assert all({"event", "level", "timestamp", "part", "service"} <= line.keys() for line in lines)
    parts = {line["part"] for line in lines}
    assert {"payments", "http", "service", "process", "aiokafka", "faststream", "uvicorn.error", "asyncio"} <= parts


def test_a_fault_names_types_places_and_the_constraint(lines: list[dict[str, Any]]) -> None:
    by_case = {line["case"]: line for line in lines if line["event"] == "fault" and "case" in line}
    assert errors_of(by_case[0]) == ["UniqueViolationError 23505 on payee_number"]
    assert by_case[0]["error"] == "UniqueViolationError 23505 on payee_number"
    assert errors_of(by_case[1]) == ["ValidationError"]
    assert errors_of(by_case[2]) == [
        "ExceptionGroup", "UniqueViolationError 23505 on payee_number", "ValidationError", "ValueError", "KeyError",
    ]  # fmt: skip
    frames = by_case[2]["trace"][0]["frames"]
    assert any(frame.startswith("tests/support/leaky.py:") and frame.endswith(" chained") for frame in frames)


def test_the_known_faults_tell_where_they_are(lines: list[dict[str, Any]]) -> None:
    retry = next(line for line in lines if line["event"] == "worker-retry")
    assert (retry["worker"], retry["error"]) == ("imports", "UniqueViolationError 23505 on payee_number")
    assert retry["trace"][0]["frames"][-1].endswith(" step")
    fault = next(line for line in lines if line["event"] == "fault" and line["part"] == "http")
    assert fault["trace"][0]["frames"][-1].endswith(" chained")
    assert "KeyError" in errors_of(fault)


def test_lines_of_libraries_keep_what_is_not_personal(lines: list[dict[str, Any]]) -> None:
    said = {line["event"] for line in lines if line["part"] == "new.library"}
    row = "UniqueViolationError 23505 on payee_number"
    assert {
        f"sending failed: {row}", "UniqueViolationError: <UniqueViolationError>", "<UniqueViolationError>", row,
        "Exception in ASGI application", "bad template %d",
    } < said  # fmt: skip
    assert "sending {'number': '<withheld str>'} failed with 3 records" in said
    assert any(line["event"] == "Task exception was never retrieved" for line in lines if line["part"] == "asyncio")


def test_a_library_that_repeats_itself_is_told_once(lines: list[dict[str, Any]]) -> None:
    assert [line["event"] for line in lines].count("Unable connect to node with id 1") == 1


def test_what_nobody_caught_is_told_too(lines: list[dict[str, Any]]) -> None:
    events = [line["event"] for line in lines if line["part"] == "process"]
    assert events == ["python-warning", "uncaught-in-thread", "uncaught-at-the-end", "uncaught"]
    assert errors_of(lines[-1])[:2] == ["UniqueViolation 23505", "ExceptionGroup"]


def test_fields_that_name_people_are_withheld_at_any_depth(lines: list[dict[str, Any]]) -> None:
    line = next(line for line in lines if line["event"] == "fields")
    assert line["nik"] == "<withheld str>"
    assert line["data"] == {"holder": "<withheld str>", "rows": [{"number": "<withheld str>"}]}
    assert (line["person"], line["exception"]) == ("<Person>", "<withheld>")


def test_errors_are_described_by_what_names_no_person() -> None:
    assert describe(Conflict("the list is locked: read it again")) == "Conflict: the list is locked: read it again"
    assert describe(ConnectionRefusedError(111, "Connect call failed ('10.0.0.1', 5432)")) == (
        "ConnectionRefusedError ECONNREFUSED"
    )
    assert describe(ValueError("Sari")) == "ValueError"
    assert describe(asyncpg.DeadlockDetectedError("deadlock detected")) == "DeadlockDetectedError 40P01"


def test_an_error_that_leads_to_itself_ends() -> None:
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__cause__ = second, first
    assert [item["error"] for item in trace_of(first)] == ["ValueError", "KeyError"]
    assert frames_of(first) == []


@given(st.text(min_size=3, max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_a_librarys_line_never_repeats_the_error(secret: str, before: str, after: str) -> None:
    error = ValueError(f"no account {secret}")
    line = withhold(f"{before} failed: {error} {after}", error)
    assert f"no account {secret}" not in line
    assert "\n" not in line

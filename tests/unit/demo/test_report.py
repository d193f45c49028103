"""The promises of a run: each one breaks when, and only when, its figures do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from salur.local.client import CallFailed
from salur.local.demo.agreement import agreement, households_of, refused_rows
from salur.local.demo.calls import Patient, TimedOut
from salur.local.demo.report import promises_of
from salur.local.demo.run import FolderInUse, Inputs, new_platform, payment_figures

GOOD: dict[str, Any] = {
    "registered": 8, "decided": 8, "lost_households": 0, "agreement": 1.0,
    "instructed": 5, "settled": 3, "rejected": 1, "returned": 1, "unknown": 0,
    "entitled_minor": 600, "settled_minor": 300, "rejected_minor": 100, "returned_minor": 100,
    "held_minor": 100, "ledger_sum_minor": 0, "ledger_hash_equal": True, "ledger_differs": {},
    "fund_budget_minor": 600, "fund_available_minor": 300,
    "double_payments": 0, "banks_kept_minor": 300, "audit_size": 40, "events": 40, "audit_gaps": 0,
    "proofs_checked": 40, "proofs_failed": 0, "log_problems": [], "dead_letters": 0,
    "witnesses": 2, "witness_quorum": True,
}  # fmt: skip


def broken(**changed: Any) -> list[str]:
    return [promise.text for promise in promises_of(GOOD | changed) if not promise.kept]


def test_a_good_run_keeps_every_promise() -> None:
    assert broken() == []
    assert broken(agreement=None) == [], "a file that publishes no answer can't disagree"


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"decided": 7}, "decided"),
        ({"lost_households": 1}, "every household of the file"),
        ({"agreement": 0.999}, "agree"),
        ({"settled": 2, "unknown": 1}, "final state"),
        ({"entitled_minor": 601}, "cent"),
        ({"ledger_sum_minor": 1}, "ledger"),
        ({"ledger_hash_equal": False}, "log alone"),
        ({"ledger_differs": {"fund:central": (1, 2)}}, "log alone"),
        ({"fund_available_minor": 299}, "fund"),
        ({"double_payments": 1}, "twice"),
        ({"banks_kept_minor": 299}, "same money"),
        ({"events": 41}, "every event"),
        ({"audit_gaps": 1}, "gap"),
        ({"proofs_failed": 1}, "proof"),
        ({"proofs_checked": 39}, "proof"),
        ({"log_problems": ["entry 3"]}, "proof"),
        ({"witness_quorum": False}, "witnesses"),
        ({"witness_quorum": None}, "witnesses"),
        ({"dead_letters": 1}, "dead letter"),
    ],
)
def test_each_figure_breaks_its_promise_alone(changed: dict[str, Any], word: str) -> None:
    texts = broken(**changed)
    assert len(texts) == 1
    assert word in texts[0]


def test_what_is_not_final_is_unknown() -> None:
    states = {
        "approved": {"count": 9, "amount_minor": 90}, "instructed": {"count": 2, "amount_minor": 20},
        "unknown": {"count": 1, "amount_minor": 10}, "settled": {"count": 4, "amount_minor": 40},
        "returned": {"count": 1, "amount_minor": 10},
    }  # fmt: skip
    view = {"states": states, "funded_items": 17, "funded_minor": 170}
    figures = payment_figures(view, {"entitlements": 20, "amount_minor": 200})
    assert (figures["instructed"], figures["settled"], figures["returned"], figures["unknown"]) == (8, 4, 1, 3)
    assert (figures["held"], figures["held_minor"]) == (3, 30)


def test_published_answers_keep_the_first_row_of_a_household(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("household_id,published_eligible\n1,1\n1,0\n2,0\n3,\n", encoding="utf-8-sig")
    found = households_of(file, "household_id")
    assert {value: household.answer for value, household in found.items()} == {"1": True, "2": False, "3": None}
    assert found["1"].rows == [2, 3]
    file.write_text("household_id\n1\n", encoding="utf-8")
    assert households_of(file, "household_id")["1"].answer is None


def test_rows_the_import_cannot_read_belong_to_no_household(tmp_path: Path) -> None:
    """Another encoding, an open quote, a NUL, a line without end: none of them stops the comparison."""
    file = tmp_path / "rows.csv"
    lines = [
        b"household_id,published_eligible",
        b"1,1",
        b"\xd1,1",
        b'"2,1',
        b"3\x00,1",
        b"9" * 200_000 + b",1,1",
        b"4,0",
    ]
    file.write_bytes(b"\n".join(lines))
    assert {value: household.rows for value, household in households_of(file, "household_id").items()} == {
        "1": [2],
        "4": [7],
    }


class Answers:
    """A service that knows survey numbers 1 and 2 and has decided that 1 is poor and 2 is not."""

    def call(self, _service: str, _method: str, path: str, **request: Any) -> Any:
        if path == "/households/find-many":
            return {"household_ids": [value if value in ("1", "2") else None for value in request["json"]["values"]]}
        met = {"1": "met", "2": "not-met"}
        rows = [{"household_id": i, "criteria": [{"code": "poverty", "outcome": met[i]}]} for i in met]
        return {"decisions": rows, "next": None}


def compare(folder: Path, rows: str, issues: str = "") -> tuple[float | None, int]:
    file, mapping, report = folder / "rows.csv", folder / "mapping.yaml", folder / "report.csv"
    file.write_text(rows, encoding="utf-8")
    mapping.write_text("household: {scheme: survey, column: household_id}", encoding="utf-8")
    report.write_text(f"file,row,column,severity,reason\n{issues}", encoding="utf-8")
    service: Any = Answers()
    result = agreement(service, service, file, mapping, "programme", refused_rows(report))
    return result.share, result.lost


def test_a_household_whose_rows_were_refused_neither_disagrees_nor_is_lost(tmp_path: Path) -> None:
    rows = "household_id,published_eligible\n1,1\n2,0\n3,1\n3,1\n"
    assert compare(tmp_path, rows, "f,4,,error,x\nf,5,,error,x\n") == (1.0, 0)
    assert compare(tmp_path, rows, "f,4,,error,x\nf,5,,warning,x\n") == (1.0, 1), "one of its rows is unaccounted for"
    assert compare(tmp_path, rows) == (1.0, 1)


def test_a_decision_against_the_published_answer_shows(tmp_path: Path) -> None:
    assert compare(tmp_path, "household_id,published_eligible\n1,0\n2,0\n") == (0.5, 0)
    assert compare(tmp_path, "household_id\n1\n2\n") == (None, 0)


def test_patience_outlives_an_outage_but_not_a_refusal() -> None:
    tended: list[int] = []
    patient = Patient(lambda: tended.append(1), timeout_s=5)
    answers: Iterator[CallFailed | dict[str, int]] = iter(
        [CallFailed("away", "unreachable", 0), CallFailed("busy", "unavailable", 503), {"n": 1}, {"n": 2}]
    )

    def ask() -> dict[str, int]:
        answer = next(answers)
        if isinstance(answer, CallFailed):
            raise answer
        return answer

    assert patient.until("two", ask, lambda seen: bool(seen["n"] == 2)) == {"n": 2}
    assert len(tended) == 4
    refusal = iter([CallFailed("no", "same-person", 403)])

    def refused() -> None:
        raise next(refusal)

    with pytest.raises(CallFailed, match="no"):
        patient.until("never", refused, bool)


def test_patience_ends_and_says_what_was_last_seen() -> None:
    with pytest.raises(TimedOut, match=r"the end did not come within 0 s; last: half"):
        Patient(lambda: None, timeout_s=0).until("the end", lambda: "half", lambda seen: seen == "whole")


def test_a_folder_that_is_not_a_runs_is_never_emptied(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work", encoding="utf-8")
    with pytest.raises(FolderInUse, match="other files"):
        new_platform(Inputs(Path("a"), Path("b"), Path("c"), tmp_path, tmp_path / "cache"))
    assert precious.exists()

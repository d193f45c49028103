"""Coverage and error: counted by family and by person, added up from parts, alarmed at the programme's limits."""

from typing import Any

from salur.eligibility.domain.indicators import Tally, alarms
from salur.eligibility.domain.programme import Fairness


def family(tally: Tally, decile: int, *, reached: bool, ought: bool | None = None, **person: Any) -> None:
    member = {"sex": "female", "age": 30, "disability": "none", **person}
    tally.add(
        "31.71.01", {"decile": decile}, [member, member], reached=reached, reached_places=None,
        ought=decile <= 4 if ought is None else ought,
    )  # fmt: skip


def test_families_and_persons_are_counted_and_the_errors_follow_from_the_reference() -> None:
    tally = Tally()
    family(tally, 1, reached=True)
    family(tally, 2, reached=False)
    family(tally, 9, reached=True, age=70)
    family(tally, 9, reached=False, sex=None)
    result = tally.result(reference=True)
    assert result["all"]["families"] == {
        "known": 4, "reached": 2, "coverage": 0.5, "ought": 2, "exclusion_error": 0.5, "inclusion_error": 0.5,
    }  # fmt: skip
    assert {group: cell["reached"] for group, cell in result["decile"].items()} == {"1": 1, "2": 0, "9": 1}
    assert {group: cell["known"] for group, cell in result["sex"].items()} == {"female": 6, "not-reported": 2}
    assert result["age"]["60+"]["coverage"] == 1.0
    assert result["province"].keys() == {"31"}


def test_persons_may_be_reached_one_by_one() -> None:
    tally = Tally()
    members: list[dict[str, Any]] = [{"sex": "female", "age": 40}, {"sex": "male", "age": 8}]
    tally.add("31", {}, members, reached=True, reached_places={1}, ought=None)
    assert {group: cell["reached"] for group, cell in tally.result(reference=True)["sex"].items()} == {
        "female": 0,
        "male": 1,
    }


def test_tallies_of_parts_add_up_to_the_tally_of_all() -> None:
    whole, parts = Tally(), [Tally(), Tally()]
    for number in range(50):
        for tally in (whole, parts[number % 2]):
            family(tally, number % 10 + 1, reached=number % 3 == 0, age=number)
    parts[0].merge(parts[1])
    assert parts[0].result(reference=True) == whole.result(reference=True)


def coverage(reached_of_200: int, decile: int = 1) -> dict[str, Any]:
    tally = Tally()
    for number in range(200):
        family(tally, decile, reached=number < reached_of_200)
    return tally.result(reference=True)


def test_what_breaks_a_limit_is_named_and_what_does_not_is_not() -> None:
    limits = Fairness(reference="decile <= 4", most_exclusion_percent=40, most_change_points=10)
    assert alarms(limits, coverage(130), None) == []
    assert alarms(limits, coverage(130), coverage(140)) == []
    worst = alarms(limits, coverage(100), coverage(140))
    assert {(alarm["code"], alarm["dimension"]) for alarm in worst} >= {
        ("exclusion-error", "all"), ("coverage-change", "decile"), ("coverage-change", "sex"),
    }  # fmt: skip
    assert {(alarm["found"], alarm["limit"]) for alarm in worst} == {(50.0, 40), (20.0, 10)}


def test_a_handful_raises_no_alarm() -> None:
    limits = Fairness(reference="decile <= 4", most_change_points=10)
    few, fewer = Tally(), Tally()
    for number in range(40):
        family(few, 9, reached=number < 5)
        family(fewer, 9, reached=number < 35)
    assert alarms(limits, few.result(reference=True), fewer.result(reference=True)) == []


def test_without_a_reference_coverage_is_told_and_no_error() -> None:
    tally = Tally()
    family(tally, 1, reached=True)
    cell = tally.result(reference=False)["all"]["families"]
    assert (cell["coverage"], cell["ought"], cell["exclusion_error"], cell["inclusion_error"]) == (
        1.0,
        None,
        None,
        None,
    )

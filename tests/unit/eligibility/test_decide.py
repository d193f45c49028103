"""Decisions: pure, never failing on data, the same again from the same inputs."""

import hashlib
import math
from typing import Any

import orjson
import pytest

from salur.eligibility.domain.compiling import Compiled, compile_programme
from salur.eligibility.domain.decide import Decision, HouseholdFacts, decide

WORDS = "{en: t, id: t}"


def programme(criteria: list[str], benefit: list[str], inputs: str = "") -> Compiled:
    default = "household: {score: float, rooms: int, urban: bool, sector: string}, member: {age: int, enrolled: bool}"
    lines = [
        f"id: test\nname: {WORDS}\nkind: household\nfunction: protection\napproach: targeted\nlegal: none",
        f"currency: IDR\ncycle_months: 1\ninputs: {{{inputs or default}}}\ncriteria:",
        *(f"- {{code: c{n}, text: {WORDS}, legal: l, when: '{when}'}}" for n, when in enumerate(criteria)),
        "benefit:",
        *(f"- {{code: b{n}, text: {WORDS}, {rest}}}" for n, rest in enumerate(benefit)),
    ]
    return compile_programme("\n".join(lines))


def made(compiled: Compiled, attributes: dict[str, Any], *members: dict[str, Any]) -> Decision:
    return decide(compiled, HouseholdFacts("a" * 32, 1, attributes, members))


FOOD = "per: household, unit_minor: 20000"
SCHOOL = (
    "per: member, when: enrolled, unit_minor: 14000, not_reported: {en: enrolment not reported, id: x},"
    " not_met: {en: not in school, id: x}"
)


def test_criteria_met_give_components_and_reasons_for_what_is_not_due() -> None:
    compiled = programme(["score <= 10.0", "urban"], [FOOD, SCHOOL])
    children: tuple[dict[str, Any], ...] = (
        {"enrolled": True},
        {"enrolled": None},
        {"enrolled": False},
        {"enrolled": True},
        {},
    )
    decision = made(compiled, {"score": 9, "urban": True, "other": "ignored"}, *children)
    assert (decision.outcome, decision.unmet, decision.amount_minor) == ("enrolled", [], 48_000)
    assert [(c.code, c.quantity, c.unit_minor, c.amount_minor) for c in decision.components] == [
        ("b0", 1, 20_000, 20_000),
        ("b1", 2, 14_000, 28_000),
    ]
    assert [(n.code, n.reason, n.count) for n in decision.not_due] == [
        ("b1", "enrolment not reported", 2),
        ("b1", "not in school", 1),
    ]


def test_nothing_is_due_to_who_is_not_enrolled() -> None:
    decision = made(programme(["score <= 10.0", "urban"], [FOOD]), {"score": 11.0, "urban": True})
    assert (decision.outcome, decision.unmet, decision.components) == ("not-enrolled", ["c0"], [])
    assert [(c.outcome, c.values) for c in decision.criteria] == [
        ("not-met", {"score": 11.0}),
        ("met", {"urban": True}),
    ]


@pytest.mark.parametrize(
    ("when", "attributes", "outcome"),
    [
        ("score <= 10.0", {}, "not-reported"),
        ("score <= 10.0", {"score": None}, "not-reported"),
        ("score <= 10.0", {"score": "9"}, "not-reported"),
        ("score <= 10.0", {"score": True}, "not-reported"),
        ("score <= 10.0", {"score": 9}, "met"),
        ("score <= 10.0", {"score": 10**400}, "not-reported"),
        ("score <= 10.0", {"score": math.inf}, "not-reported"),
        ("score <= 10.0", {"score": math.nan}, "not-reported"),
        ("rooms > 2", {"rooms": 3.0}, "met"),
        ("rooms > 2", {"rooms": 3.5}, "not-reported"),
        ("rooms > 2", {"rooms": 2**63}, "not-reported"),
        ("rooms > 2", {"rooms": -(2**63) + 1}, "not-met"),
        ("urban", {"urban": 1}, "not-reported"),
        ("100 / rooms > 2", {"rooms": 0}, "not-reported"),
        ("rooms + 1 > 2", {"rooms": 2**63 - 1}, "not-reported"),
        ("sector.matches(sector)", {"sector": "["}, "not-reported"),
        ("[1, 2][rooms] > 0", {"rooms": 7}, "not-reported"),
        # CEL's own logic: what does not hang on the missing value is decided.
        ("urban || score <= 10.0", {"urban": True}, "met"),
        ("score <= 10.0 || urban", {"urban": True}, "met"),
        ("score <= 10.0 && urban", {"urban": False}, "not-met"),
        ("urban || score <= 10.0", {"urban": False}, "not-reported"),
    ],
)
def test_a_value_that_gives_no_answer_is_an_outcome_and_never_an_exception(
    when: str, attributes: dict[str, Any], outcome: str
) -> None:
    decision = made(programme([when], [FOOD]), attributes)
    assert decision.criteria[0].outcome == outcome
    assert decision.unmet == ([] if outcome == "met" else ["c0"])
    # It travels and is stored as JSON.
    assert orjson.loads(orjson.dumps(decision))["criteria"][0]["outcome"] == outcome


def test_an_expression_may_work_out_the_amount_and_equal_amounts_are_one_line() -> None:
    compiled = programme(["true"], ["per: member, unit_minor: 'age >= 12 ? 300 + rooms : 100'"])
    decision = made(compiled, {"rooms": 5}, {"age": 13}, {"age": 6}, {"age": 12}, {})
    assert [(c.quantity, c.unit_minor, c.amount_minor) for c in decision.components] == [(1, 100, 100), (2, 305, 610)]
    assert [(n.reason, n.count) for n in decision.not_due] == [("a value it depends on is not reported", 1)]


@pytest.mark.parametrize("rooms", [-1, 10**13, 2**63 - 1])
def test_an_amount_below_zero_or_beyond_the_limit_is_not_due(rooms: int) -> None:
    decision = made(programme(["true"], ["per: household, unit_minor: rooms"]), {"rooms": rooms})
    assert (decision.amount_minor, decision.components, len(decision.not_due)) == (0, [], 1)


def test_the_input_hash_covers_what_the_rules_declare_and_nothing_else() -> None:
    compiled = programme(["score <= 10.0"], [FOOD])
    base = made(compiled, {"score": 9.0}, {"age": 3}).input_hash
    assert made(compiled, {"score": 9, "colour": "red"}, {"age": 3.0, "shoe": 4}).input_hash == base
    assert made(compiled, {"score": 9.5}, {"age": 3}).input_hash != base
    assert made(compiled, {"score": 9.0}, {"age": 4}).input_hash != base
    assert made(compiled, {"score": 9.0}).input_hash != base
    assert made(compiled, {"score": -0.0}).input_hash == made(compiled, {"score": 0}).input_hash
    # Fixed for ever: decisions of years ago are re-run against it.
    assert base == hashlib.sha256(b'{"household":{"score":9.0},"members":[{"age":3}]}').hexdigest()


def test_unbounded_work_ends_without_an_answer() -> None:
    numbers = "[" + ",".join(map(str, range(100))) + "]"
    when = f"{numbers}.all(a, {numbers}.all(b, {numbers}.all(c, a + b + c + rooms >= 0)))"
    assert made(programme([when], [FOOD]), {"rooms": 1}).criteria[0].outcome == "not-reported"


def test_what_is_remembered_of_one_family_is_right_for_the_next() -> None:
    compiled = programme(["score <= 10.0"], [FOOD, SCHOOL])
    families: list[tuple[dict[str, Any], ...]] = [
        ({"enrolled": True}, {"enrolled": False}), ({"enrolled": False}, {"enrolled": True}), ({"enrolled": True},),
        ({"enrolled": True}, {"enrolled": False}), (),
    ]  # fmt: skip
    for members in families:
        for score in (9.0, None, 11.0):
            fresh = programme(["score <= 10.0"], [FOOD, SCHOOL])
            assert made(compiled, {"score": score}, *members) == made(fresh, {"score": score}, *members)

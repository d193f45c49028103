"""Scoring models: the stated sum, the stated cut-offs, nothing else; what is missing gives no score."""

from pathlib import Path
from typing import Any

import pytest

from salur.eligibility.domain.checking import ProgrammeInvalid
from salur.eligibility.domain.compiling import compile_programme
from salur.eligibility.domain.decide import HouseholdFacts, decide, scored
from salur.eligibility.domain.scoring import compile_model
from salur.local.population.files import body
from salur.local.population.generate import households

TEXT = (Path(__file__).parents[3] / "services" / "eligibility" / "scoring" / "pmt.yaml").read_text(encoding="utf-8")
PMT = compile_model(TEXT)


def facts(family: dict[str, Any], **changed: Any) -> HouseholdFacts:
    members = [member["attributes"] for member in family["members"]]
    return HouseholdFacts("a" * 32, 1, family["attributes"] | changed, members, family["region"])


FAMILIES = [body(family) for family in households(1_000, 1)]


def test_the_example_gives_the_score_and_decile_the_population_states_for_each_of_1000_families() -> None:
    for family in FAMILIES:
        said = scored(PMT, facts(family))
        stated = (family["attributes"]["welfare_score"], family["attributes"]["decile"])
        assert (said.score, said.decile) == pytest.approx(stated, abs=0.011)
        assert said.score == pytest.approx(46.0 + sum(part or 0.0 for part in said.parts.values()), abs=0.006)


def test_a_missing_value_gives_no_score_and_says_which_term_lacked_it() -> None:
    said = scored(PMT, facts(FAMILIES[0], floor=None, fridge=None))
    assert (said.score, said.decile) == (None, None)
    assert {code for code, part in said.parts.items() if part is None} == {"floor", "fridge"}


def test_a_term_may_say_what_it_adds_when_it_is_not_known() -> None:
    lenient = compile_model(TEXT.replace("tile: 4.0}", "tile: 4.0}\n    missing: 0.0"))
    assert scored(lenient, facts(FAMILIES[0], floor="marble")).parts["floor"] == 0.0
    assert lenient.version != PMT.version


def test_a_logarithm_of_nothing_is_not_known() -> None:
    assert scored(PMT, facts(FAMILIES[0], floor_area_m2=0)).parts["area"] is None


PROGRAMME = f"""\
id: poor
name: {{en: Poor, id: Miskin}}
kind: household
function: assistance
approach: targeted
legal: none
currency: IDR
cycle_months: 1
score_model: {{id: pmt, version: {PMT.version}}}
inputs: {{household: {{fridge: bool}}}}
criteria: [{{code: poorest, text: {{en: t, id: t}}, legal: l, when: decile <= 4 && score < 54.7}}]
benefit: [{{code: grant, text: {{en: t, id: t}}, per: household, unit_minor: 100}}]
ranking: {{score: score}}
"""


def test_a_programme_reads_score_and_decile_of_the_version_it_names_and_of_no_other() -> None:
    compiled = compile_programme(PROGRAMME, PMT)
    for family in FAMILIES[:200]:
        decision = decide(compiled, facts(family))
        assert (decision.outcome == "enrolled") == (family["attributes"]["decile"] <= 4)
        assert decision.criteria[0].values["decile"] == family["attributes"]["decile"]
        assert decision.score == decision.criteria[0].values["score"] or decision.outcome == "not-enrolled"
    other = compile_model(TEXT.replace("base: 46.0", "base: 47.0"))
    for model in (None, other):
        with pytest.raises(ProgrammeInvalid, match="line 9: scoring model 'pmt' is not published in this version"):
            compile_programme(PROGRAMME, model)


def test_the_input_hash_covers_what_the_scoring_model_reads() -> None:
    compiled = compile_programme(PROGRAMME, PMT)
    family, other = facts(FAMILIES[0], floor="earth"), facts(FAMILIES[0], floor="ceramic")
    assert decide(compiled, family).input_hash != decide(compiled, other).input_hash
    unread = facts(FAMILIES[0], floor="earth", nobody_asks=1)
    assert decide(compiled, family) == decide(compiled, unread)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("cut_offs: [41.46, 46.9,", "cut_offs: [46.9, 41.46,", "cut_offs must ascend"),
        ("cut_offs: [41.46, ", "cut_offs: [", "at least 9 items"),
        ("value: double(persons)\n", "value: persons\n", "`persons` must give a decimal number, but gives a whole"),
        ("value: floor\n", "value: flor\n", "reads 'flor'"),
        ("when: motorcycle\n", "when: motorcycle\n    value: floor\n", "either `value` or `when`"),
        ("code: fridge", "code: motorcycle", "code 'motorcycle' is used twice"),
        ("coefficient: 3.0", "coefficient: .nan", "terms.8.coefficient"),
    ],
)
def test_a_model_that_does_not_check_says_why(old: str, new: str, reason: str) -> None:
    with pytest.raises(ProgrammeInvalid) as caught:
        compile_model(TEXT.replace(old, new, 1))
    assert reason in str(caught.value)

"""The ten programmes of the catalogue: what they are said to pay is what they pay."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from salur.eligibility.domain.compiling import Compiled, compile_programme, model_named
from salur.eligibility.domain.decide import Decision, HouseholdFacts, decide
from salur.eligibility.domain.explain import benefit_told, criteria_told, outcome_told
from salur.eligibility.domain.scoring import compile_model
from salur.local.population.files import body
from salur.local.population.generate import households

FOLDER = Path(__file__).parents[3] / "services" / "eligibility" / "programmes"
FILES = sorted(FOLDER.glob("*.yaml"))
OF_GROUPS = sorted((FOLDER / "groups").glob("*.yaml"))
RUPIAH = 100
"""Minor units: amounts are in sen."""


PMT = (FOLDER.parent / "scoring" / "pmt.yaml").read_text(encoding="utf-8")
POOR_HOUSE = {
    "floor": "soil", "floor_area_m2": 9, "electricity_va": 0, "motorcycle": False, "fridge": False,
    "head_education": "none",
}  # fmt: skip

RICH_HOUSE = {"floor": "tile", "floor_area_m2": 90, "electricity_va": 2200, "fridge": True, "motorcycle": True}


def compiled_of(path: Path) -> Compiled:
    """With the scoring model it names."""
    text = path.read_text(encoding="utf-8")
    return compile_programme(text, compile_model(PMT) if model_named(text) else None)


def catalogue(name: str) -> Compiled:
    return compiled_of(FOLDER / f"{name}.yaml")


def made(name: str, household: dict[str, Any], *members: dict[str, Any], region: str = "33.01.01") -> Decision:
    ids = [f"{number:032d}" for number in range(len(members))]
    return decide(catalogue(name), HouseholdFacts("a" * 32, 1, household, members, region, ids))


def person(age: int, school: str = "none", disability: str = "none", **more: Any) -> dict[str, Any]:
    return {"age": age, "school": school, "disability": disability, "pregnant": False, "orphan": False, **more}


@pytest.mark.parametrize("path", FILES + OF_GROUPS, ids=lambda path: path.stem)
def test_a_programme_of_the_catalogue_compiles_and_says_what_people_ask_first(path: Path) -> None:
    document = compiled_of(path).document
    assert document.id == path.stem
    assert document.funding
    assert "check" in (document.note or "") or "illustrative" in (document.note or "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_decision_explains_itself_in_both_languages_and_comes_out_the_same(path: Path) -> None:
    """Over generated families: each criterion with its law and a sentence, each line and reason in words."""
    compiled, again = compiled_of(path), compiled_of(path)
    for number, family in enumerate(map(body, households(60, 7))):
        ids = [f"{place:032x}" for place in range(len(family["members"]))]
        attributes = [member["attributes"] for member in family["members"]]
        facts = HouseholdFacts(f"{number:032x}", 1, family["attributes"], attributes, family["region"], ids)
        decision = decide(compiled, facts)
        assert decide(again, facts) == decision
        stored = orjson.loads(orjson.dumps(decision))
        told = criteria_told(compiled, stored["criteria"])
        assert [one["code"] for one in told] == [one.code for one in decision.criteria]
        words = [outcome_told(compiled, decision.outcome == "enrolled")]
        words += [one[name] for one in told for name in ("text", "sentence")]
        benefit = benefit_told(compiled, stored)
        words += [one["text"] for one in benefit["components"] + benefit["not_due"]]
        words += [one["reason"] for one in benefit["not_due"]]
        assert all(one["legal"] and one["expression"] for one in told)
        assert all(one["en"] and one["id"] for one in words)


def test_the_catalogue_has_ten_programmes_of_every_approach() -> None:
    documents = [compiled_of(path).document for path in FILES]
    assert len(documents) == 10
    assert {document.approach for document in documents} == {"targeted", "categorical", "universal", "emergency"}
    assert {"household", "person"} <= {document.kind for document in documents}


def test_the_decile_of_sembako_is_the_scoring_model_s_over_generated_families() -> None:
    """As the population states it, which the programme does not read: both come of what the family has."""
    compiled = catalogue("sembako")
    for number, family in enumerate(map(body, households(200, 3))):
        attributes = dict(family["attributes"])
        stated = attributes.pop("decile")
        members = [member["attributes"] for member in family["members"]]
        ids = [f"{place:032x}" for place in range(len(members))]
        decision = decide(compiled, HouseholdFacts(f"{number:032x}", 1, attributes, members, family["region"], ids))
        assert (decision.outcome == "enrolled") == (stated <= 4)


def test_pkh_counts_four_members_those_to_whom_most_is_due() -> None:
    family = [
        person(35), person(33, pregnant=True), person(4), person(9, "primary"), person(14, "lower-secondary"),
        person(17, "upper-secondary"), person(70),
    ]  # fmt: skip
    decision = made("pkh", {"decile": 2}, *family)
    due = {line.code: line.amount_minor // RUPIAH for line in decision.components}
    assert due == {
        "pregnancy": 750_000,
        "early-childhood": 750_000,
        "elderly-member": 600_000,
        "upper-secondary": 500_000,
    }
    beyond = {line.code for line in decision.not_due if line.reason.startswith("the programme counts no more")}
    assert beyond == {"primary", "lower-secondary"}


@pytest.mark.parametrize(("decile", "unmet"), [(4, []), (5, ["poorest"])])
def test_pkh_needs_the_decile_and_a_component(decile: int, unmet: list[str]) -> None:
    assert made("pkh", {"decile": decile}, person(70)).unmet == unmet
    assert made("pkh", {"decile": decile}, person(40)).unmet == [*unmet, "has-component"]


@pytest.mark.parametrize(
    ("name", "household", "members", "region", "expected"),
    [
        ("sembako", POOR_HOUSE, [person(40, relation="head")], "33.01.01", 600_000),
        ("sembako", POOR_HOUSE | RICH_HOUSE, [person(40, relation="head")], "33.01.01", 0),
        ("sembako", {"decile": 1}, [person(40, relation="head")], "33.01.01", 0),
        ("blt-bbm", {"decile": 1}, [person(40)], "33.01.01", 300_000),
        ("pip", {"decile": 3}, [person(9, "primary"), person(15, "lower-secondary"), person(40)], "33.01.01", 825_000),
        ("pbi-jkn", {"decile": 5}, [person(40), person(8)], "33.01.01", 84_000),
        ("atensi-yapi", {}, [person(9, orphan=True), person(9), person(18, orphan=True)], "33.01.01", 600_000),
        ("lansia-disabilitas", {}, [person(70)], "33.01.01", 300_000),
        ("lansia-disabilitas", {}, [person(70)], "31.71.01", 400_000),
        ("lansia-disabilitas", {}, [person(70), person(40)], "33.01.01", 0),
        ("lansia-disabilitas", {}, [person(70), person(40, disability="severe")], "33.01.01", 300_000),
        ("pena", {"decile": 2, "welfare_score": 40.0}, [person(30, relation="head")], "33.01.01", 6_000_000),
        ("bencana", {"reported_dead": 1}, [person(30)], "33.01.01", 16_800_000),
        ("bencana", {}, [person(30)], "33.01.01", 1_800_000),
        ("anak-semesta", {}, [person(3), person(30)], "34.01.01", 100_000),
        ("anak-semesta", {}, [person(3), person(30)], "33.01.01", 0),
    ],
)  # fmt: skip
def test_what_is_due_in_rupiah(
    name: str, household: dict[str, Any], members: list[dict[str, Any]], region: str, expected: int
) -> None:
    assert made(name, household, *members, region=region).amount_minor == expected * RUPIAH


def test_a_programme_for_persons_says_of_each_why() -> None:
    decision = made("pip", {"decile": 3}, person(9, "primary"), person(40))
    assert decision.enrolled_members == [f"{0:032d}"]
    answers = {(item.code, item.member_id): item.outcome for item in decision.criteria}
    assert answers == {
        ("poorest", None): "met", ("pupil", f"{0:032d}"): "met", ("pupil", f"{1:032d}"): "not-met",
    }  # fmt: skip
    nobody = made("pip", {"decile": 7}, person(9, "primary"), person(40))
    assert (nobody.outcome, nobody.unmet, nobody.enrolled_members) == ("not-enrolled", ["poorest"], [])
    assert len(nobody.criteria) == 3

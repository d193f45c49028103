"""A programme that cannot be published says on which line, in which expression, and why."""

from pathlib import Path

import pytest

from salur.eligibility.domain.compiling import MAX_RULES_SIZE, ProgrammeInvalid, compile_programme

EXAMPLE = (Path(__file__).parents[3] / "examples" / "progresa" / "programme.yaml").read_text()
HEAD = """\
id: test
name: {en: Test, id: Uji}
kind: household
function: protection
approach: targeted
legal: none
currency: IDR
cycle_months: 3
inputs:
  household: {score: float, members: int, sector: string, urban: bool}
  member: {age: int, enrolled: bool}
"""
TEXT = "text: {en: t, id: t}"
CRITERIA = f"criteria:\n  - code: poor\n    {TEXT}\n    legal: none\n    when: "
BENEFIT = f"benefit:\n  - code: grant\n    {TEXT}\n    per: household\n    unit_minor: "
LINE_OF_WHEN = HEAD.count("\n") + 5


def programme(when: str = "score <= 10.0", unit: str = "100", more: str = "") -> str:
    return f"{HEAD}{CRITERIA}{when}\n{BENEFIT}{unit}\n{more}"


def refusal(text: str) -> str:
    with pytest.raises(ProgrammeInvalid) as caught:
        compile_programme(text)
    return str(caught.value)


def test_the_example_compiles_and_its_version_is_the_hash_of_its_exact_text() -> None:
    compiled = compile_programme(EXAMPLE)
    assert compiled.document.id == "progresa"
    assert [(code, rule.reads) for code, rule in ((item.spec.code, item.rule) for item in compiled.criteria)] == [
        ("poverty", ("poverty_index", "state_cutoff")),
        ("treated-village", ("village_treated",)),
    ]
    assert compile_programme(EXAMPLE + "\n").version != compiled.version
    assert len(compiled.version) == 64


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ("score <=", "Syntax error"),
        ("score <= sector", "cannot apply `<=` to a decimal number and text"),
        ("sector == 5", "cannot apply `==` to text and a whole number"),
        ("sector in [1, 2]", "text is not compared or combined with another type"),
        ("score <= 10", "write 5.0 rather than 5"),
        ("urban > 1", "cannot apply `>` to true/false and a whole number"),
        ("income <= 10.0", "reads 'income', which is not among the inputs"),
        ("enrolled", "reads 'enrolled', which is not among the inputs it may read"),
        ("members + 1", "must give true/false, but gives a whole number"),
        ("sector", "must give true/false, but gives text"),
        ("dyn(score) == sector", "mixes types so that they cannot be checked"),
        ("[1, 'a'][0] == members", "mixes types so that they cannot be checked"),
        ("sector == null", "cannot apply `==` to text and null_type"),
        ("score.amount > 1", "does not compile"),
        ("nonsense(score)", "reads 'nonsense'"),
    ],
)
def test_an_expression_that_does_not_check_names_its_line(when: str, reason: str) -> None:
    message = refusal(programme(f"'{when.replace(chr(39), chr(39) * 2)}'"))
    assert message.startswith(f"line {LINE_OF_WHEN}, poor, when: `{when}`")
    assert reason in message


def test_an_error_in_a_block_names_the_line_inside_it() -> None:
    message = refusal(programme("|\n      score <= 10.0\n      && sector == 1"))
    assert message.startswith(f"line {LINE_OF_WHEN + 2}, poor, when:")


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        ("-1", "greater than or equal to 0"),
        ("1.5", "valid integer"),
        ("members * 1.5", "cannot apply `*`"),
        ("score", "must give a whole number, but gives a decimal number"),
        ("10000000000000", "less than or equal to"),
        ("true", "valid integer"),
    ],
)
def test_an_amount_is_a_whole_number_of_minor_units(unit: str, reason: str) -> None:
    message = refusal(programme(unit=unit))
    assert reason in message
    assert message.startswith(f"line {LINE_OF_WHEN + 5}, ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1: the document is empty"),
        ("- a list", "line 1, document:"),
        ("id: [", "is not YAML"),
        ("id: a\x01b", "a character that YAML does not allow"),
        (programme().replace("legal: none", 'legal: "a\\0b"', 1), "a text holds a NUL character"),
        ("[" * 5_000, "nested too deeply"),
        (programme().replace("id: test", "id: Test Programme"), "line 1, id:"),
        (programme().replace("currency: IDR\n", ""), "currency: Field required"),
        (programme().replace("currency: IDR", "currency: idr"), "line 7, currency:"),
        (programme().replace("IDR", "IDR\ncurrency: MXN"), "line 8: 'currency' stands twice (first on line 7)"),
        (programme(more="tax: 100\n"), "tax: Extra inputs are not permitted"),
        (programme().replace("kind: household", "kind: town"), "line 3, kind:"),
        (programme().replace("cycle_months: 3", "cycle_months: '3'"), "line 8, cycle_months:"),
        (programme().replace("score: float", "score: decimal"), "line 10, inputs.household.score:"),
        (programme().replace("score: float", "Score: float"), "line 10, inputs.household.Score"),
        (programme().replace("age: int", "score: int"), "line 11: input 'score' is a household input too"),
        (programme().replace("members: int", "int: int"), "line 10: input 'int' is a word of the expression language"),
        (programme().replace("members: int", "in: int"), "line 10: input 'in' is a word of the expression language"),
        (programme().replace("code: grant", "code: poor"), "code 'poor' is used twice"),
        (programme().replace("{en: t, id: t}", "{en: t}", 1), "text.id: Field required"),
        (programme().replace("legal: none", "legal: &l none", 1).replace("legal: none", "legal: *l"), "aliases"),
        (programme().replace("name: {en: Test, id: Uji}", "name: {1: Test, id: Uji}"), "line 2: a key must be text"),
        (programme().replace("legal: none", "legal: !!python/name:os.system x", 1), "is not YAML"),
        (programme(more="note: " + "x" * MAX_RULES_SIZE), "shorten texts or split the programme"),
        (f"{HEAD}criteria: []\n{BENEFIT}1\n", "criteria: List should have at least 1 item"),
        (programme(more="funding: [{fund: apbn, percent: 70}]\n"), "the shares of funding must add up to 100"),
        (programme(more="quota: {level: regency, others: 3}\n"), "a quota needs a ranking: say who comes first"),
        (programme().replace("kind: household", "kind: person"), "a programme for persons has components per member"),
        (programme(more="counts: {members: enrolled}\n"), "line 22: count 'members' is a household input too"),
        (programme(more="counts: {pupils: age}\n"), "line 22, pupils, pupils: `age` must give true/false"),
        (programme(more="ranking: {score: members}\n"), "ranking, score: `members` must give a decimal number, but"),
        (
            programme(more=f"score_model: {{id: pmt, version: {'a' * 64}}}\n"),
            "scoring model 'pmt' is not",
        ),
        (programme(more="graduation: {criteria: [rich], text: {en: t, id: t}}\n"), "graduation names 'rich'"),
    ],
)
def test_a_document_that_breaks_its_form_names_line_and_place(text: str, reason: str) -> None:
    assert reason in refusal(text)


def test_a_name_in_a_string_is_not_an_input_read() -> None:
    compiled = compile_programme(programme("\"sector == 'urban score' || [1].exists(members, members > 0)\""))
    assert compiled.criteria[0].rule.reads == ("sector",)

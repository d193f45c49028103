"""Matching: one spelling for one name, keys that survive slips, evidence without values, no twins, no namesakes."""

import unicodedata
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salur.local.population import write_population
from salur.local.population.measure import measure
from salur.registry.domain.matching import (
    MAX_BLOCK,
    MAX_KEYS,
    Matcher,
    Record,
    Verdict,
    blocking_keys,
    default_weights,
    name_key,
    pairs,
    words,
)

BASE = Record(
    "p1", "h1", "MUHAMMAD SYARIF HIDAYAT", date(1985, 3, 7), "male", "33.74.01", "0123450703850001", "phone", "account"
)
MATCHER = Matcher(500_000, share=lambda _: 1 / 2_000)


def verdict(**changes: object) -> Verdict:
    other = replace(BASE, person_id="p2", household_id="h2", nik="0999990703850042", phone=None, account=None)
    return MATCHER.compare(BASE, replace(other, **changes)).verdict  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MUHAMMAD RAHMAN", "MOH. RAHMAN"), ("MOCHAMAD RAHMAN", "Mukhammad Rahman"), ("DJOKO SOESILO", "JOKO SUSILO"),
        ("TJIPTO", "CIPTO"), ("NJOMAN", "NYOMAN"), ("SJAHRIR", "SYAHRIR"), ("ACHMAD JUSUF", "AHMAD JUSUF"),
        ("H. ABD. RAHIM", "ABDUL RAHIM"), ("HJ. ST. AMINAH, S.PD", "SITI AMINAH"), ("NOER AINI", "NUR AINI"),
        ("MA'RUF", "MARUF"), ("José", "JOSE"), ("SITTI", "SITI"), ("DRS. BAMBANG WIDODO, MM", "BAMBANG WIDODO"),
        ("HASSAN", "HASAN"), ("FATHIMAH", "FATIMAH"), ("MARKUS", "MARQUS"),
    ],
)  # fmt: skip
def test_two_spellings_of_a_name_are_one(one: str, other: str) -> None:
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("JUSUF", "YUSUF"), ("WIDJAJA", "WIJAYA"), ("SYARIF", "SARIP"), ("KHOTIMAH", "HOTIMAH"), ("FAUZI", "PAUSI"),
     ("SITI HASANAH", "HASANAH SITI"), ("FITRI", "FITRIE"), ("ZAENAL", "SAINAL"), ("VERONIKA", "FERONICA")],
)  # fmt: skip
def test_names_that_sound_alike_have_one_key(one: str, other: str) -> None:
    assert name_key(words(one)) == name_key(words(other))


@pytest.mark.parametrize(("one", "other"), [("SITI AMINAH", "SITI AISYAH"), ("BUDI", "JODI"), ("HASAN", "HUSEN LUBIS")])
def test_other_names_have_other_words(one: str, other: str) -> None:
    assert words(one) != words(other)


@pytest.mark.parametrize("title_alone", ["HAJI", "H.", "IBU", "NY."])
def test_a_name_that_is_only_a_title_keeps_it(title_alone: str) -> None:
    assert len(words(title_alone)) == 1


@given(st.text(alphabet=st.characters(categories=["L", "M"]), max_size=30))
def test_composed_and_decomposed_names_dedupe_alike(name: str) -> None:
    composed, apart = unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)
    assert words(composed) == words(apart)
    assert name_key(words(composed)) == name_key(words(apart))


@given(st.text(max_size=60))
def test_any_text_has_words_and_keys(name: str) -> None:
    record = replace(BASE, name=name)
    assert len(blocking_keys(record)) <= MAX_KEYS
    assert MATCHER.compare(record, replace(record, household_id="h2")).score >= 0


some_words = ["SITI", "NUR", "AMINAH", "BUDI", "SANTOSO", "MUHAMMAD", "DJOKO", "JOKO", "WIDODO", "M.", "ABDUL"]
names = st.lists(st.sampled_from(some_words), min_size=1, max_size=4).map(" ".join)
some_days = st.dates(date(1950, 1, 1), date(2020, 12, 31))
records = st.builds(
    Record, st.just("a"), st.just("b"), names, st.none() | some_days, st.sampled_from(["male", "female"]),
    st.sampled_from(["33.74.01", "33.74.02", "33.75.01", "11.01.01"]),
    st.none() | st.from_regex(r"0[0-9]{15}", fullmatch=True), st.sampled_from([None, "x", "y"]),
    st.sampled_from([None, "x", "y"]),
)  # fmt: skip


@given(records, records)
def test_the_order_of_two_records_does_not_matter(one: Record, other: Record) -> None:
    forth, back = MATCHER.compare(one, other), MATCHER.compare(other, one)
    assert (forth.score, forth.verdict) == (back.score, back.verdict)
    assert sorted(map(str, forth.evidence)) == sorted(map(str, back.evidence))


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"name": "MOH. SJARIF HIDAJAT"}, {"name": "HIDAYAT MUHAMMAD SYARIF"}, {"name": "MUHAMMAD SYARIP HIDAYAT"},
        {"name": "M. SYARIF HIDAYAT"}, {"name": "MUHAMMADSYARIF HIDAYAT"}, {"birth_date": date(1985, 7, 3)},
        {"birth_date": date(1985, 3, 17)}, {"birth_date": date(1986, 3, 7)},
        {"region": "33.74.05"}, {"name": "MUH SYARIF", "phone": "phone"},
        {"name": "MUH SYARIF", "birth_date": date(1985, 7, 3), "nik": "0123450703850007"},
    ],
)  # fmt: skip
def test_the_same_person_written_otherwise_is_shown(changes: dict[str, object]) -> None:
    assert verdict(**changes) != "different"


@pytest.mark.parametrize(
    "changes",
    [
        {"birth_date": date(1961, 11, 23)},  # a namesake of the same district
        {"name": "AGUS SALIM", "phone": "phone", "account": "account"},  # born the same day, same contacts
        {"sex": "female", "name": "SITI SYARIFAH"},
        {"name": "MUHAMMAD", "birth_date": None, "region": "11.01.01"},
        {"name": "MUHAMMAD YUSUF", "birth_date": date(1985, 3, 9)},
    ],
)
def test_somebody_else_is_not(changes: dict[str, object]) -> None:
    assert verdict(**changes) == "different"


def test_the_same_nik_is_shown_even_under_another_name() -> None:
    match = MATCHER.compare(BASE, replace(BASE, household_id="h2", name="AGUS SALIM"))
    assert match.verdict != "different"
    assert ("nik", "same") in {(item.field, item.finding) for item in match.evidence}


def test_evidence_and_repr_hold_no_value() -> None:
    match = MATCHER.compare(BASE, replace(BASE, person_id="p2", household_id="h2", name="MOH SYARIF"))
    shown = f"{match} {BASE!r}"
    for value in ("SYARIF", "HIDAYAT", "1985", "0123450703850001", "33.74"):
        assert value not in shown


def test_weights_are_data() -> None:
    document = default_weights()
    strict = document | {"thresholds": document["thresholds"] | {"possible": 1.0, "probable": 1.0}}
    other = replace(BASE, household_id="h2", nik=None)
    assert MATCHER.compare(BASE, other).verdict == "probable"
    assert Matcher(500_000, strict).compare(BASE, other).verdict == "different"


def test_a_rare_name_says_more_than_a_common_one() -> None:
    other = replace(BASE, household_id="h2", nik=None)
    rare = Matcher(500_000, share=lambda _: 1 / 100_000).compare(BASE, other)
    common = Matcher(500_000, share=lambda _: 1 / 50).compare(BASE, other)
    assert rare.score > common.score


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"birth_date": date(1985, 7, 3)}, {"dr", "df", "dl", "ny", "nd", "nr"}),
        ({"birth_date": date(1986, 3, 7)}, {"nd", "nr"}),
        ({"birth_date": date(1985, 1, 1)}, {"ny", "nr"}),
        ({"birth_date": None}, {"nr"}),
        ({"region": "11.01.01"}, {"df", "dl"}),
        ({"region": "33.74.02", "birth_date": date(1985, 3, 17)}, {"ny"}),
        ({"region": "33.74.02", "birth_date": date(1986, 3, 7)}, {"nd"}),
        ({"name": "SALIM"}, {"dr"}),
        ({"nik": "0123450703850001"}, {"nh", "nt"}),
        ({"nik": "0123450703859999"}, {"nh"}),
        ({"nik": "0999990703850001"}, {"nt"}),
    ],
)
def test_each_slip_leaves_a_key_alone(changes: dict[str, object], kinds: set[str]) -> None:
    other = replace(BASE, nik="0888881111110042", phone=None, account=None)
    common = set(blocking_keys(BASE)) & set(blocking_keys(replace(other, **changes)))  # type: ignore[arg-type]
    assert kinds <= {key[:2] for key in common}


def test_everybody_meets_those_before_them_once() -> None:
    assert pairs([([3, 5], [1, 3, 5]), ([5], [3, 5])]) == {(1, 3), (1, 5), (3, 5)}


@given(st.integers(2, 400))
def test_what_a_block_costs_does_not_grow_with_it(size: int) -> None:
    """A name of thousands: each is compared with a few of them, and so is somebody registered a hundred times."""
    block = list(range(size))
    meeting = pairs([(block, block[: MAX_BLOCK + 1])])
    assert len(meeting) <= MAX_BLOCK * size
    assert {one for _, one in meeting} == set(block[1:])


@given(records, records)
def test_a_quick_look_finds_what_a_whole_comparison_finds(one: Record, other: Record) -> None:
    whole = MATCHER.compare(one, other)
    assert MATCHER.match(one, other) == (None if whole.verdict == "different" else whole)


@pytest.mark.parametrize("seed", [11, 12])
def test_planted_duplicates_are_found_and_little_else(seed: int, tmp_path: Path) -> None:
    """Seeds that the weights were not chosen on."""
    write_population(tmp_path, 8_000, seed)
    result = measure(tmp_path)
    assert result.planted > 150
    assert result.precision >= 0.9, result.reasons.most_common(5)
    assert result.recall >= 0.9, result.by_difference
    without_nik = measure(tmp_path, use_nik=False)
    assert without_nik.precision >= 0.9 and without_nik.recall >= 0.85

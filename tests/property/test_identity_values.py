"""NIK, KK number, name and date: every bad input is refused by name, none is shown, nothing else is raised."""

import unicodedata
from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salur.common.regions import regions
from salur.common.values import (
    DateInvalid,
    Kk,
    NameInvalid,
    Nik,
    NumberInvalid,
    parse_birth_date,
    parse_day,
    parse_moment,
    person_name,
)
from salur.local.population import households

TODAY = date(2025, 12, 31)
NOW = datetime(2025, 12, 31, 12, tzinfo=UTC)
GOOD = "3171014508950001"
days = st.dates(min_value=date(1926, 1, 1), max_value=TODAY)
sexes = st.sampled_from(["male", "female"])


def nik_of(born: date, sex: str, prefix: str = "317101", serial: str = "0001") -> str:
    return f"{prefix}{born.day + (40 if sex == 'female' else 0):02d}{born:%m%y}{serial}"


@given(days, sexes, st.integers(1, 9_999))
def test_a_nik_says_sex_and_date_and_the_stated_date_says_the_century(born: date, sex: str, serial: int) -> None:
    nik = Nik(nik_of(born, sex, serial=f"{serial:04d}"))
    assert nik.sex == sex
    assert nik.means(born)
    assert born in nik.birth_dates(TODAY)
    assert nik.issued_in == "31.71.01"
    assert nik.concerns(born, sex, regions().__contains__) == []


@given(days, days, sexes)
def test_another_date_or_sex_is_a_concern_and_no_refusal(born: date, stated: date, sex: str) -> None:
    nik = Nik(nik_of(born, sex))
    differs = (born.day, born.month, born.year % 100) != (stated.day, stated.month, stated.year % 100)
    assert ("birth-date-differs" in nik.concerns(stated)) == differs
    other = "male" if sex == "female" else "female"
    assert nik.concerns(born, other) == ["sex-differs"]


@given(st.from_regex(r"[1-9][0-9]{5}", fullmatch=True))
def test_a_region_nobody_knows_is_a_concern_and_no_refusal(prefix: str) -> None:
    known = {code.replace(".", "") for code in regions().districts()}
    concerns = Nik(nik_of(date(1990, 1, 1), "male", prefix)).concerns(known_region=regions().__contains__)
    assert concerns == ([] if prefix in known else ["unknown-region"])


def test_a_region_of_former_times_is_known() -> None:
    nik = Nik(nik_of(date(1990, 1, 1), "male", "912703"))
    assert nik.concerns(known_region=lambda code: regions().find(code) is not None) == []


BAD_NUMBERS = {
    "15 digits": GOOD[:-1],
    "17 digits": GOOD + "1",
    "empty": "",
    "letters": "31710145O8950001",
    "full-width digits": "".join(chr(ord(digit) - ord("0") + 0xFF10) for digit in GOOD),
    "Arabic-Indic digits": "".join(chr(ord(digit) - ord("0") + 0x0660) for digit in GOOD),
    "one Arabic-Indic digit": GOOD[:-1] + "\u0661",
    "superscript digit": GOOD[:-1] + "²",
    "all zeros": "0" * 16,
    "leading space": " " + GOOD,
    "trailing space": GOOD + " ",
    "no-break space": GOOD + "\u00a0",
    "line break": GOOD + "\n",
    "dotted": "3171.0145.0895.0001",
    "NUL": GOOD[:-1] + "\x00",
    "zero-width": GOOD[:8] + "\u200b" + GOOD[8:],
    "sign": "-" + GOOD[1:],
    "underscores": GOOD[:7] + "_" + GOOD[8:],
    "exponent": "3171014508951e16",
    "surrogate": GOOD[:-1] + "\ud800",
}
BAD_DATES_IN_NIK = {
    "day 0": "3171010008950001",
    "day 32": "3171013208950001",
    "day 40": "3171014008950001",
    "day 72": "3171017208950001",
    "day 99": "3171019908950001",
    "31 April": "3171013104950001",
    "30 February": "3171013002950001",
    "29 February of no leap year": "3171012902950001",
    "women's 30 February": "3171017002950001",
    "month 0": "3171010100950001",
    "month 13": "3171010113950001",
}


@pytest.mark.parametrize("text", (BAD_NUMBERS | BAD_DATES_IN_NIK).values(), ids=(BAD_NUMBERS | BAD_DATES_IN_NIK).keys())
def test_what_cannot_be_a_nik_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(NumberInvalid) as refusal:
        Nik(text)
    hides(str(refusal.value), text)


@pytest.mark.parametrize("text", BAD_NUMBERS.values(), ids=BAD_NUMBERS.keys())
def test_what_cannot_be_a_kk_number_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(NumberInvalid) as refusal:
        Kk(text)
    hides(str(refusal.value), text)


def hides(message: str, value: str) -> None:
    pieces = {value[start : start + 5] for start in range(max(len(value) - 4, 0))}
    assert not any(piece in message for piece in pieces if piece.strip())


def test_the_leap_day_of_2000_is_one() -> None:
    assert Nik("3171012902000001").birth_dates(TODAY) == [date(2000, 2, 29)]


def test_an_old_card_without_a_date_is_a_concern() -> None:
    assert Kk("3171010000000001").concerns(regions().__contains__) == ["no-date"]
    assert Kk("3171010102150001").concerns(regions().__contains__) == []
    assert Kk("3171010102150000").concerns() == ["serial-zero"]
    assert Kk("9971010102150001").concerns(regions().__contains__) == ["unknown-region"]


def test_neither_text_nor_repr_shows_a_number() -> None:
    for shown in (str(Nik(GOOD)), repr(Nik(GOOD)), f"{Nik(GOOD)}", repr([Kk(GOOD)]), str({"nik": Nik(GOOD)})):
        assert GOOD not in shown and GOOD[-4:] not in shown


@given(st.text())
def test_any_text_is_a_nik_or_refused(text: str) -> None:
    try:
        nik = Nik(text)
    except NumberInvalid:
        return
    assert nik.value == text and len(text) == 16


@given(st.from_regex(r"[0-9]{16}", fullmatch=True))
def test_sixteen_digits_are_a_nik_exactly_when_they_hold_a_day(text: str) -> None:
    day, month, year = int(text[6:8]), int(text[8:10]), int(text[10:12])
    day = day - 40 if day > 40 else day
    possible = False
    for century in (1900, 2000):
        try:
            date(century + year, month, day)
            possible = True
        except ValueError:
            pass
    try:
        Nik(text)
        taken = True
    except NumberInvalid:
        taken = False
    assert taken == possible


def test_generated_people_have_test_numbers_that_say_who_they_are() -> None:
    for family in islice(households(1_000, 3), 200):
        assert Kk(family.kk).concerns() == ["test-number"]
        spoilt = {truth.nik for truth in family.truths if truth.kind != "dead"}
        for person in family.members:
            if person.nik not in spoilt:
                born = date.fromisoformat(person.birth_date)
                assert Nik(person.nik).concerns(born, person.sex) == ["test-number"]


BAD_NAMES = {
    "empty": "",
    "spaces only": "   ",
    "100,000 characters": "A" * 100_000,
    "right-to-left override": "SITI\u202eHASANAH",
    "right-to-left isolate": "SITI\u2067HASANAH",
    "zero-width joiner": "SI\u200dTI",
    "zero-width space": "SI\u200bTI",
    "byte order mark": "\ufeffSITI",
    "NUL": "SITI\x00",
    "lone surrogate": "SITI \ud83d",
    "emoji": "SITI \U0001f600",
    "SQL": "'; DROP TABLE person; --",
    "SQL after a letter": "SITI'; DROP TABLE person",
    "HTML": "<script>alert(1)</script>",
    "HTML after a letter": "SITI <b>",
    "formula": "=cmd|' /C calc'!A0",
    "formula with plus": "+SITI",
    "formula with minus": "-SITI",
    "formula with at": "@SITI",
    "formula after a tab": "\t=SITI",
    "line break": "SITI\nlevel=info event=forged",
    "carriage return": "SITI\rHASANAH",
    "line separator": "SITI\u2028HASANAH",
    "digits": "SITI 123",
    "underscore": "SITI_HASANAH",
    "escape": "SITI\x1b[31m",
    "private use": "SITI\ue000",
}


@pytest.mark.parametrize("text", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_what_cannot_be_a_name_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(NameInvalid) as refusal:
        person_name(text)
    message = str(refusal.value)
    assert "SITI" not in message and "HASANAH" not in message and "\n" not in message and len(message) < 120


@pytest.mark.parametrize(
    "text", ["SITI HASANAH", "Ma'ruf", "H. MOH. SHOLEH", "R.A. KARTINI", "José-María", "ANNE (ANI)", "SRI, S.PD", "王"]
)
def test_names_of_people_are_taken(text: str) -> None:
    assert person_name(text) == unicodedata.normalize("NFC", text)


@given(st.text(alphabet=st.characters(categories=["L", "M"]), min_size=1, max_size=40))
def test_composed_and_decomposed_forms_are_one_name(text: str) -> None:
    forms = []
    for form in ("NFC", "NFD"):
        try:
            forms.append(person_name(unicodedata.normalize(form, text)))
        except NameInvalid:
            forms.append("refused")
    assert forms[0] == forms[1]


@given(st.text())
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = person_name(text)
    except NameInvalid:
        return
    assert name == person_name(name) and name.isprintable() and name[0].isalpha()


BAD_DAYS = {
    "30 February": "2025-02-30",
    "29 February of no leap year": "2025-02-29",
    "year 0": "0000-01-01",
    "month 13": "2025-13-01",
    "day 0": "2025-01-00",
    "far future": "9999-12-31",
    "tomorrow": "2026-01-01",
    "131 years ago": "1894-12-31",
    "day first": "31-12-1990",
    "slashes": "1990/12/31",
    "short": "1990-1-1",
    "no hyphens": "19901231",
    "week date": "1990-W01-1",
    "with time": "1990-12-31T00:00:00",
    "other digits": "\u0661\u0669\u0669\u0660-12-31",
    "spaces": " 1990-12-31",
    "line break": "1990-12-31\n",
    "empty": "",
    "five-digit year": "10000-01-01",
    "sign": "-990-12-31",
}


@pytest.mark.parametrize("text", BAD_DAYS.values(), ids=BAD_DAYS.keys())
def test_what_cannot_be_a_birth_date_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(DateInvalid) as refusal:
        parse_birth_date(text, TODAY)
    hides(str(refusal.value).replace("2025-12-31", ""), text)


@given(days)
def test_every_day_of_a_life_is_a_birth_date(born: date) -> None:
    assert parse_birth_date(born.isoformat(), TODAY) == born


@given(st.text())
def test_any_text_is_a_day_or_refused(text: str) -> None:
    try:
        day = parse_day(text)
    except DateInvalid:
        return
    assert day.isoformat() == text


@pytest.mark.parametrize(
    "text",
    ["2025-12-31T10:00:00", "2025-02-30T10:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00",
     "2027-01-01T00:00:00Z", "2025-12-31", "2025-12-31T24:30:00Z", "2025-12-31T10:00:00+25:00", "2025-12-31 10:00Z", "",
     "0001-01-01T00:00:00+14:00"],
)  # fmt: skip
def test_a_moment_without_zone_impossible_or_far_ahead_is_refused(text: str) -> None:
    with pytest.raises(DateInvalid):
        parse_moment(text, NOW, timedelta(minutes=5))


def test_a_moment_with_its_zone_is_taken() -> None:
    assert parse_moment("2025-12-31T19:00:00+07:00", NOW, timedelta(0)) == NOW

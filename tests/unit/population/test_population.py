"""A generated population: the same for a seed, true to its stated marginals, its truth file true to its rows."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from salur.common.regions import regions
from salur.local.population import BLOCK, Family, households, write_population
from salur.local.population.marginals import MAX_AGE, limits, stated
from salur.local.population.numbers import MAX_FAMILIES, Numbers
from salur.local.population.welfare import is_city, score_of

FAMILIES = 12_000
STATED = stated()


@pytest.fixture(scope="module")
def families() -> list[Family]:
    return list(households(FAMILIES, 7))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("population")
    write_population(out, FAMILIES, 7)
    return out


def rows(folder: Path, name: str) -> Iterator[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def close(measured: float, expected: float, tolerance: float, what: object) -> None:
    assert abs(measured - expected) <= tolerance, f"{what}: {measured:.4f} instead of {expected:.4f}"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(folder: Path, tmp_path: Path) -> None:
    write_population(tmp_path / "again", FAMILIES, 7)
    for name in ("population.csv", "truth.csv", "mapping.yaml"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    write_population(tmp_path / "other", 10, 8)
    other = {row["nik"] for row in rows(tmp_path / "other", "population.csv")}
    assert not other & {row["nik"] for row in islice(rows(folder, "population.csv"), 1_000)}


def test_a_small_population_is_the_beginning_of_a_large_one(families: list[Family]) -> None:
    assert list(households(BLOCK + 7, 7)) == families[: BLOCK + 7]
    assert list(households(3 * BLOCK, 7, first=2 * BLOCK)) == families[2 * BLOCK : 3 * BLOCK]


@pytest.mark.parametrize("count", [-1, MAX_FAMILIES + 1])
def test_a_count_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="families must be 0 to"):
        next(households(count, 1))


def test_rows_of_a_family_stand_together(folder: Path) -> None:
    seen: set[str] = set()
    last = ""
    for row in rows(folder, "population.csv"):
        assert None not in row and None not in row.values()
        if row["kk"] != last:
            assert row["kk"] not in seen
            seen.add(row["kk"])
            last = row["kk"]
    assert len(seen) == FAMILIES


def test_families_have_the_stated_sizes_and_places(families: list[Family]) -> None:
    # Second records are planted on top; they are few.
    sizes = Counter(len(family.members) for family in families)
    for size, share in STATED["family_size"].items():
        close(sizes[size] / FAMILIES, share, 0.015, f"families of {size}")
    provinces = Counter(family.region[:2] for family in families)
    total = sum(STATED["provinces"].values())
    for province, inhabitants in STATED["provinces"].items():
        close(provinces[province] / FAMILIES, inhabitants / total, 0.012, f"province {province}")
    known = set(regions().districts())
    assert all(family.region in known for family in families)


def test_persons_have_the_stated_ages_and_sexes(families: list[Family]) -> None:
    persons = [person for family in families for person in family.members]
    close(sum(p.sex == "male" for p in persons) / len(persons), STATED["persons"]["male"], 0.01, "men")
    for band, share in STATED["persons"]["age_bands"].items():
        first, last = limits(band)
        close(sum(first <= p.age <= last for p in persons) / len(persons), share, 0.01, f"age {band}")
    as_of = STATED["as_of"]
    assert all(p.birth_date <= as_of.isoformat() for p in persons)
    assert all(p.age == as_of.year - int(p.birth_date[:4]) for p in persons)


def test_disability_schooling_and_pregnancy_are_as_stated(families: list[Family]) -> None:
    persons = [person for family in families for person in family.members]
    for band, shares in STATED["disability"].items():
        first, last = limits(band)
        those = [p for p in persons if first <= p.age <= last]
        for kind, share in shares.items():
            close(sum(p.disability == kind for p in those) / len(those), share, 0.015, f"{kind} at {band}")
    for level, spec in STATED["schooling"].items():
        those = [p for p in persons if spec["ages"][0] <= p.age <= spec["ages"][1]]
        close(sum(p.school == level for p in those) / len(those), spec["share"], 0.04, level)
    assert all(p.school == "none" for p in persons if p.age < 7)
    for band, share in STATED["pregnant"].items():
        first, last = limits(band)
        wives = [p for p in persons if p.relation == "spouse" and first <= p.age <= last]
        close(sum(p.pregnant for p in wives) / len(wives), share, 0.035, f"pregnant at {band}")
    assert all(p.sex == "female" for p in persons if p.pregnant)


def test_deciles_are_tenths_and_the_score_can_be_computed_again(families: list[Family]) -> None:
    deciles = Counter(family.welfare.decile for family in families)
    for decile in range(1, 11):
        close(deciles[decile] / FAMILIES, 0.1, 0.015, f"decile {decile}")
    for family in families:
        ages = [person.age for person in family.members]
        assert family.welfare.score == score_of(STATED["score"], family.welfare, ages, is_city(family.region))
    schooled: dict[int, list[bool]] = defaultdict(list)
    for family in families:
        schooled[family.welfare.decile] += [p.school != "none" for p in family.members if 16 <= p.age <= 18]
    assert sum(schooled[1]) / len(schooled[1]) < sum(schooled[10]) / len(schooled[10])


def test_accounts_and_telephones_are_as_stated(families: list[Family]) -> None:
    banks = Counter(family.account.bank for family in families)
    for bank, share in zip(("bank-a", "bank-b", "bank-c"), STATED["banks"], strict=True):
        close(banks[bank] / FAMILIES, share, 0.02, bank)
    close(sum(family.phone != "" for family in families) / FAMILIES, STATED["phone"], 0.02, "telephones")


def test_no_number_can_be_a_living_persons_and_none_is_used_twice(families: list[Family]) -> None:
    spoilt = {truth.nik for family in families for truth in family.truths if truth.kind == "invalid-nik"}
    again = {truth.nik for family in families for truth in family.truths if truth.kind == "same-nik"}
    niks = Counter(person.nik for family in families for person in family.members)
    assert {nik for nik, count in niks.items() if count > 1} == again
    for family in families:
        assert family.kk.startswith("0") and len(family.kk) == 16
        for person in family.members:
            assert person.nik.startswith("0")
            if person.nik in spoilt:
                continue
            assert len(person.nik) == 16 and person.nik.isascii() and person.nik.isdigit()
            assert person.nik[12:] != "0000" and person.nik[:6] != "000000"
    assert len({family.kk for family in families}) == FAMILIES


def test_a_nik_holds_sex_and_birth_date_except_where_planted(families: list[Family]) -> None:
    planted = {truth.nik for family in families for truth in family.truths if truth.kind != "dead"}
    for family in families:
        for person in family.members:
            if person.nik not in planted:
                day = int(person.birth_date[8:]) + (40 if person.sex == "female" else 0)
                assert person.nik[6:12] == f"{day:02d}{person.birth_date[5:7]}{person.birth_date[2:4]}"


def test_numbers_never_repeat_over_the_whole_range() -> None:
    numbers = Numbers(3)
    places = [(family, position) for family in (0, 1, 2, MAX_FAMILIES - 1) for position in range(16)]
    places += [(family, 0) for family in range(3, MAX_FAMILIES, MAX_FAMILIES // 50_000)]
    assert len({numbers.nik(family, position, "010190") for family, position in places}) == len(places)


def test_the_truth_file_names_rows_that_exist(folder: Path) -> None:
    people = {(row["kk"], row["nik"]): row for row in rows(folder, "population.csv")}
    accounts: dict[str, set[str]] = defaultdict(set)
    by_card = {row["kk"]: row for row in people.values()}
    kinds: Counter[str] = Counter()
    for truth in rows(folder, "truth.csv"):
        kinds[truth["kind"]] += 1
        if truth["kind"] == "shared-account":
            accounts[truth["other_kk"]].add(by_card[truth["kk"]]["account"])
            continue
        row = people[truth["kk"], truth["nik"]]
        if truth["other_kk"]:
            other = people[truth["other_kk"], truth["other_nik"]]
            assert row["sex"] == other["sex"] and row["kk"] != other["kk"]
            check_alterations(truth, row, other)
        if truth["kind"] == "ghost":
            group = truth["detail"].removeprefix("account of ")
            assert row["account"] == by_card[group]["account"]
        if truth["kind"] == "dead":
            assert row["birth_date"] < truth["detail"] <= "2025-12-31"
    assert all(len(shared) == 1 for shared in accounts.values())
    assert set(kinds) == {*STATED["planted"], "dead"}


def check_alterations(truth: dict[str, str], row: dict[str, str], other: dict[str, str]) -> None:
    if truth["kind"] == "namesake":
        assert row["name"] == other["name"] and row["birth_date"] != other["birth_date"]
        return
    if truth["kind"] == "same-nik":
        assert all(row[field] == other[field] for field in ("nik", "name", "birth_date"))
        return
    differs: dict[str, Any] = dict(part.split(":") for part in truth["detail"].split())
    assert row["nik"] != other["nik"]
    assert (row["name"] == other["name"]) == (differs["name"] == "same")
    assert (row["birth_date"] == other["birth_date"]) == (differs["birth_date"] == "same")


def test_planted_shares_are_as_stated(families: list[Family]) -> None:
    planted = Counter(kind for family in families for kind in {truth.kind for truth in family.truths})
    for kind, share in STATED["planted"].items():
        close(planted[kind] / FAMILIES, share, max(0.003, share / 3), kind)
    dead = sum(truth.kind == "dead" for family in families for truth in family.truths)
    ages = Counter(person.age for family in families for person in family.members)
    expected = sum(
        share * sum(ages[age] for age in range(limits(band)[0], min(limits(band)[1] + 1, MAX_AGE)))
        for band, share in STATED["dead"].items()
    )
    close(dead / expected, 1.0, 0.3, "dead of those expected")


def test_every_record_is_of_at_most_one_pair(families: list[Family]) -> None:
    """So pairs are the whole truth: no third record of a person stands unnamed."""
    kinds = ("family-twice", "person-twice", "same-nik")
    pairs = [truth for family in families for truth in family.truths if truth.kind in kinds]
    records = Counter((t.kk, t.nik) for t in pairs) + Counter((t.other_kk, t.other_nik) for t in pairs)
    assert max(records.values()) == 1

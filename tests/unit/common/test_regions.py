"""The region list is whole, and old codes lead to the regions they became."""

from datetime import date

import pytest

from salur.common.regions import Split, regions

REGIONS = regions()


def test_the_list_has_the_counts_of_the_decree() -> None:
    provinces = REGIONS.children()
    regencies = [regency for province in provinces for regency in REGIONS.children(province.code)]
    districts = [district for regency in regencies for district in REGIONS.children(regency.code)]
    assert (len(provinces), len(regencies), len(districts)) == (38, 514, 7_285)
    assert [d.code for d in districts] == REGIONS.districts()
    assert len(REGIONS) == 38 + 514 + 7_285
    cities = [r for r in regencies if int(r.code[3:]) > 70]
    assert len(cities) == 98
    assert all(r.name.startswith("Kota ") for r in cities)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("31", "Daerah Khusus Ibukota Jakarta"),
        ("31.71", "Kota Administrasi Jakarta Pusat, Daerah Khusus Ibukota Jakarta"),
        ("11.01.01", "Bakongan, Kabupaten Aceh Selatan, Aceh"),
        ("11.01.01.2001", "Bakongan, Kabupaten Aceh Selatan, Aceh"),
        ("91.27.03", "Wandai, Kabupaten Intan Jaya, Papua Tengah"),
    ],
)
def test_a_name_holds_those_above(code: str, name: str) -> None:
    assert REGIONS.name(code) == name


@pytest.mark.parametrize(
    "code", ["", "3", "99", "31.7", "31.99", "31.71.99", "31.71.01.", "31.71.011", "31.71.01.12", "٣١"]
)
def test_an_unknown_code_is_unknown(code: str) -> None:
    assert REGIONS.find(code) is None
    assert REGIONS.name(code) is None
    assert REGIONS.parent(code) is None
    assert code not in REGIONS


def test_parents_and_children_agree() -> None:
    for province in REGIONS.children():
        assert REGIONS.parent(province.code) is None
        for regency in REGIONS.children(province.code):
            assert REGIONS.parent(regency.code) == province.code
            assert all(REGIONS.parent(d.code) == regency.code for d in REGIONS.children(regency.code))
    assert REGIONS.children("11.01.01") == []


def test_an_old_code_stays_resolvable_and_has_its_time() -> None:
    assert REGIONS.current("91.27.03.2001") == "94.07.03.2001"
    assert REGIONS.current("91.27", on=date(2022, 7, 24)) == "91.27"
    assert REGIONS.current("91.27", on=date(2022, 7, 25)) == "94.07"
    assert REGIONS.current("92.71") == "96.71"
    assert REGIONS.current("91.03") == "91.03"
    assert "91.27" not in REGIONS
    assert REGIONS.former("94.07.03") == "91.27.03"
    assert REGIONS.former("96") == "92"
    assert REGIONS.former("31.71") is None


def test_a_scope_reaches_records_under_old_codes() -> None:
    assert REGIONS.scope("31.71") == ("31.71",)
    assert REGIONS.scope("94.07") == ("94.07", "91.27")
    assert REGIONS.scope("94.07.03") == ("94.07.03", "91.27.03")
    assert len(REGIONS.scope("94")) == 1 + 8
    assert REGIONS.scope("91.27") == ("94.07", "91.27")


def test_every_split_leads_to_a_region_of_today() -> None:
    replaced = [split for split in REGIONS.splits if split.replaced]
    assert len(replaced) == 4 + 8 + 8 + 6
    assert all(split.new in REGIONS for split in REGIONS.splits)
    assert Split("92", "96", date(2022, 12, 8), "UU 29/2022", False) in REGIONS.splits

"""Rows to families: what is good is taken, what is bad is reported by place, whatever the bytes are."""

import io
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from salur.registry.domain.household import MAX_MEMBERS
from salur.registry.domain.mapping import Mapping, parse_mapping
from salur.registry.domain.rows import (
    MAX_FAMILY_ROWS,
    MAX_KNOWN_TEXTS,
    MAX_LINE_SIZE,
    Family,
    HeaderInvalid,
    RowRefused,
    read_families,
    read_header,
    split_line,
)

PROGRESA = Path(__file__).parents[3] / "examples" / "progresa"
TODAY = date(2026, 1, 1)
HEADER = b"hh,child,region,score,treated,age\n"
MAPPING = parse_mapping(
    {
        "name": "test",
        "household": {"scheme": "survey", "column": "hh"},
        "region": "region",
        "attributes": {
            "score": {"column": "score", "type": "float", "required": True, "missing": ["NA"]},
            "treated": {"column": "treated", "type": "bool"},
        },
        "member": {
            "identifier": {"scheme": "child", "column": "child"},
            "attributes": {"age": {"column": "age", "type": "int", "missing": ["-99"]}},
        },
    }
)


def families(body: bytes, mapping: Mapping = MAPPING, row: int = 2, offset: int = 0) -> list[Family]:
    content = io.BytesIO(body)
    content.seek(offset)
    return list(read_families(content.readline, read_header(HEADER, mapping), mapping, row, offset, TODAY))


def places(found: list[Family]) -> list[tuple[int, str]]:
    return [(issue.row, issue.column) for family in found for issue in family.refused]


def test_consecutive_rows_are_one_family() -> None:
    first, second = families(b"1,11,31,600.5,1,9\n1,12,31,600.5,1,\n2,21,31.71,7,,-99\n")
    assert first.household is not None and second.household is not None
    assert first.household.attributes == {"score": 600.5, "treated": True}
    assert [member.attributes["age"] for member in first.household.members] == [9, None]
    assert (first.rows, second.rows) == ([2, 3], [4])
    assert second.household.attributes == {"score": 7.0, "treated": None}
    assert second.household.members[0].attributes == {"age": None}


@pytest.mark.parametrize(
    ("line", "column"),
    [
        (b"1,11,31,many,1,9", "score"),
        (b"1,11,31,NA,1,9", "score"),
        (b"1,11,31,nan,1,9", "score"),
        (b"1,11,31,1,maybe,9", "treated"),
        (b"1,11,31,1,1,9.5", "age"),
        (b"1,11,nowhere,1,1,9", "region"),
        ("1,11,\u0663\u0661,1,1,9".encode(), "region"),
        (b"1,,31,1,1,9", "child"),
        (b",11,31,1,1,9", "hh"),
        (b"1,11,31,1,1", ""),
        (b"1,11,31,1,1,9,9", ""),
        (b'1,"11,31,1,1,9', ""),
        (b'1,"1"1,31,1,1,9', ""),
        (b"1,\xff\xfe,31,1,1,9", ""),
        (b"1,1\x001,31,1,1,9", ""),
        (b"1," + b"9" * 300 + b",31,1,1,9", "child"),
        (b"1," + b"9" * MAX_LINE_SIZE * 3 + b",31,1,1,9", ""),
    ],
)
def test_a_bad_row_is_refused_at_its_place_and_its_neighbours_are_taken(line: bytes, column: str) -> None:
    found = families(b"7,71,31,1,1,9\n" + line + b"\n8,81,31,1,1,9\n")
    assert places(found) == [(3, column)]
    assert [family.household.identifiers[0].value for family in found if family.household] == ["7", "8"]


def test_an_open_quote_takes_no_later_row_with_it() -> None:
    found = families(b'7,71,31,1,1,9\n6,"61,31,1,1,9\n8,81,31,1,1,9\n9,"91",31,1,1,9\n')
    assert places(found) == [(3, "")]
    assert [family.household.identifiers[0].value for family in found if family.household] == ["7", "8", "9"]


def test_a_contradiction_keeps_the_first_value_and_warns() -> None:
    (family,) = families(b"1,11,31,600,1,9\n1,12,31,600.0,1,8\n1,13,32,601,1,7\n")
    assert family.household is not None
    assert (family.household.region, family.household.attributes["score"]) == ("31", 600.0)
    assert [(issue.row, issue.column, issue.severity) for issue in family.warnings] == [
        (4, "score", "warning"),
        (4, "region", "warning"),
    ]
    assert len(family.household.members) == 3


def test_the_same_member_twice_is_refused_once() -> None:
    (family,) = families(b"1,11,31,1,1,9\n1,11,31,1,1,9\n")
    assert places([family]) == [(3, "child")]
    assert family.rows == [2]


def test_members_over_the_limit_are_refused_and_memory_stays_bounded() -> None:
    found = families(b"".join(b"1,%d,31,1,1,9\n" % n for n in range(1_000)))
    assert max(len(family.rows) + len(family.refused) for family in found) <= MAX_FAMILY_ROWS
    assert found[0].household is not None
    assert len(found[0].household.members) == MAX_MEMBERS
    assert sum(len(family.rows) + len(family.refused) for family in found) == 1_000


def test_a_file_of_nothing_but_rubbish_is_handed_on_in_pieces() -> None:
    found = families(b"\xff\n" * 1_000)
    assert len(places(found)) == 1_000
    assert max(len(family.refused) for family in found) <= MAX_FAMILY_ROWS


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"hh,child,region,treated,age\n", "score"),
        (b"hh,hh,child,region,score,treated,age\n", "twice: hh"),
        (b"", "missing"),
        (HEADER.replace(b",", b";"), "separated by semicolons: save the file with commas"),
        (b'"hh"\t"child"\t"region"\t"score"\t"treated"\t"age"\n', "separated by tabs"),
        (b'"hh";"child";"region"\n', "separated by semicolons"),
        (b"\xff\xfeh\x00", "not UTF-8"),
        (b'hh,"child\n', "broken quoting"),
        (HEADER.strip() + b"\r3171234567890123,Budi\r3171234567890123,Budi\r", "end of lines"),
    ],
)
def test_a_header_that_cannot_be_read_says_why(header: bytes, says: str) -> None:
    with pytest.raises(HeaderInvalid, match=says):
        read_header(header, MAPPING)


def test_a_first_line_of_data_is_not_repeated_in_the_reason() -> None:
    """Fields that only look like names of columns may be people's numbers."""
    with pytest.raises(HeaderInvalid) as refused:
        read_header(b"3171234567890123,Budi,3171234567890123,Budi,hh,hh\n", MAPPING)
    assert "3171" not in str(refused.value)
    assert "Budi" not in str(refused.value)


def test_a_column_nobody_reads_may_stand_twice() -> None:
    header = HEADER.strip() + b",note,note\n"
    assert read_header(header, MAPPING).count("note") == 2


def test_a_carriage_return_inside_a_line_refuses_that_line() -> None:
    for line in (b"1,2\r3,4\n", b'1,"2\r3"\r\n'):
        with pytest.raises(RowRefused, match="end of lines"):
            split_line(line)
    assert split_line(b"1,2\r\n") == ["1", "2"]


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert read_header(b"\xef\xbb\xbf" + HEADER, MAPPING)[0] == "hh"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_a_line(line: bytes) -> None:
    """Any bytes are fields or a refusal, never another error."""
    try:
        assert all(isinstance(text, str) for text in split_line(line))
    except RowRefused as refused:
        assert refused.reason


_CELLS = st.sampled_from(["1", "2", "31", "", "x", '"', "600.5", "NA", "é"])
_LINES = st.lists(st.lists(_CELLS, min_size=4, max_size=7).map(",".join), max_size=30)


@settings(max_examples=200)
@given(_LINES)
def test_every_row_is_taken_or_refused_and_reading_resumes_at_any_family(lines: list[str]) -> None:
    """Whatever the rows: each stands in exactly one place, and going on from a family's end gives the same rest."""
    body = "".join(line + "\n" for line in lines).encode()
    found = families(body)
    seen = sorted(row for family in found for row in [*family.rows, *(issue.row for issue in family.refused)])
    assert seen == [number for number, line in enumerate(lines, start=2) if line.strip()]
    for number, family in enumerate(found):
        rest = families(body, row=family.last_row + 1, offset=family.end_offset)
        assert rest == found[number + 1 :]


def test_the_real_file_holds_8325_households_and_27_contradictions() -> None:
    mapping = parse_mapping(yaml.safe_load((PROGRESA / "mapping.yaml").read_text()))
    with (PROGRESA / "households-1998.csv").open("rb") as file:
        header = read_header(file.readline(), mapping)
        found = list(read_families(file.readline, header, mapping, 2, file.tell(), TODAY))
    assert len(found) == 8325
    assert sum(len(family.rows) for family in found) == 12579
    warned = [family for family in found if family.warnings]
    assert (len(warned), sum(len(family.warnings) for family in warned)) == (26, 27)
    assert not any(family.refused for family in found)


def test_a_text_that_comes_again_is_read_as_the_first_time() -> None:
    many = MAX_KNOWN_TEXTS + 5
    lines = b"".join(b"%d,%d,31,%d,1, %d \n" % (n, n, n, n) for n in [*range(many), *range(many)])
    found = families(lines + b"x,1,31,bad,1,1\ny,2,31,bad,1,1\n")
    taken = [family.household for family in found if family.household]
    assert [household.attributes["score"] for household in taken] == [float(n) for n in range(many)] * 2
    assert [household.members[0].attributes["age"] for household in taken] == [*range(many)] * 2
    assert places(found) == [(2 * many + 2, "score"), (2 * many + 3, "score")]

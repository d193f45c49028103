"""Files about accounts: read whole, or refused with a code, whatever the bytes."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salur.payments.banks.check_files import (
    Question,
    inspect_findings,
    inspect_unclaimed,
    is_findings,
    is_unclaimed,
    read_findings,
    read_unclaimed,
    write_questions,
)
from salur.payments.banks.iso20022 import DocumentRefused

HEAD = b"check_id,account_number,result\n"


def test_a_file_is_read_with_any_line_ends_and_a_byte_order_mark() -> None:
    file = BytesIO(b"\xef\xbb\xbf" + HEAD.replace(b"\n", b"\r\n") + b'a,"1,2",matches\r\nb, 3 ,closed\n')
    assert is_findings(file)
    assert inspect_findings(file, "0" * 64).transactions == 2
    assert [(f.ordinal, f.check_id, f.account, f.result) for f in read_findings(file)] == [
        (1, "a", "1,2", "matches"), (2, "b", "3", "closed"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"check_id;account_number;result\n", "csv"),
        (HEAD + b"a,1\n", "csv"),
        (HEAD + b'a,"1,matches\n', "csv"),
        (HEAD + b"a,\xff,matches\n", "csv"),
        (HEAD + b"a,1,matches", "cut-off"),
        (HEAD + b"a," + b"1" * 2_000 + b",matches\n", "cut-off"),
    ],
)
def test_a_broken_file_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        inspect_findings(BytesIO(content), "0" * 64)
    assert refused.value.code == code


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    file = BytesIO(b"check_id," + content)
    try:
        count = inspect_findings(file, "0" * 64).transactions
    except DocumentRefused:
        return
    assert len(list(read_findings(file))) == count


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_what_is_asked_can_be_read_by_any_csv_reader(holder: str) -> None:
    file = BytesIO()
    write_questions(file, [Question("c" * 32, "00123", holder)])
    assert file.getvalue().startswith(b"check_id,account_number,account_holder\r\n" + b"c" * 32 + b",00123,")


REPORT = b"instruction_id,standing,since\n"


def test_a_report_of_money_nobody_has_taken_is_read_or_refused_as_a_whole() -> None:
    file = BytesIO(REPORT + b"i-1,untouched,2026-01-31\ni-2,claimed,2026-02-01\n")
    assert is_unclaimed(file)
    assert inspect_unclaimed(file, "0" * 64).transactions == 2
    assert [(row.ordinal, row.standing, str(row.since)) for row in read_unclaimed(file)] == [
        (1, "untouched", "2026-01-31"), (2, "claimed", "2026-02-01"),
    ]  # fmt: skip
    for row in (b"i-1,lost,2026-01-31\n", b"i-1,untouched,31 January\n", b"i-1,untouched\n"):
        with pytest.raises(DocumentRefused):
            inspect_unclaimed(BytesIO(REPORT + row), "0" * 64)

"""`salur conditions` sends a file in parts: each with the header, none lost, rows numbered through."""

import csv
import io

from salur.local.cli.conditions import ROWS, parts_of


def test_a_file_is_sent_in_parts_with_its_header() -> None:
    rows = [f"{number:032x},,school,{number}" for number in range(ROWS + 1)]
    parts = list(parts_of(iter(["household_id,member_id,code,value\n", *(row + "\n" for row in rows)])))
    assert [first for first, _ in parts] == [1, ROWS + 1]
    sent = [list(csv.reader(io.StringIO(text))) for _, text in parts]
    assert all(part[0] == ["household_id", "member_id", "code", "value"] for part in sent)
    assert [",".join(row) for part in sent for row in part[1:]] == rows
